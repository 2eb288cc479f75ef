"""Server-Sent Events: lines into the events of a run."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from stepwell.client.records import Run, RunEvent, StepResult

_run = msgspec.json.Decoder(Run, float_hook=Decimal).decode
_step = msgspec.json.Decoder(StepResult, float_hook=Decimal).decode


def run_events(lines: Iterable[bytes]) -> Iterator[RunEvent]:
    """The events in the lines of a stream; comments and events of kinds that are not known are passed over."""
    fields: dict[str, str] = {}
    for line in lines:
        text = line.decode().rstrip("\r\n")
        if text.startswith(":"):
            continue
        if text:
            name, _, value = text.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and "data" in fields else value
            continue
        kind = fields.get("event", "")
        if kind in ("run.status", "step.started", "step.completed") and "data" in fields:
            data = _run(fields["data"]) if kind == "run.status" else _step(fields["data"])
            yield RunEvent(id=int(fields["id"]), kind=kind, data=data)
        fields = {}
