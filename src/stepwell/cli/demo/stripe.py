"""A server shaped like Stripe, as much as an invoice needs: forms in, JSON out, keys checked, repeats replayed."""

import secrets
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Received:
    """A request as the server got it."""

    method: str
    path: str
    form: dict[str, str]
    idempotency_key: str | None
    replayed: bool


class StripeServer:
    """Listens on a free port of loopback while the block lasts; `received` is what it was asked."""

    def __init__(self) -> None:
        self.api_key = f"sk_test_{secrets.token_hex(12)}"
        self.received: list[Received] = []
        self.url = ""
        self._invoices: dict[str, dict[str, Any]] = {}
        self._answers: dict[str, tuple[object, int, dict[str, Any]]] = {}
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, shutdown_timeout=1)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return _answer(401, _error("Invalid API Key provided"))
        text = await request.text()
        if text and request.content_type != "application/x-www-form-urlencoded":
            return _answer(400, _error("Send a form: application/x-www-form-urlencoded"))
        form = dict(parse_qsl(text, keep_blank_values=True))
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        asked = (request.path, sorted(form.items()))
        known = self._answers.get(key) if key is not None else None
        self.received.append(Received(request.method, request.path, form, key, known is not None))
        if known is not None and known[0] != asked:
            return _answer(400, _error("Keys for idempotent requests can only be used with the same parameters"))
        status, body = self._answer(request.method, request.path, form) if known is None else known[1:]
        if key is not None:
            self._answers[key] = (asked, status, body)
        return _answer(status, body)

    def _answer(self, method: str, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        parts = path.strip("/").split("/")
        match method, parts:
            case "POST", ["v1", "invoices"]:
                return self._create(form)
            case "POST", ["v1", "invoiceitems"]:
                return self._add_line(form)
            case "POST", ["v1", "invoices", id, "finalize"] if id in self._invoices:
                return self._finalize(self._invoices[id])
            case "GET", ["v1", "invoices", id] if id in self._invoices:
                return 200, dict(self._invoices[id])
            case _, ["v1", "invoices", id, *_]:
                return 404, _error(f"No such invoice: '{id}'")
        return 404, _error(f"Unrecognized request URL ({method}: {path})")

    def _create(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if not form.get("customer"):
            return 400, _error("Missing required param: customer.")
        invoice = {
            "id": f"in_{secrets.token_hex(12)}",
            "object": "invoice",
            "number": None,
            "customer": form["customer"],
            "currency": form.get("currency", "usd"),
            "amount_due": 0,
            "status": "draft",
            "metadata": {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")},
        }
        self._invoices[str(invoice["id"])] = invoice
        return 200, dict(invoice)

    def _add_line(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        invoice = self._invoices.get(form.get("invoice", ""))
        amount = form.get("amount", "")
        if invoice is None:
            return 404, _error(f"No such invoice: '{form.get('invoice', '')}'")
        if not amount.removeprefix("-").isdigit():
            return 400, _error(f"Invalid integer: {amount}")
        if invoice["status"] != "draft":
            return 400, _error("This invoice is finalized and can take no more items")
        invoice["amount_due"] += int(amount)
        line = {"id": f"ii_{secrets.token_hex(12)}", "object": "invoiceitem", "amount": int(amount)}
        return 200, line | {"invoice": invoice["id"], "customer": invoice["customer"]}

    def _finalize(self, invoice: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if invoice["status"] != "draft":
            return 400, _error("This invoice is finalized already")
        finalized = sum(each["number"] is not None for each in self._invoices.values())
        invoice |= {"status": "open", "number": f"DEMO-{finalized + 1:04d}"}
        return 200, dict(invoice)


def _answer(status: int, body: dict[str, Any]) -> web.Response:
    return web.json_response(body, status=status)


def _error(message: str) -> dict[str, Any]:
    return {"error": {"type": "invalid_request_error", "message": message}}
