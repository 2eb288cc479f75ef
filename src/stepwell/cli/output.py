"""What the commands print: tables, JSON, errors."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

FAILED, REFUSED = 1, 2
"""Exit codes: the thing failed; it was not even tried (wrong use, a refusal at start)."""

PIPED_WIDTH = 240
"""Columns of a table that is not printed on a terminal, so that no line is broken."""

out = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Console(stderr=True, soft_wrap=True)

_encode = msgspec.json.Encoder(decimal_format="number").encode


def say(text: str) -> None:
    """Print a line as it is: no markup, no colours by guess, not broken at the terminal's width."""
    out.print(text, highlight=False, soft_wrap=True, markup=False)


def show_json(value: Any) -> None:
    """Print a value as indented JSON, whatever the width of the terminal."""
    sys.stdout.write(json_text(value) + "\n")


def write_text(text: str, file: Path | None) -> None:
    """Write a text to a file, or to standard output if none is named."""
    if file is None:
        sys.stdout.write(text)
        return
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be written: {error.strerror}") from error


def json_text(value: Any, *, indent: int = 2) -> str:
    """A value as JSON text; an indent of 0 keeps it on one line."""
    compact = _encode(value)
    return msgspec.json.format(compact, indent=indent).decode()


def show_table(columns: Mapping[str, str], rows: Iterable[msgspec.Struct], *, empty: str) -> None:
    """Print records as a table, or `empty` if there are none. `columns` maps a field's name on the wire to its
    heading."""
    kept: list[dict[str, Any]] = [msgspec.to_builtins(row) for row in rows]
    if not kept:
        out.print(empty, highlight=False)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, heading in columns.items():
        table.add_column(heading, overflow="fold", no_wrap=name == "id")
    for row in kept:
        table.add_row(*(escape(cell(row.get(name))) for name in columns))
    out.print(table)


def show_rows(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of texts as a table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*(escape(text) for text in row))
    out.print(table)


def cell(value: Any) -> str:
    """A value as the text of a cell."""
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def complain(message: str, details: Sequence[str] = ()) -> None:
    """Print an error and its details, one a line, to standard error."""
    err.print(f"[bold red]Error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    for detail in details:
        err.print(f"  {escape(detail)}", highlight=False, soft_wrap=True)
