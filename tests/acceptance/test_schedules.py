"""Schedules of real processes: one run an instant, whatever dies when."""

import asyncio
import random
from collections import Counter
from typing import Any

from acceptance.load import transform, until
from acceptance.place import Place
from stepwell.clock import parse_iso

DEATHS = 3
EACH_SECOND = {"type": "schedule", "cron": "* * * * * *"}


async def started(place: Place, workflow: str) -> list[Any]:
    """The runs of a workflow."""
    return await place.api.listed(workflowId=workflow)


async def come(place: Place, workflow: str, count: int) -> None:
    """Wait until so many firings started a run."""

    async def enough() -> bool:
        return len(await started(place, workflow)) >= count

    await until(enough, f"{count} runs of the schedule")


async def test_each_second_starts_exactly_one_run_through_deaths_at_random_moments(place: Place) -> None:
    chance = random.Random(7)
    server = await place.serve()
    workflow = await place.api.publish("Tick", transform("tick"), trigger={**EACH_SECOND, "catchUp": "all"})
    await come(place, workflow, 1)

    for _ in range(DEATHS):
        before = len(await started(place, workflow))
        await asyncio.sleep(chance.random())
        server.kill()
        server = await place.serve()
        await come(place, workflow, before + 2)
    await place.api.data("POST", f"/workflows/{workflow}/pause")

    await place.api.all_ended()
    runs = await started(place, workflow)
    details = [await place.api.run(run["id"]) for run in runs]
    instants = Counter(run["input"]["scheduledAt"] for run in details)
    assert set(instants.values()) == {1}
    assert {run["status"] for run in details} == {"completed"}
    seconds = sorted((parse_iso(instant) or 0) // 1000 for instant in instants)
    assert seconds == list(range(seconds[0], seconds[-1] + 1))  # none was left out


async def test_what_passed_while_no_server_ran_is_caught_up_as_the_schedule_says(place: Place) -> None:
    server = await place.serve()
    last, none = [
        await place.api.publish(name, transform("tick"), trigger={**EACH_SECOND, "catchUp": name})
        for name in ("last", "none")
    ]
    await come(place, none, 1)
    server.kill()
    await asyncio.sleep(3)

    await place.serve()
    for workflow in (last, none):
        await come(place, workflow, len(await started(place, workflow)) + 1)

    for workflow in (last, none):
        history = await place.api.data("GET", f"/workflows/{workflow}/schedule/history?limit=100")
        missed = [firing for firing in history if firing["status"] == "skipped"]
        assert [firing["runId"] for firing in missed] == [None]
        assert missed[0]["reason"].startswith("Missed while the server could not fire it: ")
