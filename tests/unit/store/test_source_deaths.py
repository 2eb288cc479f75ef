"""A death around the commit that saves a version."""

import asyncio
from pathlib import Path

import pytest

from deaths import Dying
from stepwell.clock import FakeClock
from stepwell.ids import TimeOrderedIds
from stepwell.store import SourceVersion, SourceWorkflow
from stepwell.store.sqlite import SqliteStore


@pytest.mark.parametrize(("phase", "kept"), [("before", 0), ("after", 1)])
async def test_a_version_is_saved_with_what_points_at_it_or_not_at_all(tmp_path: Path, phase: str, kept: int) -> None:
    ids = TimeOrderedIds(FakeClock())
    workspace, workflow = ids.new(), ids.new()
    store = SqliteStore(tmp_path / "stepwell.db", inline=True)
    await store.sources.put(SourceWorkflow(workspace=workspace, workflow=workflow, kind="workflow"))
    await store.close()
    death = Dying(1, phase)
    dying = SqliteStore(tmp_path / "stepwell.db", inline=True, boundary=death)
    made = SourceVersion(workspace=workspace, workflow=workflow, id=ids.new(), number=0, body=b"{}")
    saving = asyncio.ensure_future(dying.sources.save_version(made, fresh=False))
    await death.dead.wait()
    saving.cancel()  # the dead tell nobody
    dying.database.close()

    store = SqliteStore(tmp_path / "stepwell.db", inline=True)

    versions = await store.sources.versions(workspace, workflow, before=None, limit=5)
    source = await store.sources.get(workspace, workflow)
    await store.close()
    assert source is not None
    assert len(versions) == kept
    assert source.current_version == (made.id if kept else None)
