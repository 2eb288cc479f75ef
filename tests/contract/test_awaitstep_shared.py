"""Paths that this dialect shares with AITasker. Source: AwaitStep contract 14."""

import pytest
import requests

from aitasker_client import AitaskerApi, aitasker
from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_runs import NOWHERE, compiled, final, trigger
from live import PATIENCE_S, Api
from stepwell.values import Json

NO_KEY = {"error": "Unauthorized", "detail": "Not authenticated"}


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


@pytest.fixture
def other(api: Api) -> AitaskerApi:
    return aitasker(api)


def shared(client: AwaitstepApi) -> tuple[str, str]:
    """The two shared paths of a run that has ended."""
    workflow = compiled(client)
    run = final(client, trigger(client, workflow))
    return f"/workflows/{workflow}/runs/{run['instanceId']}", f"/workflows/{workflow}/runs"


def test_a_key_of_this_dialect_is_answered_in_it(client: AwaitstepApi) -> None:
    one, all = shared(client)

    assert client.answer("GET", f"/api/v1{one}")["status"] == "complete"
    assert list(client.answer("GET", f"/api/v1{all}")) == ["data", "nextCursor"]


def test_a_key_of_the_other_is_answered_in_the_other(client: AwaitstepApi, other: AitaskerApi) -> None:
    one, all = (path.replace("wf_", "") for path in shared(client))

    run, runs = other("GET", one), other("GET", all)

    assert (run.status_code, run.json()["status"], "node_runs" in run.json()) == (200, "completed", True)
    assert (runs.status_code, "nextCursor" in runs.json()) == (200, False)


def test_a_key_of_neither_is_answered_by_the_first_that_serves_the_path(client: AwaitstepApi) -> None:
    one, all = shared(client)

    runs = [client.native.get(path).json() for path in (one, all)]

    assert (runs[0]["status"], list(runs[1])) == ("complete", ["data", "nextCursor"])


@pytest.mark.parametrize("path", [f"/workflows/{NOWHERE}/runs", f"/workflows/{NOWHERE}/runs/{NOWHERE}"])
def test_without_a_key_both_forms_are_told(api: Api, path: str) -> None:
    response = requests.get(f"{api.server.url}/api/v1{path}", timeout=PATIENCE_S)

    assert (response.status_code, response.json()) == (401, NO_KEY)


@pytest.mark.parametrize("key", ["ask_" + "x" * 40, "aitk_" + "x" * 40])
def test_a_wrong_key_is_told_in_the_form_of_its_prefix(api: Api, key: str) -> None:
    url = f"{api.server.url}/api/v1/workflows/{NOWHERE}/runs"
    response = requests.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE_S)

    expected = "error" if key.startswith("ask_") else "detail"
    assert (response.status_code, list(response.json())) == (401, [expected])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/workflows/{w}/runs", {"input": {}}),
        ("POST", "/workflows/{w}/runs/{r}/events", {"eventType": "e"}),
        ("DELETE", "/workflows/{w}/runs/{r}", None),
    ],
)
def test_what_this_dialect_alone_serves_is_answered_in_it_whatever_the_key(
    other: AitaskerApi, method: str, path: str, body: Json
) -> None:
    response = other(method, path.format(w=NOWHERE, r=NOWHERE), body)

    assert (response.status_code, response.json()) == (404, {"error": "Workflow not found"})
