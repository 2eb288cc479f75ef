"""Figures of containers, code, events and waits, each run alone in the bench's own process."""

import asyncio
import gc
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from stepwell.cli.bench.places import open_bench
from stepwell.cli.bench.report import Figure, Report
from stepwell.core import Core, StartRequest
from stepwell.expressions import compile_template
from stepwell.states import RunState

TURNS = 10_000
SUSPENDED = 100_000
_LONG_S = 600.0


async def measure_steps(folder: Path, commit_ms: float, report: Report) -> None:
    """All of them, told one by one; `commit_ms` is what one commit takes on this machine."""
    async with _serving(folder) as bench:
        await _loops(bench, report)
        await _parallel(bench, report)
        await _code(bench, report)
        await _events(bench, commit_ms, report)
        await _waits(bench, report)
    await _suspended(folder.parent / "suspended", report)


class _Bench:
    """A core, and what is asked of it."""

    def __init__(self, core: Core, workspace: str) -> None:
        self.core = core
        self.workspace = workspace

    async def publish(self, *steps: Any) -> str:
        document = {"name": "bench", "trigger": {"type": "api"}, "steps": list(steps)}
        workflow = (await self.core.workflows.create(self.workspace, document, "bench")).workflow.id
        await self.core.workflows.activate(self.workspace, workflow)
        return workflow

    async def start(self, workflow: str) -> str:
        return (await self.core.runs.start(self.workspace, StartRequest(workflow=workflow))).run

    async def seconds(self, workflow: str) -> tuple[float, str]:
        """How long a run takes from its start to its end, and its id."""
        began = time.perf_counter()
        run = await self.start(workflow)
        view = await self.core.runs.finished(self.workspace, run, _LONG_S)
        took = time.perf_counter() - began
        if view is None or view.run.state is not RunState.COMPLETED:
            raise RuntimeError(f"A run of the bench did not complete: {None if view is None else view.error}")
        return took, run


@asynccontextmanager
async def _serving(folder: Path, *, max_open_runs: int | None = None) -> AsyncIterator[_Bench]:
    """A core whose runs are claimed and whose timers fire."""
    async with open_bench(folder, max_open_runs=max_open_runs) as (core, workspace):
        engine, stop = core.engine, asyncio.Event()
        await engine.recover()
        services = [asyncio.ensure_future(engine.run(stop)), asyncio.ensure_future(engine.timers.run(stop))]
        try:
            yield _Bench(core, workspace)
        finally:
            stop.set()
            engine.offer()
            engine.timers.wake()
            await asyncio.gather(*services)
            await engine.drain(5.0)


def _loop(turns: int, *steps: Any) -> Any:
    config = {"loopType": "for", "iterations": turns, "maxIterations": turns, "steps": list(steps)}
    return {"id": "each", "type": "loop", "config": config}


def _transform(id: str, value: str) -> Any:
    return {"id": id, "type": "transform", "config": {"mapping": {"n": value}}}


_TWO = (_transform("a", "{{index}}"), _transform("b", "{{steps.a.output.n | plus: 1}}"))


