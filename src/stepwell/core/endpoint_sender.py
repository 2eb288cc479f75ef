"""Sends messages to endpoints: one try at a time, and what follows from how it ended. Source: LoopFour contract 14."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from stepwell import values
from stepwell.auth import CannotOpen, Vault
from stepwell.clock import Clock, iso
from stepwell.core.endpoint_signing import headers, next_try_ms
from stepwell.errors import StepError
from stepwell.events import Events
from stepwell.steps import Http, HttpRequest, HttpResponse
from stepwell.store import Endpoint, EndpointMessage, MessageStatus, Run, Store

TIMEOUT_S = 15.0
ANSWER_BYTES = 64 * 1024  # read of an answer, whose body says nothing to us
FAILING_MS = 5 * 86_400_000  # an endpoint at which every try has failed for so long is disabled
TRIES_KEPT = 20
AT_ONCE = 16
AT_ONCE_EACH = 4  # so that a slow receiver holds up only what is for itself
GONE = 410


@dataclass(frozen=True, slots=True)
class EndpointBodies:
    """How the dialect words a message, as JSON text: what happened to a run at a time (epoch ms), and a test of an
    endpoint."""

    event: Callable[[str, int, Run], bytes]
    test: Callable[[str, int], bytes]


class Try(msgspec.Struct, frozen=True, rename="camel"):
    """How one try ended: the answer's status, if there was one, and else, or if it is no success, what was wrong."""

    at: int
    duration_ms: int
    status: int | None
    error: str | None
    retry_after: msgspec.UnsetType | str = msgspec.UNSET

    @property
    def succeeded(self) -> bool:
        """The receiver has taken the message."""
        return self.error is None


