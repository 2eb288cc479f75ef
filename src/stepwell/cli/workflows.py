"""`stepwell workflow`: definitions on a server."""

from pathlib import Path
from typing import Annotated

import typer
from rich.syntax import Syntax

from stepwell.cli.options import DEFAULT_URL, STYLE, ApiKeyOption, JsonOption, UrlOption, json_object
from stepwell.cli.output import json_text, out, say, show_json, show_table
from stepwell.client import Client, first

commands = typer.Typer(help="Write and read workflows on a server.", no_args_is_help=True, **STYLE)

_COLUMNS = {
    "id": "Id",
    "name": "Name",
    "status": "Status",
    "version": "Version",
    "updatedAt": "Updated",
}
_Reference = Annotated[str, typer.Argument(metavar="WORKFLOW", help="Id, slug or exact name.")]


@commands.command()
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON file of the definition; - reads standard input.")],
    activate: Annotated[bool, typer.Option("--activate", help="Let it take runs at once.")] = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create the workflow, or make the one with its slug or name equal to the file.

    Faults are printed one a line with the field they are in.
    """
    document = json_object(f"@{file}", "FILE")
    client = Client(url, api_key)
    workflow, outcome = client.workflows.apply(document)
    if activate:
        workflow = client.workflows.activate(workflow.id)
    if as_json:
        show_json({"outcome": outcome, "workflow": workflow.document})
        return
    say(f"{workflow.id}  {outcome}: {workflow.name}, version {workflow.version}, {workflow.status}")
    for warning in workflow.warnings:
        say(f"  warning: {warning}")


@commands.command("list")
def list_workflows(
    status: Annotated[str | None, typer.Option(help="draft, active, paused or archived.")] = None,
    search: Annotated[str | None, typer.Option(help="Part of the name.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List workflows, newest first; archived ones only with --status archived."""
    client = Client(url, api_key)
    found = first(
        limit, lambda size, cursor: client.workflows.list(status=status, search=search, limit=size, cursor=cursor)
    )
    if as_json:
        show_json(found)
    else:
        show_table(_COLUMNS, found, empty="No workflows. `stepwell workflow apply FILE` makes one.")


@commands.command()
def show(
    workflow: _Reference, url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None, as_json: JsonOption = False
) -> None:
    """Show a workflow with its definition."""
    found = Client(url, api_key).workflows.find(workflow)
    if as_json:
        show_json(found.document)
        return
    show_table(_COLUMNS, [found], empty="")
    definition = {name: value for name, value in found.document.items() if name not in _TOLD and value is not None}
    out.print()
    out.print(Syntax(json_text(definition), "json", word_wrap=True, background_color="default"))


@commands.command()
def activate(workflow: _Reference, url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None) -> None:
    """Let a workflow take runs."""
    client = Client(url, api_key)
    active = client.workflows.activate(client.workflows.find(workflow).id)
    say(f"{active.id}  {active.status}: {active.name}, version {active.version}")


_TOLD = frozenset({"id", "status", "version", "createdAt", "updatedAt", "warnings", "canvasState"})
