"""`stepwell vault`: the key that secrets and credentials are sealed with."""

from collections.abc import Awaitable, Callable

import typer

from stepwell.cli.options import STYLE, ApiKeyOption, ConfigOption, DataOption, JsonOption
from stepwell.cli.output import FAILED, complain, say, show_json
from stepwell.cli.place import Place, ServerUrlOption
from stepwell.client import Client, VaultStatus
from stepwell.core import Core
from stepwell.core import VaultStatus as Stored

commands = typer.Typer(
    help="Look at the vault's key, and change it. Without a server these work on the data directory; while one runs on "
    "it, they call it with --url and the --api-key of an admin.",
    no_args_is_help=True,
    **STYLE,
)


@commands.command()
def status(
    data: DataOption = None,
    config: ConfigOption = None,
    url: ServerUrlOption = None,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which key seals, and whether older ones are still needed."""

    async def directly(core: Core, workspace: str) -> VaultStatus:
        return _shown(await core.rotation.status())

    found = Place(data, config, url, api_key).do(lambda client: client.vault.status(), directly, existing=True)
    if as_json:
        show_json(found)
        return
    say(f"key {found.key_id} (from the {found.key_source})")
    for older in found.older_key_ids:
        say(f"older key {older}")
    left = sum(found.remaining.values())
    say("Everything is sealed by this key." if not left else f"{left:,} values are sealed by older keys.")


@commands.command()
def rotate(
    data: DataOption = None,
    config: ConfigOption = None,
    url: ServerUrlOption = None,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give the vault a new key and seal everything by it, while the server serves. If it is interrupted, call it again:
    it goes on where it was. With STEPWELL_VAULT_KEY set, everything is sealed by that key; set the former one as
    STEPWELL_VAULT_PREVIOUS_KEY for the time it takes."""
    told = _Progress(quiet=as_json)

    def over_http(client: Client) -> VaultStatus:
        found = told.of(client.vault.rotate())
        while not told.ends(found):
            found = told.of(client.vault.rotate(new_key=False))
        return found

    async def directly(core: Core, workspace: str) -> VaultStatus:
        found = told.of(_shown(await core.rotation.step(begin=True)))
        while not told.ends(found):
            found = told.of(_shown(await core.rotation.step(begin=False)))
        return found

    work: Callable[[Core, str], Awaitable[VaultStatus]] = directly
    found = Place(data, config, url, api_key).do(over_http, work, existing=True)
    if as_json:
        show_json(found)
    else:
        _tell(found)
    if not found.done:
        raise typer.Exit(FAILED)


class _Progress:
    """Tells of the steps of a rotation."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._rewrapped = 0

    def of(self, found: VaultStatus) -> VaultStatus:
        """Take note of a step."""
        self._rewrapped += found.rewrapped
        if found.rewrapped and not self._quiet:
            say(f"{self._rewrapped:,} values sealed anew, {sum(found.remaining.values()):,} to go")
        return found

    def ends(self, found: VaultStatus) -> bool:
        """Whether another step would change nothing."""
        return found.done or not found.rewrapped


def _tell(found: VaultStatus) -> None:
    if found.unreadable:
        complain(
            f"{found.unreadable:,} values cannot be opened by any key that is known. Enter them again.",
            [f"{kind}: {count:,}" for kind, count in found.remaining.items()],
        )
    if not found.done:
        complain("The rotation has not come to its end; call it again.")
    elif found.key_source == "file":
        say(
            f"Everything is sealed by key {found.key_id}. Keep a copy of vault.key; backups need the key of their time."
        )
    else:
        say(f"Everything is sealed by key {found.key_id}. STEPWELL_VAULT_PREVIOUS_KEY may be removed.")


def _shown(status: Stored) -> VaultStatus:
    return VaultStatus(
        key_id=status.key_id,
        older_key_ids=list(status.older_ids),
        key_source="file" if status.in_file else "setting",
        remaining={str(kind): count for kind, count in status.remaining.items()},
        rewrapped=status.rewrapped,
        unreadable=status.unreadable,
        done=status.ended,
    )
