"""The key file: the vault's keys in the data directory, readable by its owner only, written whole or not at all."""

import base64
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from stepwell.errors import StartupRefused
from stepwell.settings import key_bytes

KEY_FILE = "vault.key"
KEY = 32


class KeyFile:
    """A file of keys in base64, one a line: the current one, then older ones that are still needed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keys(self) -> list[bytes]:
        """The keys, the current one first; makes the file with a new key if there is none.

        Raises:
            StartupRefused: it cannot be read or made, holds no key, or may be read by others.
        """
        path = self.path
        try:
            if not path.exists():
                self._make()
            if path.stat().st_mode & 0o077:
                raise StartupRefused(f"{path} may be read by others. Run `chmod 600 {path}`.")
            return [key_bytes(line) for line in path.read_text("ascii").splitlines() or [""]]
        except OSError as error:
            raise StartupRefused(f"{path} cannot be read or made: {error.strerror}") from error
        except ValueError as error:
            raise StartupRefused(f"{path} holds no key: {error}. Restore it from your backup.") from error

    def write(self, keys: Sequence[bytes]) -> None:
        """Replace the keys; durable when this returns. Raises OSError."""
        new = self._written(keys)
        try:
            new.replace(self.path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        _sync(self.path.parent)

    def _make(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self._written([os.urandom(KEY)])
        try:
            os.link(new, self.path)
        except FileExistsError:
            pass  # another process was first; its key counts
        finally:
            new.unlink()
        _sync(self.path.parent)

    def _written(self, keys: Sequence[bytes]) -> Path:
        """A new file beside the present one that holds the keys."""
        new = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, b"".join(base64.b64encode(key) + b"\n" for key in keys))
            os.fsync(file)
        finally:
            os.close(file)
        return new


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
