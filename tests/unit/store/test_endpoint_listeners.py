"""Who is told of runs is kept in memory beside the writer: it must never differ from what is stored."""

from pathlib import Path
from typing import Any

import apsw
import pytest

from conformance.endpoints import listening, types
from conformance.runs import Story
from stepwell.clock import FakeClock
from stepwell.ids import TimeOrderedIds
from stepwell.store import Workspace
from stepwell.store.sqlite import SqliteStore
from stepwell.store.sqlite.file_connection import FileConnection


async def test_an_endpoint_whose_removal_was_rolled_back_is_still_told(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "stepwell.db")
    ids = TimeOrderedIds(FakeClock())
    workspace = Workspace(ids.new(), "Ours")
    await store.keys.create_workspace(workspace)
    story = Story(store, ids, workspace.id)
    endpoint = await listening(story, "run.completed")

    def remove_and_fail(connection: apsw.Connection, _: Any) -> None:
        assert isinstance(connection, FileConnection)
        connection.execute("DELETE FROM endpoints")
        connection.listeners = {}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.database.write(remove_and_fail, None)
    await story.finish(await story.born())

    assert await types(story, endpoint) == ["run.completed"]
    await store.close()
