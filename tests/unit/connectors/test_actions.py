import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from stepwell.clock import FakeClock
from stepwell.connectors import ConnectorActions, Connectors, GuardedHttp, OpenConnection, SmtpMail, load_manifests
from stepwell.errors import StepError
from unit.connectors.servers import Act, Counters, Scripted, Seen, Serve, call

CUSTOMER = "/v1/customers/cus_1"
KEY = "sk_test_12345"


async def connect(serve: Serve, server: Scripted) -> OpenConnection:
    return OpenConnection("c1", "stripe", "live", await serve(server.handle), {"apiKey": KEY})


async def failure(act: Act, connection: OpenConnection, **changes: object) -> StepError:
    with pytest.raises(StepError) as error:
        await act(connection, "stripe.retrieveCustomer", {"customerId": "cus_1"}, **changes)
    return error.value


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (402, False), (404, False), (408, True), (425, True), (429, True), (500, True), (503, True)],
)
async def test_an_error_status_is_retried_by_its_number(act: Act, serve: Serve, status: int, retryable: bool) -> None:
    server = Scripted({CUSTOMER: (status, {"error": {"message": "Something"}}, {})})

    error = await failure(act, await connect(serve, server))

    assert (error.code, error.kind, error.http_status) == ("STEP_ERROR", "http", status)
    assert (error.message, error.retryable, error.outcome_unknown) == ("Something", retryable, False)


async def test_a_provider_code_of_the_manifest_is_retried_too(act: Act, serve: Serve) -> None:
    answer = {"error": {"message": "In use", "code": "idempotency_key_in_use"}}

    error = await failure(act, await connect(serve, Scripted({CUSTOMER: (409, answer, {})})))

    assert error.retryable


@pytest.mark.parametrize(
    ("status", "message"),
    [(429, "API rate limit exceeded"), (502, "Stripe answered 502 Bad Gateway"), (599, "Stripe answered 599")],
)
async def test_an_answer_without_a_message_is_told_by_its_status(
    act: Act, serve: Serve, status: int, message: str
) -> None:
    error = await failure(act, await connect(serve, Scripted({CUSTOMER: (status, ["?"], {})})))

    assert error.message == message


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("7", 7000),
        ("0", 0),
        ("999999", 3_600_000),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30_000),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0),
        ("Tue, 21 Nov 2023 22:13:50 GMT", 3_600_000),
        ("soon", None),
        ("-5", None),
    ],
)
async def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(
    act: Act, serve: Serve, header: str, expected: int | None
) -> None:
    server = Scripted({CUSTOMER: (503, {}, {"Retry-After": header})})

    assert (await failure(act, await connect(serve, server))).retry_after_ms == expected


