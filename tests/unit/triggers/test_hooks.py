"""LoopFour contract 11.1: webhook triggers of a definition, what is wrong with them and what they mean."""

import pytest

from stepwell.triggers import Event, Hook, compile_hook, default_hook, hook_faults
from stepwell.values import Json

SECRET = "{{secrets.HOOK}}"


def faults(**config: Json) -> dict[str, str]:
    return {fault.field: fault.message for fault in hook_faults({"type": "webhook", **config}, ("trigger",))}


def hook(**config: Json) -> Hook:
    assert faults(**config) == {}
    return compile_hook({"type": "webhook", **config})


def refusal(compiled: Hook, type: str | None = None, **body: Json) -> str | None:
    return compiled.refusal(Event(body, type, None))


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"provider": "stripe", "events": ["invoice.paid"], "filter": {"StageName": {"$eq": "Closed Won"}}},
        {"path": "orders", "signature": {"scheme": "hmac_sha256", "secrets": [SECRET, "{{ secrets.OLD }}"]}},
        {"provider": "acme", "verifySignature": False},
        {"provider": "acme", "signature": {"scheme": "ed25519", "secrets": ["ab" * 32]}},
        {"provider": "shopify", "signature": {"secrets": [SECRET]}},
        {"provider": "stripe", "signature": {"toleranceSeconds": 600}},
        {"events": None, "filter": None, "signature": None, "respond": None, "path": None},
        {"respond": {"status": 201, "headers": {"X-A": "{{eventId}}"}, "body": {"id": "{{trigger.body.id}}"}}},
        {"respond": {"wait": True, "timeoutSeconds": 60}},
        {"unknown": 1},
    ],
)
def test_a_trigger_without_faults(config: Json) -> None:
    assert faults(**config) == {}


@pytest.mark.parametrize(
    ("config", "field", "message"),
    [
        ({"provider": "Stripe"}, "trigger.provider", "Invalid"),
        ({"provider": "t"}, "trigger.provider", "t is taken: /webhooks/t/ leads to triggers by id"),
        ({"provider": 5}, "trigger.provider", "Expected string, received number"),
        ({"events": "invoice.paid"}, "trigger.events", "Expected array, received string"),
        ({"events": [1]}, "trigger.events[0]", "Expected string, received number"),
        ({"path": "a/b"}, "trigger.path", "Invalid"),
        ({"path": ".."}, "trigger.path", "Not a path"),
        ({"path": "x" * 129}, "trigger.path", "Invalid"),
        ({"verifySignature": "no"}, "trigger.verifySignature", "Expected boolean, received string"),
        ({"filter": {"a": {"$zz": 1}}}, "trigger.filter.a.$zz", "Unknown operator: $zz"),
        ({"filter": []}, "trigger.filter", "Expected object, received array"),
        ({"signature": {}}, "trigger.signature.scheme", "Required"),
        (
            {"provider": "acme"},
            "trigger.signature",
            "Say how acme signs (signature.scheme), or set verifySignature to false",
        ),
        (
            {"signature": {"scheme": "hmac-sha256", "secrets": ["in clear"]}},
            "trigger.signature.secrets[0]",
            "Expected {{secrets.NAME}}; a text would be shown",
        ),
        (
            {"provider": "github", "signature": {"header": "X-Mine"}},
            "trigger.signature.header",
            "Not for github, whose requests have it fixed",
        ),
        (
            {"signature": {"scheme": "github", "toleranceSeconds": 5}},
            "trigger.signature.toleranceSeconds",
            "Requests of github carry no time",
        ),
        (
            {"signature": {"scheme": "stripe", "toleranceSeconds": 0}},
            "trigger.signature.toleranceSeconds",
            "Number must be greater than or equal to 1",
        ),
        (
            {"signature": {"scheme": "hmac-sha256", "encoding": "rot13"}},
            "trigger.signature.encoding",
            "Invalid enum value. Expected 'hex' | 'base64', received 'rot13'",
        ),
        (
            {"respond": {"status": 199}},
            "trigger.respond.status",
            "Number must be greater than or equal to 200",
        ),
        (
            {"respond": {"headers": {"Set-Cookie": "a=b"}}},
            "trigger.respond.headers.Set-Cookie",
            "Not a header that a workflow may set",
        ),
        (
            {"respond": {"wait": True, "status": 200}},
            "trigger.respond.status",
            "Not together with wait: the answer is the run's output",
        ),
        (
            {"respond": {"timeoutSeconds": 5}},
            "trigger.respond.timeoutSeconds",
            "Only together with wait: true",
        ),
        (
            {"respond": {"wait": True, "timeoutSeconds": 61}},
            "trigger.respond.timeoutSeconds",
            "Number must be less than or equal to 60",
        ),
        (
            {"respond": {"body": {"a": "{{steps.x.output}}"}}},
            "trigger.respond.body.a",
            "Unknown name: steps. Known here: duplicate, eventId, eventType, runId, trigger, workflowsTriggered",
        ),
        (
            {"respond": {"body": "{{secrets.KEY}}"}},
            "trigger.respond.body",
            "Unknown name: secrets. Known here: duplicate, eventId, eventType, runId, trigger, workflowsTriggered",
        ),
    ],
)
def test_a_fault_names_its_field(config: Json, field: str, message: str) -> None:
    assert faults(**config) == {field: message}


