"""Workspaces: the tenants of the server."""

from stepwell import ids as uuids
from stepwell import values
from stepwell.clock import Clock
from stepwell.core.checks import name_faults, refuse
from stepwell.errors import Forbidden, InvalidStatus, NotFound
from stepwell.ids import Ids
from stepwell.store import Store, Workspace
from stepwell.values import Json


class Workspaces:
    """The use cases on workspaces. Every method takes the caller's workspace first: the operator's, which is the first
    one, sees and makes all; any other sees only itself."""

    def __init__(self, store: Store, ids: Ids, operator: str, clock: Clock) -> None:
        self._store = store.keys
        self._ids = ids
        self._operator = operator
        self._clock = clock
        self._paused: set[str] | None = None  # read once: every start asks

    async def create(self, caller: str, name: str, settings: dict[str, Json] | None = None) -> Workspace:
        """A new workspace; `settings` are kept for its owner.

        Raises:
            Forbidden: the caller is not the operator.
            ValidationFailed: the name is not fit.
        """
        self.check_may_create(caller)
        refuse(name_faults(name))
        workspace = Workspace(self._ids.new(), name, values.encode(settings or {}))
        await self._store.create_workspace(workspace)
        return workspace

    def check_may_create(self, caller: str) -> None:
        """Raise Forbidden unless the caller is the operator."""
        if caller != self._operator:
            raise Forbidden("Access denied to this resource")

    async def get(self, caller: str, workspace: str) -> Workspace:
        """One workspace; raises NotFound if there is no such one, or the caller may not see it."""
        uuid = uuids.parse(workspace)
        found = await self._store.workspace(uuid) if uuid and caller in (uuid, self._operator) else None
        if found is None:
            raise NotFound("Workspace not found")
        return found

    async def page(self, caller: str, *, before: str | None = None, limit: int = 50) -> list[Workspace]:
        """The workspaces that the caller may see, newest first, after the one with the id `before`."""
        newest_first = reversed(await self._store.workspaces())
        seen = (workspace for workspace in newest_first if caller in (workspace.id, self._operator))
        return [workspace for workspace in seen if before is None or workspace.id < before][:limit]

    async def pause(self, workspace: str) -> None:
        """Let a workspace start no runs, whatever would start them; runs in progress go on. Doing it again changes
        nothing."""
        await self._store.switch_workspace(workspace, self._clock.now_ms(), paused=True)
        (await self._known()).add(workspace)

    async def resume(self, workspace: str) -> None:
        """Let it start runs again."""
        await self._store.switch_workspace(workspace, self._clock.now_ms(), paused=False)
        (await self._known()).discard(workspace)

    async def check_takes_runs(self, workspace: str) -> None:
        """Raise InvalidStatus if a workspace starts no runs."""
        if workspace in await self._known():
            raise InvalidStatus("The workspace is paused: it starts no runs until it is resumed")

    async def _known(self) -> set[str]:
        if self._paused is None:
            self._paused = set(await self._store.paused_workspaces())
        return self._paused
