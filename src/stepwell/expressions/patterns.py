"""Regular expressions of users: RE2 only, compiled once and kept in a bounded cache."""

from functools import lru_cache
from typing import Protocol, cast

import re2

MAX_PATTERN = 1000


class InvalidPattern(ValueError):
    """The text is not a regular expression of RE2; the message says why."""


class Pattern(Protocol):
    """A compiled regular expression."""

    def search(self, text: str) -> object | None:
        """A match anywhere in the text."""
        ...

    def fullmatch(self, text: str) -> object | None:
        """A match of the whole text."""
        ...


@lru_cache(maxsize=512)
def regex(text: str) -> Pattern:
    """The compiled pattern. Matching takes time linear in the text.

    Raises:
        InvalidPattern: bad syntax, or over 1000 characters.
    """
    if len(text) > MAX_PATTERN:
        raise InvalidPattern(f"Invalid regular expression: over {MAX_PATTERN} characters")
    try:
        return cast(Pattern, re2.compile(text, _options()))
    except (re2.error, UnicodeError) as error:
        detail = error.args[0] if error.args else error
        reason = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
        raise InvalidPattern(f"Invalid regular expression: {reason}") from None


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return options
