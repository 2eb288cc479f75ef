"""The demo's provider behaves as the real one where it matters: keys, forms, repeats."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from stepwell.cli.demo.stripe import StripeServer


@pytest.fixture
async def stripe() -> AsyncIterator[StripeServer]:
    async with StripeServer() as server:
        yield server


async def post(stripe: StripeServer, path: str, form: dict[str, str], **headers: str) -> tuple[int, dict[str, object]]:
    sent = {
        "Authorization": f"Bearer {stripe.api_key}",
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(stripe.url + path, data=form, headers=sent) as answer,
    ):
        return answer.status, await answer.json()


async def test_a_wrong_key_is_refused(stripe: StripeServer) -> None:
    status, _ = await post(stripe, "/v1/invoices", {"customer": "cus_1"}, Authorization="Bearer sk_other")

    assert (status, stripe.received) == (401, [])


async def test_a_repeat_with_the_same_key_makes_no_second_invoice(stripe: StripeServer) -> None:
    first = await post(stripe, "/v1/invoices", {"customer": "cus_1"}, Idempotency_Key="k")
    second = await post(stripe, "/v1/invoices", {"customer": "cus_1"}, Idempotency_Key="k")

    assert first == second
    assert [request.replayed for request in stripe.received] == [False, True]


async def test_the_same_key_with_another_form_is_refused(stripe: StripeServer) -> None:
    await post(stripe, "/v1/invoices", {"customer": "cus_1"}, Idempotency_Key="k")

    status, _ = await post(stripe, "/v1/invoices", {"customer": "cus_2"}, Idempotency_Key="k")

    assert status == 400


async def test_an_invoice_adds_up_its_lines_and_gets_its_number_when_it_is_finalized(stripe: StripeServer) -> None:
    _, draft = await post(stripe, "/v1/invoices", {"customer": "cus_1", "metadata[source]": "shop"})
    for amount in ("4000", "860"):
        await post(stripe, "/v1/invoiceitems", {"customer": "cus_1", "invoice": str(draft["id"]), "amount": amount})

    _, invoice = await post(stripe, f"/v1/invoices/{draft['id']}/finalize", {"auto_advance": "false"})

    assert (draft["number"], draft["status"]) == (None, "draft")
    assert (invoice["number"], invoice["status"], invoice["amount_due"]) == ("DEMO-0001", "open", 4860)
    assert invoice["metadata"] == {"source": "shop"}


async def test_an_unknown_invoice_is_not_found(stripe: StripeServer) -> None:
    status, _ = await post(stripe, "/v1/invoices/in_1/finalize", {})

    assert status == 404
