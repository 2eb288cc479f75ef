"""What expressions see: a mapping of root names to values, some of which look their parts up only when asked."""

from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from stepwell.values import Json


class _Missing:
    """The answer of a lookup that found nothing; renders as null."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()


@runtime_checkable
class Lookup(Protocol):
    """A value whose parts are found on demand: the steps of a run, one step's view."""

    def lookup(self, segment: str) -> Any:
        """The part of that name: a JSON value, another Lookup, or MISSING."""
        ...

    def plain(self) -> Json:
        """The whole value as JSON."""
        ...


Scope: TypeAlias = Mapping[str, Any]
"""Root names (input, steps, run, variables, item ...) to JSON values or Lookups."""
