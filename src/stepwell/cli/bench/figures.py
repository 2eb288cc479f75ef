"""Figures: what Stepwell does on this machine, each beside its floor or goal."""

import asyncio
import time
from pathlib import Path

from stepwell.cli.bench import floors
from stepwell.cli.bench.load import load, request
from stepwell.cli.bench.places import open_bench
from stepwell.cli.bench.process import Target
from stepwell.cli.bench.report import Figure, Report
from stepwell.cli.bench.steps import measure_steps
from stepwell.cli.bench.target import KEY
from stepwell.clock import SystemClock, iso
from stepwell.core import StartRequest
from stepwell.process import tune_interpreter
from stepwell.store.sqlite.fill import fill_runs

CONNECTIONS = 64
THREE_TRANSFORMS = [
    {"id": "one", "type": "transform", "config": {"mapping": {"n": "{{input.n | plus: 1}}"}}},
    {"id": "two", "type": "transform", "config": {"mapping": {"n": "{{steps.one.output.n | times: 2}}"}}},
    {
        "id": "three",
        "type": "transform",
        "config": {"mapping": {"n": "{{steps.two.output.n}}", "who": "{{input.who}}"}},
    },
]
INPUT = {"n": 1, "who": "ana@example.com"}


async def measure(folder: Path, runs: int, listed: int, report: Report) -> None:
    """All floors and figures, told one by one as they are known."""
    fsyncs = floors.fsyncs_per_second(folder)
    report(Figure("fsync of 4 KiB", fsyncs, "/s"))
    commits = floors.commits_per_second(folder)
    report(Figure("SQLite, one row a commit, FULL", commits, "/s"))
    bare = await floors.BareLoop(folder).runs_per_second(runs)
    report(Figure("bare group-commit loop, the same rows", bare, "runs/s"))
    rate = await _engine(folder / "engine", runs)
    share = rate / bare
    report(Figure("engine, 3 transforms, all durable", rate, "runs/s", ">= 25 %", share >= 0.25, "bare loop", share))
    await measure_steps(folder / "steps", 1000 / commits, report)
    await _served(folder / "served", runs, report)
    await _recovery(folder / "recovery", 10_000, report)
    await _lists(folder / "lists", listed, report)


async def _engine(folder: Path, runs: int) -> float:
    """Start so many runs inside one process, 500 at a time, until all are completed."""
    async with open_bench(folder) as (core, workspace):
        tune_interpreter()
        await core.engine.recover()
        document = {"name": "bench", "trigger": {"type": "api"}, "steps": THREE_TRANSFORMS}
        workflow = (await core.workflows.create(workspace, document, "bench")).workflow.id
        await core.workflows.activate(workspace, workflow)
        numbers = iter(range(runs))

        async def client() -> None:
            for _ in numbers:
                await core.runs.start(workspace, StartRequest(workflow=workflow, input=INPUT))

        began = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(floors.IN_FLIGHT)))
        await core.engine.idle()
        return runs / (time.perf_counter() - began)


async def _served(folder: Path, runs: int, report: Report) -> None:
    """Everything that is asked of a server over HTTP."""
    target = await Target.start(folder)
    report(Figure("resident memory, idle", target.resident_mb(), "MB", "< 120 MB", target.resident_mb() < 120))
    await _idle(target, report)
    echoed = request("POST", "/bench/echo", KEY, {"input": INPUT})
    echo = await load(target.port, lambda _: echoed, runs, CONNECTIONS)
    report(Figure(f"echo route, {CONNECTIONS} connections", echo.rate, "requests/s"))
    workflow = await target.publish("three", THREE_TRANSFORMS)
    start = request("POST", f"/api/v1/workflows/{workflow}/run", KEY, {"input": INPUT})
    began = time.perf_counter()
    posted = await load(target.port, lambda _: start, runs, CONNECTIONS)
    rate = runs / (await target.wait_until_idle() - began)
    share = rate / echo.rate
    report(Figure("POST run, durable, to its end", rate, "runs/s", ">= 2,000", rate >= 2000))
    report(Figure("the same beside the echo route", rate, "runs/s", ">= 20 %", share >= 0.2, "echo route", share))
    p99 = posted.p99_ms
    report(Figure("POST run, p50", posted.p50_ms, "ms"))
    report(Figure("POST run, p99", p99, "ms", "< 50 ms", p99 < 50 and not posted.failed))
    await _alone(target, workflow, report)
    left = max(0, 50_000 - runs)
    if left:
        await load(target.port, lambda _: start, left, CONNECTIONS)
        await target.wait_until_idle()
    memory = target.resident_mb()
    report(Figure(f"resident memory, after {max(runs, 50_000):,} runs", memory, "MB", "< 200 MB", memory < 200))
    await target.stop()


