"""The log: every event of its level or above as a line, JSON or readable."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from stepwell.clock import Clock, SystemClock, iso
from stepwell.events import EVENTS, Level, Meaning, Sink

LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")

_encode = msgspec.json.Encoder(enc_hook=str).encode


def log_sink(
    level: str = "info", format: str = "auto", stream: TextIO | None = None, clock: Clock | None = None
) -> Sink:
    """A sink that writes lines to a stream, standard output if none is given.

    `format` is json, text, or auto: text on a terminal. Fields that are None are left out. A line that cannot be
    written (the disk is full, the reader of a pipe has gone) is lost: no work may fail for it.
    """
    out = stream or sys.stdout
    least = LEVELS.index(level)
    told = {name: meaning for name, meaning in EVENTS.items() if LEVELS.index(meaning.level) >= least}
    readable = format == "text" or (format == "auto" and out.isatty())
    return _readable(out, told) if readable else _lines(out, told, clock or SystemClock())


def _lines(out: TextIO, told: Mapping[str, Meaning], clock: Clock) -> Sink:
    """JSON lines, made here: a line a request through a chain of processors costs several times as much."""

    def sink(name: str, fields: Mapping[str, Any]) -> None:
        meaning = told.get(name)
        if meaning is None:
            return
        line = {"time": iso(clock.now_ms()), "level": meaning.level, "event": name, "message": meaning.words}
        line.update((field, value) for field, value in fields.items() if value is not None)
        with suppress(OSError):
            out.write(_encode(line).decode() + "\n")
            out.flush()

    return sink


def _readable(out: TextIO, told: Mapping[str, Meaning]) -> Sink:
    """Lines for people."""
    logger = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[
            structlog.stdlib.add_log_level,
            _without_nothing,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors=out.isatty(), sort_keys=False),
        ],
        wrapper_class=structlog.BoundLogger,
    ).bind()

    def sink(name: str, fields: Mapping[str, Any]) -> None:
        meaning = told.get(name)
        if meaning is None:
            return
        with suppress(OSError):
            getattr(logger, meaning.level)(meaning.words, **fields)

    return sink


def _without_nothing(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return {name: value for name, value in event.items() if value is not None}