class EndpointSender:
    """Tries messages that are due. A message arrives at least once, under one id, with the same body each time."""

    def __init__(
        self, store: Store, vault: Vault, http: Http, bodies: EndpointBodies, clock: Clock, events: Events
    ) -> None:
        self._store = store.endpoints
        self._vault = vault
        self._http = http
        self._bodies = bodies
        self._clock = clock
        self._events = events
        self._last_served: str | None = None  # the endpoint that was looked at last: the next look begins behind it

    def watch(self, emitted: Callable[[], None]) -> None:
        """`emitted` is told when there is something to be sent now."""
        self._store.watch(emitted)

    async def next(self) -> int | None:
        """When something is due that is not due now, in epoch ms."""
        return await self._store.next(self._clock.now_ms())

    async def due(self, sending: Mapping[str, str]) -> list[EndpointMessage]:
        """What may be sent now beside what is being sent (by message: its endpoint), shared among the endpoints."""
        room, now = AT_ONCE - len(sending), self._clock.now_ms()
        taken: list[EndpointMessage] = []
        if room <= 0:
            return taken
        for endpoint in await self._waiting(now):
            busy = sum(each == endpoint for each in sending.values())
            if busy >= AT_ONCE_EACH or len(taken) >= room:
                continue
            found = await self._store.due_messages(endpoint, now, AT_ONCE_EACH + busy)
            fresh = [message for message in found if message.id not in sending]
            taken += fresh[: min(AT_ONCE_EACH - busy, room - len(taken))]
            self._last_served = endpoint
        return taken

    async def _waiting(self, now: int) -> list[str]:
        """Endpoints with something due, those first that come after the last one served."""
        behind = await self._store.due_endpoints(now, self._last_served, 2 * AT_ONCE)
        if self._last_served is None or len(behind) >= 2 * AT_ONCE:
            return behind
        return list(dict.fromkeys([*behind, *await self._store.due_endpoints(now, None, 2 * AT_ONCE)]))

    async def attempt(self, message: EndpointMessage) -> "Outcome":
        """Try a message once. Nothing of it is stored: that is what `settle` does."""
        endpoint = await self._store.get(message.workspace, message.endpoint)
        if endpoint is None or not endpoint.enabled:
            return Outcome(endpoint, message, None)
        body = message.body
        if body is None:
            assert message.subject is not None  # kept until there is a body
            body = self._bodies.event(message.type, message.at, message.subject)
        tried = await self.send(endpoint, message.id, body)
        return Outcome(endpoint, msgspec.structs.replace(message, body=body), tried)

    async def fault(self, message: EndpointMessage) -> "Outcome":
        """A try that ended by a fault of the server."""
        endpoint = await self._store.get(message.workspace, message.endpoint)
        return Outcome(endpoint, message, Try(self._clock.now_ms(), 0, None, "Internal error while sending"))

    async def settle(self, outcome: "Outcome") -> None:
        """Store what an attempt came to, and what follows: another try later, or the end of the message, perhaps
        that of the endpoint.

        Raises:
            StoreUnavailable: nothing is stored; ask again.
        """
        endpoint, message, tried = outcome.endpoint, outcome.message, outcome.tried
        now = self._clock.now_ms()
        if endpoint is None:
            await self._store.drop_messages(message.workspace, message.endpoint, 1000)
        elif tried is None:
            ended = msgspec.structs.replace(
                message, status=MessageStatus.FAILED, due=None, error="The endpoint is disabled"
            )
            await self._store.record(ended, now, succeeded=None)
        else:
            recorded = self._after(message, tried, now)
            if tried.status == GONE:  # first: a message that is over is not tried again, and would not say it again
                await self._disable(endpoint, "The receiver answered 410 Gone", now)
            failing_since = await self._store.record(recorded, now, succeeded=tried.succeeded)
            self._tell(recorded)
            if failing_since is not None and now - failing_since >= FAILING_MS:
                await self._disable(endpoint, f"Every try since {iso(failing_since)} has failed", now)

    async def test(self, endpoint: Endpoint, id: str) -> EndpointMessage:
        """Send a test under an id now and keep it, whatever comes of it; it is not tried again by itself."""
        now = self._clock.now_ms()
        body = self._bodies.test(endpoint.id, now)
        message = EndpointMessage(
            workspace=endpoint.workspace, id=id, endpoint=endpoint.id, type="endpoint.test", at=now, body=body
        )
        tried = await self.send(endpoint, id, body)
        status = MessageStatus.DELIVERED if tried.succeeded else MessageStatus.FAILED
        message = msgspec.structs.replace(_with_try(message, tried), status=status)
        await self._store.put(message)
        return message

    async def send(self, endpoint: Endpoint, message: str, body: bytes) -> Try:
        """Send a body once, signed."""
        at, began = self._clock.now_ms(), self._clock.monotonic()
        status: int | None = None
        retry_after: msgspec.UnsetType | str = msgspec.UNSET
        try:
            answer = await self._post(endpoint, headers(self._secrets(endpoint, at), message, at, body), body)
        except CannotOpen:
            error: str | None = "The endpoint's secret cannot be read; rotate it"
        except StepError as failure:
            status = failure.http_status
            error = None if status is not None and 200 <= status < 300 else failure.message[:500]
        else:
            status = answer.status
            retry_after = answer.headers.get("retry-after", msgspec.UNSET)
            error = _wrong(status)
        return Try(at, round((self._clock.monotonic() - began) * 1000), status, error, retry_after)

    async def _post(self, endpoint: Endpoint, signed: dict[str, str], body: bytes) -> HttpResponse:
        request = HttpRequest(
            method="POST",
            url=endpoint.url,
            headers=signed,
            body=body,
            timeout_s=TIMEOUT_S,
            max_response_bytes=ANSWER_BYTES,
            max_redirects=0,
        )
        return await self._http.send(endpoint.workspace, request)

    def _secrets(self, endpoint: Endpoint, now: int) -> list[str]:
        sealed = [endpoint.sealed]
        if endpoint.sealed_old is not None and now < (endpoint.old_until or 0):
            sealed.append(endpoint.sealed_old)
        record = secret_record(endpoint.id)
        return [self._vault.open(endpoint.workspace, record, each).decode() for each in sealed]

    def _after(self, message: EndpointMessage, tried: Try, now: int) -> EndpointMessage:
        message = _with_try(message, tried)
        if tried.succeeded:
            return msgspec.structs.replace(message, status=MessageStatus.DELIVERED, due=None)
        retry_after = None if tried.retry_after is msgspec.UNSET else tried.retry_after
        due = None if tried.status == GONE else next_try_ms(message.attempts, now, tried.status, retry_after)
        status = MessageStatus.FAILED if due is None else MessageStatus.PENDING
        return msgspec.structs.replace(message, status=status, due=due)

    async def _disable(self, endpoint: Endpoint, reason: str, now: int) -> None:
        if await self._store.disable(endpoint.workspace, endpoint.id, reason, now):
            self._events.emit("endpoint.disabled", endpoint=endpoint.id, reason=reason)

    def _tell(self, message: EndpointMessage) -> None:
        names = {MessageStatus.DELIVERED: "endpoint.delivered", MessageStatus.FAILED: "endpoint.given_up"}
        self._events.emit(
            names.get(message.status, "endpoint.not_delivered"),
            endpoint=message.endpoint,
            message=message.id,
            attempt=message.attempts,
            status=message.response_status,
            error=message.error,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """A message and how it was tried: not at all (`tried` None) if its endpoint is gone or disabled."""

    endpoint: Endpoint | None
    message: EndpointMessage
    tried: Try | None


def tries(message: EndpointMessage) -> list[Try]:
    """The last tries of a message, oldest first."""
    return msgspec.json.decode(message.tries, type=list[Try])


def secret_record(endpoint: str) -> str:
    """What an endpoint's secrets are sealed for."""
    return f"endpoint:{endpoint}"


def _with_try(message: EndpointMessage, tried: Try) -> EndpointMessage:
    kept = [*tries(message), msgspec.structs.replace(tried, retry_after=msgspec.UNSET)][-TRIES_KEPT:]
    return msgspec.structs.replace(
        message,
        attempts=message.attempts + 1,
        response_status=tried.status,
        error=tried.error,
        tries=values.encode(msgspec.to_builtins(kept)),
    )


def _wrong(status: int) -> str | None:
    """What is wrong with an answer, if anything."""
    if 200 <= status < 300:
        return None
    return f"HTTP {status}; redirects are not followed" if 300 <= status < 400 else f"HTTP {status}"
