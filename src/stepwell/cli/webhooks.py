"""`stepwell webhook`: what arrived at a server, and what came of it."""

from typing import Annotated

import typer

from stepwell.cli.options import DEFAULT_URL, STYLE, ApiKeyOption, JsonOption, UrlOption
from stepwell.cli.output import json_text, say, show_json, show_table
from stepwell.client import Client, InboundDetail, first

commands = typer.Typer(help="See the webhooks that arrived, and run them again.", no_args_is_help=True, **STYLE)

_COLUMNS = {
    "id": "Id",
    "provider": "Provider",
    "eventType": "Event",
    "status": "Status",
    "reason": "Reason",
    "receivedAt": "Received",
}
_RESULTS = {"workflowId": "Workflow", "status": "Result", "runId": "Run", "reason": "Reason", "createdAt": "At"}
_Delivery = Annotated[str, typer.Argument(metavar="EVENT", help="The delivery's id.")]


@commands.command()
def deliveries(
    provider: Annotated[str | None, typer.Option(help="Only of this provider; custom for paths of their own.")] = None,
    status: Annotated[str | None, typer.Option(help="Only processed, duplicate, rejected or ignored ones.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only those of a workflow: id or slug.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List deliveries, newest first."""
    client = Client(url, api_key)
    found = first(
        limit,
        lambda size, cursor: client.deliveries.list(
            provider=provider, status=status, workflow=workflow, limit=size, cursor=cursor
        ),
    )
    if as_json:
        show_json(found)
    else:
        show_table(_COLUMNS, found, empty="No deliveries.")


@commands.command()
def show(
    delivery: _Delivery, url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None, as_json: JsonOption = False
) -> None:
    """Show a delivery: headers, body, and what came of it for each workflow."""
    found = Client(url, api_key).deliveries.get(delivery)
    if as_json:
        show_json(found)
    else:
        _tell(found)


@commands.command()
def replay(
    delivery: _Delivery,
    workflow: Annotated[
        str | None, typer.Option(help="Start this workflow on it, whatever it listens to: id or slug.")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
) -> None:
    """Route a delivery again, past the check for repeated events; or start one workflow on it."""
    client = Client(url, api_key)
    if workflow is None:
        say(f"{delivery}  runs started: {client.deliveries.replay(delivery)}")
        return
    for run in client.deliveries.start(delivery, workflow):
        say(f"{run}  started")


def _tell(found: InboundDetail) -> None:
    because = f": {found.reason}" if found.reason else ""
    say(f"{found.id}  {found.status}{because}")
    say(f"{found.method} {found.path}  {found.received_at}{f'  {found.event_type}' if found.event_type else ''}")
    for name, value in found.headers.items():
        say(f"  {name}: {value}")
    say(json_text(found.body))
    show_table(_RESULTS, found.results, empty="Nothing listened to it.")