def test_an_unknown_scheme_names_the_known_ones() -> None:
    found = faults(signature={"scheme": "md5"})["trigger.signature.scheme"]

    assert found.startswith("Unknown scheme: md5. Known: stripe, github, slack, ")


@pytest.mark.parametrize("secrets", [[], [SECRET] * 3, SECRET, [5]])
def test_one_or_two_secrets_are_taken(secrets: Json) -> None:
    assert list(faults(signature={"scheme": "hmac-sha256", "secrets": secrets}))


def test_a_template_that_does_not_compile_is_a_fault() -> None:
    assert list(faults(respond={"body": "{{ a"})) == ["trigger.respond.body"]
    assert list(faults(respond={"headers": {"X-A": "{% if %}"}})) == ["trigger.respond.headers.X-A"]


def test_a_header_with_a_line_break_in_its_name_is_a_fault() -> None:
    assert faults(respond={"headers": {"X-A\r\nX-B": "1"}})


def test_all_faults_are_told_at_once() -> None:
    found = faults(path="a b", events=7, filter={"x": {"$in": 1}}, signature={"scheme": "no"}, respond={"status": 1})

    assert sorted(found) == [
        "trigger.events",
        "trigger.filter.x.$in",
        "trigger.path",
        "trigger.respond.status",
        "trigger.signature.scheme",
    ]


@pytest.mark.parametrize(
    ("events", "type", "meant"),
    [
        (["invoice.paid"], "invoice.paid", True),
        (["invoice.paid"], "invoice.payment_failed", False),
        (["invoice.*"], "invoice.paid", True),
        (["invoice.*"], "invoice.payment.failed", True),
        (["invoice.*"], "invoices.paid", False),
        (["invoice.*"], "invoice", False),
        (["*"], None, True),
        (["*"], "anything", True),
        (["a", "b"], "b", True),
        (["a"], None, False),
        (["a.b"], "axb", False),
        ([], "anything", True),
    ],
)
def test_events_are_matched_by_type(events: list[str], type: str | None, meant: bool) -> None:
    assert (refusal(hook(events=events), type) is None) is meant


def test_why_an_event_is_not_meant() -> None:
    compiled = hook(events=["invoice.paid"], filter={"amount": {"$gt": 10}})

    assert refusal(compiled, "invoice.sent") == "Events of type invoice.sent are not asked for"
    assert refusal(compiled) == "The event has no type"
    assert refusal(compiled, "invoice.paid", amount=5) == "The filter does not match"
    assert refusal(compiled, "invoice.paid", amount=11) is None


@pytest.mark.parametrize(
    ("config", "secret_path", "verifies"),
    [
        ({}, True, False),
        ({}, False, True),
        ({"signature": {"scheme": "stripe"}}, True, True),
        ({"signature": {"scheme": "stripe"}, "verifySignature": False}, True, False),
        ({"provider": "stripe"}, False, True),
        ({"provider": "stripe"}, True, False),
        ({"provider": "stripe", "verifySignature": False}, False, False),
    ],
)
def test_when_a_signature_is_needed(config: Json, secret_path: bool, verifies: bool) -> None:
    assert hook(**config).verifies(secret_path=secret_path) is verifies


def test_a_provider_has_its_scheme_unless_another_is_named() -> None:
    own, other = hook(provider="github"), hook(provider="github", signature={"scheme": "hmac-sha1"})

    assert own.scheme is not None
    assert other.scheme is not None
    assert (own.scheme.name, other.scheme.name) == ("github", "hmac-sha1")
    assert other.dialect is not None
    assert other.dialect.name == "github"


def test_secrets_are_kept_by_name() -> None:
    compiled = hook(signature={"scheme": "hmac-sha256", "secrets": ["{{ secrets.A }}", "{{secrets.B}}"]})

    assert compiled.secret_names == ("A", "B")


def test_a_provider_that_nobody_listens_to_is_verified() -> None:
    assert default_hook("stripe").verifies(secret_path=False)


def test_the_tolerance_of_the_trigger_counts() -> None:
    compiled = hook(provider="stripe", signature={"toleranceSeconds": 10})

    assert compiled.scheme is not None
    assert compiled.scheme.tolerance_s == 10
