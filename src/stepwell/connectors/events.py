"""Events of connectors: what is written of them in a manifest, checked and compiled. They are either sent to a hook
that is set up at the provider, or polled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from stepwell.connectors.manifest import Manifest, Written
from stepwell.connectors.shape import Fields, Shape, compile_shape
from stepwell.definitions.schemas import schema_faults
from stepwell.expressions import Condition, Scope, Template, compile_condition, compile_template
from stepwell.triggers import EventSpec
from stepwell.values import Json

DEFAULT_INTERVAL_S = 300


class BadEvent(ValueError):
    """What is written is no event; the message names the place and what is wrong."""


class WrittenCall(Written, frozen=True):
    """An action of the connector with parameters, whose texts are templates."""

    action: str
    params: dict[str, Json] = {}


class WrittenSetup(WrittenCall, frozen=True):
    """The action that makes a hook at the provider. Templates see `params`, `webhook.url` and `webhook.secret`. `keep`
    is what the teardown needs of its `answer`, kept and shown to it as `setup`."""

    keep: dict[str, Json] = {}


class WrittenExisting(WrittenCall, frozen=True, kw_only=True):
    """The action that lists the hooks at the provider, so that one is never there twice. `items` is the list in its
    `answer`; those for which `when` holds lead to the trigger's own address, and are taken down with `keep`."""

    items: str
    when: Json
    keep: dict[str, Json] = {}


class WrittenHook(Written, frozen=True):
    """An event that the provider sends. `scheme` says how it is signed (LoopFour contract 11.3), `events` which types
    are listened to, `filter` what the body must be; both may hold templates of `params`."""

    scheme: str
    events: list[str]
    setup: WrittenSetup | None = None
    teardown: WrittenCall | None = None
    existing: WrittenExisting | None = None
    filter: dict[str, Json] = {}


class WrittenPoll(Written, frozen=True):
    """An event that is looked for: by a source of the program's own (`feed`, `json`, `mailbox`), or by an action
    (`call`), in whose `answer` `items` is the list and `id` an `item`'s id; templates see `params`, and in the call's
    `cursor` what the template of that name gave last time. `newest_first` is how the provider lists."""

    source: Literal["feed", "json", "mailbox", "call"] = "call"
    call: WrittenCall | None = None
    items: str | None = None
    id: str | None = None
    cursor: str | None = None
    newest_first: bool = True
    interval_s: int = DEFAULT_INTERVAL_S


class WrittenEvent(Written, frozen=True):
    """One thing that happens at a provider. `output` is an example of what a run gets as input."""

    title: str
    params: dict[str, Json]
    output: Json
    description: str | None = None
    connection: Literal["required", "optional", "none"] = "required"
    webhook: WrittenHook | None = None
    poll: WrittenPoll | None = None


@dataclass(frozen=True, slots=True)
class EventCall:
    """An action with parameters, compiled. `keep` is what is kept of its answer (or of an item of it)."""

    action: str
    params: Fields
    keep: Fields


@dataclass(frozen=True, slots=True)
class Existing:
    """How the hooks at the provider are found, compiled."""

    call: EventCall
    items: Template
    when: Condition


@dataclass(frozen=True, slots=True)
class Hook:
    """How the provider sends an event, compiled."""

    scheme: str
    events: tuple[str, ...]
    filter: Fields
    setup: EventCall | None
    teardown: EventCall | None
    existing: Existing | None

    def body_filter(self, scope: Scope) -> dict[str, Json]:
        """What the parameters in a scope ask of the body; conditions that are empty are left out."""
        rendered = self.filter.render(scope)
        return {name: condition for name, condition in rendered.items() if condition not in (None, {})}


