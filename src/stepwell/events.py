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
    "function.called": Meaning("debug", "function called"),
    "run.started": Meaning("debug", "run started"),
    "run.finished": Meaning("debug", "run finished"),
    "run.over_budget": Meaning("info", "a budget keeps a run from its next step"),
    "run.suspended": Meaning("debug", "run left memory to wait"),
    "run.crashed": Meaning("error", "a walk ended by a fault of the server, and its run with it"),
    "step.finished": Meaning("debug", "step finished"),
    "step.retried": Meaning("debug", "step failed and will be tried again"),
    "step.fault": Meaning("error", "a step type raised an exception of its own"),
    "timers.fired": Meaning("debug", "timers fired"),
    "outbox.done": Meaning("debug", "a scheduled action was run"),
    "outbox.given_up": Meaning("error", "a scheduled action failed for good and was given up"),
    "endpoint.delivered": Meaning("debug", "a message reached an endpoint"),
    "endpoint.not_delivered": Meaning("debug", "a message did not reach an endpoint and will be sent again"),
    "endpoint.given_up": Meaning("warning", "a message did not reach an endpoint and is given up"),
    "endpoint.fault": Meaning("error", "a message to an endpoint could not be sent by a fault of the server"),
    "endpoint.disabled": Meaning("warning", "an endpoint was disabled"),
    "connector.added": Meaning("info", "a connector was added"),
    "connector.removed": Meaning("info", "a connector was removed"),
    "connector.refused": Meaning("warning", "a stored connector cannot be read by this version and is left out"),
    "schedule.missed": Meaning("info", "times of a schedule passed while the server could not fire it"),
    "schedule.stopped": Meaning("warning", "a schedule was put into error"),
    "schedule.fault": Meaning("error", "a firing of a schedule ended by a fault of the server"),
    "poll.done": Meaning("debug", "a provider was asked for new items"),
    "poll.failed": Meaning("warning", "a provider could not be asked for new items"),
    "poll.fault": Meaning("error", "a poll ended by a fault of the server"),
    "hook.set_up": Meaning("info", "a hook was set up at a provider"),
    "hook.taken_down": Meaning("info", "a hook was taken down at a provider"),
    "hook.failed": Meaning("warning", "a hook could not be set up or taken down at a provider"),
    "approval.not_told": Meaning("warning", "nobody was told that an approval waits: no connection for the channel"),
    "connection.authorized": Meaning("info", "an account was connected"),
    "connection.refused": Meaning("warning", "an account was not connected: the provider or its owner refused"),
    "connection.refreshed": Meaning("debug", "an access token was renewed"),
    "connection.expired": Meaning("warning", "an account must be connected again; its triggers were switched off"),
    "inbox.unrouted": Meaning("error", "a stored webhook could not be routed"),
    "vault.turned": Meaning("info", "the vault has a new key; what older ones have sealed is wrapped anew"),
    "vault.unreadable": Meaning("warning", "a sealed value cannot be opened; enter it again"),
    "vault.rotated": Meaning("info", "everything is sealed by the current vault key"),
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
