"""The failure matrix: what the world can do to a server, each done to a real one."""

import asyncio
import os
import random
import resource
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.load import SETTINGS, Api, Load, api_step, many, transform, until, wait
from acceptance.processes import ServerProcess, command, free_port
from acceptance.upstream import Upstream

MIB = 1024 * 1024


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator["Place"]:
    place = Place(tmp_path, free_port())
    async with Api(place.url) as place.api:
        yield place
    for server in place.servers:
        server.__exit__(None, None, None)


class Place:
    """A data directory and an address, where one server follows the other."""

    def __init__(self, data: Path, port: int) -> None:
        self.data = data
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.servers: list[ServerProcess] = []
        self.api: Api

    async def serve(self, **settings: str) -> ServerProcess:
        """A server that is ready."""
        server = ServerProcess(self.data, SETTINGS | settings, self.port)
        self.servers.append(server)
        return await asyncio.to_thread(server.wait_ready)

    @property
    def wal(self) -> Path:
        return self.data / "stepwell.db-wal"


# -- the disk


async def test_a_full_disk_refuses_starts_and_runs_go_on_by_themselves_when_there_is_room(
    place: Place, upstream: Upstream
) -> None:
    server, api = await place.serve(), place.api
    slow = await api.publish("slow", api_step("pay", f"{upstream.url}/slow/pay"), transform("done", x=1))
    rest = await api.publish("rest", wait("rest", 200), api_step("pay", f"{upstream.url}/charge/pay"))
    acknowledged = await many(api.start(each, {"key": n}) for n in range(40) for each in (slow, rest))
    await upstream.until(lambda: len(upstream.at("/slow/pay")) == 40)

    _limit_files(server, place.wal.stat().st_size + 64 * 1024)
    refused = await until(lambda: _refused(api, slow, "x" * 2000), "a refused start")
    upstream.release.set()
    assert refused.busy
    assert refused.body["error"]["code"] == "OVERLOADED"
    await until(lambda: _not(api.ready()), "readyz 503")
    assert (await api.run(acknowledged[0]))["status"] == "running"
    repeated = asyncio.gather(*(api.start(rest, {"key": f"later-{n}"}, key=f"later-{n}") for n in range(20)))

    _limit_files(server, resource.RLIM_INFINITY)
    await until(api.ready, "readyz 200")
    runs = await many(api.final(run) for run in [*acknowledged, *await repeated])
    assert {run["status"] for run in runs} == {"completed"}
    await api.all_ended()
    _each_effect_has_one_key(upstream, "/slow/pay")
    _each_effect_has_one_key(upstream, "/charge/pay")
    assert set(upstream.repeats("/charge/pay").values()) == {1}


async def test_a_disk_so_full_that_the_log_cannot_be_written_either_is_left_behind(place: Place) -> None:
    server, api = await place.serve(STEPWELL_LOG_LEVEL="debug"), place.api
    workflow = await api.publish("rest", wait("rest", 500), transform("done", x=1))
    runs = await many(api.start(workflow) for _ in range(20))

    _limit_files(server, 0)
    await until(lambda: _not(api.ready()), "readyz 503, though nobody starts anything")
    assert {(await api.run(run))["status"] for run in runs} == {"running"}
    _limit_files(server, resource.RLIM_INFINITY)

    await until(api.ready, "readyz 200")
    assert {(await api.final(run))["status"] for run in runs} == {"completed"}


async def test_sigterm_on_a_full_disk_ends_the_server_and_loses_nothing(place: Place, upstream: Upstream) -> None:
    server, api = await place.serve(STEPWELL_ENGINE_SHUTDOWN_GRACE_S="1"), place.api
    workflow = await api.publish("slow", api_step("pay", f"{upstream.url}/slow/pay"))
    run = await api.start(workflow, {"key": 1})
    await upstream.until(lambda: len(upstream.seen) == 1)

    _limit_files(server, 0)
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
    _limit_files(server, place.wal.stat().st_size + MIB)
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


async def test_a_second_server_on_the_directory_is_refused_and_leaves_the_first_unharmed(
    place: Place, upstream: Upstream
) -> None:
    first, api = await place.serve(), place.api
    workflow = await api.publish("slow", api_step("pay", f"{upstream.url}/slow/pay"))
    run = await api.start(workflow)
    await upstream.until(lambda: bool(upstream.seen))

    second = await asyncio.to_thread(command, "serve", "--data", str(place.data), "--port", str(free_port()))

    assert second.returncode == 2
    assert f"in use by another Stepwell process (process {first.pid})" in second.stdout + second.stderr
    assert "Traceback" not in second.stdout + second.stderr
    upstream.release.set()
    assert (await api.final(run))["status"] == "completed"
    assert len(upstream.seen) == 1


