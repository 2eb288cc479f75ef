"""Steps, expressions and connections as a client sees them work. Source: LoopFour contract 5.2, 6-9 and 13."""

import asyncio
from collections.abc import Iterator

import pytest

from answering import Answering, answering
from live import Api, refused, transform
from stepwell.clock import SystemClock, iso
from stepwell.values import Json, decode

SECRET = "hush-hush-value"  # noqa: S105 - a made-up one, looked for in what is shown


@pytest.fixture
def upstream() -> Iterator[Answering]:
    with answering() as server:
        yield server


def only(api: Api, step: Json, given: Json = None, **fields: Json) -> Json:
    """A finished run of one step."""
    return api.finish(api.workflow(transform(steps=[{"id": "only", **step}], **fields)), input=given or {})


def simulator(api: Api, provider: str, **fields: Json) -> str:
    body = {"name": provider, "provider": provider, "mode": "simulator", **fields}
    id: str = api.data("POST", "/connections", body)["id"]
    return id


def deciding(**config: Json) -> Json:
    return {"type": "condition", "config": {"then": [], **config}}


def test_the_names_of_a_template(api: Api) -> None:
    names = {
        "run": "{{run.id}}",
        "runId": "{{runId}}",
        "now": "{{now}}",
        "startedAt": "{{run.startedAt}}",
        "attempt": "{{run.attempt}}",
        "workflow": "{{workflow.id}} {{workflow.name}} {{workflow.version}}",
        "trigger": "{{trigger.type}}",
        "body": "{{trigger.body}}",
        "variable": "{{variables.rates.1}}",
        "missing": "{{input.missing.deeper}}",
        "mixed": "[{{input.missing}}]",
    }
    id = api.workflow(transform(names, variables={"rates": [1, 2]}))

    run = api.finish(id, input={"a": 1})

    output = dict(run["output"])
    assert output.pop("now") >= run["startedAt"]
    assert output == {
        "run": run["id"],
        "runId": run["id"],
        "startedAt": run["startedAt"],
        "attempt": 1,
        "workflow": f"{id} Shape 1",
        "trigger": "api",
        "body": {"a": 1},
        "variable": 2,
        "missing": None,
        "mixed": "[]",
    }


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{ 4500 | times: 1.08 }}", "4860"),
        ("{{ 3 | times: 0.0000001 }}", "0.0000003"),
        ("{{ -3 | times: 0.0000001 }}", "-0.0000003"),
        ("x{{ 3 | times: 0.0000001 }}", '"x0.0000003"'),
        ("{{ 0.1 | plus: 0.2 }}", "0.3"),
        ("{{ 1 | divided_by: 3.0 }}", "0.333333333333333"),
        ("{{ 7 | divided_by: 2 }}", "3"),
        ("{{ 2.5 | round }}", "3"),
        ("{{ -2.5 | round }}", "-3"),
        ("{{ input.items | map: 'a * b' | sum }}", "8"),
        ("{{ input.items | length }}", "2"),
        ("{{ input.items[-1].a }}", "3"),
        ("{{ input.items.0 }}", '{"a":1,"b":2}'),
        ("{{ input.items | map: 'a' | json }}", '"[1,3]"'),
    ],
)
def test_a_template_makes_exactly_this_json(api: Api, template: str, shown: str) -> None:
    given = {"items": [{"a": 1, "b": 2}, {"a": 3, "b": 2}]}

    run = api.finish(api.workflow(transform({"x": template})), input=given)

    assert f'"output":{{"x":{shown}}}' in api.get(f"/runs/{run['id']}").text


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ({"type": "transform", "config": {"mapping": {"x": "{{ 'abc' | times: 2 }}"}}}, "TEMPLATE_ERROR"),
        (deciding(expression="input.missing > 1"), "CONDITION_ERROR"),
        (deciding(expression="input.number"), "CONDITION_ERROR"),
        ({"type": "slack", "config": {"channel": "c", "text": "t"}}, "CONNECTION_MISSING"),
        ({"type": "slack", "config": {"channel": "c", "text": "t", "connection": "none"}}, "CONNECTION_MISSING"),
        ({"type": "api", "config": {"url": "http://169.254.169.254/"}}, "STEP_ERROR"),
    ],
)
def test_a_step_that_cannot_be_done_fails_the_run_with_its_code(api: Api, step: Json, code: str) -> None:
    run = only(api, step, {"number": 1})

    assert (run["status"], run["error"]["code"], run["error"]["stepId"]) == ("failed", code, "only")
    assert run["stepResults"][0]["error"]["code"] == code


