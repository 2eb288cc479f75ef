"""AwaitStep contract 8, over a socket: functions are called, answer, and leave no run."""

import asyncio
import time

import pytest
import requests

from live import Api, refused
from stepwell.core import functions
from stepwell.values import Json, decode


def function(code: str, inline: Json = True, **more: Json) -> Json:
    step = {"id": "graph", "type": "code", "config": {"language": "javascript", "code": code}}
    return {"name": "function", "trigger": {"type": "api"}, "inline": inline, "steps": [step], **more}


def call(
    api: Api, reference: str, body: bytes = b"", method: str = "POST", **headers: str | bytes
) -> requests.Response:
    return requests.request(method, f"{api.server.url}/fn/{reference}", data=body, headers=headers, timeout=10)


def stats(api: Api, workflow: str) -> tuple[int, int]:
    found = api.server.parts.core.functions.stats(api.workspace, workflow.removeprefix("wf_"))
    return found.calls, found.errors


def test_a_function_answers_with_what_its_code_returns(api: Api) -> None:
    workflow = api.workflow(function("const {qty, price} = input.event.payload; return {Total: qty * price};"))

    answer = call(api, workflow, b'{"qty":3,"price":500}')

    assert (answer.status_code, answer.json()) == (200, {"Total": 1500})
    assert call(api, workflow.removeprefix("wf_"), b'{"qty":1,"price":2}').json() == {"Total": 2}


def test_a_function_is_called_by_its_slug(api: Api) -> None:
    api.workflow(function("return {n: 1};", slug="by-slug"))

    assert call(api, "by-slug").json() == {"n": 1}
    assert call(api, "wf_by-slug").json() == {"n": 1}


def test_a_call_leaves_no_run(api: Api) -> None:
    workflow = api.workflow(function("return {};"))

    call(api, workflow)

    assert api.data("GET", f"/runs?workflowId={workflow}") == []


def test_a_run_of_a_function_is_refused(api: Api) -> None:
    workflow = api.workflow(function("return {};"))

    answer = api.post(f"/workflows/{workflow}/run", {})

    refused(answer, 400, "FUNCTION_HAS_NO_RUNS")
    assert "A function has no runs; call its URL with an HTTP POST instead" in answer.text


@pytest.mark.parametrize("body", [b"", b"{not json"])
def test_a_body_that_is_not_json_is_null(api: Api, body: bytes) -> None:
    workflow = api.workflow(function("return {payload: input.event.payload};"))

    assert call(api, workflow, body).json() == {"payload": None}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_another_method_is_answered_without_a_call(api: Api, method: str) -> None:
    workflow = api.workflow(function("return {};"))

    answer = call(api, workflow, b"", method)

    assert (answer.status_code, answer.content) == (200, b"")
    assert stats(api, workflow) == (0, 0)


def test_an_error_that_the_code_throws_is_told_by_its_message(api: Api) -> None:
    workflow = api.workflow(function("throw new Error('qty is required');"))

    answer = call(api, workflow)

    assert (answer.status_code, answer.json()) == (500, {"message": "qty is required"})
    assert stats(api, workflow) == (1, 1)


def test_what_is_unknown_or_not_active_is_not_found(api: Api) -> None:
    draft = api.workflow(function("return {};"), active=False)
    ordinary = api.workflow({**function("return {};"), "inline": None})

    for reference in (draft, ordinary, "wf_nothing"):
        answer = call(api, reference)
        assert (answer.status_code, answer.json()) == (404, {"message": "Not found"})


def test_nothing_of_a_call_is_seen_by_the_next(api: Api) -> None:
    seen = "{x: globalThis.x ?? null, y: ({}).y ?? null}"
    workflow = api.workflow(
        function(f"const seen = {seen}; globalThis.x = 1; Object.prototype.y = 1; return {{x: seen.x, y: seen.y}};")
    )

    for _ in range(12):
        assert call(api, workflow).json() == {"x": None, "y": None}


def test_a_function_that_wants_a_key_is_refused_without_one(api: Api) -> None:
    workflow = api.workflow(function("return {n: 1};", {"auth": {"type": "key"}}))

    without = call(api, workflow)
    other_scope = call(api, workflow, Authorization=f"Bearer {api.with_scopes('runs:read').key}")
    admitted = call(api, workflow, Authorization=f"Bearer {api.key}")

    assert (without.status_code, without.json()) == (401, {"message": "Unauthorized"})
    assert other_scope.status_code == 401
    assert admitted.json() == {"n": 1}


