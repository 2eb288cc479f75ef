"""The figure of the webhook inbox: a burst of signed deliveries, none lost, none doubled."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from stepwell.cli.bench.load import Answered, Connection, connect, load, request
from stepwell.cli.bench.places import open_bench
from stepwell.cli.bench.process import Target
from stepwell.cli.bench.report import Figure, Report
from stepwell.cli.bench.target import KEY
from stepwell.states import RunState
from stepwell.store import RunFilter
from stepwell.triggers import SCHEMES, Inbound
from stepwell.values import decode

CONNECTIONS = 64
SECRET = "a-secret-of-the-bench"
STEP = {"id": "take", "type": "transform", "config": {"mapping": {"n": "{{input.n}}"}}}


async def measure_webhooks(folder: Path, count: int, report: Report) -> None:
    """Send so many deliveries, each signed, over 64 connections; every one must have one run."""
    target = await Target.start(folder)
    echoed = request("POST", "/bench/echo", KEY, _body(0))
    echo = await load(target.port, lambda _: echoed, count, CONNECTIONS)
    report(Figure(f"echo route, {CONNECTIONS} connections", echo.rate, "requests/s"))
    path = await _listening(target)
    make = signed(path)
    deliveries = [make(number) for number in range(count)]  # signing is the sender's work
    began = time.perf_counter()
    sent, refused = await _burst(target.port, deliveries)
    rate = count / (await target.wait_until_idle() - began)
    share = sent.rate / echo.rate
    report(Figure(f"{count:,} signed webhooks, stored and answered", sent.rate, "/s", "", None, "echo route", share))
    report(Figure("the same, their runs to the end", rate, "runs/s"))
    report(Figure("answer, p50", sent.p50_ms, "ms"))
    report(Figure("answer, p99", sent.p99_ms, "ms", "< 100 ms", sent.p99_ms < 100 and not sent.failed))
    report(Figure("answered 503 and sent again a second later", refused, "times", "0", refused == 0))
    await _burst(target.port, deliveries[: count // 10])  # what came before starts nothing
    await target.wait_until_idle()
    await target.stop()
    runs = await _numbers_of_runs(folder)
    lost, doubled = count - len(set(runs)), len(runs) - len(set(runs))
    report(Figure("deliveries without a run", lost, "lost", "0", lost == 0))
    report(Figure("deliveries with two runs", doubled, "doubled", "0", doubled == 0))


async def _burst(port: int, deliveries: list[bytes]) -> tuple[Answered, int]:
    """Send all of them, each again a second after it was answered 503, as senders do; what the answers came to, and how
    often that was."""
    numbers = iter(range(len(deliveries)))
    latencies: list[float] = []
    failed = refused = 0

    async def send(connection: Connection) -> None:
        nonlocal failed, refused
        for number in numbers:
            status = 503
            while status == 503:
                began = time.perf_counter()
                status, _ = await connection.ask(deliveries[number])
                latencies.append((time.perf_counter() - began) * 1000)
                if status == 503:
                    refused += 1
                    await asyncio.sleep(1)
            failed += status != 200

    open_ones = [await connect(port) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    await asyncio.gather(*map(send, open_ones))
    took = time.perf_counter() - began
    for connection in open_ones:
        connection.close()
    latencies.sort()
    size = len(latencies)
    return Answered(len(deliveries) / took, latencies[size // 2], latencies[size * 99 // 100], failed), refused


def signed(path: str) -> Callable[[int], bytes]:
    """Makes the delivery of a number, as its sender writes it."""

    def make(number: int) -> bytes:
        body = msgspec.json.encode(_body(number))
        inbound = Inbound(method="POST", url="", headers={}, query={}, body=body)
        headers = SCHEMES["hmac-sha256"].sign(inbound, SECRET, 0) | {"x-event-id": f"event-{number}"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n{lines}"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body

    return make


def _body(number: int) -> dict[str, Any]:
    return {"id": f"evt_{number}", "type": "invoice.paid", "n": number, "customer": {"email": "ana@example.com"}}


async def _listening(target: Target) -> str:
    """The path at which an active workflow listens that verifies what it is sent."""
    signature = {"scheme": "hmac-sha256", "secrets": ["{{secrets.HOOK}}"]}
    trigger = {"type": "webhook", "events": ["invoice.*"], "signature": signature}
    made = await target.call("POST", "/workflows", {"name": "hook", "trigger": trigger, "steps": [STEP]})
    await target.call("POST", f"/workflows/{made['id']}/secrets", {"key": "HOOK", "value": SECRET})
    await target.call("POST", f"/workflows/{made['id']}/activate")
    url: str = made["trigger"]["url"]
    return url[url.index("/webhooks/") :]


async def _numbers_of_runs(folder: Path) -> list[int]:
    """The `n` that each completed run was given."""
    numbers: list[int] = []
    async with open_bench(folder) as (core, workspace):
        wanted = RunFilter(workspace=workspace, states=(RunState.COMPLETED,), limit=1000)
        while page := await core.runs.page(wanted):
            for row in page:
                run = await core.store.runs.get(workspace, row.id)
                assert run is not None  # nothing removes runs here
                numbers.append(decode(run.input)["n"])
            wanted = msgspec.structs.replace(wanted, before=page[-1].id)
    return numbers
