"""Queries: how lists are paged, ordered and filtered. Source: Flowra contract 3."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta

from stepwell.http.dialects.flowra.names import cursor_id
from stepwell.http.dialects.flowra.wire import Wire

T = TypeVar("T")

Limit = Annotated[int, Meta(ge=1, le=100, description="Items a page.")]
PageNumber = Annotated[int, Meta(ge=1, le=2**31, description="The page, from 1.")]
Offset = Annotated[int, Meta(ge=0, le=2**53, description="How many items come before; counts more than `page`.")]
Cursor = Annotated[str, Meta(description="The `nextCursor` of the page before; counts more than page and offset.")]
Texts = Annotated[
    list[str], Meta(description="Alternatives: repeated, separated by commas, or with `[]` after the name.")
]


class Page(Wire):
    """Which page of a list, and which fields of its items."""

    page: PageNumber = 1
    limit: Limit = 20
    offset: Offset | None = None
    fields: Annotated[list[str], Meta(description="The fields of the items; their ids are always there.")] | None = None

    @property
    def continued(self) -> bool:
        """The page is told by a cursor."""
        return False

    @property
    def by_creation(self) -> bool:
        """The order is the one that cursors follow: newest first."""
        return False

    @property
    def start(self) -> int:
        """How many items come before the page; 0 with a cursor."""
        if self.continued:
            return 0
        return self.offset if self.offset is not None else (self.page - 1) * self.limit

    @property
    def number(self) -> int:
        """The page's number."""
        if self.continued or self.offset is None:
            return self.page
        return self.offset // self.limit + 1


class Ordered(Page):
    """The same of a list that has an order and is paged by cursors as well."""

    cursor: Cursor | None = None
    sort_by: Literal["createdAt", "updatedAt"] = "createdAt"
    sort_order: Literal["ASC", "DESC"] = "DESC"

    @property
    def before(self) -> str | None:
        """The id after which the page starts, if a cursor says so. Raises ValidationFailed."""
        return cursor_id(self.cursor)

    @property
    def continued(self) -> bool:
        return self.cursor is not None

    @property
    def by_creation(self) -> bool:
        return self.continued or (self.sort_by, self.sort_order) == ("createdAt", "DESC")


class PageQuery(Ordered):
    """The same of a list that can be searched."""

    q: Annotated[str, Meta(description="A text that is looked for.")] | None = None


async def oldest_first(query: Page, read: Callable[[int, int], Awaitable[tuple[list[T], int]]]) -> tuple[list[T], int]:
    """A page, and a row more, counted from the other end of a list that `read` reads newest first, by offset and limit;
    and how many there are in all."""
    _, total = await read(0, 0)
    end = max(0, total - query.start)
    begin = max(0, end - query.limit - 1)
    rows, _ = await read(begin, end - begin)
    return rows[::-1], total


def folded(given: Iterable[tuple[str, str]], lists: Collection[str]) -> Mapping[str, Any]:
    """Query parameters with their lists, written as repeated keys, with commas or as `key[]`, in any mix; of other
    names the last value counts."""
    query: dict[str, Any] = {}
    for written, text in given:
        name = written.removesuffix("[]")
        if name in lists:
            query.setdefault(name, []).extend(part for part in map(str.strip, text.split(",")) if part)
        else:
            query[written] = text
    return query
