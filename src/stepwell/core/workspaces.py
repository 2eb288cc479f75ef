"""Workspaces: the tenants of the server."""

from stepwell import ids as uuids
from stepwell.core.checks import name_faults, refuse
from stepwell.errors import Forbidden, NotFound
from stepwell.ids import Ids
from stepwell.store import Store, Workspace


class Workspaces:
    """The use cases on workspaces. Every method takes the caller's workspace first: the operator's, which is the first
    one, sees and makes all; any other sees only itself."""

    def __init__(self, store: Store, ids: Ids, operator: str) -> None:
        self._store = store.keys
        self._ids = ids
        self._operator = operator

    async def create(self, caller: str, name: str) -> Workspace:
        """A new workspace.

        Raises:
            Forbidden: the caller is not the operator.
            ValidationFailed: the name is not fit.
        """
        self.check_may_create(caller)
        refuse(name_faults(name))
        workspace = Workspace(self._ids.new(), name)
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
