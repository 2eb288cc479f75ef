"""wait_for_event: holds the run until an event reaches it. Source: LoopFour contract 9 and 10."""

from dataclasses import dataclass

from stepwell.clock import iso
from stepwell.definitions import Kind, Source
from stepwell.errors import StepError, ValidationFailed
from stepwell.expressions import Scope, Template
from stepwell.steps.fields import number_field, read_needed_text, read_number, text_field, unfit
from stepwell.triggers.filters import Filter, compile_filter
from stepwell.values import Json

YEAR_MS = 365 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class EventProgram:
    """The config as a template, and whether a timeout lets the run go on."""

    template: Template
    goes_on: bool


class WaitForEventStep:
    """Output `{type, payload, eventId, receivedAt, timedOut}`."""

    name = "wait_for_event"
    kind = Kind.EVENT
    default_timeout_ms: int | None = None
    config_schema: Json = {
        "type": "object",
        "required": ["eventType"],
        "properties": {
            "eventType": text_field("The type of event that ends the wait.", minLength=1),
            "match": {"type": "object", "description": "A filter on the payload; values may be templates."},
            "timeoutMs": number_field("How long it waits; for ever if absent.", minimum=1, maximum=YEAR_MS),
            "timeoutAction": {"enum": ["fail", "continue"], "default": "fail", "description": "What a timeout does."},
        },
    }

    def compile(self, source: Source) -> EventProgram | None:
        template = source.template()
        match = source.config.get("match")
        if match is not None:
            try:
                compile_filter(match)
            except ValidationFailed as error:
                for fault in error.faults:
                    source.fault(("match", *fault.path), fault.message)
        return None if template is None else EventProgram(template, source.config.get("timeoutAction") == "continue")

    def begin(self, program: EventProgram, scope: Scope) -> tuple[Json, str, int | None]:
        """The resolved config, the type of event and the time limit in ms. Raises StepError."""
        config = program.template.render(scope)
        timeout = read_number(config, "timeoutMs")
        if timeout is not None and not 1 <= timeout <= YEAR_MS:
            raise unfit("timeoutMs", "At least 1 and at most 365 days")
        self.filter(config)
        return config, read_needed_text(config, "eventType"), None if timeout is None else round(timeout)

    def filter(self, config: Json) -> Filter | None:
        """The filter of a resolved config. Raises StepError."""
        if config.get("match") is None:
            return None
        try:
            return compile_filter(config["match"])
        except ValidationFailed as error:
            raise unfit("match", f"{error.faults[0].field}: {error.faults[0].message}") from None

    def received(self, type: str, payload: Json, event: str, received_ms: int) -> Json:
        """The output when an event came."""
        received = iso(received_ms)
        return {"type": type, "payload": payload, "eventId": f"evt_{event}", "receivedAt": received, "timedOut": False}

    def timed_out(self, program: EventProgram, type: str) -> Json:
        """The output when none came in time. Raises StepError EVENT_TIMEOUT."""
        if not program.goes_on:
            raise StepError(f"No event of type {type} came in time", code="EVENT_TIMEOUT")
        return {"type": type, "payload": None, "eventId": None, "receivedAt": None, "timedOut": True}
