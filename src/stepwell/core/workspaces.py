"""Workspaces: the tenants of the server."""

from stepwell import ids as uuids
from stepwell.core.checks import name_faults, refuse
from stepwell.errors import NotFound
from stepwell.ids import Ids
from stepwell.store import Store, Workspace


class Workspaces:
    """The use cases on workspaces."""

    def __init__(self, store: Store, ids: Ids) -> None:
        self._store = store.keys
        self._ids = ids

    async def create(self, name: str) -> Workspace:
        """A new workspace; raises ValidationFailed if the name is not fit."""
        refuse(name_faults(name))
        workspace = Workspace(self._ids.new(), name)
        await self._store.create_workspace(workspace)
        return workspace

    async def get(self, workspace: str) -> Workspace:
        """One workspace; raises NotFound if there is no such one."""
        uuid = uuids.parse(workspace)
        found = await self._store.workspace(uuid) if uuid else None
        if found is None:
            raise NotFound("Workspace not found")
        return found

    async def page(self, *, before: str | None = None, limit: int = 50) -> list[Workspace]:
        """Workspaces, newest first, after the one with the id `before`."""
        newest_first = reversed(await self._store.workspaces())
        return [workspace for workspace in newest_first if before is None or workspace.id < before][:limit]
