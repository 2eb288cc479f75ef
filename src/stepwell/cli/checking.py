"""`stepwell check`: everything that would keep a server from starting, told at once."""

import asyncio
import os
from collections.abc import Iterator

import typer
from rich.markup import escape
from rich.table import Table

from stepwell.auth import Vault, check_vault, load_vault
from stepwell.cli.directory import DataDirectory
from stepwell.cli.options import ConfigOption, DataOption, JsonOption, settings_of
from stepwell.cli.output import FAILED, complain, out, say, show_json
from stepwell.errors import StartupRefused
from stepwell.settings import Settings, SettingsInvalid, describe
from stepwell.store.sql import migrations
from stepwell.store.sqlite import DirectoryLock, SqliteStore


def check(data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check the settings, the data directory and the vault key, and list every setting with its value.

    Exit code 1 if anything is wrong.
    """
    try:
        settings = settings_of(data, config)
    except SettingsInvalid as error:
        faults = [f"{fault.setting} ({fault.source}): {fault.message}" for fault in error.faults]
        _show_faults(faults, as_json=as_json)
        raise typer.Exit(FAILED) from None
    findings, faults = _look_at(settings)
    if as_json:
        values = {line.name: line.value for line in describe(settings)}
        show_json({"settings": values, "findings": findings, "faults": faults})
    else:
        _show_settings(settings)
        out.print()
        for finding in findings:
            say(finding)
        if faults:
            _show_faults(faults, as_json=False)
        else:
            say("Nothing is wrong.")
    if faults:
        raise typer.Exit(FAILED)


def _look_at(settings: Settings) -> tuple[list[str], list[str]]:
    """What was found in the data directory, and what is wrong with it."""
    directory = DataDirectory(settings)
    if not directory.path.exists():
        return [f"{directory.path} does not exist; `serve` makes it."], []
    if not directory.path.is_dir() or not os.access(directory.path, os.R_OK | os.W_OK | os.X_OK):
        return [], [f"{directory.path} is no directory that this user may read and write."]
    held = directory.held()
    findings = [f"A server runs on {directory.path}." if held else f"No server runs on {directory.path}."]
    faults: list[str] = []
    for look in (_at_the_database, _at_the_vault):
        try:
            findings += look(directory, settings, free=held is None)
        except StartupRefused as error:
            faults.append(error.message)
    return findings, faults


def _at_the_database(directory: DataDirectory, settings: Settings, *, free: bool) -> Iterator[str]:
    if not directory.database.exists():
        yield "There is no database yet; `serve` makes it."
        return
    version, newest = directory.schema_version(), migrations()[-1][0]
    if version > newest:
        raise StartupRefused(f"{directory.database} was written by a newer Stepwell (schema version {version}).")
    size = f"{directory.database.stat().st_size:,} bytes"
    yield f"{directory.database}: {size}, schema version {version} of {newest}. `stepwell db check` reads all of it."


def _at_the_vault(directory: DataDirectory, settings: Settings, *, free: bool) -> Iterator[str]:
    place = directory.where_the_vault_key_is()
    exists = directory.database.exists()
    if settings.vault.key is None and not directory.vault_key.exists():
        if exists:
            raise StartupRefused(f"The vault key {place} is missing. Restore it, or set STEPWELL_VAULT_KEY.")
        yield "There is no vault key yet; `serve` makes it."
        return
    vault = load_vault(settings.vault.key, directory.path, settings.vault.previous_key or ())
    tried = exists and free and asyncio.run(_try(vault, directory))
    yield f"The vault key is {place}{'; it opens what is in the database' if tried else ''}."


async def _try(vault: Vault, directory: DataDirectory) -> bool:
    """Open the database's probe with the key. False if it was not tried: an older schema is left as it is."""
    lock = DirectoryLock(directory.path)
    try:
        if directory.schema_version() != migrations()[-1][0]:
            return False
        store = SqliteStore(directory.database)
        try:
            await check_vault(vault, store.keys)
        finally:
            await store.close()
        return True
    finally:
        lock.release()


def _show_settings(settings: Settings) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Setting", "Value", "Default", "Variable", "Meaning"):
        table.add_column(heading, overflow="fold")
    for line in describe(settings):
        value = escape(line.value)
        shown = value if line.value == line.default else f"[bold cyan]{value}[/]"
        table.add_row(line.name, shown, escape(line.default), line.variable, escape(line.help))
    out.print(table)


def _show_faults(faults: list[str], *, as_json: bool) -> None:
    if as_json:
        show_json({"faults": faults})
    else:
        complain(f"{len(faults)} thing{'s' if len(faults) > 1 else ''} to mend:", faults)