async def _loops(bench: _Bench, report: Report) -> None:
    small = await bench.publish(_loop(100, *_TWO))
    took = min([(await bench.seconds(small))[0] for _ in range(5)])
    floor = _rendering(100)
    report(Figure("200 templates, rendered without an engine", floor, "ms"))
    name = "loop, 100 turns x 2 steps, alone"
    report(Figure(name, took * 1000, "ms", "< 100 ms", took < 0.1, "rendering alone", took * 1000 / floor))
    large = await bench.publish(_loop(TURNS, *_TWO))
    took, _ = await bench.seconds(large)
    floor = _rendering(TURNS) / 1000
    name = f"loop, {TURNS:,} turns x 2 steps"
    report(Figure(name, took, "s", "< 5 s", took < 5, "rendering alone", took / floor))
    _, run = await bench.seconds(await bench.publish(_loop(TURNS // 2, *_TWO)))
    times = []
    for _ in range(5):
        began = time.perf_counter()
        await bench.core.runs.preview_restart(bench.workspace, run, f"each[{TURNS // 4}].b")
        times.append((time.perf_counter() - began) * 1000)
    took = median(times)
    name = f"preview of a restart, {TURNS + 1:,} records"
    report(Figure(name, took, "ms", "< 200 ms", took < 200))


def _rendering(turns: int) -> float:
    """How long, in ms, the templates of so many turns take by themselves."""
    first, second = compile_template({"n": "{{index}}"}), compile_template({"n": "{{value | plus: 1}}"})
    began = time.perf_counter()
    for turn in range(turns):
        first.render({"index": turn})
        second.render({"value": turn})
    return (time.perf_counter() - began) * 1000


async def _parallel(bench: _Bench, report: Report) -> None:
    config = {"forEachSource": list(range(1000)), "steps": [_transform("a", "{{item}}")]}
    workflow = await bench.publish({"id": "fan", "type": "parallel", "config": config})
    took = min([(await bench.seconds(workflow))[0] for _ in range(3)])
    floor = _rendering(500) / 1000
    report(Figure("parallel, 1,000 arms of a pure step", took, "s", "< 0.5 s", took < 0.5, "rendering", took / floor))


async def _code(bench: _Bench, report: Report) -> None:
    """The same code many times in a loop, less the same loop without it."""
    turns = 200
    echo = await _echo_ms(turns)
    report(Figure("echo of a child process", echo, "ms"))
    bare, _ = await bench.seconds(await bench.publish(_loop(turns, _transform("a", "{{index}}"))))
    for language, code, most_ms in (
        ("javascript", "return { n: input.n + 1 };", 2.0),
        ("python", "return {'n': input['n'] + 1}", 1.0),
    ):
        config = {"language": language, "code": code, "input": {"n": "{{index}}"}}
        step = {"id": "code", "type": "code", "config": config}
        await bench.seconds(await bench.publish(_loop(5, step)))  # warms the sandbox
        workflow = await bench.publish(_loop(turns, _transform("a", "{{index}}"), step))
        took = min([(await bench.seconds(workflow))[0] for _ in range(3)])
        each = max(0.0, took - bare) / turns * 1000
        goal = f"< {most_ms:.0f} ms"
        report(Figure(f"code step, warm, {language}", each, "ms", goal, each < most_ms, "echo", each / echo))


async def _echo_ms(times: int) -> float:
    """How long a line takes to a child process and back."""
    program = "import sys\nfor line in sys.stdin: sys.stdout.write(line); sys.stdout.flush()"
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=pipe, stdout=pipe)
    assert child.stdin is not None
    assert child.stdout is not None
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        child.stdin.write(b"{}\n")
        await child.stdout.readline()
        taken.append((time.perf_counter() - began) * 1000)
    child.stdin.close()
    await child.wait()
    return median(taken)


async def _events(bench: _Bench, commit_ms: float, report: Report) -> None:
    """From the event's call to the run's end, one run at a time."""
    wait = {"id": "paid", "type": "wait_for_event", "config": {"eventType": "paid"}}
    workflow = await bench.publish(wait, _transform("a", "{{steps.paid.output.payload.n}}"))
    times = []
    for _ in range(200):
        run = await bench.start(workflow)
        await _until_suspended(bench, run)
        began = time.perf_counter()
        await bench.core.signals.send(bench.workspace, run, "paid", {"n": 1})
        await bench.core.runs.finished(bench.workspace, run, _LONG_S)
        times.append((time.perf_counter() - began) * 1000)
    p50 = median(times)
    name = "event to the run's end, p50"
    report(Figure(name, p50, "ms", "< 5 ms", p50 < 5, "two commits", p50 / (2 * commit_ms)))


async def _until_suspended(bench: _Bench, run: str) -> None:
    with bench.core.engine.watchers.watch(run) as changed:
        while (await bench.core.store.runs.state(bench.workspace, run) or (None,))[0] is not RunState.SUSPENDED:
            await changed.wait()
            changed.clear()


async def _waits(bench: _Bench, report: Report) -> None:
    """A loop each of whose turns waits for a timer."""
    wait = {"id": "pause", "type": "wait", "config": {"duration": 1}}
    workflow = await bench.publish(_loop(TURNS, wait))
    began = _cpu_s()
    await bench.seconds(workflow)
    spent = _cpu_s() - began
    report(Figure(f"loop, {TURNS:,} turns with a wait each, CPU", spent, "s", "< 60 s", spent < 60))


async def _suspended(folder: Path, report: Report) -> None:
    """Many runs that all wait for an event, in a process that also measures."""
    async with _serving(folder, max_open_runs=2 * SUSPENDED) as bench:
        wait = {"id": "paid", "type": "wait_for_event", "config": {"eventType": "paid"}}
        workflow = await bench.publish(wait)
        numbers = iter(range(SUSPENDED))

        async def client() -> None:
            for _ in numbers:
                await bench.start(workflow)

        await asyncio.gather(*(client() for _ in range(64)))
        await bench.core.engine.idle()
        gc.collect()
        memory = _resident_mb()
        name = f"resident memory with {bench.core.engine.open_runs:,} suspended runs"
        report(Figure(name, memory, "MB", "< 300 MB", memory < 300))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6
