"""The trigger of a definition: which kinds there are, and everything wrong with one."""

from stepwell.errors import Fault
from stepwell.triggers.events import EventCatalogue, event_faults
from stepwell.triggers.hooks import hook_faults
from stepwell.triggers.schedules import schedule_faults
from stepwell.values import Json, Path


def trigger_faults(trigger: dict[str, Json], events: EventCatalogue, path: Path = ("trigger",)) -> list[Fault]:
    """Every fault of a trigger of a known type; none of `api` and `manual`, which have no fields."""
    match trigger.get("type"):
        case "webhook":
            return list(hook_faults(trigger, path))
        case "schedule":
            return list(schedule_faults(trigger, path))
        case "event":
            return list(event_faults(trigger, events, path))
    return []


def trigger_kind(trigger: dict[str, Json], events: EventCatalogue) -> str | None:
    """schedule, webhook or poll; None of triggers that are no rows: `api` and `manual`."""
    match trigger.get("type"):
        case "webhook" | "schedule" as kind:
            return str(kind)
        case "event":
            return events.event_kind(str(trigger.get("event")))
    return None
