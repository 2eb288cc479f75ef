"""How ids and values are kept in SQLite columns."""

import hashlib
import json
import zlib
from collections.abc import Sequence
from typing import NamedTuple

INLINE = 4096
_REFERENCE = b"\x01"  # JSON text never begins with it


def key(uuid: str) -> bytes:
    """The 16 bytes of an id."""
    return bytes.fromhex(uuid.replace("-", ""))


def key_or_none(uuid: str | None) -> bytes | None:
    """The 16 bytes of an id that may be absent."""
    return None if uuid is None else key(uuid)


def text(raw: bytes) -> str:
    """The id of 16 bytes."""
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def text_or_none(raw: bytes | None) -> str | None:
    """The id of 16 bytes that may be absent."""
    return None if raw is None else text(raw)


def listed(values: Sequence[str] | None) -> str | None:
    """Texts as one binding: a JSON list, or nothing."""
    return None if values is None else json.dumps(list(values))


def listed_keys(uuids: Sequence[str] | None) -> str | None:
    """Ids as one binding, to be compared with `hex(id)`."""
    return listed(None if uuids is None else [key(uuid).hex().upper() for uuid in uuids])


class Payload(NamedTuple):
    """A value too large for its column: what the column holds instead, and the compressed value."""

    digest: bytes
    data: bytes


def pack(value: bytes | None, payloads: list[Payload]) -> bytes | None:
    """What the column of a value holds: the value, or a reference to a payload that is added to the list."""
    if value is None or len(value) <= INLINE:
        return value
    digest = hashlib.blake2b(value, digest_size=16).digest()
    payloads.append(Payload(digest, zlib.compress(value, 1)))
    return _REFERENCE + digest


def reference(column: bytes | None) -> bytes | None:
    """The digest of the payload that a column refers to, None if it holds its value itself."""
    return column[1:] if column is not None and column[:1] == _REFERENCE else None


def unpack(data: bytes) -> bytes:
    """The value of a payload."""
    return zlib.decompress(data)
