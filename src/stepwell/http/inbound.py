"""Inbound webhooks: addresses without a key, bodies of any type, answers without an envelope. Source: LoopFour contract
11.2."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.responses import Response

from stepwell import ids
from stepwell.core import Address, Core, InboundRequest, SenderAnswer, sender_answer
from stepwell.errors import NotFound
from stepwell.http.bodies import Headers, Receive, read_body
from stepwell.http.errors import RequestTimeout
from stepwell.http.routes import Rate
from stepwell.settings import Settings

Params: TypeAlias = dict[str, str]
Resolve: TypeAlias = Callable[[Core, Params], Awaitable[Address]]

BASE = "/webhooks"
_GUARDS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
"""A workflow may answer with anything; no browser is to take it for a page of this server."""


@dataclass(frozen=True, slots=True)
class InboundRoute:
    """One form of address. `rate_limit` counts by the sender's address."""

    label: str
    resolve: Resolve
    core: Core
    body_limit: int
    timeout_s: int
    rate_limit: int
    rate: Rate = Rate.WEBHOOKS

    async def answer(
        self, params: Params, scope: MutableMapping[str, Any], headers: Headers, receive: Receive
    ) -> Response:
        """Take a request: it is stored, and its runs are started, before it is answered.

        Raises:
            NotFound, PayloadTooLarge, RequestTimeout: nothing is stored.
            Unauthorized: it is stored as rejected.
            Overloaded: it is to be sent again.
        """
        address = await self.resolve(self.core, params)
        try:
            async with asyncio.timeout(self.timeout_s):
                body = await read_body(receive, headers, self.body_limit)
        except TimeoutError:
            raise RequestTimeout from None
        received = await self.core.inbox.receive(address, _request(scope, body))
        return _response(await sender_answer(self.core.runs, received))


def inbound_routes(core: Core, settings: Settings) -> Iterator[tuple[str, str, InboundRoute]]:
    """Method, path and route of each form of address."""
    forms: tuple[tuple[str, Resolve], ...] = (
        ("/{provider}", _of_only_workspace),
        ("/{provider}/{workspace}", _of_provider),
        ("/custom/{workspace}/{path}", _of_path),
        ("/t/{trigger}", _of_trigger),
    )
    for path, resolve in forms:
        yield (
            "POST",
            BASE + path,
            InboundRoute(
                f"POST {BASE}{path}",
                resolve,
                core,
                settings.limits.body_bytes,
                settings.webhooks.read_timeout_s,
                settings.rate_limit.webhooks,
            ),
        )


async def _of_only_workspace(core: Core, params: Params) -> Address:
    return Address(workspace=await core.inbox.listening.only_workspace(), provider=params["provider"])


async def _of_provider(core: Core, params: Params) -> Address:
    return Address(workspace=_id("ws", params["workspace"]), provider=params["provider"])


async def _of_path(core: Core, params: Params) -> Address:
    return Address(workspace=_id("ws", params["workspace"]), provider="custom", path=params["path"])


async def _of_trigger(core: Core, params: Params) -> Address:
    return await core.inbox.listening.of_trigger(_id("trg", params["trigger"]))


def _id(prefix: str, text: str) -> str:
    found = ids.parse(text.removeprefix(f"{prefix}_"))
    if found is None:
        raise NotFound("Webhook not found")
    return found


def _request(scope: MutableMapping[str, Any], body: bytes) -> InboundRequest:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return InboundRequest(
        method=scope["method"],
        path=raw.decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]),
        body=body,
    )


def _response(answer: SenderAnswer) -> Response:
    return Response(answer.body, answer.status, {**answer.headers, **_GUARDS})
