"""What happens, by name: one table gives each event its level and words; logs and metrics are sinks of the same."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

Level = Literal["debug", "info", "warning", "error"]
Sink: TypeAlias = Callable[[str, Mapping[str, Any]], None]


class Meaning(NamedTuple):
    """How an event is told."""

    level: Level
    words: str


EVENTS: Mapping[str, Meaning] = {
    "server.started": Meaning("info", "server started"),
    "server.stopping": Meaning("info", "server stops: no new runs, effects in flight may end"),
    "server.stopped": Meaning("info", "server stopped"),
    "store.migrated": Meaning("info", "schema migrated"),
    "store.unavailable": Meaning("error", "the store cannot be written; runs hold where they are"),
    "store.available": Meaning("info", "the store can be written again; runs go on"),
    "recovery.released": Meaning("warning", "runs of a process that is gone were let go"),
    "recovery.interrupted": Meaning("error", "run failed: its process died three times without a new result"),
    "run.started": Meaning("debug", "run started"),
    "run.finished": Meaning("debug", "run finished"),
    "run.suspended": Meaning("debug", "run left memory to wait"),
    "run.crashed": Meaning("error", "a walk ended by a fault of the server, and its run with it"),
    "step.finished": Meaning("debug", "step finished"),
    "step.retried": Meaning("debug", "step failed and will be tried again"),
    "step.fault": Meaning("error", "a step type raised an exception of its own"),
    "timers.fired": Meaning("debug", "timers fired"),
    "outbox.done": Meaning("debug", "a scheduled action was run"),
    "outbox.given_up": Meaning("error", "a scheduled action failed for good and was given up"),
    "approval.not_told": Meaning("warning", "nobody was told that an approval waits: no connection for the channel"),
    "retention.pruned": Meaning("info", "old runs were removed"),
    "service.failed": Meaning("error", "a service failed and is started again"),
    "http.request": Meaning("info", "request"),
    "http.fault": Meaning("error", "a request ended by a fault of the server"),
}


class Events:
    """Hands every event to every sink."""

    def __init__(self, sinks: Sequence[Sink] = ()) -> None:
        self._sinks = tuple(sinks)

    def emit(self, name: str, **fields: Any) -> None:
        """Tell of an event of the table; fields are ids and numbers, never secrets."""
        for sink in self._sinks:
            sink(name, fields)
