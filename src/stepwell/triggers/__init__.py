"""What starts runs by itself: schedules, webhooks and connector events, and what of them is meant. Pure; no I/O."""

from stepwell.triggers.arrivals import Event, body_of, challenge_of, events_of, scheme_of_provider
from stepwell.triggers.documents import trigger_faults, trigger_kind
from stepwell.triggers.events import EventCatalogue, EventSpec, NoEvents, Subscription, compile_event
from stepwell.triggers.filters import Filter, compile_filter, value_at
from stepwell.triggers.hooks import Hook, Respond, compile_hook, default_hook, hook_faults
from stepwell.triggers.schedules import Schedule, Upcoming, compile_schedule
from stepwell.triggers.signatures import SCHEMES, Inbound, Scheme, Unverified, scheme_of

__all__ = [
    "SCHEMES",
    "Event",
    "EventCatalogue",
    "EventSpec",
    "Filter",
    "Hook",
    "Inbound",
    "NoEvents",
    "Respond",
    "Schedule",
    "Scheme",
    "Subscription",
    "Unverified",
    "Upcoming",
    "body_of",
    "challenge_of",
    "compile_event",
    "compile_filter",
    "compile_hook",
    "compile_schedule",
    "default_hook",
    "events_of",
    "hook_faults",
    "scheme_of",
    "scheme_of_provider",
    "trigger_faults",
    "trigger_kind",
    "value_at",
]
