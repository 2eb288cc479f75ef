"""Targets: where workflows are deployed to. There is one for each workspace, this server itself, kept as a connection
so that clients can name it as they name any other."""

import msgspec

from stepwell.clock import Clock
from stepwell.core.checks import refuse, slug_faults
from stepwell.errors import AlreadyExists, NotFound, StepwellError
from stepwell.ids import Ids
from stepwell.store import Connection, ConnectionFilter, Store

PROVIDER = "stepwell"
SLUG = "stepwell"


class UnsupportedProvider(StepwellError):
    """A connection of another provider is no place to deploy to."""

    code = "UNSUPPORTED_PROVIDER"


class Targets:
    """The target of each workspace, made when it is first asked for."""

    def __init__(self, store: Store, clock: Clock, ids: Ids) -> None:
        self._store = store.connections
        self._clock = clock
        self._ids = ids

    async def own(self, workspace: str) -> Connection:
        """The connection that stands for this server."""
        wanted = ConnectionFilter(workspace=workspace, providers=(PROVIDER,), limit=1)
        found, _ = await self._store.page(wanted)
        if found:
            return found[0]
        made = Connection(
            workspace=workspace,
            id=self._ids.new(),
            slug=SLUG,
            name="Stepwell",
            provider=PROVIDER,
            status="active",
            mode="live",
            is_default=True,
            base_url=None,
            external_account_id=None,
            sealed=None,
            updated_at=self._clock.now_ms(),
        )
        try:
            await self._store.create(made)
        except AlreadyExists:  # asked for at the same moment, or another connection has the slug
            found, _ = await self._store.page(wanted)
            if found:
                return found[0]
            made = msgspec.structs.replace(made, slug=None)
            await self._store.create(made)
        return made

    async def set_slug(self, workspace: str, slug: str | None) -> Connection:
        """Give the target another name beside `stepwell`, or take it away.

        Raises:
            ValidationFailed: it is no slug.
            AlreadyExists: another connection has it.
        """
        refuse(slug_faults(slug))
        while True:
            own = await self.own(workspace)
            now = max(self._clock.now_ms(), own.updated_at + 1)
            changed = msgspec.structs.replace(own, slug=slug, updated_at=now)
            if await self._store.save(changed, seen=own.updated_at):
                return changed

    async def resolve(self, workspace: str, reference: str) -> str:
        """The id of the target that an id or slug names; `stepwell` always names the workspace's own.

        Raises:
            NotFound: no such connection.
            UnsupportedProvider: it is of another provider.
        """
        own = await self.own(workspace)
        if reference == SLUG or reference in (own.id, own.slug):
            return own.id
        found = await self._store.get(workspace, reference)
        if found is None:
            raise NotFound("Connection not found")
        raise UnsupportedProvider(f"Unsupported provider: {found.provider}")
