"""Reading a request's body: bounded while it is read, of a type that is JSON. Source: LoopFour contract 1.1."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from stepwell import values
from stepwell.errors import PayloadTooLarge, ValidationFailed
from stepwell.http.errors import ClientGone, UnsupportedMediaType
from stepwell.values import InvalidJson, Json

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers: TypeAlias = Mapping[bytes, bytes]

NOT_JSON = "Request body is not valid JSON"
_READ_AS_JSON = frozenset({b"application/json", b"text/plain", b"application/x-www-form-urlencoded", b""})


def check_type(headers: Headers) -> None:
    """Refuse a Content-Type that is not read as JSON. The forms that `curl -d` and browsers send by themselves are.

    Raises:
        UnsupportedMediaType.
    """
    given = headers.get(b"content-type", b"")
    if given == b"application/json":
        return
    plain = given.partition(b";")[0].strip().lower()
    if plain not in _READ_AS_JSON and not (plain.startswith(b"application/") and plain.endswith(b"+json")):
        raise UnsupportedMediaType


async def read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The whole body.

    Raises:
        PayloadTooLarge: it is longer than `limit` bytes, as declared or as read.
        ClientGone: the connection was closed before its end.
    """
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared[:19]) > limit:
        raise PayloadTooLarge(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise PayloadTooLarge(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def is_form(headers: Headers, body: bytes) -> bool:
    """Whether a body is a form, and not JSON that was sent under its type, as `curl -d` does."""
    plain = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return plain == b"application/x-www-form-urlencoded" and not body.lstrip().startswith(b"{")


def decode_form(body: bytes) -> dict[str, str]:
    """The fields of a form that are not empty; of equal names the last counts."""
    return dict(parse_qsl(body.decode("latin-1")))


def decode_body(body: bytes) -> Json:
    """The body as JSON; an empty one is `{}`.

    Raises:
        ValidationFailed: `Request body is not valid JSON`.
    """
    if not body:
        return {}
    try:
        return values.decode(body)
    except InvalidJson:
        raise ValidationFailed(NOT_JSON, [], within="body") from None
