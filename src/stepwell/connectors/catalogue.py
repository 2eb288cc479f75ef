"""The catalogue of connectors: which actions they offer and what a connection to them needs."""

from collections.abc import Mapping

from stepwell.connectors.connector import Action, Connector
from stepwell.connectors.events import Event
from stepwell.connectors.manifest import Credential
from stepwell.definitions import ActionSpec
from stepwell.errors import Fault, StepError, ValidationFailed
from stepwell.expressions import regex
from stepwell.triggers import EventSpec
from stepwell.values import Json


class Connectors:
    """All loaded connectors: the port `Catalogue`, and the rules of their credentials. Those given at first stay; more
    may come and go while the server runs."""

    def __init__(self, loaded: Mapping[str, Connector]) -> None:
        self._loaded = dict(loaded)
        self._built_in = frozenset(loaded)

    def get(self, name: str) -> Connector | None:
        """The connector of that name, or None."""
        return self._loaded.get(name)

    def is_built_in(self, name: str) -> bool:
        """Whether the connector came with Stepwell."""
        return name in self._built_in

    def put(self, connector: Connector) -> None:
        """Offer a connector from now on, in place of one of the same name that was put before."""
        if connector.name not in self._built_in:
            self._loaded[connector.name] = connector

    def drop(self, name: str) -> None:
        """No longer offer a connector that was put."""
        if name not in self._built_in:
            self._loaded.pop(name, None)

    def action(self, name: str) -> ActionSpec | None:
        """The action of that full name, or None."""
        provider, _, short = name.partition(".")
        connector = self._loaded.get(provider)
        action = connector.actions.get(short) if connector else None
        if action is None:
            return None
        required = tuple(action.params.get("required", ()))
        return ActionSpec(name, provider, required, action.params, action.price, action.usage is not None)

    def connectors(self) -> tuple[str, ...]:
        """The names of all connectors."""
        return tuple(self._loaded)

    def offering(self, action: str) -> tuple[str, ...]:
        """The connectors that offer an action of that short name."""
        return tuple(name for name, connector in self._loaded.items() if action in connector.actions)

    def event_kind(self, name: str) -> str | None:
        """See `triggers.EventCatalogue`."""
        spec = self.event(name)
        return spec.kind if spec else None

    def event(self, name: str) -> EventSpec | None:
        """See `triggers.EventCatalogue`."""
        found = self.find_event(name)
        return found.spec if found else None

    def events(self) -> tuple[EventSpec, ...]:
        """See `triggers.EventCatalogue`."""
        return tuple(event.spec for connector in self._loaded.values() for event in connector.events.values())

    def event_filter(self, name: str, params: dict[str, Json]) -> dict[str, Json]:
        """See `triggers.EventCatalogue`."""
        event = self.find_event(name)
        return event.hook.body_filter(event.scope(params)) if event and event.hook else {}

    def hook_config(self, config: dict[str, Json]) -> dict[str, Json]:
        """See `triggers.EventCatalogue`. An event that is gone is listened to by nobody."""
        name = str(config.get("event"))
        event = self.find_event(name)
        if event is None or event.hook is None:
            return {"type": "webhook", "events": []}
        asked = {**(config.get("filter") or {}), **self.event_filter(name, config.get("params") or {})}
        hook: dict[str, Json] = {"type": "webhook", "events": list(event.hook.events)}
        return {**hook, "signature": {"scheme": event.hook.scheme}, **({"filter": asked} if asked else {})}

    def find_event(self, name: str) -> Event | None:
        """The event of a full name, compiled."""
        provider, _, short = name.partition(".")
        connector = self._loaded.get(provider)
        return connector.events.get(short) if connector else None

    def find(self, name: str) -> tuple[Connector, Action]:
        """Connector and action of a full name. Raises StepError if there is none: plans are checked, versions outlive
        connectors."""
        provider, _, short = name.partition(".")
        connector = self._loaded.get(provider)
        if connector is None or short not in connector.actions:
            raise StepError(f"Unknown action: {name}")
        return connector, connector.actions[short]

    def credentials(self, provider: str, given: Json, optional: frozenset[str] = frozenset()) -> dict[str, str]:
        """The credentials of a new connection as text, fields that the connector does not know left out. Those that are
        `optional` need not be there, whatever the connector says. Source: LoopFour contract 13.

        Raises:
            ValidationFailed: unknown provider, or missing or unfit fields; all of them are listed.
        """
        connector = self._loaded.get(provider)
        if connector is None:
            raise ValidationFailed("Invalid request", [Fault(("provider",), f"Unknown provider: {provider}")])
        if not isinstance(given, dict):
            raise ValidationFailed("Invalid request", [Fault(("credentials",), "Expected object")])
        faults: list[Fault] = []
        fit: dict[str, str] = {}
        for name, rule in connector.manifest.credentials.items():
            value = given.get(name)
            message = None if name in optional and value in (None, "") else _fault(rule, value)
            if message:
                faults.append(Fault(("credentials", name), message))
            elif value not in (None, ""):
                fit[name] = str(value)
            elif rule.default is not None:
                fit[name] = rule.default
        if faults:
            raise ValidationFailed("Invalid request", faults)
        return fit


def _fault(rule: Credential, value: Json) -> str | None:
    if value in (None, ""):
        return "Required" if rule.required and rule.default is None else None
    if rule.number:
        return None if _is_port(value) else "Expected a number from 1 to 65535"
    if not isinstance(value, str):
        return "Expected string"
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        return "Holds a line break or control character"
    if rule.choices and value not in rule.choices:
        return f"Invalid enum value. Expected {' | '.join(repr(c) for c in rule.choices)}, received {value!r}"
    if rule.pattern is not None and not regex(rule.pattern).fullmatch(value):
        return f"Expected {rule.hint or rule.title}"
    return None


def _is_port(value: Json) -> bool:
    number = isinstance(value, int) and not isinstance(value, bool)
    text = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5
    return (number or text) and 1 <= int(value) <= 65535