def test_a_function_that_wants_a_secret_compares_the_header(api: Api) -> None:
    auth: Json = {"type": "secret", "header": "X-Own", "secretName": "PASS"}
    workflow = api.workflow(function("return {n: 1};", {"auth": auth}))
    api.data("POST", f"/workflows/{workflow}/secrets", {"key": "PASS", "value": "open sesame"})

    assert call(api, workflow, **{"x-own": "wrong"}).status_code == 401
    assert call(api, workflow).status_code == 401
    assert call(api, workflow, **{"x-own": "open sesame"}).status_code == 200


def test_a_secret_of_the_environment_is_masked_where_it_comes_out(api: Api) -> None:
    code = "console.log(input.env.PASS); return {same: input.env.PASS === 'open sesame', told: input.env.PASS};"
    workflow = api.workflow(function(code, {"secrets": ["PASS"]}))
    api.data("POST", f"/workflows/{workflow}/secrets", {"key": "PASS", "value": "open sesame"})

    answer = call(api, workflow, **{"X-Request-Id": "asked-1"})
    (line,) = api.server.parts.core.functions.logs(api.workspace, workflow.removeprefix("wf_"))

    assert answer.json() == {"same": True, "told": "[secret]"}
    assert (line.request, line.text) == ("asked-1", "[secret]")


def test_code_that_answers_requests_itself_gets_every_method(api: Api) -> None:
    code = "return {status: 418, headers: {'X-Own': input.request.query.a}, body: input.request.method};"
    workflow = api.workflow(function(code, {"triggerCode": True}))

    answer = call(api, f"{workflow}?a=b", method="GET")

    assert (answer.status_code, answer.headers["X-Own"], answer.text) == (418, "b", "GET")


def test_an_answer_of_another_form_is_an_error(api: Api) -> None:
    workflow = api.workflow(function("return {status: 'fine'};", {"triggerCode": True}))

    assert call(api, workflow).status_code == 500


@pytest.mark.parametrize(
    "change",
    [{"steps": []}, {"inline": {"auth": {"type": "secret"}}}, {"inline": {"auth": {"type": "other"}}}],
)
def test_a_function_that_cannot_be_called_is_refused_at_save(api: Api, change: Json) -> None:
    refused(api.post("/workflows", {**function("return {};"), **change}), 400, "VALIDATION_ERROR")


def test_an_answer_is_json(api: Api) -> None:
    workflow = api.workflow(function("return 1;"))

    answer = call(api, workflow)

    assert answer.headers["content-type"] == "application/json"
    assert decode(answer.content) == 1


def test_a_step_calls_a_function(api: Api) -> None:
    api.workflow(function("return {twice: input.event.payload.n * 2};", slug="twice"))
    config: Json = {"function": "twice", "payload": {"n": "{{input.n}}"}}
    caller = api.workflow(
        {"name": "caller", "trigger": {"type": "api"}, "steps": [{"id": "ask", "type": "function", "config": config}]}
    )

    run = api.finish(caller, input={"n": 21})

    assert run["steps"][0]["output"] == {"value": {"twice": 42}}


@pytest.mark.parametrize(
    ("named", "message"), [("nowhere", "Function not found: nowhere"), ("throws", "qty is required")]
)
def test_a_step_whose_function_fails_tells_why(api: Api, named: str, message: str) -> None:
    api.workflow(function("throw new Error('qty is required');", slug="throws"))
    step: Json = {"id": "ask", "type": "function", "config": {"function": named}}
    caller = api.workflow({"name": "caller", "trigger": {"type": "api"}, "steps": [step]})

    run = api.finish(caller, input={})

    assert run["error"]["message"] == message


