"""Addresses of functions: every method is answered, and what the code answers goes out without an envelope. Source:
AwaitStep contract 8."""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from stepwell import ids, values
from stepwell.core import Core, FunctionBusy
from stepwell.errors import NotFound, Unauthorized
from stepwell.http.bodies import Headers, Receive, read_body
from stepwell.http.routes import Rate
from stepwell.settings import Settings
from stepwell.values import InvalidJson, Json

PATH = "/fn/{workflow}"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_JSON = "application/json"
_GUARDS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
"""A function may answer with anything; no browser is to take it for a page of this server."""


@dataclass(frozen=True, slots=True)
class FunctionRoute:
    """One method of the addresses. `rate_limit` counts by the caller's address."""

    label: str
    core: Core
    body_limit: int
    rate_limit: int
    rate: Rate = Rate.EXECUTE

    async def answer(
        self, params: dict[str, str], scope: MutableMapping[str, Any], headers: Headers, receive: Receive, request: str
    ) -> Response:
        """Call the function. `request` is the request's id. Raises PayloadTooLarge."""
        functions = self.core.functions
        try:
            workflow, plan, workspace = await functions.find(_reference(params["workflow"]))
        except NotFound:
            return _told(404, "Not found")
        by_itself = bool((plan.inline or {}).get("triggerCode"))
        if scope["method"] != "POST" and not by_itself:
            return Response(b"", 200)
        named: Json = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers.items()}
        try:
            await functions.admit(
                workspace, workflow.id, plan, named, lambda: self.core.authenticator.authenticate(_key(named))
            )
        except Unauthorized:
            return _told(401, "Unauthorized", {"WWW-Authenticate": "Bearer"})
        body = await read_body(receive, headers, self.body_limit)
        given = _request(scope, named, body) if by_itself else None
        event: Json = {"payload": _payload(body)}
        try:
            done = await functions.call(workspace, workflow.id, plan, event, request=given, request_id=request)
        except FunctionBusy:
            return _told(503, "Function is busy", {"Retry-After": "1"})
        return Response(done.body, done.status, {"content-type": _JSON, **done.headers, **_GUARDS})


def function_routes(core: Core, settings: Settings) -> Iterator[tuple[str, str, FunctionRoute]]:
    """Method, path and route of each."""
    for method in METHODS:
        route = FunctionRoute(f"{method} {PATH}", core, settings.limits.body_bytes, settings.rate_limit.execute)
        yield method, PATH, route


def _reference(text: str) -> str:
    bare = text.removeprefix("wf_")
    return ids.parse(bare) or bare


def _key(headers: Json) -> str | None:
    kind, _, given = headers.get("authorization", "").partition(" ")
    return given.strip() if kind.lower() == "bearer" else None


def _payload(body: bytes) -> Json:
    """The body as JSON; null if it is none."""
    try:
        return values.decode(body) if body else None
    except InvalidJson:
        return None


def _request(scope: MutableMapping[str, Any], headers: Json, body: bytes) -> Json:
    query = scope["query_string"].decode("latin-1")
    return {
        "method": scope["method"],
        "url": scope["path"] + (f"?{query}" if query else ""),
        "path": scope["path"],
        "query": dict(parse_qsl(query, keep_blank_values=True)),
        "headers": headers,
        "text": body.decode(errors="replace"),
    }


def _told(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return Response(values.encode({"message": message}), status, headers, _JSON)
