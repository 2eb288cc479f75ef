"""`stepwell key`: API keys, made in the data directory itself or, while a server holds it, over HTTP."""

from typing import Annotated, Any

import typer

from stepwell import ids
from stepwell.auth import DIALECTS
from stepwell.cli.options import STYLE, ApiKeyOption, ConfigOption, DataOption, JsonOption
from stepwell.cli.output import out, say, show_json, show_table
from stepwell.cli.place import Place, ServerUrlOption
from stepwell.client import Client, Key, NewKey
from stepwell.clock import iso, parse_iso
from stepwell.core import Core
from stepwell.errors import Fault, ValidationFailed
from stepwell.store import Key as StoredKey

commands = typer.Typer(
    help="Make, list and revoke API keys. Without a server these work on the data directory; while one runs on it, "
    "they call it with --url and the --api-key of an admin.",
    no_args_is_help=True,
    **STYLE,
)

_COLUMNS = {
    "id": "Id",
    "prefix": "Begins with",
    "name": "Name",
    "scopes": "Scopes",
    "createdAt": "Created",
    "expiresAt": "Expires",
    "lastUsedAt": "Last used",
    "revokedAt": "Revoked",
}


@commands.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")] = "admin",
    scope: Annotated[list[str], typer.Option(help="What it may do; may be given several times.")] = ["admin"],  # noqa: B006
    expires_at: Annotated[str | None, typer.Option(help="ISO 8601 time at which it ends.")] = None,
    dialect: Annotated[str, typer.Option(help=f"Whose prefix and scopes it has: {', '.join(DIALECTS)}.")] = "loopfour",
    data: DataOption = None,
    config: ConfigOption = None,
    url: ServerUrlOption = None,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, this once. The first key of a new server is made here."""
    made = Place(data, config, url, api_key).do(
        lambda client: client.keys.create(name, scope, expires_at=expires_at, dialect=dialect),
        lambda core, workspace: _create(core, workspace, name, scope, expires_at, dialect),
    )
    if as_json:
        show_json(made)
        return
    say(made.key)
    if out.is_terminal:
        out.print(f"[dim]{made.id}, {', '.join(made.scopes)}. It is not shown again.[/]", highlight=False)


@commands.command("list")
def list_keys(
    data: DataOption = None,
    config: ConfigOption = None,
    url: ServerUrlOption = None,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the keys, newest first, revoked ones included."""
    place = Place(data, config, url, api_key)
    found = place.do(_all, _all_stored, existing=True)
    if as_json:
        show_json(found)
    else:
        show_table(_COLUMNS, found, empty="No keys yet. `stepwell key create` makes one.")


@commands.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, as `list` shows it.")],
    data: DataOption = None,
    config: ConfigOption = None,
    url: ServerUrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """End a key's life at once."""
    Place(data, config, url, api_key).do(
        lambda client: client.keys.revoke(key),
        lambda core, workspace: core.keys.revoke(workspace, key.removeprefix("key_")),
        existing=True,
    )
    say(f"{key} is revoked.")


async def _create(
    core: Core, workspace: str, name: str, scopes: list[str], expires_at: str | None, dialect: str
) -> NewKey:
    expires_ms = None if expires_at is None else parse_iso(expires_at)
    if expires_at is not None and expires_ms is None:
        raise ValidationFailed("Invalid request", [Fault(("expiresAt",), "Expected an ISO 8601 time")])
    made = await core.keys.create(workspace, name, scopes, expires_at=expires_ms, dialect=dialect)
    return NewKey(key=made.text, **_fields(made.key))


def _all(client: Client) -> list[Key]:
    page = client.keys.list(limit=100)
    found = page.items
    while page.cursor is not None:
        page = client.keys.list(limit=100, cursor=page.cursor)
        found += page.items
    return found


async def _all_stored(core: Core, workspace: str) -> list[Key]:
    found: list[Key] = []
    page = await core.keys.page(workspace, limit=100)
    while page:
        found += [Key(**_fields(key)) for key in page]
        page = await core.keys.page(workspace, before=page[-1].id, limit=100)
    return found


def _fields(key: StoredKey) -> dict[str, Any]:
    def time(time_ms: int | None) -> str | None:
        return None if time_ms is None else iso(time_ms)

    return {
        "id": f"key_{key.id}",
        "prefix": key.prefix,
        "name": key.name,
        "scopes": list(key.scopes),
        "created_at": iso(ids.created_ms(key.id)),
        "expires_at": time(key.expires_at),
        "last_used_at": time(key.last_used_at),
        "revoked_at": time(key.revoked_at),
    }