def test_a_call_that_takes_too_long_is_ended(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = api.workflow(function("while (input.event.payload) {} return {};"))
    call(api, workflow)  # so that the sandbox stands
    monkeypatch.setattr(functions, "TIMEOUT_S", 1)

    answer = call(api, workflow, b"true")

    assert (answer.status_code, answer.json()) == (500, {"message": "Function timed out after 1 seconds"})


def test_more_calls_than_are_taken_at_once_are_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = api.workflow(function("return {};"))
    monkeypatch.setattr(functions, "AT_ONCE", 0)

    answer = call(api, workflow)

    assert (answer.status_code, answer.json()) == (503, {"message": "Function is busy"})
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("value", ["Symbol('x')", "() => 1", "{toJSON() {}}"])
def test_what_is_not_json_is_an_error_of_the_function(api: Api, value: str) -> None:
    answer = call(api, api.workflow(function(f"return {value};")))

    assert (answer.status_code, answer.json()) == (500, {"message": "The function's result is not JSON"})


def test_code_that_breaks_out_of_its_frame_is_an_error_of_the_function(api: Api) -> None:
    code = "})(input)}; } catch (e) {} return 5; try { return {done: await (async () => {"

    answer = call(api, api.workflow(function(code)))

    assert (answer.status_code, answer.json()) == (500, {"message": "The function's result is not JSON"})


def test_a_thrown_object_tells_its_message(api: Api) -> None:
    assert call(api, api.workflow(function("throw {message: 'no'};"))).json() == {"message": "no"}


@pytest.mark.parametrize("status", [204, 205, 304])
def test_an_answer_that_may_have_no_body_is_sent_without_one(api: Api, status: int) -> None:
    workflow = api.workflow(function(f"return {{status: {status}, body: 'more'}};", {"triggerCode": True}))

    answer = call(api, workflow)

    assert (answer.status_code, answer.content) == (status, b"")


@pytest.mark.parametrize(
    "code",
    [
        "return {toJSON() { throw new Error(input.env.PASS) }};",
        "const o = {}; o[input.env.PASS] = o; return o;",
        "throw new Error('x'.repeat(1890) + input.env.PASS);",
    ],
)
def test_a_secret_in_an_error_is_masked(api: Api, code: str) -> None:
    workflow = api.workflow(function(code, {"secrets": ["PASS"]}))
    api.data("POST", f"/workflows/{workflow}/secrets", {"key": "PASS", "value": "open sesame"})

    answer = call(api, workflow)

    assert answer.status_code == 500
    assert "[secret]" in answer.text
    assert "open" not in answer.text


def test_a_secret_of_several_lines_is_masked_in_the_log(api: Api) -> None:
    workflow = api.workflow(function("console.log(input.env.PEM); return 1;", {"secrets": ["PEM"]}))
    api.data("POST", f"/workflows/{workflow}/secrets", {"key": "PEM", "value": "-----BEGIN\nabcdefgh\nijklmnop"})

    call(api, workflow)

    lines = api.server.parts.core.functions.logs(api.workspace, workflow.removeprefix("wf_"))
    assert [line.text for line in lines] == ["[secret]"] * 3


def test_an_error_that_is_not_thrown_is_in_the_log_too(api: Api) -> None:
    workflow = api.workflow(function("await new Promise(() => {});"))

    message = call(api, workflow).json()["message"]

    (line,) = api.server.parts.core.functions.logs(api.workspace, workflow.removeprefix("wf_"))
    assert line.text == f"Error: {message}"


@pytest.mark.parametrize(
    ("kept", "sent"),
    [
        ("sésame", "sésame".encode()),
        ("sésame", "sésame".encode("latin-1")),
        (" open sesame\n", b"open sesame"),
    ],
)
def test_a_secret_is_compared_as_headers_carry_it(api: Api, kept: str, sent: bytes) -> None:
    auth: Json = {"type": "secret", "secretName": "PASS"}
    workflow = api.workflow(function("return 1;", {"auth": auth}))
    api.data("POST", f"/workflows/{workflow}/secrets", {"key": "PASS", "value": kept})

    assert call(api, workflow, **{"x-function-secret": sent}).status_code == 200
    assert call(api, workflow, **{"x-function-secret": b"other"}).status_code == 401


def test_a_secret_of_blanks_admits_nobody(api: Api) -> None:
    auth: Json = {"type": "secret", "secretName": "PASS"}
    workflow = api.workflow(function("return 1;", {"auth": auth}))
    api.post(f"/workflows/{workflow}/secrets", {"key": "PASS", "value": "  "})

    assert call(api, workflow).status_code == 401
    assert call(api, workflow, **{"x-function-secret": ""}).status_code == 401


def test_a_long_answer_does_not_hold_up_the_server(api: Api) -> None:
    """The best of three: what the machine does to a process is not ours to measure."""
    workflow = api.workflow(function("return Array.from({length: 1e6}, (_, i) => i);", {"secrets": ["PASS"]}))
    api.data("POST", f"/workflows/{workflow}/secrets", {"key": "PASS", "value": "open sesame"})
    stalls: list[float] = []

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            stalls[-1] = max(stalls[-1], time.perf_counter() - before)

    for _ in range(3):
        stalls.append(0.0)
        watching = asyncio.run_coroutine_threadsafe(watch(), api.server.loop)
        assert len(call(api, workflow).content) > 6_000_000
        watching.cancel()

    assert min(stalls) < 0.15
