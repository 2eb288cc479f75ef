"""The first start: what has to be there before anybody can ask for anything."""

from stepwell.ids import Ids
from stepwell.store import Store, Workspace

FIRST_NAME = "Default"


async def ensure_first_workspace(store: Store, ids: Ids) -> Workspace:
    """The oldest workspace; one named Default if there is none. For one process at a time."""
    existing = await store.keys.workspaces()
    if existing:
        return existing[0]
    workspace = Workspace(ids.new(), FIRST_NAME)
    await store.keys.create_workspace(workspace)
    return workspace