async def test_a_success_that_is_not_json_has_an_unknown_outcome(act: Act, serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    connection = OpenConnection("c1", "stripe", "live", await serve(handler), {"apiKey": KEY})

    error = await failure(act, connection)

    assert error.message == "Stripe sent an answer that is not JSON"
    assert (error.kind, error.retryable, error.outcome_unknown) == ("provider", False, True)


async def test_credentials_in_an_output_are_masked(act: Act, serve: Serve) -> None:
    server = Scripted({CUSTOMER: (200, {"id": "cus_1", "echo": [f"Bearer {KEY}"], "key": KEY}, {})})

    output = await act(await connect(serve, server), "stripe.retrieveCustomer", {"customerId": "cus_1"})

    assert output == {"id": "cus_1", "echo": ["Bearer [secret]"], "key": "[secret]"}


async def test_credentials_in_a_message_are_masked(act: Act, serve: Serve) -> None:
    server = Scripted({CUSTOMER: (401, {"error": {"message": f"Invalid API Key: {KEY}"}}, {})})

    error = await failure(act, await connect(serve, server))

    assert error.message == "Invalid API Key: [secret]"


async def test_credentials_do_not_show_when_a_connection_is_printed() -> None:
    assert KEY not in repr(OpenConnection("c1", "stripe", "live", None, {"apiKey": KEY}))


async def test_a_message_about_parameters_does_not_quote_them(act: Act, serve: Serve) -> None:
    connection = await connect(serve, Scripted({}))

    with pytest.raises(StepError) as error:
        await act(connection, "stripe.createInvoice", {"customerId": "c", "metadata": "hunter2"})

    assert error.value.message == (
        'Invalid parameters of stripe.createInvoice: metadata: value is not of type "object"'
    )


async def test_the_provider_has_a_little_less_time_than_the_step(act: Act, serve: Serve) -> None:
    never = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    connection = OpenConnection("c1", "stripe", "live", await serve(handler), {"apiKey": KEY})

    with pytest.raises(StepError) as error:
        async with asyncio.timeout(0.3):
            await act(connection, "stripe.retrieveCustomer", {"customerId": "cus_1"}, timeout_s=0.3)

    assert error.value.message == "Request timeout"
    never.set()


async def test_all_requests_of_an_action_share_the_steps_time(act: Act, serve: Serve, clock: FakeClock) -> None:
    never = asyncio.Event()
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((await Seen.of(request)).path)
        if len(seen) > 1:
            await never.wait()
        clock.advance(59.8)
        return web.json_response({"ok": True, "user": {"id": "U1"}})

    connection = OpenConnection("c1", "slack", "live", await serve(handler), {"botToken": "xoxb-1"})

    with pytest.raises(StepError) as error:
        async with asyncio.timeout(10):
            await act(connection, "slack.sendDirectMessage", {"userEmail": "a@x.test", "text": "Hi"}, timeout_s=60.0)

    assert (error.value.kind, error.value.outcome_unknown) == ("timeout", True)
    assert seen == ["/users.lookupByEmail", "/conversations.open"]
    never.set()


@pytest.mark.parametrize("connection", [None, OpenConnection("c1", "slack", "live")])
async def test_an_action_needs_a_connection_of_its_provider(
    http: GuardedHttp, mail: SmtpMail, clock: FakeClock, connectors: Connectors, connection: OpenConnection | None
) -> None:
    async def open_connection(workspace: str, connection_id: str) -> OpenConnection:
        raise AssertionError("nothing to open")

    actions = ConnectorActions(connectors, http, mail, open_connection, Counters(), clock)

    with pytest.raises(StepError) as error:
        await actions.perform("stripe.retrieveCustomer", {"customerId": "cus_1"}, call(connection))

    assert error.value.code == "CONNECTION_MISSING"


async def test_an_action_that_no_longer_exists_fails_the_step(act: Act) -> None:
    with pytest.raises(StepError, match=r"Unknown action: stripe\.sing"):
        await act(OpenConnection("c1", "stripe", "simulator"), "stripe.sing", {})


ACME = """
name: acme
title: Acme
base_url: https://acme.invalid
auth: {auth}
idempotency_header: X-Once
headers: {{X-Client: stepwell}}
credentials:
  user: {{title: User}}
  pass: {{title: Password, secret: true}}
failure: {{message: "{{{{answer.message}}}}"}}
actions:
  ping:
    title: Ping
    params: {{type: object}}
    requests:
      - name: ping
        method: POST
        path: /ping
        headers: {{X-Own: "{{{{params.own}}}}"}}
        body: {{user: "{{{{credentials.pass}}}}"}}
    simulate: [{{output: {{}}}}]
"""


@pytest.mark.parametrize(
    ("auth", "header", "value", "shown"),
    [
        ("{kind: basic, username: user, password: pass}", "authorization", "Basic YW5hOmh1bnRlcjI=", "Basic [secret]"),
        ("{kind: header, name: X-Acme-Key, field: pass}", "x-acme-key", "hunter2", "[secret]"),
    ],
)
async def test_other_kinds_of_auth_are_sent_and_masked(
    http: GuardedHttp,
    mail: SmtpMail,
    clock: FakeClock,
    serve: Serve,
    tmp_path: Path,
    auth: str,
    header: str,
    value: str,
    shown: str,
) -> None:
    (tmp_path / "acme.yaml").write_text(ACME.format(auth=auth))
    server = Scripted({"/base/ping": (200, {"echo": value}, {})})
    url = await serve(server.handle)
    connection = OpenConnection("c1", "acme", "live", f"{url}/base/", {"user": "ana", "pass": "hunter2"})

    async def open_connection(workspace: str, connection_id: str) -> OpenConnection:
        return connection

    connectors = Connectors(load_manifests(tmp_path))
    actions = ConnectorActions(connectors, http, mail, open_connection, Counters(), clock)

    output = await actions.perform("acme.ping", {"own": "1"}, call(connection))

    headers = server.seen[0].headers
    assert headers[header] == value
    assert (headers["x-client"], headers["x-own"], headers["x-once"]) == ("stepwell", "1", "run_1:step")
    assert server.seen[0].body == {}, "templates do not see credentials"
    assert output == {"echo": shown}
