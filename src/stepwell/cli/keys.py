"""`stepwell key`: API keys, made in the data directory itself or, while a server holds it, over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer

from stepwell import ids
from stepwell.cli.directory import DataDirectory
from stepwell.cli.options import DEFAULT_URL, STYLE, ApiKeyOption, ConfigOption, DataOption, JsonOption, settings_of
from stepwell.cli.output import out, say, show_json, show_table
from stepwell.client import Client, Key, NewKey
from stepwell.clock import SystemClock, iso, parse_iso
from stepwell.core import Keys
from stepwell.errors import Fault, StartupRefused, ValidationFailed
from stepwell.events import Events
from stepwell.server import open_core
from stepwell.store import Key as StoredKey

T = TypeVar("T")

commands = typer.Typer(
    help="Make, list and revoke API keys. Without a server these work on the data directory; while one runs on it, "
    "they call it with --url and the --api-key of an admin.",
    no_args_is_help=True,
    **STYLE,
)

_Url = Annotated[
    str | None,
    typer.Option("--url", envvar="STEPWELL_URL", help=f"Address of the server.  [default: {DEFAULT_URL}]"),
]
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
    data: DataOption = None,
    config: ConfigOption = None,
    url: _Url = None,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, this once. The first key of a new server is made here."""
    made = _Place(data, config, url, api_key).do(
        lambda client: client.keys.create(name, scope, expires_at=expires_at),
        lambda keys, workspace: _create(keys, workspace, name, scope, expires_at),
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
    url: _Url = None,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the keys, newest first, revoked ones included."""
    place = _Place(data, config, url, api_key)
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
    url: _Url = None,
    api_key: ApiKeyOption = None,
) -> None:
    """End a key's life at once."""
    _Place(data, config, url, api_key).do(
        lambda client: client.keys.revoke(key),
        lambda keys, workspace: keys.revoke(workspace, key.removeprefix("key_")),
        existing=True,
    )
    say(f"{key} is revoked.")


class _Place:
    """Where the keys are: a data directory, or a server."""

    def __init__(self, data: Any, config: Any, url: str | None, api_key: str | None) -> None:
        self._data_is_named = data is not None
        self._settings = settings_of(data, config)
        self._url = url
        self._api_key = api_key

    def do(
        self,
        over_http: Callable[[Client], T],
        directly: Callable[[Keys, str], Awaitable[T]],
        *,
        existing: bool = False,
    ) -> T:
        """Do the one or the other; `existing` wants a database that is there already.

        Raises:
            StartupRefused: a server holds the directory and no key to call it with was given.
        """
        directory = DataDirectory(self._settings)
        if self._url is not None and self._api_key is not None and not self._data_is_named:
            return over_http(Client(self._url, self._api_key))
        if (held := directory.held()) is not None:
            if self._api_key is None:
                raise StartupRefused(
                    f"{held} Or call that server: give the key of an admin by --api-key (STEPWELL_API_KEY) and its "
                    f"address by --url if it is not {DEFAULT_URL}."
                )
            return over_http(Client(self._url or DEFAULT_URL, self._api_key))
        if existing:
            directory.existing_database()
        return asyncio.run(self._do_directly(directly))

    async def _do_directly(self, directly: Callable[[Keys, str], Awaitable[T]]) -> T:
        async with open_core(self._settings, Events(), SystemClock()) as (core, workspace):
            return await directly(core.keys, workspace)


async def _create(keys: Keys, workspace: str, name: str, scopes: list[str], expires_at: str | None) -> NewKey:
    expires_ms = None if expires_at is None else parse_iso(expires_at)
    if expires_at is not None and expires_ms is None:
        raise ValidationFailed("Invalid request", [Fault(("expiresAt",), "Expected an ISO 8601 time")])
    made = await keys.create(workspace, name, scopes, expires_at=expires_ms)
    return NewKey(key=made.text, **_fields(made.key))


def _all(client: Client) -> list[Key]:
    page = client.keys.list(limit=100)
    found = page.items
    while page.cursor is not None:
        page = client.keys.list(limit=100, cursor=page.cursor)
        found += page.items
    return found


async def _all_stored(keys: Keys, workspace: str) -> list[Key]:
    found: list[Key] = []
    page = await keys.page(workspace, limit=100)
    while page:
        found += [Key(**_fields(key)) for key in page]
        page = await keys.page(workspace, before=page[-1].id, limit=100)
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
