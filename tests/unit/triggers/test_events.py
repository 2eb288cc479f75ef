"""Event triggers of a definition: everything wrong with one, by field."""

import msgspec
import pytest

from stepwell.errors import Fault
from stepwell.triggers import EventSpec, compile_event, trigger_faults, trigger_kind
from stepwell.values import Json

PARAMS = {
    "type": "object",
    "required": ["repo"],
    "additionalProperties": False,
    "properties": {"repo": {"type": "string"}, "labels": {"type": "array"}},
}
PUSH = EventSpec(
    name="github.push",
    provider="github",
    kind="webhook",
    title="Push",
    description=None,
    params=PARAMS,
    output={},
    connection="required",
    interval_s=300,
)
ITEM = msgspec.structs.replace(PUSH, name="rss.new_item", provider="rss", kind="poll", connection="none")
GOOD = {"repo": "shop"}


class Offered:
    """Two events."""

    def event_kind(self, name: str) -> str | None:
        spec = self.event(name)
        return spec.kind if spec else None

    def event(self, name: str) -> EventSpec | None:
        return {each.name: each for each in self.events()}.get(name)

    def events(self) -> tuple[EventSpec, ...]:
        return PUSH, ITEM

    def event_filter(self, name: str, params: dict[str, Json]) -> dict[str, Json]:
        return {"ref": "main"} if name == "github.push" else {}

    def hook_config(self, config: dict[str, Json]) -> dict[str, Json]:
        return {}


def faults(**fields: Json) -> list[tuple[str, str]]:
    """The faults of a trigger on items, as (field, message)."""
    config = {"type": "event", "event": "rss.new_item", "params": GOOD, **fields}
    return [(fault.field, fault.message) for fault in trigger_faults(config, Offered())]


def test_a_good_trigger_has_none() -> None:
    interval = {"value": 60, "unit": "seconds"}

    assert faults(interval=interval, first="emit", maxItems=1000, filter={"a.b": {"$gt": 1}}, enabled=False) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("github.pusch", "Unknown event: github.pusch. Did you mean github.push?"),
        ("github.star", "Unknown event: github.star. Did you mean github.push?"),
        ("stripe.paid", "Unknown event: stripe.paid. Write <connector>.<event>; connectors with events: github, rss"),
        (None, "Required"),
        (7, "Expected string"),
    ],
)
def test_an_event_that_nobody_offers_is_told_with_what_is_near(name: Json, message: str) -> None:
    assert faults(event=name) == [("trigger.event", message)]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, [("trigger.params.repo", "Required")]),
        ({"repo": 1}, [("trigger.params.repo", "Expected string, received number")]),
        ({"repo": "a", "branch": "b"}, [("trigger.params.branch", "Not allowed")]),
        ([], [("trigger.params", "Expected object")]),
        (
            {"repo": "a", "labels": ["{{secrets.X}}"]},
            [
                (
                    "trigger.params.labels[0]",
                    "There is no run yet that a template could read; write the value itself",
                )
            ],
        ),
    ],
)
def test_parameters_are_checked_against_the_events_schema(params: Json, expected: list[tuple[str, str]]) -> None:
    assert faults(params=params) == expected


@pytest.mark.parametrize(
    ("interval", "field"),
    [
        ({"value": 59, "unit": "seconds"}, "trigger.interval.value"),
        ({"value": 8, "unit": "days"}, "trigger.interval.value"),
        ({"value": 1.5, "unit": "hours"}, "trigger.interval.value"),
        ({"value": True, "unit": "hours"}, "trigger.interval.value"),
        ({"unit": "hours"}, "trigger.interval.value"),
        ({"value": 5}, "trigger.interval.unit"),
        ({"value": 5, "unit": "weeks"}, "trigger.interval.unit"),
        ("5m", "trigger.interval"),
    ],
)
def test_an_interval_is_from_a_minute_to_a_week(interval: Json, field: str) -> None:
    assert [place for place, _ in faults(interval=interval)] == [field]


@pytest.mark.parametrize(
    ("name", "value"),
    [("first", "all"), ("maxItems", 0), ("maxItems", 1001), ("maxItems", True), ("enabled", "yes")],
)
def test_fields_that_say_how_to_poll_are_checked(name: str, value: Json) -> None:
    assert [place for place, _ in faults(**{name: value})] == [f"trigger.{name}"]


def test_what_is_sent_by_the_provider_is_not_polled() -> None:
    config = {"event": "github.push", "interval": {"value": 5, "unit": "minutes"}, "first": "emit", "maxItems": 5}

    assert [place for place, _ in faults(**config)] == ["trigger.interval", "trigger.first", "trigger.maxItems"]


@pytest.mark.parametrize(
    ("event", "connection", "message"),
    [
        ("rss.new_item", "main", "rss.new_item uses no connection"),
        ("github.push", 7, "Expected the id or slug of a connection"),
        ("github.push", "", "Expected the id or slug of a connection"),
    ],
)
def test_a_connection_is_named_where_one_is_used(event: str, connection: Json, message: str) -> None:
    assert faults(event=event, connection=connection) == [("trigger.connection", message)]


def test_a_filter_is_checked_and_must_not_say_what_the_parameters_say() -> None:
    assert faults(filter={"a": {"$near": 1}}) == [("trigger.filter.a.$near", "Unknown operator: $near")]
    assert faults(event="github.push", filter={"ref": "dev"}) == [
        ("trigger.filter.ref", "The trigger's params say this already")
    ]


def test_the_kind_of_a_trigger_is_that_of_its_event() -> None:
    kinds = [trigger_kind({"type": "event", "event": name}, Offered()) for name in ("github.push", "rss.new_item", "x")]

    assert kinds == ["webhook", "poll", None]


def test_defaults_are_filled_in() -> None:
    written = compile_event({"type": "event", "event": "rss.new_item"}, ITEM)
    said = compile_event({"interval": {"value": 2, "unit": "hours"}, "first": "emit", "maxItems": 7}, ITEM)

    assert (written.interval_s, written.first, written.most_items, written.params) == (300, "skip", 100, {})
    assert (said.interval_s, said.first, said.most_items) == (7200, "emit", 7)


def test_a_fault_names_its_field() -> None:
    config = {"type": "event", "event": "rss.new_item", "params": {}}

    assert trigger_faults(config, Offered()) == [Fault(("trigger", "params", "repo"), "Required")]
