"""action, email and slack: what they ask of a provider. Source: LoopFour contract 9, 9.1 and 9.4."""

import pytest

from stepwell.errors import StepError
from stepwell.steps import ConnectionNeed

MAIL = {"to": "ana@example.com", "subject": "Hi", "text": "Hello"}


def need(compiled, type_, config, fields=None, **scope):
    step = compiled(type_, config, **(fields or {}))
    return step.type.connection(step.program, step.type.resolve(step.program, scope))


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        ({}, {"action": "stripe.createInvoice"}),
        ({"operation": "stripe.createInvoice"}, {}),
        ({"operation": "createInvoice"}, {"action": "stripe"}),
        ({"connector": "stripe", "action": "createInvoice"}, {}),
        ({"connector": "stripe", "operation": "createInvoice"}, {}),
    ],
)
def test_an_action_is_named_in_any_of_its_forms(perform, outside, config, fields):
    outside.result = {"id": "in_1"}

    output = perform(
        "action", {"customerId": "{{input.c}}", "connection": "main", **config}, fields=fields, input={"c": "x"}
    )

    assert output == {"id": "in_1"}
    assert outside.performed == [("stripe.createInvoice", {"customerId": "x"})]


def test_an_actions_recorded_input_is_the_rendered_config(compiled):
    step = compiled("action", {"customerId": "{{input.c}}", "connection": "main"}, action="stripe.createInvoice")

    assert step.type.resolve(step.program, {"input": {"c": "x"}}) == {"customerId": "x", "connection": "main"}


def test_an_action_needs_its_providers_connection_perhaps_a_named_one(compiled):
    action = {"action": "stripe.createInvoice"}

    assert need(compiled, "action", {"customerId": "c"}, action) == ConnectionNeed(("stripe",), None)
    assert need(compiled, "action", {"customerId": "c", "connection": "{{input.k}}"}, action, input={"k": "main"}) == (
        ConnectionNeed(("stripe",), "main")
    )


def test_secrets_are_opened_only_for_sending(compiled, perform, outside):
    config = {"customerId": "[[key]]"}
    step = compiled("action", config, action="stripe.createInvoice")

    perform("action", config, fields={"action": "stripe.createInvoice"})

    assert step.type.resolve(step.program, {}) == {"customerId": "[[key]]"}
    assert outside.performed[0][1] == {"customerId": "open-key"}


def test_literal_parameters_are_checked_at_save_and_templates_are_not(compiled, refused):
    action = {"action": "stripe.createInvoice"}
    compiled("action", {"customerId": "c", "amount": "{{input.a}}"}, **action)

    assert refused("action", {"customerId": 5, "amount": "a lot"}, **action) == [
        ("config.customerId", "Expected string, received number"),
        ("config.amount", "Expected number, received string"),
    ]


def test_the_action_api_request_is_the_type_api(perform, outside, compiled, refused):
    config = {"url": "https://api.example/x", "method": "POST"}

    perform("action", config, fields={"action": "api.request"})

    assert outside.requests[0].headers == {"Idempotency-Key": "run:it"}
    assert need(compiled, "action", config, {"action": "api.request"}) is None
    assert refused("action", {}, action="api.request") == [("config.url", "Required")]


def test_an_email_records_the_config_as_written_and_sends_normalised_parameters(compiled, perform, outside):
    outside.result = {"messageId": "m1", "status": "sent", "more": 1}
    config = {
        "action": "send",
        "to": "{{input.to}}, Bo <bo@example.com>",
        "cc": ["c@example.com"],
        "subject": "Order\n{{input.n}}",
        "body": {"html": "<p>{{input.name}}</p>", "text": "{{#if input.n}}yes{{/if}}"},
        "reply_to": "r@example.com",
    }
    scope = {"input": {"to": "ana@example.com", "n": 5, "name": "<b>"}}
    step = compiled("email", config)

    output = perform("email", config, provider="smtp", **scope)

    assert step.type.resolve(step.program, scope) == {
        **config,
        "to": "ana@example.com, Bo <bo@example.com>",
        "subject": "Order\n5",
        "body": {"html": "<p>&lt;b&gt;</p>", "text": "yes"},
    }
    assert output == {"messageId": "m1", "status": "sent"}
    assert outside.performed == [
        (
            "smtp.sendEmail",
            {
                "to": ["ana@example.com", "Bo <bo@example.com>"],
                "cc": ["c@example.com"],
                "reply_to": ["r@example.com"],
                "subject": "Order 5",
                "html": "<p>&lt;b&gt;</p>",
                "text": "yes",
            },
        )
    ]


@pytest.mark.parametrize(
    ("template", "content"),
    [
        ("<i>x</i>", {"subject": "Hi", "html": "<i>x</i>"}),
        ({"subject": "T", "text": "t"}, {"subject": "T", "text": "t"}),
    ],
)
def test_send_template_takes_its_content_from_the_template(perform, outside, template, content):
    config = {"action": "send_template", "to": "a@example.com", "template": template}
    if isinstance(template, str):
        config["subject"] = "Hi"

    perform("email", config)

    assert outside.performed[0][1] == {"to": ["a@example.com"], **content}


