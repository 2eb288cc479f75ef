"""Regions of a page that are generated: `<!-- generated: NAME -->` to `<!-- /generated -->`; the rest is by hand."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

Regions = Mapping[str, Callable[[], str]]
"""What makes the text of a region, by its name."""

_REGION = re.compile(r"(<!-- generated: ([a-z-]+) -->\n)(.*?)(<!-- /generated -->)", re.DOTALL)


class UnknownRegion(ValueError):
    """A page asks for a region that nothing makes."""


def filled(page: str, regions: Regions) -> str:
    """The page with its regions as they are now.

    Raises:
        UnknownRegion: the message names it.
    """

    def fill(found: re.Match[str]) -> str:
        begin, name, _, end = found.groups()
        if name not in regions:
            raise UnknownRegion(name)
        return f"{begin}{regions[name]().strip()}\n{end}"

    return _REGION.sub(fill, page)


def write(folder: Path, regions: Regions) -> list[Path]:
    """Bring the pages of a folder and those below it up to date; which ones were changed."""
    changed = []
    for page in sorted(folder.rglob("*.md")):
        text = page.read_text("utf-8")
        current = filled(text, regions)
        if current != text:
            page.write_text(current, "utf-8")
            changed.append(page)
    return changed
