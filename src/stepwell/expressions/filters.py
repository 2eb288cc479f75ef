"""The one table of filters, used wherever a pipe stands in a template."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from stepwell.expressions.filters_dates import date
from stepwell.expressions.filters_lists import LIST_FILTERS
from stepwell.expressions.filters_numbers import NUMBER_FILTERS
from stepwell.expressions.filters_texts import HTML_TEXT_FILTERS, TEXT_FILTERS
from stepwell.expressions.texts import json_text
from stepwell.values import Json

Filter: TypeAlias = Callable[..., Json]


def default(value: Json, other: Json = "", *, allow_false: Json = False) -> Json:
    """The other value for null, false, an empty text, list or object."""
    if value is False and allow_false is True:
        return value
    return other if value is None or value is False or (isinstance(value, str | list | dict) and not value) else value


def size(value: Json) -> int:
    """Characters of a text, items of a list, members of an object; 0 for anything else."""
    return len(value) if isinstance(value, str | list | dict) else 0


FILTERS: Mapping[str, Filter] = {
    **NUMBER_FILTERS,
    **TEXT_FILTERS,
    **LIST_FILTERS,
    "date": date,
    "default": default,
    "json": json_text,
    "length": size,
    "size": size,
}

HTML_FILTERS: Mapping[str, Filter] = {**FILTERS, **HTML_TEXT_FILTERS}
"""The same table where the text around is HTML: what makes HTML of a value escapes it first."""
