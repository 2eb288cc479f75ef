"""A data directory as the commands find it: its files, and whether a server holds it."""

from pathlib import Path

from stepwell.auth.key_file import KEY_FILE
from stepwell.errors import StartupRefused
from stepwell.settings import Settings
from stepwell.store.sqlite import FILE_NAME, DirectoryLock, connect
from stepwell.store.sqlite.database import schema_version


class DataDirectory:
    """The data directory of the settings. Looking at it changes nothing in it."""

    def __init__(self, settings: Settings) -> None:
        self.path: Path = settings.server.data
        self.database = self.path / FILE_NAME
        self.vault_key = self.path / KEY_FILE
        self._key_is_set = settings.vault.key is not None

    def held(self) -> str | None:
        """Why the directory cannot be used now: the message that names the process which holds it; None if it can."""
        if not (self.path / "stepwell.lock").exists():
            return None
        try:
            DirectoryLock(self.path).release()
        except StartupRefused as error:
            return error.message
        return None

    def existing_database(self) -> Path:
        """The database's file.

        Raises:
            StartupRefused: there is none.
        """
        if not self.database.is_file():
            raise StartupRefused(f"There is no database in {self.path}. Name the data directory by --data.")
        return self.database

    def schema_version(self) -> int:
        """The number of the last migration that the database has had.

        Raises:
            StartupRefused: the file cannot be opened.
        """
        connection = connect(self.database, read_only=True)
        try:
            return schema_version(connection)
        finally:
            connection.close()

    def where_the_vault_key_is(self) -> str:
        """Where the key is that the secrets of the database are sealed with."""
        return "the setting vault.key (STEPWELL_VAULT_KEY)" if self._key_is_set else str(self.vault_key)