@pytest.mark.parametrize(
    ("config", "result"),
    [
        ({"conditions": {"left": "{{input.amount}}", "operator": "gt", "right": "10000"}}, True),
        ({"conditions": {"left": "{{input.missing}}", "operator": "gt", "right": "1"}}, False),
        ({"conditions": {"operator": "not", "conditions": [{"left": 1, "operator": "eq", "right": 1}]}}, False),
        ({"conditions": [{"field": "{{input.amount}}", "operator": "equals", "value": "10001"}]}, True),
        (
            {
                "conditions": [
                    {"field": "{{input.amount}}", "operator": "lt", "value": 1},
                    {"field": "{{input.name}}", "operator": "startsWith", "value": "A"},
                ],
                "combineOperator": "OR",
            },
            True,
        ),
        ({"expression": "input.amount > 10000 && '{{input.name}}' === 'Ana'"}, True),
        ({"condition": "{{input.amount}} !== 10001"}, False),
        ({"conditions": "input.amount == 10001"}, True),
    ],
)
def test_each_form_of_a_condition(api: Api, config: Json, result: bool) -> None:
    assert only(api, deciding(**config), {"amount": 10001, "name": "Ana"})["output"] == {"result": result}


def test_a_block_with_needs_waits_for_them_and_a_skipped_one_counts_as_met(api: Api) -> None:
    steps = [
        {"id": "c", "type": "transform", "config": {"mapping": {"x": "{{steps.b.x}}"}}, "needs": ["b", "skipped"]},
        {"id": "b", "type": "transform", "config": {"mapping": {"x": 5}}},
        {"id": "skipped", "type": "transform", "config": {"mapping": {"x": 6}}, "when": "false"},
    ]

    run = api.finish(api.workflow(transform(steps=steps)))

    assert {step["id"]: step["status"] for step in run["steps"]} == {
        "b": "completed",
        "c": "completed",
        "skipped": "skipped",
    }
    assert run["output"] == {"x": 5}


@pytest.mark.parametrize(
    ("config", "output"),
    [
        (
            {"mappingRules": [{"source": "a.b", "target": "n", "transform": "number"}]},
            {"n": 2},
        ),
        (
            {"mappingRules": [{"source": "c", "target": "x.y", "transform": "default:none"}], "action": "enrich"},
            {"a": {"b": " 2 "}, "mail": " ANA@EXAMPLE.COM", "x": {"y": "none"}},
        ),
        (
            {"normalizations": [{"field": "mail", "type": "email"}], "action": "normalize"},
            {"a": {"b": " 2 "}, "mail": "ana@example.com"},
        ),
        (
            {
                "validationRules": [{"field": "c", "rule": "required", "message": "Where is c?"}],
                "action": "validate",
            },
            {
                "valid": False,
                "errors": [{"field": "c", "message": "Where is c?"}],
                "data": {"a": {"b": " 2 "}, "mail": " ANA@EXAMPLE.COM"},
            },
        ),
    ],
)
def test_the_rules_of_a_transform(api: Api, config: Json, output: Json) -> None:
    given = {"row": {"a": {"b": " 2 "}, "mail": " ANA@EXAMPLE.COM"}}

    run = only(api, {"type": "transform", "config": {"sourceData": "{{input.row}}", **config}}, given)

    assert run["output"] == output


