"""The options that several commands share, and the settings they amount to."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from stepwell import values
from stepwell.settings import Settings, load

DataOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--data", help="Directory of the database, the vault key and stepwell.toml.  [default: data]"),
]
ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file of settings.  [default: stepwell.toml in the data directory]"),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
OutputOption: TypeAlias = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write.  [default: standard output]")
]
UrlOption: TypeAlias = Annotated[
    str, typer.Option("--url", envvar="STEPWELL_URL", help="Address of the server.", metavar="URL")
]
ApiKeyOption: TypeAlias = Annotated[
    str | None, typer.Option("--api-key", envvar="STEPWELL_API_KEY", help="Key to call the server with.", metavar="KEY")
]

DEFAULT_URL = "http://127.0.0.1:3000"
STYLE: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": "rich"}
"""What all commands have in common."""


def settings_of(data: Path | None = None, config: Path | None = None, **options: object) -> Settings:
    """The settings of the options, the environment and the file. Options are named `section__name`.

    Raises:
        SettingsInvalid: with every fault.
    """
    given = {name.replace("__", ".", 1): value for name, value in options.items()}
    return load(os.environ, config, given | {"server.data": data})


def json_object(text: str, name: str) -> dict[str, Any]:
    """The JSON object in a text, in a file (`@orders.json`) or on standard input (`@-`).

    Raises:
        typer.BadParameter: it cannot be read or is no JSON object; the message names the option.
    """
    try:
        source = text.encode() if not text.startswith("@") else _content(text[1:])
        value = values.decode(source)
    except OSError as error:
        raise typer.BadParameter(f"{text[1:]} cannot be read: {error.strerror}", param_hint=name) from error
    except values.InvalidJson as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint=name) from error
    if not isinstance(value, dict):
        raise typer.BadParameter("expected a JSON object, such as {...}", param_hint=name)
    return value


def _content(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
