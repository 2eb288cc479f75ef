from decimal import Decimal

import pytest

from stepwell.connectors import OpenConnection
from stepwell.errors import StepError
from stepwell.values import Json
from unit.connectors.servers import Act, Scripted, Serve, Stripe


async def connect(serve: Serve, server: Stripe | Scripted) -> OpenConnection:
    return OpenConnection("c1", "stripe", "live", await serve(server.handle), {"apiKey": "sk_test_12345"})


async def test_an_invoice_with_an_amount_gets_one_line_and_a_number(act: Act, serve: Serve) -> None:
    stripe = Stripe()

    output = await act(
        await connect(serve, stripe),
        "stripe.createInvoice",
        {"customerId": "cus_1", "amount": 4860, "metadata": {"source": "api-order"}},
    )

    assert output == {
        "id": "in_1",
        "number": "ABC-0001",
        "customer": "cus_1",
        "amount_due": 4860,
        "currency": "usd",
        "status": "open",
        "metadata": {"source": "api-order"},
    }
    assert [seen.path for seen in stripe.seen] == ["/v1/invoices", "/v1/invoiceitems", "/v1/invoices/in_1/finalize"]


async def test_requests_are_forms_with_the_key_and_the_version(act: Act, serve: Serve) -> None:
    stripe = Stripe()

    await act(
        await connect(serve, stripe),
        "stripe.createInvoice",
        {"customerId": "cus_1", "amount": 5, "currency": "EUR", "description": "A & B", "metadata": {"a": True}},
    )

    invoice, line, _ = stripe.seen
    assert invoice.headers["authorization"] == "Bearer sk_test_12345"
    assert invoice.headers["stripe-version"] == "2024-06-20"
    assert invoice.body == {
        "customer": "cus_1",
        "currency": "eur",
        "collection_method": "charge_automatically",
        "description": "A & B",
        "metadata[a]": "true",
        "auto_advance": "false",
        "pending_invoice_items_behavior": "exclude",
    }
    assert line.body == {
        "customer": "cus_1",
        "invoice": "in_1",
        "currency": "eur",
        "amount": "5",
        "description": "A & B",
    }


async def test_each_request_of_an_action_has_its_own_idempotency_key(act: Act, serve: Serve) -> None:
    stripe = Stripe()

    await act(
        await connect(serve, stripe), "stripe.createInvoice", {"customerId": "c", "amount": 1}, "run_1:each[3].bill"
    )

    assert [seen.headers["idempotency-key"] for seen in stripe.seen] == [
        "run_1:each[3].bill:invoice",
        "run_1:each[3].bill:line",
        "run_1:each[3].bill:finalize",
    ]


async def test_a_repeat_of_an_operation_makes_no_second_invoice(act: Act, serve: Serve) -> None:
    stripe = Stripe()
    connection = await connect(serve, stripe)
    first = await act(connection, "stripe.createInvoice", {"customerId": "c", "amount": 1})

    again = await act(connection, "stripe.createInvoice", {"customerId": "c", "amount": 1})

    assert again == first
    assert len(stripe.invoices) == 1


async def test_a_key_of_more_than_255_characters_is_hashed(act: Act, serve: Serve) -> None:
    stripe = Stripe()

    await act(await connect(serve, stripe), "stripe.createInvoice", {"customerId": "c", "amount": 1}, "r" * 250)

    keys = [seen.headers["idempotency-key"] for seen in stripe.seen]
    assert [len(key) for key in keys] == [64, 255, 64]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("amount", "sent"),
    [(Decimal("6.966"), 7), (Decimal("2.5"), 3), (Decimal("-2.5"), -3), ("1999.4", 1999), (4860, 4860)],
)
async def test_an_amount_is_rounded_half_away_from_zero(act: Act, serve: Serve, amount: Json, sent: int) -> None:
    output = await act(
        await connect(serve, Stripe()), "stripe.createInvoice", {"customerId": "cus_1", "amount": amount}
    )

    assert output["amount_due"] == sent


async def test_items_are_lines_of_quantity_times_price(act: Act, serve: Serve) -> None:
    stripe = Stripe()
    items = [{"description": "Pen", "quantity": 2, "price": 1999}, {"amount": Decimal("502.5")}]

    output = await act(await connect(serve, stripe), "stripe.createInvoice", {"customerId": "cus_1", "items": items})

    lines = [seen for seen in stripe.seen if seen.path == "/v1/invoiceitems"]
    assert [line.body["amount"] for line in lines] == ["3998", "503"]
    assert [line.body.get("description") for line in lines] == ["Pen", None]
    assert [line.headers["idempotency-key"] for line in lines] == ["run_1:step:lines.0", "run_1:step:lines.1"]
    assert (output["amount_due"], output["status"]) == (4501, "open")


