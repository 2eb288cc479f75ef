"""The vault: secrets sealed at rest, each with a data key of its own, wrapped by the server's key."""

import base64
import hmac
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stepwell.auth.key_file import KEY, KEY_FILE, KeyFile
from stepwell.errors import StartupRefused, StepwellError
from stepwell.store import Keys

_FORM = b"\x01"
_ID, _NONCE, _TAG, _KEY = 8, 12, 16, KEY
_WRAPPED = _NONCE + _KEY + _TAG
_PROBE = ("", "vault-probe")
_KNOWN = b"stepwell"
_ROOT = 32


class CannotOpen(StepwellError):
    """A sealed value was not sealed by this key for this place, or is damaged."""


class Vault:
    """Seals and opens values with AES-256-GCM. What is sealed for one record opens nowhere else.

    Sealed form: a byte of form, 8 of the server key's id, the wrapped data key (nonce, ciphertext, tag), the value
    (nonce, ciphertext, tag). Workspace and record id are the associated data of both. Source: LoopFour contract 13.

    Values are sealed with the current key, and opened with whichever of the keys has sealed them. What is signed stays
    signed when the key changes: the roots of signatures are those of the first key.
    """

    __slots__ = ("_approvals", "_file", "_keys", "_markers", "_raw", "head")

    def __init__(self, key: bytes, older: Sequence[bytes] = (), file: KeyFile | None = None) -> None:
        """`key` is the current one, 32 bytes; `older` ones only open. `file` is where they are kept, if in a file."""
        self._file = file
        self._take([key, *older])
        self._root_in(key)

    @property
    def key_id(self) -> str:
        """Names the current key: 16 hex digits."""
        return self.head[1:].hex()

    @property
    def older_ids(self) -> list[str]:
        """Names the older keys."""
        return [_id_of(key).hex() for key in self._raw[1:]]

    @property
    def in_file(self) -> bool:
        """Whether the keys are kept in a file, so that another can be made."""
        return self._file is not None

    def seal(self, workspace: str, record: str, value: bytes) -> bytes:
        """The value sealed for one record of a workspace."""
        place = _place(workspace, record)
        data_key = AESGCM.generate_key(256)
        sealing = os.urandom(_NONCE)
        return self._wrapped(data_key, place) + sealing + AESGCM(data_key).encrypt(sealing, value, place)

    def open(self, workspace: str, record: str, sealed: bytes) -> bytes:
        """The value sealed for that record.

        Raises:
            CannotOpen: sealed with another key, for another record, or damaged.
        """
        place = _place(workspace, record)
        data_key, value = self._data_key(place, sealed)
        try:
            return AESGCM(data_key).decrypt(value[:_NONCE], value[_NONCE:], place)
        except (InvalidTag, ValueError):
            raise _damaged() from None

    def rewrap(self, workspace: str, record: str, sealed: bytes) -> bytes:
        """The same value, its data key wrapped by the current key.

        Raises:
            CannotOpen: as `open` does.
        """
        place = _place(workspace, record)
        data_key, value = self._data_key(place, sealed)
        return self._wrapped(data_key, place) + value

    def turn(self) -> None:
        """Make a new key the current one. It is in the file, beside those that were there, before it seals anything.

        Raises:
            OSError: the file cannot be written; nothing has changed.
        """
        keys = [os.urandom(_KEY), *self._raw]
        self._keep(keys)

    def forget_older(self) -> int:
        """Forget the older keys, once nothing is sealed by them; how many. Raises OSError."""
        count = len(self._raw) - 1
        if count:
            self._keep(self._raw[:1])
        return count

    def sign(self, text: str) -> str:
        """64 hex characters that only this vault can make of a text."""
        return hmac.digest(self._markers, text.encode(), "sha256").hex()

    def approval_token(self, approval: str, approver: str) -> str:
        """What lets an approver decide an approval without a key; always the same one."""
        made = hmac.digest(self._approvals, f"{approval}\0{approver}".encode(), "sha256")
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()

    def probed(self, probe: bytes) -> None:
        """Take over the roots of signatures that stand in the vault's probe, or those of the key that sealed it.

        Raises:
            CannotOpen: no key of the vault has sealed it.
        """
        value = self.open(*_PROBE, probe)
        if len(value) > len(_KNOWN):
            roots = value[len(_KNOWN) :]
            self._markers, self._approvals = roots[:_ROOT], roots[_ROOT:]
        else:
            self._root_in(next(key for key in self._raw if _id_of(key) == probe[1 : 1 + _ID]))

    def probe(self) -> bytes:
        """A value by which the vault is known, with the roots of signatures in it."""
        return self.seal(*_PROBE, _KNOWN + self._markers + self._approvals)

    def _root_in(self, key: bytes) -> None:
        self._markers = _derived(key, "markers")
        self._approvals = _derived(key, "approvals")

    def _keep(self, keys: Sequence[bytes]) -> None:
        if self._file is not None:
            self._file.write(keys)
        self._take(keys)

    def _take(self, keys: Sequence[bytes]) -> None:
        self._raw = tuple(keys)
        self._keys = {_FORM + _id_of(key): AESGCM(_derived(key, "wrap")) for key in keys}
        self.head = _FORM + _id_of(keys[0])

    def _wrapped(self, data_key: bytes, place: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return self.head + nonce + self._keys[self.head].encrypt(nonce, data_key, place)

    def _data_key(self, place: bytes, sealed: bytes) -> tuple[bytes, bytes]:
        """The data key of a sealed value, and the rest of it."""
        head, rest = sealed[: 1 + _ID], sealed[1 + _ID :]
        if head not in self._keys:
            raise CannotOpen("A sealed value was sealed with another vault key")
        wrapped = rest[:_WRAPPED]
        try:
            return self._keys[head].decrypt(wrapped[:_NONCE], wrapped[_NONCE:], place), rest[_WRAPPED:]
        except (InvalidTag, ValueError):
            raise _damaged() from None


def load_vault(key: bytes | None, data: Path, previous: Sequence[bytes] = ()) -> Vault:
    """The vault of the key of the settings, or of the key file in the data directory, which is made if it is missing.
    `previous` keys open what they have sealed.

    Raises:
        StartupRefused: the file cannot be read or made, holds no key, or may be read by others.
    """
    if key is not None:
        return Vault(key, [each for each in previous if each != key])
    file = KeyFile(data / KEY_FILE)
    first, *older = file.keys()
    return Vault(first, [*older, *(each for each in previous if each not in (first, *older))], file)


async def check_vault(vault: Vault, keys: Keys) -> None:
    """Make sure that the store's values were sealed with a key of the vault.

    Raises:
        StartupRefused: they were not.
    """
    try:
        vault.probed(await keys.vault_probe(vault.seal(*_PROBE, _KNOWN)))
    except CannotOpen:
        raise StartupRefused(
            "The vault key is not the one that this data was sealed with. Restore the file vault.key of the data "
            "directory, or set STEPWELL_VAULT_KEY to the key that was used before. If the key was changed, give the "
            "former one as STEPWELL_VAULT_PREVIOUS_KEY."
        ) from None


def _id_of(key: bytes) -> bytes:
    return _derived(key, "id")[:_ID]


def _damaged() -> CannotOpen:
    return CannotOpen("A sealed value is damaged or belongs to another record")


def _derived(key: bytes, purpose: str) -> bytes:
    return hmac.digest(key, b"stepwell vault 1 " + purpose.encode(), "sha256")


def _place(workspace: str, record: str) -> bytes:
    return f"{len(workspace)}:{workspace}:{record}".encode()
