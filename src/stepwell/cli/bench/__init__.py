"""`stepwell bench`: the floors of this machine and, beside each, what Stepwell does, in one run."""

import asyncio
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from stepwell.cli.bench.figures import measure
from stepwell.cli.bench.functions import measure_functions
from stepwell.cli.bench.report import Figure
from stepwell.cli.bench.webhooks import measure_webhooks
from stepwell.cli.output import out, show_json

err = Console(stderr=True)


class Part(StrEnum):
    """What can be measured alone."""

    WEBHOOKS = "webhooks"
    FUNCTIONS = "functions"


def bench(
    part: Annotated[Part | None, typer.Argument(help="Measure this alone.", show_default="everything")] = None,
    runs: Annotated[int, typer.Option(help="How many runs each throughput figure starts.", min=1000)] = 20_000,
    deliveries: Annotated[int, typer.Option(help="How many webhooks the burst has.", min=100)] = 10_000,
    calls: Annotated[int, typer.Option(help="How often a function is called.", min=100)] = 5_000,
    listed: Annotated[int, typer.Option(help="How many stored runs the lists are measured on.", min=1000)] = 1_000_000,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure this machine's floors and Stepwell beside them. Takes minutes; uses loopback and a temporary folder."""
    figures: list[Figure] = []

    def report(figure: Figure) -> None:
        figures.append(figure)
        err.print(f"[dim]{figure.name}:[/] {figure.value:,.1f} {figure.unit}", highlight=False)

    with tempfile.TemporaryDirectory(prefix="stepwell-bench-") as folder:
        for name in ("engine", "steps", "suspended", "served", "recovery", "lists", "webhooks", "functions"):
            (Path(folder) / name).mkdir()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if part is None:
                runner.run(measure(Path(folder), runs, listed, report))
            if part in (None, Part.WEBHOOKS):
                runner.run(measure_webhooks(Path(folder) / "webhooks", deliveries, report))
            if part in (None, Part.FUNCTIONS):
                runner.run(measure_functions(Path(folder) / "functions", calls, report))
    if json:
        show_json([figure._asdict() for figure in figures])
    else:
        out.print(_table(figures))


def _table(figures: list[Figure]) -> Table:
    table = Table("figure", "value", "of its floor", "goal", "met")
    for column in (1, 2):
        table.columns[column].justify = "right"
    for figure in figures:
        share = "" if figure.ratio is None else f"{figure.ratio:.0%} of {figure.floor}"
        met = "" if figure.met is None else "yes" if figure.met else "no"
        table.add_row(figure.name, f"{figure.value:,.1f} {figure.unit}", share, figure.goal, met)
    return table
