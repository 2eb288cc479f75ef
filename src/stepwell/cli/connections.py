"""`stepwell connection`: the credentials that steps use."""

import sys
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

from stepwell import values
from stepwell.cli.options import DEFAULT_URL, STYLE, ApiKeyOption, JsonOption, UrlOption
from stepwell.cli.output import FAILED, err, say, show_json, show_table
from stepwell.client import Client, first

commands = typer.Typer(help="Make, try and remove connections on a server.", no_args_is_help=True, **STYLE)

_COLUMNS = {
    "id": "Id",
    "slug": "Slug",
    "name": "Name",
    "provider": "Provider",
    "status": "Status",
    "isDefault": "Default",
    "lastSyncedAt": "Checked",
}
_Id = Annotated[str, typer.Argument(metavar="CONNECTION", help="The connection's id, or conn_ and its slug.")]


@commands.command("list")
def list_connections(
    provider: Annotated[str | None, typer.Option(help="Only those of this provider.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List connections, newest first, without their credentials."""
    client = Client(url, api_key)
    found = first(limit, lambda size, cursor: client.connections.list(provider=provider, limit=size, cursor=cursor))
    if as_json:
        show_json(found)
    else:
        show_table(_COLUMNS, found, empty="No connections. `stepwell connection add PROVIDER` makes one.")


@commands.command()
def add(
    provider: Annotated[
        str, typer.Argument(metavar="PROVIDER", help="Name of the connector: slack, stripe, smtp, ...")
    ],
    name: Annotated[str | None, typer.Option(help="What people call it.  [default: the provider]")] = None,
    slug: Annotated[str | None, typer.Option(help="What workflows call it.")] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(
            "--credentials", metavar="FILE", help="JSON object of the credentials.  [default: standard input]"
        ),
    ] = None,
    auth: Annotated[
        Path | None,
        typer.Option("--auth", metavar="FILE", help="JSON object that says who asks, such as an OAuth client."),
    ] = None,
    simulator: Annotated[bool, typer.Option("--simulator", help="Let a simulator stand in for the provider.")] = False,
    base_url: Annotated[str | None, typer.Option(help="Address that stands in for the provider's.")] = None,
    default: Annotated[bool, typer.Option("--default", help="Take it where a step names none.")] = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a connection. Credentials are read from a file or standard input, never from the command line, where other
    users of the machine could see them."""
    fields: dict[str, Any] = {"slug": slug, "baseUrl": base_url, "isDefault": default}
    if simulator:
        fields["mode"] = "simulator"
    if auth is not None:
        fields["auth"] = _object(auth, "--auth")
    if credentials is not None or not (simulator or auth):
        fields["credentials"] = _object(credentials, "--credentials")
    made = Client(url, api_key).connections.create(name or provider, provider, **fields)
    if as_json:
        show_json(made)
        return
    say(f"{made.id}  {made.status}")
    if made.status == "pending":
        say(f"Connect the account: stepwell connection authorize {made.id}")


@commands.command()
def test(
    connection: _Id, url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None, as_json: JsonOption = False
) -> None:
    """Try a connection with a call that changes nothing; exit code 1 if it does not work."""
    found = Client(url, api_key).connections.test(connection)
    if as_json:
        show_json(found)
    else:
        say(f"{connection}  {found.status}: {found.message}")
    if not found.ok:
        raise typer.Exit(FAILED)


@commands.command()
def authorize(
    connection: _Id,
    browser: Annotated[bool, typer.Option("--browser", help="Open the page in a browser.")] = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the page at which the owner of an account lets the server use it."""
    begun = Client(url, api_key).connections.authorize(connection)
    if as_json:
        show_json(begun)
    else:
        say(begun.authorize_url)
    if browser:
        webbrowser.open(begun.authorize_url)


@commands.command()
def remove(connection: _Id, url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None) -> None:
    """Remove a connection; triggers that use it are switched off."""
    Client(url, api_key).connections.delete(connection)
    say(f"{connection} is removed.")


def _object(file: Path | None, option: str) -> dict[str, Any]:
    """The JSON object in a file, or on standard input.

    Raises:
        typer.BadParameter: it cannot be read or is no JSON object; what it holds is not repeated.
    """
    if file is None and sys.stdin.isatty():
        err.print("Enter the credentials as a JSON object, then Ctrl-D:", highlight=False)
    try:
        text = sys.stdin.buffer.read() if file is None or str(file) == "-" else file.read_bytes()
        value = values.decode(text)
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint=option) from error
    except values.InvalidJson:
        raise typer.BadParameter("not JSON", param_hint=option) from None
    if not isinstance(value, dict):
        raise typer.BadParameter("expected a JSON object, such as {...}", param_hint=option)
    return value
