"""What the tests of connectors share: servers shaped like providers, counters, calls."""

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from stepwell.connectors import OpenConnection
from stepwell.steps.ports import Call, ChosenConnection
from stepwell.values import Json, decode

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]
Act = Callable[..., Awaitable[Json]]


@dataclass
class Seen:
    """A request as a server got it; `body` is decoded JSON, or the pairs of a form by name."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    query: dict[str, str]

    @classmethod
    async def of(cls, request: web.Request) -> "Seen":
        raw = await request.read()
        body = dict(parse_qsl(raw.decode())) if "form" in request.content_type else decode(raw) if raw else None
        headers = {name.lower(): value for name, value in request.headers.items()}
        return cls(request.method, request.raw_path.partition("?")[0], headers, body, dict(request.query))


@dataclass
class Scripted:
    """A provider that gives prepared answers by path, (status, JSON, headers), and keeps what it saw."""

    answers: dict[str, tuple[int, Json, dict[str, str]]]
    seen: list[Seen] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        seen = await Seen.of(request)
        self.seen.append(seen)
        status, answer, headers = self.answers[seen.path]
        return web.json_response(answer, status=status, headers=headers)


@dataclass
class Stripe:
    """Enough of Stripe: invoices, their lines, finalizing, and idempotency keys that replay the first answer."""

    seen: list[Seen] = field(default_factory=list)
    invoices: dict[str, dict[str, Any]] = field(default_factory=dict)
    replies: dict[str, Json] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.Response:
        seen = await Seen.of(request)
        self.seen.append(seen)
        key = seen.headers.get("idempotency-key")
        if key is None:
            return web.json_response(self._answer(seen))
        if key not in self.replies:
            self.replies[key] = dict(self._answer(seen))
        return web.json_response(self.replies[key])

    def _answer(self, seen: Seen) -> dict[str, Any]:
        if seen.path == "/v1/invoices":
            return self._create(seen.body)
        if seen.path == "/v1/invoiceitems":
            self.invoices[seen.body["invoice"]]["amount_due"] += int(seen.body["amount"])
            return {"id": "ii_1"}
        found = re.fullmatch(r"/v1/invoices/(in_\d+)(/finalize)?", seen.path)
        assert found, seen.path
        invoice = self.invoices[found[1]]
        if found[2]:
            invoice |= {"number": f"ABC-{len(self.invoices):04d}", "status": "open"}
        return invoice

    def _create(self, form: dict[str, str]) -> dict[str, Any]:
        invoice = {
            "id": f"in_{len(self.invoices) + 1}",
            "number": None,
            "customer": form["customer"],
            "amount_due": 0,
            "currency": form["currency"],
            "status": "draft",
            "metadata": {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")},
        }
        self.invoices[str(invoice["id"])] = invoice
        return invoice


class Counters:
    """Counters in memory, by the rule of the port."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str, str], dict[str, int]] = defaultdict(dict)

    async def count(self, workspace: str, connection_id: str, operation_id: str, kind: str) -> int:
        numbers = self._numbers[workspace, connection_id, kind]
        return numbers.setdefault(operation_id, len(numbers) + 1)


def call(connection: OpenConnection | None, operation: str = "run_1:step", **changes: Any) -> Call:
    """A call of a step on a connection."""
    chosen = ChosenConnection(connection.id, connection.provider) if connection else None
    return Call(
        **{
            "workspace": "ws",
            "workflow_id": "wf",
            "run_id": "run_1",
            "path": "step",
            "attempt": 1,
            "operation_id": operation,
            "now_ms": 0,
            "timeout_s": 5.0,
            "connection": chosen,
            "reveal": lambda value: value,
        }
        | changes
    )
