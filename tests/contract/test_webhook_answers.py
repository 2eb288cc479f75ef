"""What senders of webhooks are answered: the usual body, one of the workflow's own, or the output of the run."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contract.hooks import delivery, listening, path_of, runs_of, send, taken
from live import Api, NewApi, live, refused
from stepwell.settings import Server, Settings, Webhooks
from stepwell.values import Json, decode


def answering(api: Api, respond: Json, *steps: Json, **fields: Json) -> str:
    """The path of an active workflow that answers its senders itself."""
    document = listening({"path": "orders", "respond": respond}, **fields)
    if steps:
        document["steps"] = list(steps)
    return path_of(api, api.workflow(document))


def wait(ms: int) -> Json:
    return {"id": "pause", "type": "wait", "config": {"duration": ms}}


def test_the_usual_answer_has_no_envelope(api: Api) -> None:
    answer = send(api, path_of(api, api.workflow(listening({"path": "orders"}))), {"n": 1})

    taken(answer)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Request-Id"]


def test_an_answer_of_its_own_has_status_headers_and_body(api: Api) -> None:
    respond = {
        "status": 201,
        "headers": {"X-Order": "{{trigger.body.id}}", "X-Agent": "{{trigger.headers.x-shop}}"},
        "body": {
            "id": "{{eventId}}",
            "n": "{{trigger.body.n}}",
            "started": "{{workflowsTriggered}}",
            "run": "{{runId}}",
        },
    }
    path = answering(api, respond)

    answer = send(api, path, {"id": "o-1", "n": 7}, X_Shop="Berlin")

    body = decode(answer.content)
    assert answer.status_code == 201
    assert (answer.headers["X-Order"], answer.headers["X-Agent"]) == ("o-1", "Berlin")
    assert answer.headers["Content-Type"] == "application/json"
    assert (body["n"], body["started"]) == (7, 1)
    assert delivery(api, body["id"])["results"][0]["runId"] == body["run"]


def test_a_text_is_answered_as_text(api: Api) -> None:
    answer = send(api, answering(api, {"body": "Thanks, {{trigger.body.name}}"}), {"name": "Änne"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert answer.content.decode() == "Thanks, Änne"


def test_a_content_type_of_its_own_counts(api: Api) -> None:
    respond = {"headers": {"content-type": "application/xml"}, "body": "<ok/>"}

    answer = send(api, answering(api, respond), {})

    assert (answer.headers["Content-Type"], answer.content) == ("application/xml", b"<ok/>")


def test_no_browser_takes_an_answer_for_a_page_of_the_server(api: Api) -> None:
    answer = send(api, answering(api, {"headers": {"Content-Type": "text/html"}, "body": "<script>"}), {})

    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "\x00"])
def test_a_header_cannot_be_broken_by_what_was_sent(api: Api, value: str) -> None:
    answer = send(api, answering(api, {"headers": {"X-Name": "{{trigger.body.name}}"}}), {"name": value})

    assert "X-Evil" not in answer.headers
    assert answer.headers["X-Name"].strip() == "".join(c if " " <= c <= "~" else " " for c in value).strip()


def test_an_answer_without_a_body(api: Api) -> None:
    answer = send(api, answering(api, {"status": 204, "body": "ignored"}), {})

    assert (answer.status_code, answer.content) == (204, b"")


def test_credentials_do_not_come_back(api: Api) -> None:
    answer = send(api, answering(api, {"body": "{{trigger.headers.authorization}}"}), {}, Authorization="Bearer top")

    assert answer.text == "[secret]"


def test_a_template_that_fails_leaves_the_usual_answer(api: Api) -> None:
    answer = send(api, answering(api, {"body": "{{trigger.body.list | times: 2}}"}), {"list": {}})

    body = decode(answer.content)
    assert (answer.status_code, body["received"], body["workflowsTriggered"]) == (200, True, 1)
    assert "times" in body["answerError"]


def test_an_event_that_nothing_is_started_for_has_the_usual_answer(api: Api) -> None:
    path = path_of(api, api.workflow(listening({"path": "orders", "events": ["a"], "respond": {"body": "hello"}})))

    taken(send(api, path, {"type": "b"}), 0)


def test_an_event_that_comes_again_has_the_same_answer(api: Api) -> None:
    path = answering(api, {"status": 202, "body": {"run": "{{runId}}", "event": "{{eventId}}"}})

    answers = [send(api, path, {}, X_Event_Id="e-1") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].content == answers[1].content


def test_the_output_of_the_run_is_the_answer(api: Api) -> None:
    path = answering(api, {"wait": True}, output={"double": "{{input.n | times: 2}}"})

    answer = send(api, path, {"n": 21})

    assert (answer.status_code, decode(answer.content)) == (200, {"double": 42})


def test_the_error_of_a_failed_run_is_the_answer(api: Api) -> None:
    broken = {"id": "tell", "type": "slack", "config": {"channel": "#a", "text": "t"}}

    answer = send(api, answering(api, {"wait": True}, broken), {})

    body = decode(answer.content)
    assert answer.status_code == 500
    assert body["error"]["code"] == "CONNECTION_MISSING"
    assert set(body["error"]) == {"code", "message"}


def test_a_run_that_does_not_end_in_time_is_answered_with_its_id(api: Api) -> None:
    path = answering(api, {"wait": True, "timeoutSeconds": 1}, wait(3_600_000))

    answer = send(api, path, {})

    body = decode(answer.content)
    assert answer.status_code == 202
    assert (body["received"], body["workflowsTriggered"]) == (True, 1)
    assert api.data("GET", f"/runs/{body['runId']}")["status"] == "running"


def test_an_event_that_comes_again_waits_for_the_first_ones_run(api: Api) -> None:
    path = answering(api, {"wait": True}, output={"n": "{{input.n}}"})

    answers = [send(api, path, {"n": 1}, X_Event_Id="e-1") for _ in range(2)]

    assert [decode(answer.content) for answer in answers] == [{"n": 1}, {"n": 1}]


# -- slow senders


@pytest.fixture
def impatient(settings: Settings, tmp_path: Path) -> Iterator[Api]:
    """A server that gives senders a second."""
    own = replace(settings, server=Server(data=tmp_path), webhooks=Webhooks(read_timeout_s=1))
    with live(own) as server:
        yield Api(server, server.parts.first_workspace, str(settings.admin.key))


def test_a_slow_sender_is_cut_off_and_nothing_is_stored(impatient: Api) -> None:
    api = impatient
    workflow = api.workflow(listening({"path": "orders"}))
    host, _, port = api.server.url.removeprefix("http://").partition(":")
    head = f"POST {path_of(api, workflow)} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode()

    with socket.create_connection((host, int(port)), timeout=10) as slow:
        slow.sendall(head + b'{"n":')
        began = time.monotonic()
        answer = b"".join(iter(lambda: slow.recv(65536), b""))  # until the server hangs up
        took = time.monotonic() - began

    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"REQUEST_TIMEOUT"' in answer
    assert 0.9 < took < 5
    assert api.data("GET", "/webhook-deliveries") == []


def test_the_short_provider_path_works_while_there_is_one_workspace(impatient: Api) -> None:
    impatient.workflow(listening({"provider": "acme", "verifySignature": False}))

    taken(send(impatient, "/webhooks/acme", {}))


def test_requests_are_limited_by_the_senders_address(settings: Settings, tmp_path: Path) -> None:
    own = replace(settings, server=Server(data=tmp_path), rate_limit=replace(settings.rate_limit, webhooks=2))
    with live(own) as server:
        api = Api(server, server.parts.first_workspace, str(settings.admin.key))
        path = path_of(api, api.workflow(listening({"path": "orders"})))
        for n in range(2):
            taken(send(api, path, {"n": n}))

        answer = send(api, path, {"n": 2})

        refused(answer, 429, "RATE_LIMITED", "Rate limit exceeded. Limit: 2 requests per minute.")
        assert int(answer.headers["Retry-After"]) > 0
        assert len(api.data("GET", "/webhook-deliveries")) == 2


def test_a_sender_that_goes_away_leaves_nothing(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}))
    host, _, port = api.server.url.removeprefix("http://").partition(":")
    head = f"POST {path_of(api, workflow)} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode()

    with socket.create_connection((host, int(port)), timeout=10) as gone:
        gone.sendall(head + b'{"n":')
    taken(send(api, path_of(api, workflow), {}))

    assert len(api.data("GET", "/webhook-deliveries")) == 1


# -- deliveries, LoopFour contract 11.5


def test_a_delivery_shows_what_arrived_and_what_came_of_it(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}))
    path = path_of(api, workflow)

    event = taken(send(api, f"{path}?a=1", {"type": "order.paid", "n": 1}, X_Shop="Berlin"))

    found = delivery(api, event)
    (result,) = found.pop("results")
    headers = found.pop("headers")
    assert (headers["x-shop"], headers["content-type"]) == ("Berlin", "application/json")
    assert found | {"receivedAt": ""} == {
        "id": event,
        "eventId": event,
        "provider": "custom",
        "status": "processed",
        "reason": None,
        "eventType": "order.paid",
        "method": "POST",
        "path": path,
        "duplicateOf": None,
        "receivedAt": "",
        "query": {"a": "1"},
        "body": {"type": "order.paid", "n": 1},
        "rawBody": '{"type":"order.paid","n":1}',
    }
    (run,) = runs_of(api, workflow)
    assert (result["workflowId"], result["runId"], result["status"]) == (workflow, run["id"], "started")


def test_deliveries_are_filtered_by_provider_status_and_workflow(api: Api) -> None:
    first, second = (api.workflow(listening({"path": path})) for path in ("a", "b"))
    acme = api.workflow(listening({"provider": "acme", "verifySignature": False}))
    of_first = taken(send(api, path_of(api, first), {}))
    of_second = taken(send(api, path_of(api, second), {}))
    of_acme = taken(send(api, path_of(api, acme), {}))

    def found(query: str) -> list[str]:
        return [row["id"] for row in api.data("GET", f"/webhook-deliveries?{query}")]

    assert found("") == [of_acme, of_second, of_first]
    assert found("provider=acme") == [of_acme]
    assert found("status=processed&provider=custom") == [of_second, of_first]
    assert found("status=rejected") == []
    assert found(f"workflowId={first}") == [of_first]
    assert found("workflowId=wf_nobody") == []


def test_deliveries_are_paged(api: Api) -> None:
    path = path_of(api, api.workflow(listening({"path": "orders"})))
    events = [taken(send(api, path, {"n": n})) for n in range(5)]

    seen, cursor = [], ""
    while True:
        page = decode(api.get(f"/webhook-deliveries?limit=2{cursor}").content)
        seen += [row["id"] for row in page["data"]]
        if not page["meta"]["hasMore"]:
            break
        cursor = f"&cursor={page['meta']['cursor']}"

    assert seen == events[::-1]


@pytest.mark.parametrize("query", ["status=lost", "limit=0", "limit=101", "cursor=x"])
def test_a_bad_filter_is_refused(api: Api, query: str) -> None:
    refused(api.get(f"/webhook-deliveries?{query}"), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("path", ["", "/replay", "/start"])
def test_an_unknown_or_foreign_delivery_is_not_found(api: Api, new_api: NewApi, path: str) -> None:
    other = new_api()
    event = taken(send(other, path_of(other, other.workflow(listening({"path": "orders"}))), {}))
    method, body = ("POST", {"workflowId": "wf_x"}) if path else ("GET", None)

    for id in (event, "evt_00000000-0000-7000-8000-000000000000", "nonsense"):
        refused(api(method, f"/webhook-deliveries/{id}{path}", body), 404, "NOT_FOUND")


def test_a_replay_goes_past_the_check_for_repeated_events(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders"}))
    event = taken(send(api, path_of(api, workflow), {"n": 1}, X_Event_Id="e-1"))

    answers = [api.post(f"/webhook-deliveries/{event}/replay") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert decode(answers[0].content)["data"] == {"eventId": event, "workflowsTriggered": 1}
    runs = [api.final(run["id"]) for run in runs_of(api, workflow)]
    assert [run["input"] for run in runs] == [{"n": 1}] * 3
    first, *again = delivery(api, event)["results"]
    assert first["replayOf"] is None
    assert {each["replayOf"] for each in again} != {None}


def test_a_replay_asks_who_listens_now(api: Api) -> None:
    workflow = api.workflow(listening({"path": "orders", "events": ["b"]}))
    event = taken(send(api, path_of(api, workflow), {"type": "a"}), 0)

    assert api.data("POST", f"/webhook-deliveries/{event}/replay")["workflowsTriggered"] == 0
    api.data("PUT", f"/workflows/{workflow}", {"trigger": {"type": "webhook", "path": "orders"}})

    assert api.data("POST", f"/webhook-deliveries/{event}/replay")["workflowsTriggered"] == 1


def test_a_rejected_delivery_is_neither_replayed_nor_used(api: Api) -> None:
    signature = {"scheme": "hmac-sha256", "secrets": ["{{secrets.HOOK}}"]}
    workflow = api.workflow(listening({"path": "orders", "signature": signature}), active=False)
    api.data("POST", f"/workflows/{workflow}/secrets", {"key": "HOOK", "value": "a-secret"})
    api.data("POST", f"/workflows/{workflow}/activate")
    refused(send(api, path_of(api, workflow), {}), 401, "UNAUTHORIZED")
    (row,) = api.data("GET", "/webhook-deliveries")

    refused(api.post(f"/webhook-deliveries/{row['id']}/replay"), 400, "INVALID_STATE")
    refused(api.post(f"/webhook-deliveries/{row['id']}/start", {"workflowId": workflow}), 400, "INVALID_STATE")


def test_a_workflow_is_started_on_a_delivery_whatever_it_listens_to(api: Api) -> None:
    path = path_of(api, api.workflow(listening({"path": "orders"})))
    event = taken(send(api, path, {"n": 1}, X_Shop="Berlin"))
    other = listening({"path": "else"}, {"n": "{{input.n}}", "shop": "{{trigger.headers.x-shop}}"})
    workflow = api.workflow({**other, "trigger": {"type": "api"}})

    started = api.data("POST", f"/webhook-deliveries/{event}/start", {"workflowId": workflow})

    run = api.final(started["runId"])
    assert started == {"eventId": event, "workflowId": workflow, "runId": run["id"], "runIds": [run["id"]]}
    assert (run["output"], run["triggerType"]) == ({"n": 1, "shop": "Berlin"}, "webhook")
    assert run["id"] in [each["runId"] for each in delivery(api, event)["results"]]


def test_a_start_on_a_delivery_needs_a_workflow_that_takes_runs(api: Api) -> None:
    event = taken(send(api, path_of(api, api.workflow(listening({"path": "orders"}))), {}))
    draft = api.workflow(listening({"path": "else"}), active=False)
    path = f"/webhook-deliveries/{event}/start"

    refused(api.post(path, {"workflowId": draft}), 400, "INVALID_STATUS")
    assert refused(api.post(path, {"workflowId": "wf_nobody"}), 400, "VALIDATION_ERROR")[0]["path"] == ["workflowId"]
    assert refused(api.post(path, {}), 400, "VALIDATION_ERROR")[0]["path"] == ["workflowId"]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "", "runs:read"),
        ("GET", "/{event}", "runs:read"),
        ("POST", "/{event}/replay", "workflows:execute"),
        ("POST", "/{event}/start", "workflows:execute"),
    ],
)
def test_deliveries_need_their_scope(api: Api, method: str, path: str, scope: str) -> None:
    event = taken(send(api, path_of(api, api.workflow(listening({"path": "orders"}))), {}))
    narrow = api.with_scopes("connections:read")

    body = {"workflowId": "wf_x"} if path.endswith("start") else None
    details = refused(narrow(method, f"/webhook-deliveries{path.format(event=event)}", body), 403, "FORBIDDEN")

    assert details == [{"scope": scope}]