async def test_finalize_false_keeps_a_draft_that_knows_its_lines(act: Act, serve: Serve) -> None:
    output = await act(
        await connect(serve, Stripe()), "stripe.createInvoice", {"customerId": "c", "amount": 5, "finalize": False}
    )

    assert (output["status"], output["number"], output["amount_due"]) == ("draft", None, 5)


async def test_an_invoice_without_lines_stays_a_draft(act: Act, serve: Serve) -> None:
    stripe = Stripe()

    output = await act(await connect(serve, stripe), "stripe.createInvoice", {"customerId": "cus_1", "amount": None})

    assert output["status"] == "draft"
    assert len(stripe.seen) == 1


async def test_an_invoice_to_be_sent_says_when_it_is_due(act: Act, serve: Serve) -> None:
    stripe = Stripe()

    await act(
        await connect(serve, stripe),
        "stripe.createInvoice",
        {"customerId": "cus_1", "collectionMethod": "send_invoice"},
    )

    assert stripe.seen[0].body["days_until_due"] == "30"


async def test_an_id_is_one_segment_of_the_path_whatever_it_holds(act: Act, serve: Serve) -> None:
    server = Scripted({"/v1/customers/..%2Fcharges%3Fx": (200, {"id": "cus_1"}, {})})

    await act(await connect(serve, server), "stripe.retrieveCustomer", {"customerId": "../charges?x"})

    assert server.seen[0].path == "/v1/customers/..%2Fcharges%3Fx"


async def test_an_id_that_would_climb_is_refused(act: Act, serve: Serve) -> None:
    server = Scripted({})
    connection = await connect(serve, server)

    with pytest.raises(StepError, match="not an id"):
        await act(connection, "stripe.retrieveCustomer", {"customerId": ".."})

    assert server.seen == []


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"amount": 5}, '"customerId" is a required property'),
        ({"customerId": {}}, "customerId: "),
        ({"customerId": "c", "collectionMethod": "x"}, "collectionMethod: "),
        ([], "not an object"),
    ],
)
async def test_unfit_parameters_are_refused_before_anything_is_sent(
    act: Act, serve: Serve, params: Json, named: str
) -> None:
    stripe = Stripe()
    connection = await connect(serve, stripe)

    with pytest.raises(StepError) as error:
        await act(connection, "stripe.createInvoice", params)

    assert error.value.message.startswith("Invalid parameters of stripe.createInvoice: ")
    assert named in error.value.message
    assert not error.value.retryable
    assert stripe.seen == []


@pytest.mark.parametrize(
    ("action", "params", "method", "path", "body"),
    [
        (
            "createCustomer",
            {"email": "a@x.test", "metadata": {"k": "v"}},
            "POST",
            "/v1/customers",
            {"email": "a@x.test", "metadata[k]": "v"},
        ),
        ("retrieveInvoice", {"invoiceId": "in_1"}, "GET", "/v1/invoices/in_1", None),
        ("voidInvoice", {"invoiceId": "in_1"}, "POST", "/v1/invoices/in_1/void", None),
        (
            "createPaymentIntent",
            {"amount": Decimal("9.5"), "customerId": "cus_1"},
            "POST",
            "/v1/payment_intents",
            {"amount": "10", "currency": "usd", "customer": "cus_1", "confirm": "false"},
        ),
        (
            "createPaymentIntent",
            {"amount": 10, "paymentMethodId": "pm_1", "confirm": True},
            "POST",
            "/v1/payment_intents",
            {
                "amount": "10",
                "currency": "usd",
                "payment_method": "pm_1",
                "confirm": "true",
                "automatic_payment_methods[enabled]": "true",
                "automatic_payment_methods[allow_redirects]": "never",
            },
        ),
        (
            "createRefund",
            {"paymentIntentId": "pi_1", "amount": 5, "reason": "duplicate"},
            "POST",
            "/v1/refunds",
            {"payment_intent": "pi_1", "amount": "5", "reason": "duplicate"},
        ),
    ],
)
async def test_an_action_is_the_providers_request(
    act: Act, serve: Serve, action: str, params: Json, method: str, path: str, body: Json
) -> None:
    server = Scripted({path: (200, {"id": "x_1"}, {})})

    output = await act(await connect(serve, server), f"stripe.{action}", params)

    seen = server.seen[0]
    assert (seen.method, seen.body) == (method, body)
    assert output == {"id": "x_1"}


async def test_reading_carries_no_idempotency_key(act: Act, serve: Serve) -> None:
    server = Scripted({"/v1/invoices/in_1": (200, {"id": "in_1"}, {})})

    await act(await connect(serve, server), "stripe.retrieveInvoice", {"invoiceId": "in_1"})

    assert "idempotency-key" not in server.seen[0].headers
