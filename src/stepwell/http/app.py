"""The HTTP face of the server: every request passes one pipeline, in the order of LoopFour contract 1.4."""

import re
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from stepwell import values
from stepwell.auth import Principal
from stepwell.clock import Clock
from stepwell.core import Core
from stepwell.errors import Forbidden, Overloaded, StepwellError, Unauthorized, ValidationFailed
from stepwell.events import Events
from stepwell.http.account_pages import PAGES
from stepwell.http.bodies import Headers, Receive, check_type, decode_body, decode_form, is_form, read_body
from stepwell.http.dialects import aitasker, awaitstep, flowra, loopfour
from stepwell.http.errors import ClientGone, RateLimited, ServerFault
from stepwell.http.functions import FunctionRoute, function_routes
from stepwell.http.inbound import InboundRoute, inbound_routes
from stepwell.http.openapi import openapi_document
from stepwell.http.rates import Allowance, Rates
from stepwell.http.routes import Call, Dialect, Rate, Route
from stepwell.http.routing import Routing
from stepwell.http.shapes import Shape
from stepwell.http.system import Page, system_pages
from stepwell.ids import RandomHex
from stepwell.services import Metrics
from stepwell.settings import Settings
from stepwell.values import Json

Scope: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Target: TypeAlias = "Endpoint | Page | InboundRoute | FunctionRoute"
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

