"""Outbound endpoints: addresses that are told of runs, their secrets kept sealed. Source: LoopFour contract 14."""

from urllib.parse import urlsplit

import msgspec

from stepwell.auth import Vault
from stepwell.clock import Clock
from stepwell.core.checks import refuse
from stepwell.core.endpoint_sender import EndpointSender, secret_record
from stepwell.core.endpoint_signing import new_secret
from stepwell.errors import Fault, InvalidState, NotFound
from stepwell.ids import Ids
from stepwell.store import Endpoint, EndpointMessage, MessageStatus, Store

EVENTS = ("run.started", "run.completed", "run.failed", "run.cancelled", "run.suspended")
MOST = 50  # endpoints of a workspace
OLD_SECRET_MS = 24 * 3_600_000
LONGEST_URL = 2048
LONGEST_DESCRIPTION = 1000
PAGE = 500


class EndpointFields(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller says of a new endpoint; it is told of all events unless some are named."""

    url: str
    events: tuple[str, ...] = EVENTS
    description: str | None = None
    enabled: bool = True


class EndpointChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller changes of an endpoint; fields that are not set stay."""

    url: str | msgspec.UnsetType = msgspec.UNSET
    events: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    description: str | None | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET


class Endpoints:
    """The use cases on endpoints. Every one that names an endpoint raises NotFound if the workspace has none of that
    id."""

    def __init__(self, store: Store, vault: Vault, sender: EndpointSender, clock: Clock, ids: Ids) -> None:
        self.sender = sender
        self._store = store.endpoints
        self._vault = vault
        self._clock = clock
        self._ids = ids

    async def create(self, workspace: str, fields: EndpointFields) -> tuple[Endpoint, str]:
        """Store an endpoint; with its secret, which is never told again.

        Raises:
            ValidationFailed: fields that do not fit; all of them are listed.
            InvalidState: the workspace has as many as it may have.
        """
        refuse(_faults(fields))
        id, secret = self._ids.new(), new_secret()
        endpoint = Endpoint(
            workspace=workspace,
            id=id,
            url=fields.url,
            description=fields.description,
            events=_ordered(fields.events),
            enabled=fields.enabled,
            disabled_reason=None,
            sealed=self._seal(workspace, id, secret),
            updated_at=self._clock.now_ms(),
        )
        if not await self._store.create(endpoint, MOST):
            raise InvalidState(f"A workspace has at most {MOST} webhook endpoints; remove one first")
        return endpoint, secret

    async def get(self, workspace: str, endpoint: str) -> Endpoint:
        """One endpoint."""
        found = await self._store.get(workspace, endpoint)
        if found is None:
            raise NotFound("Webhook endpoint not found")
        return found

    async def page(self, workspace: str, *, before: str | None = None, limit: int = 50) -> list[Endpoint]:
        """Endpoints, newest first, after the one with the id `before`."""
        return await self._store.page(workspace, before=before, limit=limit)

    async def update(self, workspace: str, endpoint: str, changes: EndpointChanges) -> Endpoint:
        """Change an endpoint; raises as `create` does. Enabling it clears why it was disabled."""
        while True:
            stored = await self.get(workspace, endpoint)
            given = {
                name: value for name, value in msgspec.structs.asdict(changes).items() if value is not msgspec.UNSET
            }
            changed = msgspec.structs.replace(stored, **given)
            refuse(_faults(_fields(changed)))
            reason = None if changed.enabled or changes.enabled is False else stored.disabled_reason
            since = None if changed.enabled and not stored.enabled else stored.failing_since
            events = _ordered(changed.events)
            changed = msgspec.structs.replace(changed, events=events, disabled_reason=reason, failing_since=since)
            if saved := await self._save(changed, stored):
                return saved

    async def rotate(self, workspace: str, endpoint: str) -> tuple[Endpoint, str]:
        """Give an endpoint another secret, told once; the one before signs too for 24 h, an older one no more."""
        while True:
            stored = await self.get(workspace, endpoint)
            secret = new_secret()
            changed = msgspec.structs.replace(
                stored,
                sealed=self._seal(workspace, stored.id, secret),
                sealed_old=stored.sealed,
                old_until=self._clock.now_ms() + OLD_SECRET_MS,
            )
            if saved := await self._save(changed, stored):
                return saved, secret

    async def delete(self, workspace: str, endpoint: str) -> None:
        """Remove an endpoint with its deliveries."""
        found = await self.get(workspace, endpoint)
        await self._store.delete(workspace, found.id)
        while await self._store.drop_messages(workspace, found.id, PAGE) == PAGE:
            pass

    async def test(self, workspace: str, endpoint: str) -> EndpointMessage:
        """Send an endpoint, also a disabled one, a test now; what came of it, as it is kept beside the deliveries."""
        return await self.sender.test(await self.get(workspace, endpoint), self._ids.new())

    async def deliveries(
        self,
        workspace: str,
        endpoint: str,
        *,
        status: MessageStatus | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[EndpointMessage]:
        """What an endpoint was or is to be sent, newest first, after the one with the id `before`."""
        found = await self.get(workspace, endpoint)
        return await self._store.messages(workspace, found.id, status=status, before=before, limit=limit)

    async def retry(self, workspace: str, endpoint: str, delivery: str) -> EndpointMessage:
        """Send a delivery again now, whatever became of it, under its id and with its body.

        Raises:
            InvalidState: the endpoint is disabled.
        """
        found = await self.get(workspace, endpoint)
        if not found.enabled:
            raise InvalidState("The webhook endpoint is disabled; enable it first")
        await self._store.requeue(workspace, found.id, delivery, self._clock.now_ms())
        message = await self._store.message(workspace, found.id, delivery)
        if message is None:
            raise NotFound("Delivery not found")
        return message

    async def _save(self, changed: Endpoint, stored: Endpoint) -> Endpoint | None:
        now = max(self._clock.now_ms(), stored.updated_at + 1)
        changed = msgspec.structs.replace(changed, updated_at=now)
        return changed if await self._store.save(changed, seen=stored.updated_at) else None

    def _seal(self, workspace: str, endpoint: str, secret: str) -> bytes:
        return self._vault.seal(workspace, secret_record(endpoint), secret.encode())


def _fields(endpoint: Endpoint) -> EndpointFields:
    return EndpointFields(url=endpoint.url, events=endpoint.events, description=endpoint.description)


def _faults(fields: EndpointFields) -> list[Fault]:
    faults = _url_faults(fields.url)
    if not fields.events:
        faults.append(Fault(("events",), f"Name at least one of {', '.join(EVENTS)}, or leave the field out for all"))
    for index, event in enumerate(fields.events):
        if event not in EVENTS:
            known = ", ".join(EVENTS)
            faults.append(Fault(("events", index), f"Unknown event: {event[:100]}. Known are {known}"))
    if fields.description is not None and len(fields.description) > LONGEST_DESCRIPTION:
        faults.append(Fault(("description",), f"At most {LONGEST_DESCRIPTION} characters"))
    return faults


def _url_faults(url: str) -> list[Fault]:
    if len(url) > LONGEST_URL:
        return [Fault(("url",), f"At most {LONGEST_URL} characters")]
    try:
        parts = urlsplit(url)
        fit = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        held = parts.username is not None or parts.password is not None
    except ValueError:
        fit = held = False
    if not fit or not url.isprintable() or " " in url:
        return [Fault(("url",), "Expected an http or https URL")]
    if held:
        return [Fault(("url",), "The URL holds a user name or password; the signature tells the receiver who sends")]
    return [Fault(("url",), "A URL of an endpoint has no fragment")] if parts.fragment else []


def _ordered(events: tuple[str, ...]) -> tuple[str, ...]:
    """Each once, in the order of the table."""
    return tuple(event for event in EVENTS if event in events)
