"""The bench's bare loop: it writes what the schema of today wants."""

from pathlib import Path

from stepwell.cli.bench.floors import BareLoop
from stepwell.store.sqlite import SqliteStore


async def test_the_bare_loop_writes_runs_that_the_store_reads(tmp_path: Path) -> None:
    loop = BareLoop(tmp_path)

    assert await loop.runs_per_second(3) > 0

    store = SqliteStore(tmp_path / "bare.db", inline=True)
    found = store.database.read(
        "SELECT state, (SELECT count(*) FROM records WHERE records.run = runs.id) FROM runs", {}
    )
    await store.close()
    assert found == [("completed", 3)] * 3