async def test_a_file_that_another_program_locks_delays_starts_but_loses_none(place: Place) -> None:
    _, api = await place.serve(), place.api
    workflow = await api.publish("sums", transform("one", x=1))
    other = sqlite3.connect(place.data / "stepwell.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    starting = asyncio.gather(*(api.start(workflow, key=f"key-{n}") for n in range(20)))
    refused = await until(lambda: _refused(api, workflow), "a refused start")
    assert refused.busy
    other.execute("ROLLBACK")
    other.close()

    runs = await many(api.final(run) for run in await starting)
    assert {run["status"] for run in runs} == {"completed"}


# -- the process


async def test_a_run_that_kills_the_process_three_times_is_interrupted_and_the_others_complete(
    place: Place, upstream: Upstream
) -> None:
    server, api = await place.serve(), place.api
    good = await api.publish("good", wait("rest", 100), api_step("pay", f"{upstream.url}/charge/pay"))
    bad = await api.publish("bad", transform("first", x=1), api_step("poison", f"{upstream.url}/slow/poison"))
    others = [await api.start(good, {"key": n}, key=f"good-{n}") for n in range(20)]
    poison = await api.start(bad, {"key": "poison"})

    for death in range(1, 4):
        await upstream.until(lambda death=death: len(upstream.at("/slow/poison")) == death)
        server.kill()
        server = await place.serve()
        others.append(await api.start(good, {"key": 100 + death}, key=f"good-{100 + death}"))

    run = await api.final(poison)
    assert (run["status"], run["error"]["code"], run["error"]["stepId"]) == ("failed", "INTERRUPTED", "poison")
    assert "3 times in a row" in run["error"]["message"]
    assert "at poison" in run["error"]["message"]
    assert {(await api.final(other))["status"] for other in others} == {"completed"}
    assert set(upstream.repeats("/slow/poison").values()) == {3}


async def test_an_innocent_run_beside_the_poison_is_not_interrupted(place: Place, upstream: Upstream) -> None:
    server, api = await place.serve(), place.api
    bad = await api.publish("bad", api_step("poison", f"{upstream.url}/slow/poison"))
    neighbour = await api.publish("slow", api_step("pay", f"{upstream.url}/slow/pay"))
    runs = {each: await api.start(each, {"key": each}) for each in (bad, neighbour)}
    await upstream.until(lambda: len(upstream.seen) == 2)

    server.kill()
    server = await place.serve()
    await upstream.until(lambda: len(upstream.seen) == 4)
    server.kill()
    upstream.release.set()
    server = await place.serve()

    assert {(await api.final(run))["status"] for run in runs.values()} == {"completed"}


async def test_sigterm_under_load_lets_effects_end_and_repeats_none(place: Place, upstream: Upstream) -> None:
    server, api = await place.serve(), place.api
    pay = [api_step("pay", f"{upstream.url}/slow/pay"), api_step("then", f"{upstream.url}/charge/then")]
    workflow = await api.publish("slow", *pay)
    quick = await api.publish("quick", transform("one", x=1), api_step("pay", f"{upstream.url}/charge/pay"))
    runs = await many(api.start(workflow, {"key": n}) for n in range(40))
    load = Load(api, [quick], random.Random(1))
    loading = asyncio.ensure_future(load.run(4))
    await upstream.until(lambda: len(upstream.at("/slow/pay")) == 40 and len(upstream.at("/charge/pay")) > 20)

    server.terminate()
    refused = await until(lambda: _refused(api, workflow), "a refused start")
    assert refused.busy
    assert not await api.ready()
    upstream.release.set()
    assert await asyncio.to_thread(server.wait) == 0

    await place.serve()
    load.stop()
    await loading
    ended = await many(api.final(run) for run in [*runs, *(run for run, _ in load.acknowledged.values())])
    assert {run["status"] for run in ended} == {"completed"}
    for path in ("/slow/pay", "/charge/then", "/charge/pay"):
        assert set(upstream.repeats(path).values()) == {1}
    assert load.doubled == []


async def test_an_effect_that_outlasts_the_grace_is_sent_again_with_its_key(place: Place, upstream: Upstream) -> None:
    server, api = await place.serve(STEPWELL_ENGINE_SHUTDOWN_GRACE_S="0"), place.api
    run = await api.start(await api.publish("slow", api_step("pay", f"{upstream.url}/slow/pay")))
    await upstream.until(lambda: len(upstream.seen) == 1)

    server.terminate()
    assert await asyncio.to_thread(server.wait) == 0
    upstream.release.set()
    await place.serve()

    assert (await api.final(run))["status"] == "completed"
    assert upstream.repeats("/slow/pay") == {f"{run}:pay": 2}


async def test_a_second_sigterm_ends_at_once(place: Place, upstream: Upstream) -> None:
    server, api = await place.serve(), place.api
    run = await api.start(await api.publish("slow", api_step("pay", f"{upstream.url}/slow/pay")))
    await upstream.until(lambda: len(upstream.seen) == 1)
    server.terminate()
    await until(lambda: _not(api.ready()), "readyz 503")

    began = time.monotonic()
    server.terminate()
    code = await asyncio.to_thread(server.wait)

    assert (code, time.monotonic() - began < 5) == (1, True)
    upstream.release.set()
    await place.serve()
    assert (await api.final(run))["status"] == "completed"
    assert upstream.repeats("/slow/pay") == {f"{run}:pay": 2}


async def test_5000_open_runs_all_end_after_a_death(place: Place, upstream: Upstream) -> None:
    server, api = await place.serve(), place.api
    workflow = await api.publish("slow", api_step("pay", f"{upstream.url}/slow/pay"), transform("done", x=1))
    items = [{"input": {"key": n}, "idempotencyKey": f"key-{n}"} for n in range(5000)]
    for at in range(0, 5000, 500):
        batch = await api.data("POST", f"/workflows/{workflow}/run/batch", {"items": items[at : at + 500]})
        assert batch["accepted"] == 500
    await upstream.until(lambda: len(upstream.seen) >= 50)

    server.kill()
    upstream.release.set()
    await place.serve()

    await api.all_ended(60)
    ended = await api.listed()
    assert len(ended) == len({run["id"] for run in ended}) == 5000
    assert {run["status"] for run in ended} == {"completed"}
    _each_effect_has_one_key(upstream, "/slow/pay")
    assert len(upstream.repeats("/slow/pay")) == 5000


# -- the upstream


async def test_a_slow_upstream_is_a_timeout_of_the_step(place: Place, upstream: Upstream) -> None:
    _, api = await place.serve(), place.api
    run = await api.start(await api.publish("slow", api_step("pay", f"{upstream.url}/slow/pay", timeoutMs=200)))

    ended = await api.final(run)

    assert (ended["status"], ended["error"]["code"], ended["error"]["stepId"]) == ("failed", "STEP_ERROR", "pay")
    assert ended["stepResults"][0]["error"]["details"]["kind"] == "timeout"


async def test_a_dead_upstream_is_asked_again_until_it_is_back(place: Place) -> None:
    _, api = await place.serve(), place.api
    port = free_port()
    step = api_step("pay", f"http://127.0.0.1:{port}/charge/pay", attempts=20)
    run = await api.start(await api.publish("dead", step))

    async def tried() -> Any:
        entries = (await api.data("GET", f"/runs/{run}/logs"))["logs"]
        return [each for entry in entries for each in entry.get("attempts", [])][1:]

    attempts = await until(tried, "a second attempt")
    async with Upstream(port) as upstream:
        ended = await api.final(run)

    assert attempts[0]["error"]["details"] == {"kind": "network", "retryable": True}
    assert ended["status"] == "completed"
    assert upstream.repeats("/charge/pay") == {f"{run}:pay": 1}


async def test_the_attempts_on_a_dead_upstream_are_bounded(place: Place) -> None:
    _, api = await place.serve(), place.api
    run = await api.start(await api.publish("dead", api_step("pay", f"http://127.0.0.1:{free_port()}/", attempts=3)))

    ended = await api.final(run)

    assert (ended["status"], ended["stepResults"][0]["attempt"]) == ("failed", 3)
    assert ended["stepResults"][0]["error"]["details"]["kind"] == "network"


async def test_a_post_whose_answer_was_lost_is_not_repeated(place: Place, upstream: Upstream) -> None:
    _, api = await place.serve(), place.api
    run = await api.start(await api.publish("lost", api_step("pay", f"{upstream.url}/lost/pay", attempts=3)))

    ended = await api.final(run)

    assert (ended["status"], ended["error"]["code"]) == ("failed", "STEP_ERROR")
    assert ended["stepResults"][0]["error"]["details"]["kind"] == "network"
    assert upstream.repeats("/lost/pay") == {f"{run}:pay": 1}


async def test_a_repeatable_post_whose_answer_was_lost_is_repeated_with_its_key(
    place: Place, upstream: Upstream
) -> None:
    _, api = await place.serve(), place.api
    step = api_step("pay", f"{upstream.url}/lost/pay", attempts=3, careful=False)
    run = await api.start(await api.publish("lost", step))

    assert (await api.final(run))["stepResults"][0]["attempt"] == 3
    assert upstream.repeats("/lost/pay") == {f"{run}:pay": 3}


async def test_a_failing_upstream_fails_the_run_with_its_words(place: Place, upstream: Upstream) -> None:
    _, api = await place.serve(), place.api
    run = await api.start(await api.publish("error", api_step("pay", f"{upstream.url}/error/pay")))

    error = (await api.final(run))["error"]

    assert (error["code"], error["message"]) == ("STEP_ERROR", "The bank is closed")


async def test_the_second_of_two_answers_never_answers_another_request(place: Place, upstream: Upstream) -> None:
    _, api = await place.serve(), place.api
    workflow = await api.publish("twice", api_step("pay", f"{upstream.url}/twice/pay"))
    first = await api.start(workflow)
    assert (await api.final(first))["output"]["data"]["key"] == f"{first}:pay"

    upstream.answer_again()
    second = await api.start(workflow)

    assert (await api.final(second))["output"]["data"]["key"] == f"{second}:pay"


# -- the clients


async def test_fifty_racing_clients_with_one_key_start_one_run(place: Place, upstream: Upstream) -> None:
    _, api = await place.serve(), place.api
    workflow = await api.publish("pay", api_step("pay", f"{upstream.url}/charge/pay"))

    runs = await asyncio.gather(*(api.start(workflow, {"key": "one"}, key="one") for _ in range(50)))

    assert len(set(runs)) == 1
    assert (await api.final(runs[0]))["status"] == "completed"
    assert [run["id"] for run in await api.listed()] == [runs[0]]
    assert upstream.repeats("/charge/pay") == {f"{runs[0]}:pay": 1}


async def test_a_client_that_gives_up_and_repeats_starts_one_run(place: Place) -> None:
    server, api = await place.serve(), place.api
    workflow = await api.publish("sums", transform("one", x=1))
    server.process.send_signal(signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        await api.ask("POST", f"/workflows/{workflow}/run", {"input": {}}, key="mine", timeout_s=0.2)
    server.process.send_signal(signal.SIGCONT)

    run = await api.start(workflow, key="mine")

    assert (await api.final(run))["status"] == "completed"
    assert [each["id"] for each in await api.listed()] == [run]


async def test_inputs_of_a_mebibyte_survive_a_death_whole(place: Place, upstream: Upstream) -> None:
    server, api = await place.serve(), place.api
    pay = api_step("pay", f"{upstream.url}/charge/pay")
    workflow = await api.publish("large", transform("copy", text="{{input.text}}"), wait("rest", 500), pay)
    text = "0123456789abcde\n" * ((MIB - 1000) // 17)
    runs = [await api.start(workflow, {"text": text, "key": n}) for n in range(10)]
    server.kill()
    await place.serve()

    for run in runs:
        ended = await api.final(run)
        assert ended["status"] == "completed"
        assert ended["input"]["text"] == ended["stepResults"][0]["output"]["text"] == text


async def test_a_body_over_a_mebibyte_is_refused_and_starts_nothing(place: Place) -> None:
    _, api = await place.serve(), place.api
    workflow = await api.publish("large", transform("copy", text="{{input.text}}"))

    answer = await api.ask("POST", f"/workflows/{workflow}/run", {"input": {"text": "x" * MIB}})

    assert (answer.status, answer.body["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert await api.listed() == []


def _limit_files(server: ServerProcess, size: int) -> None:
    """Let no file of the process grow beyond a size, as on a full disk; or let them grow again."""
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


async def _refused(api: Api, workflow: str, text: str = "") -> Any:
    """The answer to a start, if it is not taken."""
    answer = await api.ask("POST", f"/workflows/{workflow}/run", {"input": {"key": text}})
    return None if answer.status == 202 else answer


async def _not(asked: Any) -> bool:
    return not await asked


def _each_effect_has_one_key(upstream: Upstream, path: str) -> None:
    keys: dict[Any, set[str | None]] = {}
    for each in upstream.at(path):
        keys.setdefault(each.body["of"], set()).add(each.key)
    assert {len(each) for each in keys.values()} == {1}
