"""The log: every event of its level or above as a line, JSON or readable."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from stepwell.events import EVENTS, Level, Sink

LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")

_encode = msgspec.json.Encoder(enc_hook=str).encode


def log_sink(level: str = "info", format: str = "auto", stream: TextIO | None = None) -> Sink:
    """A sink that writes lines to a stream, standard output if none is given.

    `format` is json, text, or auto: text on a terminal. Fields that are None are left out.
    """
    out = stream or sys.stdout
    readable = format == "text" or (format == "auto" and out.isatty())
    logger = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=_readable(out) if readable else _lines(),
        wrapper_class=structlog.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    ).bind()
    least = LEVELS.index(level)
    told: dict[str, tuple[Callable[..., Any], str]] = {
        name: (getattr(logger, meaning.level), meaning.words)
        for name, meaning in EVENTS.items()
        if LEVELS.index(meaning.level) >= least
    }

    def sink(name: str, fields: Mapping[str, Any]) -> None:
        meaning = told.get(name)
        if meaning is not None:
            write, words = meaning
            write(words, action=name, **fields)

    return sink


def _lines() -> list[Any]:
    return [structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True), _json_line]


def _readable(out: TextIO) -> list[Any]:
    return [
        structlog.stdlib.add_log_level,
        _without_nothing,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(colors=out.isatty(), sort_keys=False),
    ]


def _without_nothing(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return {name: value for name, value in event.items() if value is not None}


def _json_line(logger: WrappedLogger, method: str, event: EventDict) -> str:
    line = {"time": event.pop("timestamp"), "level": event.pop("level"), "message": event.pop("event")}
    line.update((name, value) for name, value in event.items() if value is not None)
    return _encode(line).decode()
