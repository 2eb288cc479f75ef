"""Outgoing HTTP: guarded connections, redirects followed by hand, answers read only up to their limit."""

import asyncio
import re
import select
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from stepwell.connectors.egress import EgressRefused, refusals, socket_factory
from stepwell.errors import StepError
from stepwell.steps.ports import HttpRequest, HttpResponse

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_WRITTEN = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")  # needs no escaping; what is signed must stay as it is
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FRAMING = {
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
_BODY_HEADERS = {"content-type", "content-encoding", "content-language", "content-location"}
_KEPT_ON_ANOTHER_ORIGIN = {
    "accept", "accept-encoding", "accept-language", "content-encoding", "content-language", "content-type",
    "idempotency-key", "if-modified-since", "if-none-match", "range", "user-agent",
}  # fmt: skip
_REDIRECTS = {301, 302, 303, 307, 308}


class GuardedHttp:
    """The port `Http`. One pool of connections per workspace, so that none rides on another's; one object per egress
    policy. The connections live as long as the object: `close` it in the loop that used it."""

    def __init__(self, *, allow_private: bool, user_agent: str = "Stepwell", max_pools: int = 256) -> None:
        self._create_socket = socket_factory(allow_private)
        self._user_agent = user_agent
        self._max_pools = max_pools
        self._pools: OrderedDict[str, _Pool] = OrderedDict()

    async def send(self, workspace: str, request: HttpRequest) -> HttpResponse:
        """Send a request and follow its redirects; `timeout_s` bounds all of it. With `max_redirects` 0 a redirect is
        an answer. See `steps.ports.Http`."""
        url = _target(request.url)
        if request.params:
            url = url.extend_query(list(request.params))
        _check_parts(request)
        progress = _Progress()
        noted: list[EgressRefused] = []
        token = refusals.set(noted)
        try:
            async with asyncio.timeout(request.timeout_s), self._session(workspace) as session:
                return await _follow(session, url, request, progress)
        except TimeoutError:
            message = "Request timeout" if progress.connected else "Connection timeout"
            raise StepError(message, kind="timeout", retryable=True, outcome_unknown=progress.sent) from None
        except StepError as error:
            error.outcome_unknown = progress.sent
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _failure(error, progress, noted) from error
        finally:
            refusals.reset(token)

    async def close(self) -> None:
        """Close every connection."""
        while self._pools:
            _, pool = self._pools.popitem()
            await pool.session.close()

    @asynccontextmanager
    async def _session(self, workspace: str) -> AsyncIterator[aiohttp.ClientSession]:
        pool = self._pools.get(workspace)
        if pool is None:
            pool = self._pools[workspace] = _Pool(self._open())
        self._pools.move_to_end(workspace)
        pool.users += 1
        try:
            await self._drop_idle()
            yield pool.session
        finally:
            pool.users -= 1

    async def _drop_idle(self) -> None:
        """Close the pools not used for longest; those in use stay, whatever their number."""
        idle = [name for name, pool in self._pools.items() if not pool.users]
        for dropped in [self._pools.pop(name) for name in idle[: max(0, len(self._pools) - self._max_pools)]]:
            await dropped.session.close()

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            # No bound of its own: waiting for a place would count against a step's time. What bounds the connections is
            # how many runs the engine walks at once.
            connector=_Connector(socket_factory=self._create_socket, limit=0, limit_per_host=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            headers={"User-Agent": self._user_agent},
            trace_configs=[_tracing()],
        )


class _Connector(aiohttp.TCPConnector):
    """Never reuses a connection on which something has come since its last answer: aiohttp would take that for the
    answer to the next request, which may be another run's."""

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        for protocol, _ in self._conns.get(key, ()):
            if not protocol.should_close and not _has_input(protocol):
                break
            protocol.close()  # the base class passes over what is closed
        return await super()._get(key, traces)


def _has_input(protocol: ResponseHandler) -> bool:
    """Whether bytes, or the end, have reached an idle connection that its event loop has not read yet."""
    socket = None if protocol.transport is None else protocol.transport.get_extra_info("socket")
    if socket is None:
        return False
    waiting = select.poll()
    waiting.register(socket.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


@dataclass(slots=True)
class _Pool:
    session: aiohttp.ClientSession
    users: int = 0


@dataclass(slots=True)
class _Progress:
    """How far a request has come: what a failure may be said to have done depends on it."""

    url: URL = URL()  # of the present hop
    connected: bool = False  # in the present hop
    sent: bool = False  # in any hop: a server that redirects may have done its work first


async def _follow(session: aiohttp.ClientSession, url: URL, request: HttpRequest, progress: _Progress) -> HttpResponse:
    for _ in range(request.max_redirects + 1):
        progress.url, progress.connected = url, False
        async with session.request(
            request.method,
            url,
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
            skip_auto_headers=("Content-Type",) if request.body is None else (),
            trace_request_ctx=progress,
        ) as response:
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None or not request.max_redirects:
                body = await _read(response, request.max_response_bytes)
                return HttpResponse(response.status, _headers(response), body, str(url))
        target = _target(location, base=url)
        request = _redirected(request, response.status, same_origin=target.origin() == url.origin())
        url = target
    raise StepError(f"Too many redirects (more than {request.max_redirects})", kind="http")


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The decompressed body; the connection is dropped as soon as the body is larger than the limit."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > limit:
            response.close()
            raise StepError(f"Response is larger than {limit} bytes", kind="http", http_status=response.status)
        parts.append(part)
    return b"".join(parts)


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        lower = name.lower()
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    return headers


def _redirected(request: HttpRequest, status: int, *, same_origin: bool) -> HttpRequest:
    """The request of the next hop. On another origin only headers that cannot carry a credential are sent again."""
    headers = dict(request.headers)
    method, body = request.method, request.body
    if status in (301, 302, 303) and method not in ("GET", "HEAD"):
        method, body = "GET", None
        headers = {name: value for name, value in headers.items() if name.lower() not in _BODY_HEADERS}
    if not same_origin:
        headers = {name: value for name, value in headers.items() if name.lower() in _KEPT_ON_ANOTHER_ORIGIN}
    return replace(request, method=method, headers=headers, body=body)


def _target(text: str, base: URL | None = None) -> URL:
    try:
        url = URL(text, encoded=bool(_WRITTEN.fullmatch(text)))
        url = base.join(url) if base else url
        fit = url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except ValueError:
        fit = False
    if not fit or _CONTROL.search(text):
        raise StepError("Not an http or https URL", kind="network")  # not repeated: it may hold a secret
    if url.user is not None or url.password is not None:
        raise StepError("The URL holds a user name or password; send them in a header", kind="network")
    return url


def _check_parts(request: HttpRequest) -> None:
    if not _TOKEN.fullmatch(request.method):
        raise StepError(f"Not an HTTP method: {request.method[:50]!r}", kind="network")
    for name, value in request.headers.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _FRAMING:
            raise StepError(f"Header may not be set: {name[:100]!r}", kind="network")
        if _CONTROL.search(value):
            raise StepError(f"Header {name} holds a line break or control character", kind="network")


def _failure(error: Exception, progress: _Progress, noted: list[EgressRefused]) -> StepError:
    """What a failed exchange is for the step."""
    host = progress.url.host or "?"
    if not progress.connected:
        failure = StepError(noted[0].sentence(host), kind="network") if noted else _connect_failure(error, host)
        failure.outcome_unknown = progress.sent
        return failure
    if isinstance(error, aiohttp.ServerDisconnectedError):
        message = f"{host} closed the connection without an answer"
    elif isinstance(error, aiohttp.ClientResponseError):
        message = f"{host} sent an answer that is not HTTP"
    elif isinstance(error, aiohttp.ClientPayloadError):
        message = f"The answer of {host} ended early or could not be decompressed"
    else:
        message = f"Connection to {host} lost"
    return StepError(message, kind="network", retryable=True, outcome_unknown=progress.sent)


def _connect_failure(error: Exception, host: str) -> StepError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return StepError(f"The certificate of {host} is not valid", kind="network")
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return StepError(f"Not a host that can be connected: {host!r}", kind="network")
    message = "Host {} not found" if isinstance(error, aiohttp.ClientConnectorDNSError) else "Connection to {} failed"
    return StepError(message.format(host), kind="network", retryable=True)


def _tracing() -> aiohttp.TraceConfig:
    """Signals that keep a request's `_Progress`. A pooled connection that turns out to be dead is opened anew."""

    async def connecting(session: Any, context: SimpleNamespace, params: Any) -> None:
        context.trace_request_ctx.connected = False

    async def connected(session: Any, context: SimpleNamespace, params: Any) -> None:
        context.trace_request_ctx.connected = True

    async def sent(session: Any, context: SimpleNamespace, params: Any) -> None:
        context.trace_request_ctx.sent = True

    config = aiohttp.TraceConfig()
    config.on_connection_create_start.append(connecting)
    config.on_connection_create_end.append(connected)
    config.on_connection_reuseconn.append(connected)
    config.on_request_headers_sent.append(sent)
    return config
