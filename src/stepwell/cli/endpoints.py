"""`stepwell endpoint`: addresses that a server tells of runs."""

from typing import Annotated

import typer

from stepwell.cli.options import DEFAULT_URL, STYLE, ApiKeyOption, JsonOption, UrlOption
from stepwell.cli.output import FAILED, say, show_json, show_table
from stepwell.client import Client, NewEndpoint, first

commands = typer.Typer(help="Let addresses be told of runs, and see what they got.", no_args_is_help=True, **STYLE)

_COLUMNS = {
    "id": "Id",
    "url": "Address",
    "events": "Events",
    "enabled": "Enabled",
    "disabledReason": "Disabled because",
    "failingSince": "Failing since",
}
_DELIVERIES = {
    "id": "Id",
    "type": "Event",
    "runId": "Run",
    "status": "Status",
    "attempts": "Tries",
    "responseStatus": "Answer",
    "error": "Error",
    "nextAttemptAt": "Next try",
}
_Endpoint = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's id.")]


@commands.command()
def add(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="http or https URL that takes the messages.")],
    event: Annotated[
        list[str] | None, typer.Option("--event", help="run.completed, run.failed, ...; repeat it. [default: all]")
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let an address be told of runs. Its secret is shown now and never again."""
    made = Client(url, api_key).endpoints.create(address, event or None, description=description)
    _show_secret(made, as_json=as_json)


@commands.command("list")
def list_endpoints(
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List endpoints, newest first."""
    client = Client(url, api_key)
    found = first(limit, lambda size, cursor: client.endpoints.list(limit=size, cursor=cursor))
    if as_json:
        show_json(found)
    else:
        show_table(_COLUMNS, found, empty="No endpoints. `stepwell endpoint add ADDRESS` makes one.")


@commands.command()
def deliveries(
    endpoint: _Endpoint,
    status: Annotated[str | None, typer.Option(help="pending, delivered or failed.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what an endpoint was or is to be sent, newest first."""
    client = Client(url, api_key)
    found = first(
        limit,
        lambda size, cursor: client.endpoints.deliveries(endpoint, status=status, limit=size, cursor=cursor),
    )
    if as_json:
        show_json(found)
    else:
        show_table(_DELIVERIES, found, empty="Nothing was sent.")


@commands.command()
def retry(
    endpoint: _Endpoint,
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="The delivery's id.")],
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
) -> None:
    """Send a delivery again now."""
    found = Client(url, api_key).endpoints.retry(endpoint, delivery)
    say(f"{found.id}  {found.status}")


@commands.command()
def rotate(
    endpoint: _Endpoint, url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None, as_json: JsonOption = False
) -> None:
    """Give an endpoint a new secret; the old one signs too for 24 hours."""
    _show_secret(Client(url, api_key).endpoints.rotate_secret(endpoint), as_json=as_json)


@commands.command()
def test(
    endpoint: _Endpoint, url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None, as_json: JsonOption = False
) -> None:
    """Send a signed test now; exit code 1 unless the receiver takes it."""
    found = Client(url, api_key).endpoints.test(endpoint)
    if as_json:
        show_json(found)
    else:
        say(f"{found.delivery_id}  {found.error or f'HTTP {found.response_status}'}, {found.duration_ms} ms")
    if not found.ok:
        raise typer.Exit(FAILED)


@commands.command()
def enable(endpoint: _Endpoint, url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None) -> None:
    """Send messages to an endpoint again that was disabled."""
    say(f"{Client(url, api_key).endpoints.update(endpoint, enabled=True).id}  enabled")


@commands.command()
def remove(endpoint: _Endpoint, url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None) -> None:
    """Remove an endpoint with its deliveries."""
    Client(url, api_key).endpoints.delete(endpoint)
    say(f"{endpoint}  removed")


def _show_secret(made: NewEndpoint, *, as_json: bool) -> None:
    if as_json:
        show_json(made)
        return
    say(f"{made.id}  {made.url}")
    say(f"  secret: {made.secret}  (shown once)")
    if made.old_secret_until is not None:
        say(f"  the old one signs too until {made.old_secret_until}")
