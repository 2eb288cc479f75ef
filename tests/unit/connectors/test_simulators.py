from decimal import Decimal

import pytest

from stepwell.connectors import OpenConnection, load_manifests
from stepwell.values import Json
from unit.connectors.servers import Act

STRIPE = OpenConnection("c1", "stripe", "simulator")
RESEND = OpenConnection("c2", "resend", "simulator")
MAIL = {"to": ["ana@example.com"], "subject": "Order Confirmed", "html": "<p>Thank you</p>"}


async def test_an_invoice_is_that_of_example_a1(act: Act) -> None:
    output = await act(
        STRIPE,
        "stripe.createInvoice",
        {"customerId": "cus_1", "amount": 4860, "metadata": {"source": "api-order"}},
    )

    assert list(output.items()) == [
        ("id", "in_sim_0001"),
        ("number", "SIM-0001"),
        ("customer", "cus_1"),
        ("amount_due", 4860),
        ("currency", "usd"),
        ("status", "open"),
        ("metadata", {"source": "api-order"}),
    ]


async def test_a_mail_is_that_of_example_a1(act: Act) -> None:
    assert await act(RESEND, "resend.sendEmail", MAIL) == {"messageId": "msg_sim_0001", "status": "sent"}


async def test_a_fraction_is_rounded_as_in_example_a2(act: Act) -> None:
    output = await act(STRIPE, "stripe.createInvoice", {"customerId": "cus_1", "amount": Decimal("6.966")})

    assert output["amount_due"] == 7
    assert isinstance(output["amount_due"], int)


async def test_a_new_operation_gets_the_next_number_as_in_example_a4(act: Act) -> None:
    await act(RESEND, "resend.sendEmail", MAIL, "run_A:send-confirmation")

    output = await act(RESEND, "resend.sendEmail", MAIL, "run_B:send-confirmation")

    assert output == {"messageId": "msg_sim_0002", "status": "sent"}


async def test_the_same_operation_gets_the_same_object(act: Act) -> None:
    params = {"customerId": "cus_1", "amount": 5}

    assert await act(STRIPE, "stripe.createInvoice", params) == await act(STRIPE, "stripe.createInvoice", params)


async def test_connections_count_on_their_own(act: Act) -> None:
    await act(RESEND, "resend.sendEmail", MAIL, "run_A:send")

    other = OpenConnection("c3", "resend", "simulator")

    assert (await act(other, "resend.sendEmail", MAIL, "run_B:send"))["messageId"] == "msg_sim_0001"


async def test_an_invoice_of_items_is_their_sum(act: Act) -> None:
    items = [{"quantity": 2, "price": 1999}, {"price": 502}, {"amount": 1}]

    output = await act(STRIPE, "stripe.createInvoice", {"customerId": "cus_1", "items": items})

    assert output["amount_due"] == 4501


async def test_an_invoice_not_finalized_is_a_draft_without_number(act: Act) -> None:
    output = await act(STRIPE, "stripe.createInvoice", {"customerId": "cus_1", "amount": 5, "finalize": False})

    assert (output["status"], output["number"]) == ("draft", None)


async def test_a_message_has_what_the_slack_step_shows(act: Act) -> None:
    slack = OpenConnection("c4", "slack", "simulator")

    assert await act(slack, "slack.sendMessage", {"channel": "#finance", "text": "Hi"}) == {
        "ok": True,
        "ts": "1700000000.000001",
        "channel": "#finance",
    }


FIT: dict[str, Json] = {  # those of HTTP are in test_shapes.py
    "smtp.sendEmail": MAIL,
    "postgres.query": {"sql": "SELECT 1"},
    "postgres.execute": {"sql": "DELETE FROM t"},
}


@pytest.mark.parametrize("action", FIT)
async def test_an_action_is_simulated_without_credentials_and_network(act: Act, action: str) -> None:
    connection = OpenConnection("c1", action.partition(".")[0], "simulator")

    first = await act(connection, action, FIT[action])

    assert first
    assert first == await act(connection, action, FIT[action])


def test_no_action_of_another_protocol_is_left_out_of_the_test_above() -> None:
    offered = {
        f"{name}.{action}"
        for name, connector in load_manifests().items()
        if connector.manifest.protocol != "http"
        for action in connector.actions
    }

    assert offered == FIT.keys()
