"""Rate limits: a sliding window per caller and category, never more than the limit in any 60 seconds."""

from collections import deque
from math import ceil

import msgspec

from stepwell.clock import Clock
from stepwell.http.errors import RateLimited

WINDOW_S = 60.0
MANY = 10_000  # so many windows are kept before those that are empty again are let go


class Allowance(msgspec.Struct, frozen=True):
    """What a caller has left after a request. `reset` is when the oldest request leaves the window, in Unix seconds."""

    limit: int
    remaining: int
    reset: int


class Rates:
    """The windows of one process. An exact window costs a time per accepted request, about a microsecond to keep."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[tuple[str, str], deque[float]] = {}

    def __len__(self) -> int:
        """How many windows are kept."""
        return len(self._windows)

    def take(self, caller: str, category: str, limit: int) -> Allowance:
        """Count a request, and say what is left.

        Raises:
            RateLimited: the window is full; the request is not counted.
        """
        now = self._clock.monotonic()
        window = self._windows.get((caller, category))
        if window is None:
            window = self._windows[caller, category] = deque()
            if len(self._windows) > MANY:
                self._forget(now)
        since = now - WINDOW_S
        while window and window[0] <= since:
            window.popleft()
        if len(window) >= limit:
            raise RateLimited(limit, max(1, ceil(window[0] - since)))
        window.append(now)
        reset_s = self._clock.now_ms() / 1000 + window[0] - since
        return Allowance(limit, limit - len(window), ceil(reset_s))

    def _forget(self, now: float) -> None:
        """Let go the windows that no request is in any more."""
        since = now - WINDOW_S
        self._windows = {key: window for key, window in self._windows.items() if not window or window[-1] > since}
