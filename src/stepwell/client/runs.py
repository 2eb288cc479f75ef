"""Runs: started, watched, cancelled, gone on with."""

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from stepwell.client.errors import Unreachable
from stepwell.client.records import Page, Restarted, RestartPreview, Run, RunDetail, RunEvent, RunLogs, Started
from stepwell.client.stream import run_events
from stepwell.client.transport import Transport

FINAL = frozenset({"completed", "failed", "timeout", "cancelled"})
"""The statuses that a run keeps."""

RECONNECTS = 5


class Runs:
    """The calls on runs."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._call = transport.call

    def start(
        self,
        workflow: str,
        input: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        connection: str | None = None,
    ) -> Started:
        """Start a run of an active workflow, named by its id or slug. When this returns, the run is on disk.

        The same idempotency key within 24 hours returns the same run.
        """
        body = {"input": input or {}, "idempotencyKey": idempotency_key, "connectionId": connection}
        given = {name: value for name, value in body.items() if value is not None}
        answer = self._call("POST", f"/workflows/{quote(workflow, safe='')}/run", given)
        answer.data = {**answer.data, "replayed": answer.headers.get("Idempotency-Replayed") == "true"}
        return answer.one(Started)

    def list(
        self,
        *,
        workflow: str | None = None,
        status: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Run]:
        """Runs, newest first."""
        query = {"workflowId": workflow, "status": status, "limit": limit, "cursor": cursor}
        return self._call("GET", "/runs", query=query).page(Run)

    def get(self, run: str) -> RunDetail:
        """A run with its steps."""
        return self._call("GET", _path(run)).one(RunDetail)

    def logs(self, run: str) -> RunLogs:
        """A run's steps with every attempt."""
        return self._call("GET", _path(run, "/logs")).one(RunLogs)

    def cancel(self, run: str) -> None:
        """Cancel a run that is not final."""
        self._call("POST", _path(run, "/cancel"))

    def retry(self, run: str) -> Restarted:
        """Go on with a failed run from its first failed step, as a new run."""
        return self._call("POST", _path(run, "/retry")).one(Restarted)

    def restart(self, run: str, from_step: str, override_input: Mapping[str, Any] | None = None) -> Restarted:
        """Go on with an ended run from a step, as a new run; `override_input` is merged over the original's input."""
        body: dict[str, Any] = {"fromStepId": from_step}
        if override_input is not None:
            body["overrideInput"] = override_input
        return self._call("POST", _path(run, "/restart"), body).one(Restarted)

    def preview_restart(
        self, run: str, from_step: str, override_input: Mapping[str, Any] | None = None
    ) -> RestartPreview:
        """What such a restart would reuse and run, side effects told; nothing is changed."""
        body: dict[str, Any] = {"fromStepId": from_step, "preview": True}
        if override_input is not None:
            body["overrideInput"] = override_input
        return self._call("POST", _path(run, "/restart"), body).one(RestartPreview)

    def pause(self, run: str) -> None:
        """Let the steps in flight end and start no other."""
        self._call("POST", _path(run, "/pause"))

    def resume(self, run: str, *, budget_cents: int | None = None) -> None:
        """Let a paused run go on. One that asked because of its budget goes on without it, or with the one given."""
        self._call("POST", _path(run, "/resume"), None if budget_cents is None else {"budgetCents": budget_cents})

    def send_event(self, run: str, type: str, payload: Any = None) -> str:
        """Send an event to a run; its id. It is stored when this returns, and taken by the step that waits for it."""
        answer = self._call("POST", _path(run, "/events"), {"type": type, "payload": payload})
        return str(answer.data["eventId"])

    def delete(self, run: str) -> None:
        """Delete a final run."""
        self._call("DELETE", _path(run))

    def stream(self, run: str, *, after: int | None = None) -> Iterator[RunEvent]:
        """What happened to a run after an event's id (all if None), then what happens, until it is final.

        A connection that is lost is taken up again where it ended.

        Raises:
            Unreachable: there is no server, or it was gone for several tries in a row.
        """
        lost, heard = 0, False
        while True:
            headers = {"Accept": "text/event-stream"} | ({} if after is None else {"Last-Event-ID": str(after)})
            try:
                with self._transport.stream(_path(run, "/stream"), headers) as lines:
                    for event in run_events(lines):
                        after, lost, heard = event.id, 0, True
                        yield event
                        if isinstance(event.data, Run) and event.data.status in FINAL:
                            return
            except Unreachable:
                if not heard or lost >= RECONNECTS:
                    raise
            lost += 1
            if lost > RECONNECTS:
                raise Unreachable(f"The stream of {run} ends again and again before the run does")
            time.sleep(1.0)


def _path(run: str, rest: str = "") -> str:
    return f"/runs/{quote(run, safe='')}{rest}"
