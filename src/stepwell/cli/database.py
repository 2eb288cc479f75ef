"""`stepwell db`: back up, check and migrate the database of a data directory."""

from pathlib import Path
from typing import Annotated

import typer

from stepwell.cli.directory import DataDirectory
from stepwell.cli.options import STYLE, DataOption, settings_of
from stepwell.cli.output import FAILED, complain, say
from stepwell.errors import StartupRefused
from stepwell.store import sqlite
from stepwell.store.sqlite import DirectoryLock

commands = typer.Typer(help="Back up, check and migrate the database.", no_args_is_help=True, **STYLE)


@commands.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write; it must not exist.")],
    data: DataOption = None,
) -> None:
    """Copy the database, also while a server runs, and check the copy. The vault key is not part of it."""
    directory = DataDirectory(settings_of(data))
    if not file.absolute().parent.is_dir():
        raise StartupRefused(f"{file.absolute().parent} is no directory; make it first.")
    size = sqlite.backup(directory.existing_database(), file)
    say(f"{file}: {size:,} bytes, checked.")
    say(
        f"The vault key is not in it: it is {directory.where_the_vault_key_is()}. Keep it elsewhere; without it the "
        "secrets and credentials of the backup cannot be opened.",
    )


@commands.command()
def check(data: DataOption = None) -> None:
    """Check every page and index of the database, also while a server runs."""
    path = DataDirectory(settings_of(data)).existing_database()
    try:
        problems = sqlite.check(path)
    except StartupRefused as error:  # what cannot even be opened
        problems = [error.message]
    if problems:
        complain(f"{path} is damaged. Restore a backup.", problems)
        raise typer.Exit(FAILED)
    say(f"{path} is sound.")


@commands.command()
def migrate(data: DataOption = None) -> None:
    """Bring the database to this version's schema, as `serve` does when it starts. No server may run on it."""
    directory = DataDirectory(settings_of(data))
    path = directory.existing_database()
    lock = DirectoryLock(directory.path)
    try:
        connection = sqlite.connect(path)
        try:
            applied = sqlite.migrate(connection)
        finally:
            connection.close()
    finally:
        lock.release()
    done = f"migrated to schema version {applied[-1]}" if applied else "has the schema of this version already"
    say(f"{path} {done}.")
