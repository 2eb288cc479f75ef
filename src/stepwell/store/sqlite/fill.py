"""Fills a file with ended and open runs for measurements: the rows are those of real runs, without journals."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepwell.clock import SystemClock
from stepwell.ids import TimeOrderedIds
from stepwell.store.sql import load
from stepwell.store.sqlite.codec import key
from stepwell.store.sqlite.database import FILE_NAME, connect

STATES = {"completed": 900, "failed": 60, "cancelled": 20, "timed_out": 10, "running": 6, "pending": 3, "suspended": 1}
TRIGGERS = {"api": 60, "webhook": 25, "schedule": 14, "manual": 1}
OPEN = ("running", "pending", "suspended")


def fill_runs(folder: Path, workspace: str, workflows: list[str], count: int) -> None:
    """Add so many runs to the file of a data directory that no server uses."""
    connection = connect(folder / FILE_NAME)
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(load("fill.sql")["fill_run"], _rows(workspace, workflows, count))
    connection.execute("COMMIT")
    connection.close()


def _rows(workspace: str, workflows: list[str], count: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(1)
    ids = TimeOrderedIds(SystemClock())
    owner = key(workspace)
    places = [key(workflow) for workflow in workflows]
    states = chance.choices(list(STATES), list(STATES.values()), k=count)
    triggers = chance.choices(list(TRIGGERS), list(TRIGGERS.values()), k=count)
    for state, trigger in zip(states, triggers, strict=True):
        yield {
            "workspace": owner,
            "id": key(ids.new()),
            "workflow": chance.choice(places),
            "state": state,
            "trigger": trigger,
            "waits_on": "event" if state in OPEN else None,  # so that no server that opens the file walks them
            "ended_at": None if state in OPEN else 1,
        }