@pytest.mark.parametrize(
    ("to", "sent"),
    [
        ("Zoë <z@example.com>", ["Zoë <z@example.com>"]),
        ('"Doe, Jo" <j@example.com>, k@example.com', ['"Doe, Jo" <j@example.com>', "k@example.com"]),
        ("zoë@example.com", ["zoë@example.com"]),
    ],
)
def test_names_of_recipients_are_kept(perform, outside, to, sent):
    perform("email", {**MAIL, "to": to})

    assert outside.performed[0][1]["to"] == sent


def test_a_line_break_cannot_add_a_header(perform, outside):
    perform("email", {**MAIL, "from": "{{input.v}}", "subject": "{{input.v}}"}, input={"v": "a@b.example\r\nBcc: x"})

    assert outside.performed[0][1]["from"] == outside.performed[0][1]["subject"] == "a@b.example Bcc: x"


def test_without_provider_any_email_connection_will_do(compiled):
    assert need(compiled, "email", MAIL) == ConnectionNeed(("resend", "smtp"), None)
    assert need(compiled, "email", {**MAIL, "provider": "smtp"}) == ConnectionNeed(("smtp",), None)
    assert need(compiled, "email", {**MAIL, "connection": "main"}) == ConnectionNeed(("resend", "smtp"), "main")


def test_a_scheduled_email_is_kept_until_its_time_and_not_sent_now(perform, outside):
    config = {**MAIL, "action": "schedule", "send_at": "{{input.at}}"}
    output = perform("email", config, input={"at": "2024-01-15T10:00:00Z"})
    assert output == {"messageId": "run:it", "status": "scheduled"}
    assert outside.performed == []
    assert [(action, due) for action, _, due in outside.kept] == [("resend.sendEmail", 1_705_312_800_000)]


def test_a_scheduled_email_without_a_readable_time_fails_its_step(perform):
    config = {**MAIL, "action": "schedule", "send_at": "{{input.at}}"}
    with pytest.raises(StepError, match="send_at"):
        perform("email", config, input={"at": "soon"})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"to": None}, ("config.to", "Required")),
        ({"to": 5}, ("config.to", "Expected string or array, received number")),
        ({"subject": None}, ("config.subject", "Required")),
        ({"text": None}, ("config.body", "Required")),
        ({"action": "schedule"}, ("config.send_at", "Required")),
        ({"action": "schedule", "send_at": "soon"}, ("config.send_at", "Expected an ISO 8601 time")),
        ({"action": "sendTemplate"}, ("config.template", "Required")),
        ({"provider": "gmail"}, ("config.provider", "Email provider not available: gmail")),
    ],
)
def test_a_faulty_email_is_found_at_save(refused, change, fault):
    config = {name: value for name, value in {**MAIL, **change}.items() if value is not None}

    assert refused("email", config) == [fault]


@pytest.mark.parametrize("to", [None, "", "nobody", ["a@example.com", 5], {"a": 1}, ["a@example.com, nobody"]])
def test_an_email_to_nobody_is_not_sent(perform, outside, to):
    with pytest.raises(StepError) as error:
        perform("email", {**MAIL, "to": "{{input.to}}"}, input={"to": to})

    assert error.value.code == "TEMPLATE_ERROR"
    assert outside.performed == []


@pytest.mark.parametrize("action", [{}, {"action": "sendMessage"}, {"action": "send_message"}])
def test_a_slack_message_goes_to_a_channel(perform, outside, action):
    outside.result = {"ok": True, "ts": "1.2", "channel": "C1", "message": {}}
    config = {"channel": "#{{input.c}}", "text": "hi", "threadTs": None, "mrkdwn": "{{input.m}}", **action}

    output = perform("slack", config, input={"c": "fin", "m": False})

    assert output == {"ok": True, "ts": "1.2", "channel": "C1"}
    assert outside.performed == [("slack.sendMessage", {"channel": "#fin", "text": "hi", "mrkdwn": False})]


def test_a_slack_direct_message_goes_to_an_address(perform, outside):
    perform("slack", {"action": "sendDirectMessage", "userEmail": "a@example.com", "blocks": [{"type": "divider"}]})

    assert outside.performed == [
        ("slack.sendDirectMessage", {"userEmail": "a@example.com", "blocks": [{"type": "divider"}]})
    ]


def test_slack_needs_a_slack_connection(compiled):
    assert need(compiled, "slack", {"channel": "#a", "text": "x"}) == ConnectionNeed(("slack",), None)


@pytest.mark.parametrize(
    ("config", "faults"),
    [
        ({"channel": "#a"}, [("config.text", "Required")]),
        ({"text": "x"}, [("config.channel", "Required")]),
        ({"action": "sendDirectMessage", "text": "x"}, [("config.userEmail", "Required")]),
    ],
)
def test_a_faulty_slack_message_is_found_at_save(refused, config, faults):
    assert refused("slack", config) == faults
