"""What the disk can do to a server: be full, lose what was not synced, be locked by another program."""

import asyncio
import itertools
import os
import random
import resource
import sqlite3

import pytest

from acceptance.load import api_step, many, transform, until, wait
from acceptance.place import Place
from acceptance.processes import ServerProcess
from acceptance.upstream import Upstream

MIB = 1024 * 1024


async def test_a_full_disk_refuses_starts_and_runs_go_on_by_themselves_when_there_is_room(
    place: Place, upstream: Upstream
) -> None:
    server, api = await place.serve(), place.api
    slow = await api.publish("slow", api_step("pay", f"{upstream.url}/slow/pay"), transform("done", x=1))
    rest = await api.publish("rest", wait("rest", 200), api_step("pay", f"{upstream.url}/charge/pay"))
    acknowledged = await many(api.start(each, {"key": n}) for n in range(40) for each in (slow, rest))
    await upstream.until(lambda: len(upstream.at("/slow/pay")) == 40)

    limit_files(server, place.wal.stat().st_size + 64 * 1024)
    numbers = itertools.count()
    refused = await until(lambda: api.refused(slow, {"key": f"last-{next(numbers)}"}), "a refused start")
    upstream.release.set()
    assert refused.busy
    assert refused.body["error"]["code"] == "OVERLOADED"
    await until(api.unready, "readyz 503")
    assert {(await api.run(run))["id"] for run in acknowledged} == set(acknowledged)
    repeated = asyncio.gather(*(api.start(rest, {"key": f"later-{n}"}, key=f"later-{n}") for n in range(20)))

    limit_files(server, resource.RLIM_INFINITY)
    await until(api.ready, "readyz 200")
    runs = await many(api.final(run) for run in [*acknowledged, *await repeated])
    assert {run["status"] for run in runs} == {"completed"}
    await api.all_ended()
    assert upstream.keys_of_one("/slow/pay") == {1}
    assert upstream.keys_of_one("/charge/pay") == {1}
    assert set(upstream.repeats("/slow/pay").values()) == {1}
    assert set(upstream.repeats("/charge/pay").values()) == {1}


async def test_a_disk_so_full_that_the_log_cannot_be_written_either_is_left_behind(place: Place) -> None:
    server, api = await place.serve(STEPWELL_LOG_LEVEL="debug"), place.api
    workflow = await api.publish("rest", wait("rest", 500), transform("done", x=1))
    runs = await many(api.start(workflow) for _ in range(20))

    limit_files(server, 0)
    await until(api.unready, "readyz 503, though nobody starts anything")
    assert {(await api.run(run))["status"] for run in runs} <= {"pending", "running"}
    limit_files(server, resource.RLIM_INFINITY)

    await until(api.ready, "readyz 200")
    assert {(await api.final(run))["status"] for run in runs} == {"completed"}


async def test_sigterm_on_a_full_disk_ends_the_server_and_loses_nothing(place: Place, upstream: Upstream) -> None:
    server, api = await place.serve(STEPWELL_ENGINE_SHUTDOWN_GRACE_S="1"), place.api
    workflow = await api.publish("slow", api_step("pay", f"{upstream.url}/slow/pay"))
    run = await api.start(workflow, {"key": 1})
    await upstream.until(lambda: len(upstream.seen) == 1)

    limit_files(server, 0)
    server.terminate()
    assert await asyncio.to_thread(server.wait) == 0
    assert "Traceback" not in server.log
    upstream.release.set()
    await place.serve()

    assert (await api.final(run))["status"] == "completed"
    assert set(upstream.repeats("/slow/pay")) == {f"{run}:pay"}


async def test_a_server_killed_on_a_full_disk_loses_no_acknowledged_start(place: Place, upstream: Upstream) -> None:
    server, api = await place.serve(), place.api
    workflow = await api.publish("pay", api_step("pay", f"{upstream.url}/charge/pay"))
    limit_files(server, place.wal.stat().st_size + MIB)
    acknowledged = []
    while (answer := await api.ask("POST", f"/workflows/{workflow}/run", {"input": {"key": "k"}})).status == 202:
        acknowledged.append(answer.body["data"]["runId"])
    assert answer.busy

    server.kill()
    await place.serve()

    runs = await many(api.final(run) for run in acknowledged)
    assert len(runs) > 10
    assert {run["status"] for run in runs} == {"completed"}


@pytest.mark.parametrize("cut", ["between frames", "inside a frame"])
async def test_a_wal_that_lost_its_tail_keeps_all_that_was_before_it(place: Place, cut: str) -> None:
    server, api = await place.serve(), place.api
    workflow = await api.publish("sums", transform("one", key="{{input.key}}"), transform("two", x=1))
    before = {f"before-{n}": await api.start(workflow, {"key": n}, key=f"before-{n}") for n in range(30)}
    await api.all_ended()
    synced = place.wal.stat().st_size
    after = await many(api.start(workflow, {"key": n}, key=f"after-{n}") for n in range(30))
    await api.all_ended()
    server.kill()
    assert place.wal.stat().st_size > synced

    frame = 24 + 4096
    frames = random.Random(7).randrange((synced - 32) // frame, (place.wal.stat().st_size - 32) // frame)
    os.truncate(place.wal, 32 + frames * frame + (0 if cut == "between frames" else frame // 2))
    await place.serve()

    kept = {run["id"] for run in await api.listed()}
    assert set(before.values()) <= kept
    await api.all_ended()
    again = [await api.start(workflow, {"key": n}, key=f"after-{n}") for n in range(30)]
    assert {run for run in again if run in kept} == kept & set(after)
    assert [await api.start(workflow, {"key": n}, key=key) for n, key in enumerate(before)] == list(before.values())
    await api.all_ended()
    runs = await many(api.run(run["id"]) for run in await api.listed())
    assert len(runs) == 60
    assert {len(run["stepResults"]) for run in runs if run["status"] == "completed"} == {2}


async def test_a_torn_last_frame_is_ignored_and_everything_acknowledged_is_there(place: Place) -> None:
    server, api = await place.serve(), place.api
    workflow = await api.publish("sums", transform("one", key="{{input.key}}"))
    acknowledged = await many(api.start(workflow, {"key": n}) for n in range(50))
    server.kill()

    written = place.wal.read_bytes()
    with place.wal.open("ab") as wal:
        wal.write(written[-4120:-2000])  # the beginning of a frame that the power did not let end
    await place.serve()

    runs = await many(api.final(run) for run in acknowledged)
    assert {run["status"] for run in runs} == {"completed"}


async def test_a_file_that_another_program_locks_delays_starts_but_loses_none(place: Place) -> None:
    _, api = await place.serve(), place.api
    workflow = await api.publish("sums", transform("one", x=1))
    other = sqlite3.connect(place.data / "stepwell.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    starting = asyncio.gather(*(api.start(workflow, key=f"key-{n}") for n in range(20)))
    refused = await until(lambda: api.refused(workflow), "a refused start")
    assert refused.busy
    other.execute("ROLLBACK")
    other.close()

    runs = await many(api.final(run) for run in await starting)
    assert {run["status"] for run in runs} == {"completed"}


def limit_files(server: ServerProcess, size: int) -> None:
    """Let no file of the process grow beyond a size, as on a full disk; or let them grow again."""
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
