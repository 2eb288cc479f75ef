"""`stepwell schedule`: when workflows start by themselves, and why one did not."""

import time
from typing import Annotated

import typer

from stepwell.cli.options import DEFAULT_URL, STYLE, ApiKeyOption, JsonOption, UrlOption
from stepwell.cli.output import say, show_json, show_table
from stepwell.client import Client, NextFiring, Schedule, first
from stepwell.clock import iso
from stepwell.triggers import compile_schedule

commands = typer.Typer(help="See when schedules fire, and what came of it.", no_args_is_help=True, **STYLE)

_NEXT = {"at": "UTC", "local": "Local"}
_HISTORY = {
    "scheduledAt": "Scheduled",
    "firedAt": "Fired",
    "status": "Status",
    "runId": "Run",
    "reason": "Why there is no run",
}
_WORKFLOW = "Id, slug or exact name of a workflow."


@commands.command("next")
def next_firings(
    workflow: Annotated[str | None, typer.Argument(metavar="WORKFLOW", help=_WORKFLOW)] = None,
    cron: Annotated[
        str | None, typer.Option("--cron", help="A cron expression to try out; no server is asked.")
    ] = None,
    timezone: Annotated[str, typer.Option("--timezone", help="IANA zone of --cron.")] = "UTC",
    count: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 5,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show when a schedule fires next: that of a workflow, or of a cron expression."""
    if (workflow is None) == (cron is None):
        raise typer.BadParameter("give either a WORKFLOW or --cron")
    if cron is not None:
        found = _of_cron(cron, timezone, count)
    else:
        client = Client(url, api_key)
        found = client.schedules.next(client.workflows.find(str(workflow)).id, count=count)
    if as_json:
        show_json(found)
        return
    show_table(_NEXT, found.next, empty="It does not fire any more.")
    for warning in found.warnings:
        say(warning)


@commands.command()
def history(
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help=_WORKFLOW)],
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what came of each time of a schedule, newest first: a run, or why there is none."""
    client = Client(url, api_key)
    id = client.workflows.find(workflow).id
    found = first(limit, lambda size, cursor: client.schedules.history(id, limit=size, cursor=cursor))
    if as_json:
        show_json(found)
    else:
        show_table(_HISTORY, found, empty="It has not fired yet.")


def _of_cron(cron: str, timezone: str, count: int) -> Schedule:
    now = time.time_ns() // 1_000_000
    found = compile_schedule({"type": "schedule", "cron": cron, "timezone": timezone}, ()).preview(now, now, count)
    shown = [NextFiring(at=iso(due.at_ms), local=due.local) for due in found.next]
    return Schedule(timezone=found.timezone, next=shown, warnings=list(found.warnings))
