"""Items: what a poll found, each with an id that tells it from all others of its trigger."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from stepwell.values import Json, canonical

LONGEST_ID = 200
MOST_ITEMS = 1000


@dataclass(frozen=True, slots=True)
class Item:
    """One item. An item is an object; another value is shown as `{"value": ...}`."""

    id: str
    data: Json


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found, oldest first, and what the next one is to know once all of it was dealt with (JSON)."""

    items: tuple[Item, ...]
    state: Json


def identity(given: Json, item: Json) -> str:
    """The id of an item: what the provider calls it, hashed if it is long; if it has no name, the hash of the item."""
    if isinstance(given, bool) or given is None or given == "" or isinstance(given, list | dict):
        return hashlib.sha256(canonical(item)).hexdigest()
    text = str(given)
    return text if len(text) <= LONGEST_ID else hashlib.sha256(text.encode()).hexdigest()


def newest(listed: list[Json], newest_first: bool) -> list[Json]:
    """The newest members of a list, 1000 at most, the oldest of them first."""
    return listed[:MOST_ITEMS][::-1] if newest_first else listed[-MOST_ITEMS:]


def distinct(items: Iterable[Item]) -> tuple[Item, ...]:
    """Each id once, the first of it; items as objects."""
    kept: dict[str, Item] = {}
    for item in items:
        data = item.data if isinstance(item.data, dict) else {"value": item.data}
        kept.setdefault(item.id, Item(item.id, data))
    return tuple(kept.values())