DIALECTS: tuple[Dialect, ...] = (loopfour.DIALECT, awaitstep.DIALECT, aitasker.DIALECT, flowra.DIALECT)
"""In the order in which they answer for a path that the key's own dialect does not serve."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_new_ids = RandomHex(32)
_NOBODY = Principal("", "", "", frozenset(), "")  # who calls a route that needs no key


def create_app(
    core: Core, settings: Settings, events: Events, clock: Clock, metrics: Metrics, *, bench: bool = False
) -> App:
    """The ASGI application over `core`. `bench` also mounts `POST /bench/echo`, which answers with the body it got."""
    routing: Routing[Target] = Routing(DIALECTS)
    for dialect in DIALECTS:
        for route in dialect.routes:
            routing.add(dialect, route.method, dialect.base + route.path, Endpoint(dialect, route, settings))
        for path in dialect.absent:
            routing.close(dialect, dialect.base + path)
    for method, path, page in system_pages(core, metrics, _documents(), bench=bench):
        routing.add(None, method, path, page)
    for route in PAGES.routes:
        routing.add(None, route.method, route.path, Endpoint(PAGES, route, settings))
    for method, path, inbound in inbound_routes(core, settings):
        routing.add(None, method, path, inbound)
    for method, path, function in function_routes(core, settings):
        routing.add(None, method, path, function)
    return _Application(core, events, clock, routing)


def _documents() -> dict[str, Callable[[], Json]]:
    """What makes the OpenAPI documents, by their paths: of all dialects together, and of each."""
    each = {f"/openapi/{dialect.name}.json": partial(openapi_document, (dialect,)) for dialect in DIALECTS}
    return {"/openapi.json": partial(openapi_document, DIALECTS), **each}


class Endpoint:
    """A route with what is worked out once: its limits and the shapes of its query and body."""

    __slots__ = ("body", "body_limit", "dialect", "label", "query", "rate_limit", "route")

    def __init__(self, dialect: Dialect, route: Route, settings: Settings) -> None:
        self.dialect = dialect
        self.route = route
        self.label = f"{route.method} {dialect.base}{route.path}"
        self.rate_limit: int = getattr(settings.rate_limit, route.rate)
        self.body_limit = settings.limits.batch_body_bytes if route.batch else settings.limits.body_bytes
        self.query = Shape(route.query) if route.query is not None else None
        self.body = Shape(route.body) if route.body not in (None, dict) else None


class _Exchange:
    """What is known of a request while it is answered."""

    __slots__ = ("allowance", "dialect", "headers", "label", "principal", "request_id")

    def __init__(self, scope: Scope) -> None:
        self.headers: Headers = dict(scope["headers"])
        self.request_id = _request_id(self.headers)
        self.label = "unmatched"
        self.dialect = DIALECTS[0]
        self.principal: Principal | None = None
        self.allowance: Allowance | None = None


class _Application:
    """Routes, checks and answers requests; tells of each by one event."""

    def __init__(self, core: Core, events: Events, clock: Clock, routing: Routing[Target]) -> None:
        self._core = core
        self._events = events
        self._clock = clock
        self._routing = routing
        self._rates = Rates(clock)
        self._date = (0, b"")  # a second and how it is written

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = self._clock.monotonic()
        exchange = _Exchange(scope)
        try:
            response = await self._respond(exchange, scope, receive)
        except ClientGone:
            return
        self._dress(response, exchange)
        try:
            await response(scope, receive, send)
        except ClientDisconnect:
            pass  # the reader of a stream left
        except Exception as error:  # noqa: BLE001 - the edge: an answer that breaks off while it is sent
            self._fault(exchange, error)
        self._events.emit(
            "http.request",
            request=exchange.request_id.decode(),
            method=scope["method"],
            path=scope["path"][:200],
            route=exchange.label,
            status=response.status_code,
            duration_ms=(self._clock.monotonic() - began) * 1000,
            key=exchange.principal.key_id if exchange.principal else None,
        )

    async def _respond(self, exchange: _Exchange, scope: Scope, receive: Receive) -> Response:
        try:
            target, params = self._target(exchange, scope["method"], scope["path"])
            if isinstance(target, Endpoint):
                return await self._answer(exchange, target, params, scope, receive)
            exchange.label = target.label
            if isinstance(target, InboundRoute):
                self._count(exchange, target.rate, target.rate_limit, _address(scope))
                if self._core.overloaded():
                    raise Overloaded
                return await target.answer(params, scope, exchange.headers, receive)
            if isinstance(target, FunctionRoute):
                self._count(exchange, target.rate, target.rate_limit, _address(scope))
                return await target.answer(params, scope, exchange.headers, receive, exchange.request_id.decode())
            return await target.answer(receive, exchange.headers)
        except Unauthorized as error:
            sharing = self._routing.sharing(scope["method"], scope["path"], _key_text(exchange.headers))
            return _together(sharing, Unauthorized(error.message)) if sharing else exchange.dialect.refusal(error)
        except StepwellError as error:
            if error.code == StepwellError.code:
                self._fault(exchange, error)
            return exchange.dialect.refusal(error)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: a fault of the server is told without its words
            self._fault(exchange, error)
            return exchange.dialect.refusal(ServerFault(exchange.request_id.decode()))

    def _target(self, exchange: _Exchange, method: str, path: str) -> tuple[Target, dict[str, str]]:
        key = _key_text(exchange.headers)
        found = self._routing.find(method, path, key)
        if found is None:
            exchange.dialect, refusal = self._routing.refused(path, key)
            raise refusal
        return found

    async def _answer(
        self, exchange: _Exchange, endpoint: Endpoint, params: dict[str, str], scope: Scope, receive: Receive
    ) -> Response:
        route, headers, core = endpoint.route, exchange.headers, self._core
        exchange.label, exchange.dialect = endpoint.label, endpoint.dialect
        principal, caller = _NOBODY, _address(scope)
        if route.scope is not None:
            principal = exchange.principal = await core.authenticator.authenticate(_key_text(headers))
            caller = principal.key_id
        self._count(exchange, route.rate, endpoint.rate_limit, caller)
        if route.path_check is not None:
            route.path_check(params)
        body = b""
        if route.body is not None:
            check_type(headers)
            body = await read_body(receive, headers, endpoint.body_limit)
        if route.scope and route.scope not in principal.scopes:
            raise Forbidden(f"Missing required scope: {route.scope}", details=[{"scope": route.scope}])
        if route.sheds and core.overloaded():
            raise Overloaded
        call = Call(core, self._clock, principal, params, headers, None, None)
        try:
            self._decode(call, endpoint, scope["query_string"], body)
        except ValidationFailed:
            if route.exists is not None:
                await route.exists(call)
            raise
        return await route.handler(call)

    def _decode(self, call: Call[Any, Any], endpoint: Endpoint, query: bytes, body: bytes) -> None:
        if endpoint.query is not None:
            given = parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else ()
            call.query = endpoint.query.of_query(endpoint.dialect.folded(given, endpoint.query.lists))
        if endpoint.route.body is not None:
            call.form = endpoint.route.form and is_form(call.headers, body)
            decoded = decode_form(body) if call.form else decode_body(body)
            call.body = endpoint.body.of_json(decoded) if endpoint.body is not None else decoded

    def _count(self, exchange: _Exchange, rate: Rate, limit: int, caller: str) -> None:
        """Count the request against the limit of its key, or of its address if it needs none; 0 is no limit."""
        if limit:
            try:
                exchange.allowance = self._rates.take(caller, rate, limit)
            except RateLimited as refused:
                reset = self._clock.now_ms() // 1000 + refused.retry_after_s
                exchange.allowance = Allowance(limit, 0, reset)
                raise

    def _dress(self, response: Response, exchange: _Exchange) -> None:
        """Add the headers that every answer has."""
        raw = response.raw_headers
        raw.append((b"date", self._now()))
        raw.append((b"x-request-id", exchange.request_id))
        if (allowance := exchange.allowance) is not None:
            raw.append((b"x-ratelimit-limit", b"%d" % allowance.limit))
            raw.append((b"x-ratelimit-remaining", b"%d" % allowance.remaining))
            raw.append((b"x-ratelimit-reset", b"%d" % allowance.reset))

    def _now(self) -> bytes:
        """The time as the header Date has it, worked out once a second and only if somebody asks."""
        second = self._clock.now_ms() // 1000
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True).encode())
        return self._date[1]

    def _fault(self, exchange: _Exchange, error: Exception) -> None:
        self._events.emit(
            "http.fault",
            request=exchange.request_id.decode(),
            route=exchange.label,
            error=repr(error),
            trace="".join(traceback.format_exception(error)),
        )


def _together(dialects: list[Dialect], error: Unauthorized) -> Response:
    """The refusal of a path that several dialects serve: what each says, side by side, the first one's words before
    the others'."""
    refusals = [dialect.refusal(error) for dialect in dialects]
    body: dict[str, Json] = {}
    for refusal in refusals:
        body = {**values.decode(bytes(refusal.body)), **body}
    ordered = {name: body[name] for refusal in refusals for name in values.decode(bytes(refusal.body))}
    return Response(
        values.encode(ordered),
        refusals[0].status_code,
        {"WWW-Authenticate": "Bearer"},
        "application/json",
    )


def _key_text(headers: Headers) -> str | None:
    """The key of a request: `x-api-key` counts before `Authorization: Bearer`."""
    given = headers.get(b"x-api-key")
    if given is None:
        kind, _, given = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() != b"bearer":
            return None
    return given.strip().decode("latin-1")


def _address(scope: Scope) -> str:
    """Where a request comes from, as a caller that is counted."""
    client = scope.get("client")
    return f"address {client[0]}" if client else "address"


def _request_id(headers: Headers) -> bytes:
    given = headers.get(b"x-request-id")
    return given if given is not None and _REQUEST_ID.fullmatch(given) else b"req_" + _new_ids.take().encode()


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing is started or stopped here: the server's parts have their own supervisor."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
