"""Named SQL: `.sql` files of statements, each under `-- name: <name>` and a line of purpose."""

import re
from collections.abc import Mapping
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def load(*files: str) -> Mapping[str, str]:
    """The statements of the files of `queries/`, by name.

    Raises:
        ValueError: a statement has no purpose line, or a name stands twice.
    """
    statements: dict[str, str] = {}
    for file in files:
        text = (resources.files("stepwell.store") / "queries" / file).read_text()
        parts = _NAME.split(text)
        for name, body in zip(parts[1::2], parts[2::2], strict=True):
            purpose, _, statement = body.strip().partition("\n")
            if not purpose.startswith("-- ") or name in statements:
                raise ValueError(f"{file}: {name} has no purpose line or stands twice")
            statements[name] = statement.strip().rstrip(";")
    return statements


def migrations() -> list[tuple[int, str]]:
    """The migrations in order: number and text."""
    folder = resources.files("stepwell.store") / "migrations"
    files = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:4]), (folder / name).read_text()) for name in files]
