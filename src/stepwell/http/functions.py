"""Addresses of functions, and of workflows that a plain HTTP call starts: what a function's code answers goes out
without an envelope. Source: AwaitStep contract 8."""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from stepwell import values
from stepwell.auth import Principal
from stepwell.core import Core, Entry, FunctionBusy, StartRequest
from stepwell.errors import NotFound, Overloaded, PayloadTooLarge, StepwellError, Unauthorized, ValidationFailed
from stepwell.http.bodies import Headers, Receive, read_body
from stepwell.http.routes import Rate
from stepwell.settings import Settings
from stepwell.values import InvalidJson, Json

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
DEEPEST = 16  # segments of an address
PARAMS_BYTES = 102_400  # of JSON that starts a run
PARAMS_TOO_LARGE = "Trigger params must be under 100 KB"
_JSON = "application/json"
_GUARDS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
"""A function may answer with anything; no browser is to take it for a page of this server."""
_STATUSES = {"INVALID_STATUS": 404, "NOT_FOUND": 404, "BUDGET_EXCEEDED": 409, "IDEMPOTENCY_CONFLICT": 409}
"""Of refusals to start a run; others are 503 if the server has too much to do, else 422."""


@dataclass(frozen=True, slots=True)
class FunctionRoute:
    """One method of the addresses of one length. `rate_limit` counts by the caller's address."""

    label: str
    core: Core
    body_limit: int
    rate_limit: int
    rate: Rate = Rate.EXECUTE

    async def answer(
        self, params: dict[str, str], scope: MutableMapping[str, Any], headers: Headers, receive: Receive, request: str
    ) -> Response:
        """Call what the address leads to. `request` is the request's id. Raises PayloadTooLarge."""
        entries = self.core.entries
        if self.core.engine.stopping:
            return _told(503, "The server is stopping", {"Retry-After": "5"})
        try:
            entry = await entries.find("/".join(params.values()))
        except NotFound:
            return _told(404, "Not found")
        if scope["method"] != entry.method and not entry.by_itself:
            return Response(b"", 200) if entry.function else _told(404, "Not found")
        named: Json = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers.items()}
        try:
            caller = await entries.admit(entry, named, lambda: self.core.authenticator.authenticate(_key(named)))
        except Unauthorized:
            return _told(401, "Unauthorized", {"WWW-Authenticate": "Bearer"})
        body = await read_body(receive, headers, self.body_limit)
        if not entry.function:
            return await self._start(entry, caller, named, body)
        try:
            done = await self.core.functions.call(
                entry.workspace,
                entry.workflow,
                entry.plan,
                {"payload": _payload(body)},
                request=_request(scope, named, body) if entry.by_itself else None,
                request_id=request,
                key=None if caller is None else caller.key_id,
            )
        except FunctionBusy:
            return _told(503, "Function is busy", {"Retry-After": "1"})
        return Response(done.body, done.status, {"content-type": _JSON, **done.headers, **_GUARDS})

    async def _start(self, entry: Entry, caller: Principal | None, headers: Json, body: bytes) -> Response:
        """Start a run; it is on disk when its instance is told."""
        params = _payload(body) if body else {}
        if not isinstance(params, dict):
            return _told(422, "Expected a JSON object")
        if len(values.encode(params)) > PARAMS_BYTES:
            return _told(422, PARAMS_TOO_LARGE)
        wanted = StartRequest(
            workflow=entry.workflow,
            input=params,
            idempotency_key=headers.get("idempotency-key"),
            key=None if caller is None else caller.key_id,
        )
        try:
            started = await self.core.runs.start(entry.workspace, wanted)
        except Overloaded as error:
            return _told(503, error.message, {"Retry-After": str(error.retry_after_s)})
        except PayloadTooLarge:
            raise
        except StepwellError as error:
            return _told(_STATUSES.get(error.code, 422), _why(error))
        return Response(values.encode({"instanceId": started.run}), 200, None, _JSON)


def function_routes(core: Core, settings: Settings) -> Iterator[tuple[str, str, FunctionRoute]]:
    """Method, path and route of each."""
    for method in METHODS:
        for length in range(1, DEEPEST + 1):
            path = "/fn/" + "/".join(f"{{segment{at}}}" for at in range(length))
            label = f"{method} /fn/{{address}}"
            yield method, path, FunctionRoute(label, core, settings.limits.body_bytes, settings.rate_limit.execute)


def _why(error: StepwellError) -> str:
    if not isinstance(error, ValidationFailed):
        return error.message
    return "; ".join(f"{fault.field}: {fault.message}" for fault in error.faults)[:1000]


def _key(headers: Json) -> str | None:
    kind, _, given = headers.get("authorization", "").partition(" ")
    return given.strip() if kind.lower() == "bearer" else None


def _payload(body: bytes) -> Json:
    """The body as JSON; null if it is none."""
    try:
        return values.decode(body) if body else None
    except InvalidJson:
        return None


def _request(scope: MutableMapping[str, Any], headers: Json, body: bytes) -> Json:
    query = scope["query_string"].decode("latin-1")
    return {
        "method": scope["method"],
        "url": scope["path"] + (f"?{query}" if query else ""),
        "path": scope["path"],
        "query": dict(parse_qsl(query, keep_blank_values=True)),
        "headers": headers,
        "text": body.decode(errors="replace"),
    }


def _told(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return Response(values.encode({"message": message}), status, headers, _JSON)
