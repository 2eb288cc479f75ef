"""Connectors: those that come with Stepwell, and those made from OpenAPI documents while it runs."""

import asyncio
import re
from collections.abc import Callable

import msgspec

from stepwell.clock import Clock
from stepwell.connectors import BadManifest, Connector, Connectors, Manifest, compile_manifest
from stepwell.connectors.openapi import MAX_BYTES, BadDocument, Imported, import_document, read_document
from stepwell.core.checks import base_url_faults, refuse
from stepwell.errors import AlreadyExists, Fault, NotFound, StepError, ValidationFailed
from stepwell.events import Events
from stepwell.steps.ports import Http, HttpRequest
from stepwell.store import Store, StoredConnector
from stepwell.values import Json, decode, encode

FETCH_S = 30.0

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_RESERVED = frozenset({"api"})  # api.request is a step of its own


class Skipped(msgspec.Struct, frozen=True):
    """An operation of a document that is no action, and why."""

    operation: str
    reason: str


class ConnectorDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A connector with everything it offers. What is built in has no times and no source."""

    manifest: Manifest
    built_in: bool
    source: str | None = None
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    created_at: int | None = None
    updated_at: int | None = None


class ConnectorDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller gives of a new connector: a document (a JSON value, or the text of a file), or the address to get
    it from. With a document, `url` only says where it came from. `replace` lets it stand in for one of its name."""

    name: str
    document: Json = None
    url: str | None = None
    base_url: str | None = None
    replace: bool = False


class ConnectorLibrary:
    """The use cases on connectors. They belong to the server: only the operator's workspace adds and removes them."""

    def __init__(
        self,
        store: Store,
        connectors: Connectors,
        http: Http,
        check_operator: Callable[[str], None],
        clock: Clock,
        events: Events,
    ) -> None:
        """`check_operator` raises Forbidden unless a workspace is the operator's."""
        self._store = store.connectors
        self._connectors = connectors
        self._http = http
        self.check_operator = check_operator
        self._clock = clock
        self._events = events

    async def load(self) -> None:
        """Offer every stored connector; one that this version cannot read is told of and left out."""
        for stored in await self._store.all():
            try:
                self._connectors.put(_compiled(stored))
            except (BadManifest, msgspec.ValidationError) as error:
                self._events.emit("connector.refused", connector=stored.name, error=str(error)[:500])

    def all(self) -> list[ConnectorDetail]:
        """All connectors by name, without what was skipped."""
        return [self._offered(name) for name in sorted(self._connectors.connectors())]

    async def get(self, name: str) -> ConnectorDetail:
        """One connector. Raises NotFound."""
        if name not in self._connectors.connectors():
            raise NotFound("Connector not found")
        detail = self._offered(name)
        stored = None if detail.built_in else await self._store.get(name)
        if stored is None:
            return detail
        return msgspec.structs.replace(
            detail,
            source=stored.source,
            skipped=msgspec.json.decode(stored.skipped, type=tuple[Skipped, ...]),
            created_at=stored.created_at,
            updated_at=stored.updated_at,
        )

    async def add(self, caller: str, draft: ConnectorDraft) -> ConnectorDetail:
        """Make a connector of a document; steps may use it at once.

        Raises:
            Forbidden: the caller is not the operator.
            ValidationFailed: the name is not fit, or the document cannot be read or imported; faults name the place.
            AlreadyExists: there is one of that name, and it is built in or `replace` was not said.
        """
        self.check_operator(caller)
        refuse(_faults(draft))
        self._check_free(draft)
        document = await self._fetched(caller, draft.url) if draft.document is None else draft.document
        made, manifest = await asyncio.to_thread(_made, draft, document)  # seconds, for a document of megabytes
        now = self._clock.now_ms()
        skipped = tuple(Skipped(each.operation, each.reason) for each in made.skipped)
        stored = StoredConnector(
            name=draft.name,
            title=made.manifest.title,
            source=draft.url,
            manifest=manifest,
            skipped=msgspec.json.encode(skipped),
            created_at=now,
            updated_at=now,
        )
        if not await self._store.put(stored, replace=draft.replace):
            raise _taken(draft.name)
        self._connectors.put(made.connector)
        count = len(made.manifest.actions)
        self._events.emit("connector.added", connector=draft.name, actions=count, skipped=len(skipped))
        return msgspec.structs.replace(await self.get(draft.name), notes=made.notes)

    async def remove(self, caller: str, name: str) -> None:
        """Remove a connector that was added. Steps that use it fail from now on.

        Raises:
            Forbidden: the caller is not the operator.
            NotFound: there is none of that name.
            AlreadyExists: it is built in.
        """
        self.check_operator(caller)
        if self._connectors.is_built_in(name):
            raise AlreadyExists(f"The connector {name} comes with Stepwell and cannot be removed")
        if not await self._store.delete(name):
            raise NotFound("Connector not found")
        self._connectors.drop(name)
        self._events.emit("connector.removed", connector=name)

    def _offered(self, name: str) -> ConnectorDetail:
        connector = self._connectors.get(name)
        if connector is None:
            raise NotFound("Connector not found")
        return ConnectorDetail(manifest=connector.manifest, built_in=self._connectors.is_built_in(name))

    def _check_free(self, draft: ConnectorDraft) -> None:
        if self._connectors.is_built_in(draft.name):
            raise AlreadyExists(f"The connector {draft.name} comes with Stepwell; choose another name")
        if not draft.replace and draft.name in self._connectors.connectors():
            raise _taken(draft.name)

    async def _fetched(self, workspace: str, url: str | None) -> Json:
        if url is None:
            raise ValidationFailed("Invalid request", [Fault(("document",), "Required, unless url is given")])
        request = HttpRequest("GET", url, timeout_s=FETCH_S, max_response_bytes=MAX_BYTES)
        try:
            response = await self._http.send(workspace, request)
        except StepError as error:
            raise ValidationFailed("Invalid request", [Fault(("url",), error.message)]) from None
        if response.status != 200:
            message = f"The address answered {response.status}, not a document"
            raise ValidationFailed("Invalid request", [Fault(("url",), message)])
        return response.body.decode("utf-8", "replace")


def _faults(draft: ConnectorDraft) -> list[Fault]:
    faults = base_url_faults(draft.base_url)
    if draft.name in _RESERVED:
        faults.append(Fault(("name",), f"The name {draft.name} is taken by Stepwell itself"))
    elif not _NAME.fullmatch(draft.name):
        message = "A connector's name takes 1 to 63 small letters, digits, _ and -, and begins with a letter"
        faults.append(Fault(("name",), message))
    return faults


def _made(draft: ConnectorDraft, document: Json) -> tuple[Imported, bytes]:
    """The connector, and its manifest as it is stored."""
    try:
        root = read_document(document.encode()) if isinstance(document, str) else document
    except BadDocument as error:
        raise ValidationFailed("Invalid request", [Fault(("document",), str(error))]) from None
    made = import_document(draft.name, root, location=draft.url, base_url=draft.base_url)
    return made, encode(msgspec.to_builtins(made.manifest))


def _compiled(stored: StoredConnector) -> Connector:
    return compile_manifest(msgspec.convert(decode(stored.manifest), Manifest), proven=True)


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists(f"A connector named {name} already exists; say replace to put this one in its place")
