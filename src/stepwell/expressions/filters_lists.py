"""Filters on lists. A single value counts as a list of one, null as an empty list; nested lists are flattened."""

from collections.abc import Callable, Mapping
from decimal import Decimal

from stepwell.expressions import numbers
from stepwell.expressions.arithmetic import Pick, picker
from stepwell.expressions.errors import RenderFault, SyntaxFault
from stepwell.expressions.operators import same
from stepwell.expressions.texts import MAX_TEXT, SafeText, text_of
from stepwell.values import Json, canonical

_MAX_ITEMS = 100_000


def items_of(value: Json) -> list[Json]:
    """The value as a flat list; a list without lists in it is returned as it is."""
    if isinstance(value, list):
        return _flat(value) if any(type(item) is list for item in value) else value
    return [] if value is None else [str(value) if type(value) is SafeText else value]


def pick_by(key: Json) -> Pick:
    """The function that a field name, dotted path or arithmetic stands for."""
    try:
        return picker(text_of(key))
    except SyntaxFault as fault:
        raise RenderFault(fault.message) from None


def map_items(value: Json, key: Json) -> list[Json]:
    return map_picked(value, pick_by(key))


def map_picked(value: Json, pick: Pick) -> list[Json]:
    """`map` with its argument already compiled."""
    return [pick(item) for item in items_of(value)]


def sum_items(value: Json, key: Json = None) -> numbers.Number:
    items = items_of(value) if key is None else map_items(value, key)
    total: numbers.Number = 0
    for item in items:
        total = numbers.add(total, numbers.to_number(item))
    return numbers.result(total)


def join(value: Json, separator: Json = " ") -> str:
    between = text_of(separator)
    texts, size = [], 0
    for item in items_of(value):
        texts.append(text_of(item))
        size += len(texts[-1]) + len(between)
        if size - len(between) > MAX_TEXT:
            raise RenderFault("the text is over 1 MiB")
    return between.join(texts)


def first(value: Json) -> Json:
    if isinstance(value, dict):
        return [list(pair) for pair in value.items()][0] if value else None  # noqa: RUF015
    return value[0] if isinstance(value, list) and value else None


def last(value: Json) -> Json:
    return value[-1] if isinstance(value, list) and value else None


def concat(value: Json, other: Json) -> list[Json]:
    if not isinstance(other, list):
        raise RenderFault("concat expects a list")
    joined = items_of(value) + other
    if len(joined) > _MAX_ITEMS:
        raise RenderFault(f"a list of more than {_MAX_ITEMS} items")
    return joined


def reverse(value: Json) -> list[Json]:
    return items_of(value)[::-1]


def sort(value: Json, key: Json = None) -> list[Json]:
    items = items_of(value)
    pick = None if key is None else pick_by(key)
    keyed = [(item if pick is None else pick(item), item) for item in items]
    present = [pair for pair in keyed if pair[0] is not None]
    _check_order([pair[0] for pair in present])
    present.sort(key=lambda pair: pair[0])
    return [pair[1] for pair in present] + [pair[1] for pair in keyed if pair[0] is None]


def sort_natural(value: Json, key: Json = None) -> list[Json]:
    pick = None if key is None else pick_by(key)
    keyed = [(item if pick is None else pick(item), item) for item in items_of(value)]
    return [pair[1] for pair in sorted(keyed, key=lambda pair: (pair[0] is None, text_of(pair[0]).lower()))]


def where(value: Json, key: Json, wanted: Json = None) -> list[Json]:
    holds = _test(key, wanted)
    return [item for item in items_of(value) if holds(item)]


def reject(value: Json, key: Json, wanted: Json = None) -> list[Json]:
    holds = _test(key, wanted)
    return [item for item in items_of(value) if not holds(item)]


def find(value: Json, key: Json, wanted: Json = None) -> Json:
    holds = _test(key, wanted)
    return next((item for item in items_of(value) if holds(item)), None)


def find_index(value: Json, key: Json, wanted: Json = None) -> int | None:
    holds = _test(key, wanted)
    return next((index for index, item in enumerate(items_of(value)) if holds(item)), None)


def has(value: Json, key: Json, wanted: Json = None) -> bool:
    holds = _test(key, wanted)
    return any(holds(item) for item in items_of(value))


def uniq(value: Json, key: Json = None) -> list[Json]:
    pick = None if key is None else pick_by(key)
    distinct: dict[bytes, Json] = {}
    for item in items_of(value):
        distinct.setdefault(canonical(item if pick is None else pick(item)), item)
    return list(distinct.values())


def compact(value: Json, key: Json = None) -> list[Json]:
    pick = None if key is None else pick_by(key)
    return [item for item in items_of(value) if (item if pick is None else pick(item)) is not None]


def _flat(items: list[Json]) -> list[Json]:
    flat: list[Json] = []
    stack = [iter(items)]
    while stack:
        item = next(stack[-1], _END)
        if item is _END:
            stack.pop()
        elif isinstance(item, list):
            stack.append(iter(item))
        else:
            flat.append(item)
            if len(flat) > _MAX_ITEMS:
                raise RenderFault(f"a list of more than {_MAX_ITEMS} items")
    return flat


def _test(key: Json, wanted: Json) -> Callable[[Json], bool]:
    pick = pick_by(key)
    if wanted is None:
        return lambda item: pick(item) not in (None, False)
    return lambda item: same(pick(item), wanted)


def _check_order(keys: list[Json]) -> None:
    kinds = {int if isinstance(key, int | Decimal) and not isinstance(key, bool) else type(key) for key in keys}
    if kinds and kinds not in ({int}, {str}):
        raise RenderFault("a list of mixed or unordered values cannot be sorted")


_END = object()

LIST_FILTERS: Mapping[str, Callable[..., Json]] = {
    "compact": compact,
    "concat": concat,
    "find": find,
    "find_index": find_index,
    "first": first,
    "has": has,
    "join": join,
    "last": last,
    "map": map_items,
    "reject": reject,
    "reverse": reverse,
    "sort": sort,
    "sort_natural": sort_natural,
    "sum": sum_items,
    "uniq": uniq,
    "where": where,
}