async def _idle(target: Target, report: Report) -> None:
    await asyncio.sleep(1)
    before = target.wake_ups()
    await asyncio.sleep(5)
    woken = (target.wake_ups() - before) / 5
    report(Figure("idle, wake-ups of all threads", woken, "/s", "0", woken == 0))


async def _alone(target: Target, workflow: str, report: Report) -> None:
    """One run at a time, in sync mode: the request is answered when the run is completed."""
    sync = request("POST", f"/api/v1/workflows/{workflow}/run", KEY, {"input": INPUT, "mode": "sync"})
    alone = await load(target.port, lambda _: sync, 500, 1)
    report(Figure("one run alone, request to completed, p50", alone.p50_ms, "ms", "< 5 ms", alone.p50_ms < 5))


async def _recovery(folder: Path, runs: int, report: Report) -> None:
    """Runs that are all open when the process is killed, and due when it starts again."""
    target = await Target.start(folder)
    steps = [{"id": "pause", "type": "wait", "config": {"until": "{{input.until}}"}}, *THREE_TRANSFORMS]
    workflow = await target.publish("recovery", steps)
    due = SystemClock().now_ms() + 1000 * (5 + runs // 1000)
    start = request("POST", f"/api/v1/workflows/{workflow}/run", KEY, {"input": {**INPUT, "until": iso(due)}})
    await load(target.port, lambda _: start, runs, CONNECTIONS)
    await target.kill()
    await asyncio.sleep(max(0.0, (due - SystemClock().now_ms()) / 1000))
    began = time.perf_counter()
    target = await Target.start(folder)
    first = await target.wait_until_some("stepwell_runs_finished_total") - began
    took = await target.wait_until_idle() - began
    ended = await target.metric("stepwell_runs_finished_total")
    await target.stop()
    report(Figure(f"{runs:,} open runs, SIGKILL, start: first ends after", first, "s", "< 2 s", first < 2))
    report(Figure("all of them ended after", took, "s"))
    report(Figure("runs that ended", ended, "runs", f"{runs:,}", ended == runs))


async def _lists(folder: Path, count: int, report: Report) -> None:
    """Pages of a list over so many stored runs, by every filter."""
    async with open_bench(folder) as (core, workspace):
        document = {"name": "bench", "trigger": {"type": "api"}, "steps": []}
        workflows = [(await core.workflows.create(workspace, document, "bench")).workflow.id for _ in range(3)]
    fill_runs(folder, workspace, workflows, count)
    target = await Target.start(folder)
    slowest, where = 0.0, ""
    for query in _queries(workflows[0]):
        page = request("GET", f"/api/v1/runs?limit=100{query}", KEY)
        answered = await load(target.port, lambda _, page=page: page, 20, 1)  # type: ignore[misc]
        if answered.failed:
            raise RuntimeError(f"GET /runs?{query} failed")
        if answered.p50_ms > slowest:
            slowest, where = answered.p50_ms, query
    await target.stop()
    name = f"GET /runs, 100 of {count:,}, slowest filter ({where.lstrip('&') or 'none'})"
    report(Figure(name, slowest, "ms", "< 10 ms", slowest < 10))


def _queries(workflow: str) -> list[str]:
    states = ("", "pending", "running", "suspended", "completed", "failed", "cancelled", "timeout")
    return [
        f"{where}{state and f'&status={state}'}{trigger and f'&triggerType={trigger}'}"
        for where in ("", f"&workflowId=wf_{workflow}")
        for state in states
        for trigger in ("", "webhook")
    ]
