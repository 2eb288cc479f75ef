import pytest

from stepwell.connectors import Connectors
from stepwell.errors import ValidationFailed
from stepwell.values import Json


def test_the_connectors_are_named(connectors: Connectors) -> None:
    named = {
        "stripe",
        "slack",
        "hubspot",
        "github",
        "salesforce",
        "quickbooks",
        "pandadoc",
        "netsuite",
        "google_sheets",
    }

    assert named | {"gmail", "sendgrid", "resend", "smtp", "openai", "postgres"} <= set(connectors.connectors())


def test_an_action_tells_what_it_requires(connectors: Connectors) -> None:
    spec = connectors.action("stripe.createInvoice")

    assert spec is not None
    assert (spec.name, spec.provider, spec.required) == ("stripe.createInvoice", "stripe", ("customerId",))
    assert "amount" in spec.params["properties"]


@pytest.mark.parametrize("name", ["stripe", "stripe.", "stripe.sing", "acme.createInvoice", "", ".createInvoice"])
def test_an_unknown_action_is_none(connectors: Connectors, name: str) -> None:
    assert connectors.action(name) is None


def test_an_action_is_offered_by_several_connectors(connectors: Connectors) -> None:
    assert connectors.offering("sendEmail") == ("gmail", "resend", "sendgrid", "smtp")
    assert connectors.offering("sing") == ()


@pytest.mark.parametrize(
    ("provider", "given"),
    [
        ("stripe", {"apiKey": "sk"}),
        ("slack", {"botToken": "xoxb"}),
        ("hubspot", {"accessToken": "pat"}),
        ("resend", {"apiKey": "re", "from": "a@x.test"}),
        ("smtp", {"host": "h", "port": "25", "tls": "none", "from": "a@x.test"}),
        ("smtp", {"host": "h", "port": "25", "tls": "tls", "from": "a@x.test", "username": "u", "password": "p"}),
    ],
)
def test_credentials_are_those_of_contract_13(connectors: Connectors, provider: str, given: Json) -> None:
    assert connectors.credentials(provider, given) == given


def test_credentials_become_text_and_unknown_fields_are_dropped(connectors: Connectors) -> None:
    given = {"host": "h", "port": 2525, "tls": "none", "from": "a@x.test", "more": 1, "username": None}

    assert connectors.credentials("smtp", given) == {"host": "h", "port": "2525", "tls": "none", "from": "a@x.test"}


def test_all_faults_of_credentials_are_listed(connectors: Connectors) -> None:
    given = {"port": 70000, "tls": "ssl", "from": "a@x.test\r\nX: y", "username": 5}

    with pytest.raises(ValidationFailed) as error:
        connectors.credentials("smtp", given)

    assert [(fault.path, fault.message) for fault in error.value.faults] == [
        (("credentials", "host"), "Required"),
        (("credentials", "port"), "Expected a number from 1 to 65535"),
        (("credentials", "username"), "Expected string"),
        (("credentials", "tls"), "Invalid enum value. Expected 'none' | 'starttls' | 'tls', received 'ssl'"),
        (("credentials", "from"), "Holds a line break or control character"),
    ]


@pytest.mark.parametrize(("provider", "given"), [("acme", {}), ("stripe", None), ("stripe", "sk")])
def test_an_unknown_provider_or_a_wrong_form_is_refused(connectors: Connectors, provider: str, given: Json) -> None:
    with pytest.raises(ValidationFailed):
        connectors.credentials(provider, given)


def test_a_field_that_is_absent_gets_its_default(connectors: Connectors) -> None:
    given = {"host": "db.test", "database": "shop", "username": "app"}

    assert connectors.credentials("postgres", given) == {**given, "port": "5432", "tls": "verify"}


@pytest.mark.parametrize(
    "url", ["http://acme.my.salesforce.com", "https://evil.test/path", "https://a.test@evil.test", "x"]
)
def test_a_field_must_match_its_pattern(connectors: Connectors, url: str) -> None:
    with pytest.raises(ValidationFailed) as error:
        connectors.credentials("salesforce", {"accessToken": "t", "instanceUrl": url})

    assert error.value.faults[0].message == "Expected an https address without a path"


def test_a_connector_comes_and_goes_but_one_that_is_built_in_stays(connectors: Connectors) -> None:
    mine = Connectors({"stripe": connectors.find("stripe.createInvoice")[0]})
    added = connectors.find("slack.sendMessage")[0]

    mine.put(added)
    assert mine.action("slack.sendMessage") is not None
    mine.drop("slack")
    mine.drop("stripe")

    assert mine.connectors() == ("stripe",)
