"""The figures of functions: a pure one called alone and over many connections, beside the echo route."""

from pathlib import Path

from stepwell.cli.bench.load import load, request
from stepwell.cli.bench.process import Target
from stepwell.cli.bench.report import Figure, Report
from stepwell.cli.bench.target import KEY

CONNECTIONS = 64
CODE = "const {qty, price} = input.event.payload; return {Total: qty * price};"


async def measure_functions(folder: Path, count: int, report: Report) -> None:
    """Call a pure function so many times."""
    target = await Target.start(folder)
    body = {"qty": 3, "price": 500}
    echoed = request("POST", "/bench/echo", KEY, body)
    echo = await load(target.port, lambda _: echoed, count, CONNECTIONS)
    report(Figure(f"echo route, {CONNECTIONS} connections", echo.rate, "requests/s"))
    steps = [{"id": "graph", "type": "code", "config": {"language": "javascript", "code": CODE}}]
    document = {"name": "function", "trigger": {"type": "api"}, "inline": True, "steps": steps}
    workflow = (await target.call("POST", "/workflows", document))["id"]
    await target.call("POST", f"/workflows/{workflow}/activate")
    called = request("POST", f"/fn/{workflow}", "", body)
    await load(target.port, lambda _: called, 20, 1)  # the sandbox starts with the first
    alone = await load(target.port, lambda _: called, 200, 1)
    report(Figure("function alone, p50", alone.p50_ms, "ms", "< 5 ms", alone.p50_ms < 5 and not alone.failed))
    # so many connections as calls of one function are taken at once
    many = await load(target.port, lambda _: called, count, CONNECTIONS)
    met = many.rate > 1000 and not many.failed
    share = many.rate / echo.rate
    report(Figure(f"function, {CONNECTIONS} connections", many.rate, "requests/s", "> 1,000", met, "echo route", share))
    report(Figure("the same, p99", many.p99_ms, "ms"))
    await target.stop()
