"""wait: holds the run for a time or until a time. Source: LoopFour contract 9."""

from stepwell.clock import iso, parse_iso
from stepwell.definitions import Kind, Source
from stepwell.expressions import Scope, Template, is_number_like
from stepwell.steps.fields import (
    choice_field,
    number_field,
    read_choice,
    read_needed_text,
    read_number,
    text_field,
    unfit,
)
from stepwell.values import Json

YEAR_MS = 365 * 24 * 3600 * 1000
UNITS = {"milliseconds": 1, "seconds": 1000, "minutes": 60_000, "hours": 3_600_000, "days": 86_400_000}


class WaitStep:
    """Output `{waited, durationMs, completedAt}`, both times in ms as they really passed."""

    name = "wait"
    kind = Kind.WAIT
    default_timeout_ms: int | None = None
    config_schema: Json = {
        "type": "object",
        "properties": {
            "duration": number_field("How long, in `unit`; at most 365 days.", minimum=0),
            "unit": choice_field("Of `duration`.", *UNITS, default="milliseconds"),
            "until": text_field("An ISO 8601 time; one that is over ends the wait at once."),
        },
    }

    def compile(self, source: Source) -> Template | None:
        config, written = source.config, source.raw.get("config", {})
        if "duration" not in written and "until" not in written:
            source.fault(("duration",), "Required")
        if "duration" in config and "until" in config:
            source.fault(("until",), "Not allowed together with duration")
        template = source.template()
        if template is not None and template.literal:
            self._check(source, config)
        return template

    def begin(self, program: Template, scope: Scope, now_ms: int) -> tuple[Json, int]:
        config = program.render(scope)
        if config.get("until") is not None:
            due = parse_iso(read_needed_text(config, "until"))
            if due is None:
                raise unfit("until", "Expected an ISO 8601 time")
            if due - now_ms > YEAR_MS:
                raise unfit("until", "At most 365 days ahead")
            return config, max(due, now_ms)
        return config, now_ms + _duration_ms(config)

    def finish(self, config: Json, started_ms: int, now_ms: int) -> Json:
        waited = max(0, now_ms - started_ms)
        return {"waited": waited, "durationMs": waited, "completedAt": iso(now_ms)}

    def _check(self, source: Source, config: dict[str, Json]) -> None:
        if "duration" in config and is_number_like(config["duration"]):
            unit = UNITS.get(config.get("unit", "milliseconds"), 1)
            if read_number(config, "duration") * unit > YEAR_MS:  # type: ignore[operator]
                source.fault(("duration",), "At most 365 days")
        if "until" in config and parse_iso(config["until"]) is None:
            source.fault(("until",), "Expected an ISO 8601 time")


def _duration_ms(config: Json) -> int:
    unit = UNITS[read_choice(config, "unit", tuple(UNITS), "milliseconds")]
    duration = read_number(config, "duration")
    if duration is None:
        raise unfit("duration", "Required")
    if not 0 <= duration * unit <= YEAR_MS:
        raise unfit("duration", "At least 0 and at most 365 days")
    return round(duration * unit)
