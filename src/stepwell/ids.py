"""Ids: UUIDv7 as text. Their order is the order of creation, and their first 48 bits are the creation time in ms."""

import os
import re
from collections.abc import Iterator
from typing import Protocol

from stepwell.clock import Clock

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Ids(Protocol):
    """Where new ids come from."""

    def new(self) -> str:
        """A new UUIDv7, later in order than every one before it from this source."""
        ...


class RandomHex:
    """Hex digits from the system's source; one call of the system serves many takers."""

    def __init__(self, digits: int) -> None:
        """`digits` are handed out at a time; a divisor of 2048."""
        self._digits = digits
        self._left: Iterator[str] = iter(())

    def take(self) -> str:
        """Digits that nobody has had."""
        for part in self._left:
            return part
        text = os.urandom(1024).hex()
        self._left = (text[at : at + self._digits] for at in range(0, 2048, self._digits))
        return next(self._left)


class TimeOrderedIds:
    """UUIDv7 from a clock; within one millisecond, or when the clock goes back, a counter keeps the order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0  # 48 bits of time and 12 of counter
        self._random = RandomHex(16)

    def new(self) -> str:
        stamp = max(self._clock.now_ms() << 12, self._last + 1)
        self._last = stamp
        tail = self._random.take()
        variant = "89ab"[int(tail[0], 16) & 3]
        head = f"{stamp >> 12:012x}"
        return f"{head[:8]}-{head[8:]}-7{stamp & 0xFFF:03x}-{variant}{tail[1:4]}-{tail[4:16]}"


def created_ms(uuid: str) -> int:
    """The creation time in epoch milliseconds that a UUIDv7 carries."""
    return int(uuid[:8] + uuid[9:13], 16)


def lowest_at(time_ms: int) -> str:
    """The smallest UUIDv7 text of a millisecond, to turn a time into a bound on ids; before 1970 counts as 1970."""
    head = f"{max(0, time_ms):012x}"
    return f"{head[:8]}-{head[8:]}-7000-8000-000000000000"


def parse(text: str) -> str | None:
    """The UUID in lower case, or None if the text is not one."""
    lower = text.lower()
    return lower if _UUID.fullmatch(lower) else None
