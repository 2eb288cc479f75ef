"""Results of scripts as values. A long one comes in pieces: reading it at once would keep the interpreter to itself."""

import msgspec

from stepwell import values
from stepwell.values import Json

_TEXT_BYTES = 256 * 1024
_texts = msgspec.json.Decoder(str)


def assembled(lines: bytes) -> Json:
    """The value that the child took to pieces (`pieces` in child.py).

    Raises:
        InvalidJson: it is not JSON as Stepwell reads it.
    """
    result: list[Json] = []
    open_: list[Json] = [result]
    for line in lines.split(b"\n"):
        kind, text = line[:1], line[1:]
        if kind == b"m":
            _extend(open_[-1], _read(text))
        elif kind == b"v":
            result.append(_read(text))
        elif kind == b"e":
            open_.pop()
        else:
            started: Json = [] if kind == b"l" else {}
            _extend(open_[-1], {values.decode(text): started} if text else [started])
            open_.append(started)
    values.check_depth(result[0])
    return result[0]


def _extend(holder: Json, members: Json) -> None:
    if isinstance(holder, list):
        holder.extend(members)
    else:
        holder.update(members)


def _read(text: bytes) -> Json:
    if len(text) > _TEXT_BYTES and text[:1] == b'"':
        try:
            return _texts.decode(text)
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise values.InvalidJson(str(error)) from None
    return values.decode(text)