def test_a_strict_transform_fails_on_any_error(api: Api) -> None:
    config = {"sourceData": "{{input}}", "validationRules": [{"field": "c", "rule": "required"}], "strict": True}

    assert only(api, {"type": "transform", "config": config})["status"] == "failed"


def test_a_wait_tells_how_long_it_was(api: Api) -> None:
    output = only(api, {"type": "wait", "config": {"duration": 0.02, "unit": "seconds"}})["output"]

    assert set(output) == {"waited", "durationMs", "completedAt"}
    assert output["waited"] == output["durationMs"] >= 20


def test_an_api_step_sends_its_body_and_operation_id_and_gives_the_answer(api: Api, upstream: Answering) -> None:
    upstream.body = b'{"id": 7, "rate": 0.10}'
    config = {
        "url": f"{upstream.url}/orders",
        "method": "POST",
        "params": {"q": "{{input.q}}"},
        "headers": [{"Key": "X-Tag", "Value": "{{input.q}}"}],
        "body": {"amount": "{{input.amount}}"},
    }

    run = only(api, {"type": "api", "config": config}, {"q": "a b", "amount": decode("19.90")})

    (seen,) = upstream.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/orders?q=a+b", b'{"amount":19.90}')
    assert (seen.headers["idempotency-key"], seen.headers["x-tag"]) == (f"{run['id']}:only", "a b")
    output = run["output"]
    assert (output["status"], output["ok"], output["contentType"]) == (200, True, "application/json")
    assert (output["data"], output["sizeBytes"]) == ({"id": 7, "rate": decode("0.10")}, 23)


def test_an_api_step_may_take_a_refusal_as_an_answer(api: Api, upstream: Answering) -> None:
    upstream.statuses = [418]

    run = only(api, {"type": "api", "config": {"url": upstream.url, "failOnError": False}})

    assert (run["status"], run["output"]["status"], run["output"]["ok"]) == ("completed", 418, False)


@pytest.mark.parametrize(("method", "calls"), [("GET", 2), ("POST", 1)])
def test_after_503_a_get_is_repeated_and_a_post_is_not(api: Api, upstream: Answering, method: str, calls: int) -> None:
    upstream.statuses = [503]
    config = {"url": upstream.url, "method": method, "retries": 3, "retryDelayMs": 1}

    only(api, {"type": "api", "config": config})

    assert len(upstream.seen) == calls


def test_a_secret_reaches_the_called_system_and_is_shown_nowhere(api: Api, upstream: Answering) -> None:
    upstream.body = b'{"echo": "%s"}' % SECRET.encode()
    config = {"url": upstream.url, "method": "POST", "headers": {"Authorization": "Bearer {{secrets.TOKEN}}"}}
    after = {"id": "after", "type": "transform", "config": {"mapping": {"echo": "{{steps.call.data.echo}}"}}}
    id = api.workflow(transform(steps=[{"id": "call", "type": "api", "config": config}, after]))
    details = refused(api.post(f"/workflows/{id}/run", {}), 400, "VALIDATION_ERROR", "Invalid request")
    assert [fault["path"] for fault in details] == [["secrets", "TOKEN"]]
    api.data("POST", f"/workflows/{id}/secrets", {"key": "TOKEN", "value": SECRET})

    run = api.finish(id)

    assert upstream.seen[0].headers["authorization"] == f"Bearer {SECRET}"
    assert run["stepResults"][0]["input"]["headers"] == {"Authorization": "Bearer [secret]"}
    assert run["stepResults"][0]["output"]["data"] == run["output"] == {"echo": "[secret]"}
    paths = (f"/runs/{run['id']}", f"/runs/{run['id']}/logs", f"/runs/{run['id']}/stream", "/runs", f"/workflows/{id}")
    assert not any(SECRET in api.get(path).text for path in paths)


