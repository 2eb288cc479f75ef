"""The vault: secrets sealed at rest, each with a data key of its own, wrapped by the server's key."""

import base64
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stepwell.errors import StartupRefused, StepwellError
from stepwell.settings import key_bytes
from stepwell.store import Keys

KEY_FILE = "vault.key"
_FORM = b"\x01"
_ID, _NONCE, _TAG, _KEY = 8, 12, 16, 32
_WRAPPED = _NONCE + _KEY + _TAG
_PROBE = ("", "vault-probe", b"stepwell")


class CannotOpen(StepwellError):
    """A sealed value was not sealed by this key for this place, or is damaged."""


class Vault:
    """Seals and opens values with AES-256-GCM. What is sealed for one record opens nowhere else.

    Sealed form: a byte of form, 8 of the server key's id, the wrapped data key (nonce, ciphertext, tag), the value
    (nonce, ciphertext, tag). Workspace and record id are the associated data of both. Source: LoopFour contract 13.
    """

    __slots__ = ("_approvals", "_id", "_markers", "_wrap")

    def __init__(self, key: bytes) -> None:
        """`key` is the server's, 32 bytes."""
        self._wrap = AESGCM(_derived(key, "wrap"))
        self._markers = _derived(key, "markers")
        self._approvals = _derived(key, "approvals")
        self._id = _derived(key, "id")[:_ID]

    def seal(self, workspace: str, record: str, value: bytes) -> bytes:
        """The value sealed for one record of a workspace."""
        place = _place(workspace, record)
        data_key = AESGCM.generate_key(256)
        wrapping, sealing = os.urandom(_NONCE), os.urandom(_NONCE)
        wrapped = self._wrap.encrypt(wrapping, data_key, place)
        return _FORM + self._id + wrapping + wrapped + sealing + AESGCM(data_key).encrypt(sealing, value, place)

    def open(self, workspace: str, record: str, sealed: bytes) -> bytes:
        """The value sealed for that record.

        Raises:
            CannotOpen: sealed with another key, for another record, or damaged.
        """
        place = _place(workspace, record)
        head, rest = sealed[: 1 + _ID], sealed[1 + _ID :]
        if head != _FORM + self._id:
            raise CannotOpen("A sealed value was sealed with another vault key")
        wrapped, value = rest[:_WRAPPED], rest[_WRAPPED:]
        try:
            data_key = self._wrap.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], place)
            return AESGCM(data_key).decrypt(value[:_NONCE], value[_NONCE:], place)
        except (InvalidTag, ValueError):
            raise CannotOpen("A sealed value is damaged or belongs to another record") from None

    def sign(self, text: str) -> str:
        """64 hex characters that only this vault can make of a text."""
        return hmac.digest(self._markers, text.encode(), "sha256").hex()

    def approval_token(self, approval: str, approver: str) -> str:
        """What lets an approver decide an approval without a key; always the same one."""
        made = hmac.digest(self._approvals, f"{approval}\0{approver}".encode(), "sha256")
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def load_vault(key: bytes | None, data: Path) -> Vault:
    """The vault of the key of the settings, or of the key file in the data directory, which is made if it is missing.

    Raises:
        StartupRefused: the file cannot be read or made, holds no key, or may be read by others.
    """
    return Vault(key if key is not None else _key_of(data / KEY_FILE))


async def check_vault(vault: Vault, keys: Keys) -> None:
    """Make sure that the vault's key is the one that the store's values were sealed with.

    Raises:
        StartupRefused: it is another.
    """
    workspace, record, value = _PROBE
    probe = await keys.vault_probe(vault.seal(workspace, record, value))
    try:
        vault.open(workspace, record, probe)
    except CannotOpen:
        raise StartupRefused(
            "The vault key is not the one that this data was sealed with. Restore the file vault.key of the data "
            "directory, or set STEPWELL_VAULT_KEY to the key that was used before."
        ) from None


def _key_of(path: Path) -> bytes:
    try:
        if not path.exists():
            _make_key_file(path)
        if path.stat().st_mode & 0o077:
            raise StartupRefused(f"{path} may be read by others. Run `chmod 600 {path}`.")
        return key_bytes(path.read_text("ascii"))
    except OSError as error:
        raise StartupRefused(f"{path} cannot be read or made: {error.strerror}") from error
    except ValueError as error:
        raise StartupRefused(f"{path} holds no key: {error}. Restore it from your backup.") from error


def _make_key_file(path: Path) -> None:
    """Write a new key so that the file is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, base64.b64encode(os.urandom(_KEY)) + b"\n")
        os.fsync(file)
    finally:
        os.close(file)
    try:
        os.link(new, path)
    except FileExistsError:
        pass  # another process was first; its key counts
    finally:
        new.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _derived(key: bytes, purpose: str) -> bytes:
    return hmac.digest(key, b"stepwell vault 1 " + purpose.encode(), "sha256")


def _place(workspace: str, record: str) -> bytes:
    return f"{len(workspace)}:{workspace}:{record}".encode()