@dataclass(frozen=True, slots=True)
class Poll:
    """How an event is looked for, compiled."""

    source: str
    newest_first: bool
    call: EventCall | None = None
    items: Template | None = None
    id: Template | None = None
    cursor: Template | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An event, compiled; either `hook` or `poll` is there."""

    spec: EventSpec
    declared: tuple[str, ...]
    hook: Hook | None
    poll: Poll | None

    def scope(self, params: Mapping[str, Json], **beside: Json) -> Scope:
        """What templates see: every declared parameter is there, null if it is not given."""
        return {"params": {**dict.fromkeys(self.declared), **params}, **beside}


def compile_events(manifest: Manifest) -> dict[str, Event]:
    """The events of a manifest by their short names.

    Raises:
        BadEvent, CompileFailed.
    """
    try:
        written = msgspec.convert(manifest.triggers, dict[str, WrittenEvent])
    except msgspec.ValidationError as error:
        raise BadEvent(f"triggers: {error}") from None
    return {name: _compile(manifest, name, each) for name, each in written.items()}


def _compile(manifest: Manifest, name: str, written: WrittenEvent) -> Event:
    place = f"triggers.{name}"
    if (written.webhook is None) == (written.poll is None):
        raise BadEvent(f"{place} needs either webhook or poll")
    if faults := schema_faults(written.params):
        raise BadEvent(f"{place}.params is not a JSON Schema: {faults[0].message}")
    spec = EventSpec(
        name=f"{manifest.name}.{name}",
        provider=manifest.name,
        kind="poll" if written.webhook is None else "webhook",
        title=written.title,
        description=written.description,
        params=written.params,
        output={**_schema_of(written.output), "examples": [written.output]},
        connection=written.connection,
        interval_s=DEFAULT_INTERVAL_S if written.poll is None else written.poll.interval_s,
    )
    declared = tuple(written.params.get("properties", {}))
    hook = None if written.webhook is None else _compile_hook(manifest, place, written.webhook)
    return Event(spec, declared, hook, None if written.poll is None else _compile_poll(manifest, place, written.poll))


def _schema_of(example: Json) -> Json:
    """A JSON Schema that tells the types of an example."""
    match example:
        case dict():
            return {"type": "object", "properties": {name: _schema_of(child) for name, child in example.items()}}
        case list():
            return {"type": "array", "items": _schema_of(example[0])} if example else {"type": "array"}
        case None:
            return {}
    return {"type": {bool: "boolean", int: "integer", float: "number"}.get(type(example), "string")}


def _compile_hook(manifest: Manifest, place: str, written: WrittenHook) -> Hook:
    existing = written.existing
    if written.setup is not None and written.teardown is None:
        raise BadEvent(f"{place}.webhook has a setup and no teardown")
    return Hook(
        written.scheme,
        tuple(written.events),
        _fields(written.filter),
        _call(manifest, place, written.setup),
        _call(manifest, place, written.teardown),
        None
        if existing is None
        else Existing(
            _known_call(manifest, place, existing), compile_template(existing.items), compile_condition(existing.when)
        ),
    )


def _compile_poll(manifest: Manifest, place: str, written: WrittenPoll) -> Poll:
    by_call = written.source == "call"
    parts = (written.call, written.items, written.id)
    if by_call != all(part is not None for part in parts):
        raise BadEvent(f"{place}.poll needs a source, or call, items and id")
    if not 60 <= written.interval_s <= 7 * 86_400:
        raise BadEvent(f"{place}.poll.interval_s must be from 60 to 604800")
    return Poll(
        written.source,
        written.newest_first,
        _call(manifest, place, written.call),
        *(None if each is None else compile_template(each) for each in (written.items, written.id, written.cursor)),
    )


def _call(manifest: Manifest, place: str, written: WrittenCall | None) -> EventCall | None:
    return None if written is None else _known_call(manifest, place, written)


def _known_call(manifest: Manifest, place: str, written: WrittenCall) -> EventCall:
    if written.action not in manifest.actions:
        raise BadEvent(f"{place} names {written.action}, which is not in actions")
    keep = written.keep if isinstance(written, WrittenSetup | WrittenExisting) else {}
    return EventCall(f"{manifest.name}.{written.action}", _fields(written.params), _fields(keep))


def _fields(value: Mapping[str, Json]) -> Fields:
    shape: Shape = compile_shape(dict(value))
    if not isinstance(shape, Fields):
        raise BadEvent("params, keep and filter are written by name")
    return shape