@pytest.mark.parametrize(
    ("step", "fields"),
    [
        ({"action": "stripe.createInvoice"}, {}),
        ({}, {"operation": "stripe.createInvoice"}),
        ({}, {"connector": "stripe", "action": "createInvoice"}),
    ],
)
def test_each_form_of_naming_an_action(api: Api, step: Json, fields: Json) -> None:
    simulator(api, "stripe")

    run = only(api, {"type": "action", **step, "config": {"customerId": "cus_1", "amount": 100.5, **fields}})

    assert run["output"] == {
        "id": "in_sim_0001",
        "number": "SIM-0001",
        "customer": "cus_1",
        "amount_due": 101,
        "currency": "usd",
        "status": "open",
        "metadata": {},
    }


def test_slack_writes_to_a_channel_or_a_person(api: Api) -> None:
    simulator(api, "slack")

    message = only(api, {"type": "slack", "config": {"action": "send_message", "channel": "#a", "text": "t"}})
    direct = {"action": "sendDirectMessage", "userEmail": "ana@example.com", "text": "t"}
    to_person = only(api, {"type": "slack", "config": direct})

    assert (set(message["output"]), message["output"]["channel"]) == ({"ok", "ts", "channel"}, "#a")
    assert to_person["output"]["ok"] is True


def test_values_in_html_are_escaped_unless_they_are_called_safe_and_blocks_work(api: Api) -> None:
    simulator(api, "resend")
    html = (
        "{{input.name}}{{input.name | safe}}{{#each input.list}}[{{@index}}:{{this}}]{{/each}}{{#if input.no}}n{{/if}}"
    )
    config = {"to": "ana@example.com, bo@example.com", "subject": "{{input.name}}", "html": html}

    run = only(api, {"type": "email", "config": config}, {"name": "<b>", "list": [1, 2]})

    sent = run["stepResults"][0]["input"]
    assert (sent["html"], sent["subject"]) == ("&lt;b&gt;<b>[0:1][1:2]", "<b>")
    assert run["output"] == {"messageId": "msg_sim_0001", "status": "sent"}


def test_the_connection_of_the_run_counts_before_the_steps_and_that_before_the_default(api: Api) -> None:
    by_default = simulator(api, "slack", isDefault=True)
    of_step, of_run = simulator(api, "slack", slug="second"), simulator(api, "slack")

    def sent(connection: str | None, **body: Json) -> str:
        named = {} if connection is None else {"connection": connection}
        step = {"id": "a", "type": "slack", "config": {"channel": "#a", "text": "t", **named}}
        output = api.finish(api.workflow(transform(steps=[step])), **body)["output"]
        return str(output["ts"])

    first = sent(None, connectionId=by_default)
    assert sent("conn_second", connectionId=of_run) == first  # each connection counts by itself
    assert sent("conn_second") == first
    assert sent(of_step) != first
    assert sent(None) not in (first, None)


def test_with_several_connections_and_no_default_the_step_fails(api: Api) -> None:
    simulator(api, "slack")
    simulator(api, "slack")

    run = only(api, {"type": "slack", "config": {"channel": "#a", "text": "t"}})

    assert run["error"]["code"] == "CONNECTION_MISSING"


def test_a_scheduled_email_is_sent_by_the_server_at_its_time(api: Api) -> None:
    simulator(api, "resend")
    at = SystemClock().now_ms() + 300
    mail = {"action": "schedule", "send_at": "{{input.at}}", "to": "ana@example.com", "subject": "Soon", "text": "x"}
    id = api.workflow(transform(steps=[{"id": "mail", "type": "email", "config": mail}]))

    run = api.finish(id, input={"at": iso(at)})

    assert run["output"] == {"messageId": f"{run['id']}:mail", "status": "scheduled"}
    assert api.server.call(_sent(api, at)) >= at


async def _sent(api: Api, at: int) -> int:
    """When nothing that was due by a time is in the outbox any more, in epoch ms: others put theirs off for later."""
    core = api.server.parts.core
    while (due := await core.outbox.next()) is not None and due <= at:  # noqa: ASYNC110 - what empties it is a service of the server
        await asyncio.sleep(0.01)
    return SystemClock().now_ms()
