"""Lists of this dialect: newest first, after a cursor `<id>_<ISO time>`. Source: AwaitStep contract 3."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.responses import Response

from stepwell import ids
from stepwell.clock import iso, parse_iso
from stepwell.errors import Fault, ValidationFailed
from stepwell.http.dialects.awaitstep.answers import bare

T = TypeVar("T")


def listing(
    rows: Sequence[T], limit: int, show: Callable[[T], Any], prefix: str, id_of: Callable[[T], str]
) -> Response:
    """A page; `rows` holds one more than `limit` if more follow. `prefix` is that of the cursor's id."""
    page = rows[:limit]
    following = len(rows) > limit
    cursor = f"{prefix}_{id_of(page[-1])}_{iso(ids.created_ms(id_of(page[-1])))}" if following else None
    return bare({"data": [show(row) for row in page], "nextCursor": cursor})


def after(cursor: str | None, prefix: str) -> str | None:
    """The id after which a page starts. Raises ValidationFailed."""
    if cursor is None:
        return None
    named, _, time = cursor.rpartition("_")
    found = ids.parse(named.removeprefix(f"{prefix}_"))
    if found is None or parse_iso(time) is None:
        raise ValidationFailed("Invalid request", [Fault(("cursor",), "Expected a cursor")], within="query")
    return found
