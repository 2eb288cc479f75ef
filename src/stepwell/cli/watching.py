"""A run while it happens: a live table on a terminal, a line an event elsewhere."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET
from rich.console import RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from stepwell.cli.output import json_text, out, say
from stepwell.client import Client, RestartPreview, Run, RunDetail, RunEvent, StepResult

STYLES = {
    "success": "green",
    "completed": "green",
    "error": "red",
    "failed": "red",
    "timeout": "red",
    "cancelled": "yellow",
    "skipped": "dim",
    "suspended": "yellow",
    "waiting": "yellow",
    "running": "cyan",
}
_SHOWN = 120
_SYMBOLS = {"success": "✓", "error": "✗", "skipped": "-", "waiting": "…"}


class Progress:
    """A run as its events told it so far. `expected` names steps to show before they begin."""

    def __init__(self, run: str, expected: Sequence[str] = ()) -> None:
        self._id = run
        self._run: Run | None = None
        self._steps: dict[str, StepResult | None] = dict.fromkeys(expected)

    def take(self, event: RunEvent) -> str | None:
        """Note an event; the line that tells of it, or None if it says nothing new."""
        data = event.data
        if isinstance(data, Run):
            self._run = data
            return f"{data.id}  {data.status}{_took(data.duration_ms)}"
        self._steps[data.place] = data
        if event.kind == "step.started":  # told with what is known of the step now, perhaps its end
            return f"  {data.place}  {data.status}" if data.status in ("running", "waiting") else None
        return f"  {data.place}  {data.status}{_took(data.duration_ms)}  {_result(data)}"

    def __rich__(self) -> RenderableType:
        run = self._run
        status = "pending" if run is None else run.status
        table = Table(box=None, pad_edge=False, show_header=False, expand=True)
        table.add_column(width=1)
        for width in (None, 9, 10):
            table.add_column(width=width, no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)  # takes what the others leave
        for place, step in self._steps.items():
            table.add_row(*_row(place, step))
        took = "" if run is None else _took(run.duration_ms)
        title = Text.from_markup(f"{self._id}  [{STYLES.get(status, 'default')}]{status}[/]{took}")
        whole = Table.grid(expand=True)
        whole.add_row(title)
        whole.add_row(table)
        return whole


def show_preview(found: RestartPreview) -> None:
    """What a restart would reuse and run."""
    for step in found.reused:
        say(f"  {step.place}  reused")
    for step in found.would_run:
        say(f"  {step.place}  would run{'  (has side effects)' if step.side_effects else ''}")


def follow(client: Client, run: str, expected: Sequence[str] = ()) -> RunDetail:
    """Show a run until it is final, then read it."""
    progress = Progress(run, expected)
    if out.is_terminal:
        with Live(progress, console=out, refresh_per_second=12) as live:
            for event in client.runs.stream(run):
                progress.take(event)
                live.refresh()
    else:
        for event in client.runs.stream(run):
            line = progress.take(event)
            if line is not None:
                say(line)
    return client.runs.get(run)


def show_run(run: RunDetail) -> None:
    """Print a run: its steps, then what came of it."""
    status = f"[{STYLES.get(run.status, 'default')}]{run.status}[/]"
    about = f"{run.workflow_id} version {run.workflow_version}, {run.trigger_type}, attempt {run.attempt}"
    if run.cost_cents or run.budget_cents is not None:
        about += f", {run.cost_cents} cents" + (f" of {run.budget_cents}" if run.budget_cents is not None else "")
    out.print(f"{run.id}  {status}{_took(run.duration_ms)}  [dim]{about}[/]", highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Step", "Status", "Took", "Tries", "Cents", "Result"):
        table.add_column(heading, overflow="fold")
    for step in run.step_results:
        reused = " (reused)" if step.reused is True else ""
        status = f"[{STYLES.get(step.status, 'default')}]{step.status}[/]{reused}"
        cents = str(step.cost_cents) if step.cost_cents else ""
        table.add_row(
            escape(step.place), status, _took(step.duration_ms).strip(), str(step.attempt), cents, _result(step, None)
        )
    if run.step_results:
        out.print(table)
    show_outcome(run)


def show_outcome(run: RunDetail) -> None:
    """Print a run's output or its error, if it has one."""
    if run.error is not None:
        say(f"Error: {run.error.message} ({run.error.code})")
    elif run.status == "completed":
        say(f"Output: {json_text(run.output, indent=0)}")


def _row(place: str, step: StepResult | None) -> tuple[RenderableType, ...]:
    if step is None:
        return Text("·", "dim"), Text(place, "dim"), "", "", ""
    style = STYLES.get(step.status, "default")
    sign: RenderableType = Text(_SYMBOLS.get(step.status, "?"), style)
    if step.status == "running":
        sign = Spinner("dots", style=style)
    return sign, Text(place), Text(step.status, style), Text(_took(step.duration_ms).strip()), Text(_result(step))


def _took(duration_ms: int | None) -> str:
    if duration_ms is None:
        return ""
    return f"  {duration_ms} ms" if duration_ms < 10_000 else f"  {duration_ms / 1000:.1f} s"


def _result(step: StepResult, longest: int | None = _SHOWN) -> str:
    """The step's error or output on one line."""
    if step.error is not UNSET and step.error is not None:
        return f"{step.error.message} ({step.error.code})"
    return "" if step.output is None else _short(step.output, longest)


def _short(value: Any, longest: int | None) -> str:
    text = json_text(value, indent=0)
    return text if longest is None or len(text) <= longest else f"{text[: longest - 1]}…"
