"""Checks that several use cases share. Each gives the faults it finds; messages are the LoopFour contract's."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from stepwell.errors import Fault, ValidationFailed

LONGEST_NAME = 255
_SLUG = re.compile(r"[A-Za-z0-9_-]{1,64}")


def refuse(faults: Iterable[Fault]) -> None:
    """Raise ValidationFailed with the faults, if there are any."""
    if listed := list(faults):
        raise ValidationFailed("Invalid request", listed)


def name_faults(name: str, field: str = "name") -> list[Fault]:
    """A name has 1 to 255 characters."""
    if not name.strip():
        return [Fault((field,), "Required")]
    if len(name) > LONGEST_NAME:
        return [Fault((field,), f"At most {LONGEST_NAME} characters")]
    return []


def slug_faults(slug: str | None) -> list[Fault]:
    """A slug has 1 to 64 letters, digits, `_` and `-`."""
    fit = slug is None or _SLUG.fullmatch(slug)
    return [] if fit else [Fault(("slug",), "A slug takes 1 to 64 letters, digits, _ and -")]


def base_url_faults(url: str | None) -> list[Fault]:
    """A base URL is an http or https address without query."""
    if url is None:
        return []
    try:
        parts = urlsplit(url)
        fit = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        fit = fit and not (parts.query or parts.fragment or parts.username or parts.password)
    except ValueError:
        fit = False
    return [] if fit else [Fault(("baseUrl",), "Expected an http or https URL without credentials and query")]
