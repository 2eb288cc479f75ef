"""The failure matrix: what processes, upstreams and clients can do to a server, each done to a real one."""

import asyncio
import random
import signal
import time
from typing import Any

import pytest

from acceptance.load import Load, api_step, many, transform, until, wait
from acceptance.place import Place
from acceptance.processes import command, free_port
from acceptance.upstream import Upstream

MIB = 1024 * 1024


# -- the process


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
    refused = await until(lambda: api.refused(workflow), "a refused start")
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


async def test_sigterm_lets_functions_end_and_takes_no_more_calls(place: Place) -> None:
    server, api = await place.serve(), place.api
    code = "await new Promise((done) => setTimeout(done, input.event.payload)); return 'done'"
    step = {"id": "graph", "type": "code", "config": {"language": "javascript", "code": code}}
    function = await api.publish("function", step, inline=True)
    calling = await api.begin_call(function, 5500)  # longer than other requests get
    assert (await api.call(function, 0)).status == 200  # the other call had come before

    server.terminate()
    await until(lambda: api.told(function, "The server is stopping"), "a refused call")

    assert await calling() == b'"done"'
    assert await asyncio.to_thread(server.wait) == 0
    assert "Traceback" not in server.log


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
    await until(api.unready, "readyz 503")

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
    assert upstream.keys_of_one("/slow/pay") == {1}
    assert len(upstream.repeats("/slow/pay")) == 5000


# -- the upstream


async def test_a_slow_upstream_is_a_timeout_of_the_step(place: Place, upstream: Upstream) -> None:
    _, api = await place.serve(), place.api
    run = await api.start(await api.publish("slow", api_step("pay", f"{upstream.url}/slow/pay", timeoutMs=200)))

    ended = await api.final(run)

    assert (ended["status"], ended["error"]["code"], ended["error"]["stepId"]) == ("failed", "STEP_ERROR", "pay")
    assert ended["stepResults"][0]["error"]["details"]["kind"] == "timeout"


async def test_a_post_that_timed_out_is_not_repeated(place: Place, upstream: Upstream) -> None:
    _, api = await place.serve(), place.api
    step = api_step("pay", f"{upstream.url}/slow/pay", attempts=3, timeoutMs=200)
    run = await api.start(await api.publish("slow", step))

    assert (await api.final(run))["status"] == "failed"
    assert upstream.repeats("/slow/pay") == {f"{run}:pay": 1}


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
