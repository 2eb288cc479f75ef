"""A client of the AwaitStep dialect: its keys, its workflows, and what its refusals look like."""

from dataclasses import dataclass
from typing import Any

import requests

from awaitstep_graphs import graph, step
from live import PATIENCE_S, Api
from stepwell.values import Json, decode, encode

SCOPES = ("read", "write", "deploy")


@dataclass(frozen=True)
class AwaitstepApi:
    """A client of a workspace with a key of this dialect; `native` is its client of the native API. Paths are whole."""

    native: Api
    key: str

    def __call__(self, method: str, path: str, body: Json = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        if body is not None:
            options["data"] = encode(body)
            headers.setdefault("Content-Type", "application/json")
        url = f"{self.native.server.url}{path}"
        return requests.request(method, url, headers=headers, timeout=PATIENCE_S, **options)

    def answer(self, method: str, path: str, body: Json = None, status: int = 200, **options: Any) -> Json:
        """The body of an answer that must have this status."""
        response = self(method, path, body, **options)
        assert response.status_code == status, response.text
        return decode(response.content) if response.content else None

    def error(self, method: str, path: str, body: Json = None, status: int = 400, **options: Any) -> str:
        """The text of a refusal that must have this status."""
        return self.answer(method, path, body, status, **options)["error"]

    def create(self, name: str = "Test", **fields: Json) -> str:
        """The id of a new workflow."""
        return self.answer("POST", "/api/workflows", {"name": name, **fields}, 201)["id"]

    def save(self, workflow: str, ir: Json, status: int = 201) -> Json:
        """The version that an IR is saved as."""
        return self.answer("POST", f"/api/workflows/{workflow}/versions", {"ir": ir}, status)

    def deploy(self, workflow: str, status: int = 200, **fields: Json) -> Json:
        """What a deploy to this server is answered."""
        body = {"connectionId": "conn_stepwell", **fields}
        return self.answer("POST", f"/api/workflows/{workflow}/deploy", body, status)

    def deployed(self, ir: Json = None, **fields: Json) -> str:
        """The id of a new workflow that is deployed; of one step if nothing else is said."""
        workflow = self.create(**fields)
        self.save(workflow, simple() if ir is None else ir)
        self.deploy(workflow)
        return workflow

    def scoped(self, *scopes: str) -> "AwaitstepApi":
        """The same workspace with a key of these scopes."""
        return awaitstep(self.native, scopes)


def awaitstep(api: Api, scopes: tuple[str, ...] = SCOPES) -> AwaitstepApi:
    """A client with a new key of the workspace, minted as an admin does it."""
    made = api.data("POST", "/admin/keys", {"name": "awaitstep", "scopes": list(scopes), "dialect": "awaitstep"})
    return AwaitstepApi(api, made["key"])


def simple(code: str = "return event.payload") -> Json:
    """An IR of one step."""
    return graph(step("only", code), edges="")
