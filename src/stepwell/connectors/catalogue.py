"""The catalogue of connectors: which actions they offer and what a connection to them needs."""

from collections.abc import Mapping

from stepwell.connectors.manifest import Action, Connector, Credential
from stepwell.definitions import ActionSpec
from stepwell.errors import Fault, StepError, ValidationFailed
from stepwell.values import Json


class Connectors:
    """All loaded connectors: the port `Catalogue`, and the rules of their credentials."""

    def __init__(self, loaded: Mapping[str, Connector]) -> None:
        self._loaded = loaded

    def action(self, name: str) -> ActionSpec | None:
        """The action of that full name, or None."""
        provider, _, short = name.partition(".")
        connector = self._loaded.get(provider)
        action = connector.actions.get(short) if connector else None
        return ActionSpec(name, provider, tuple(action.params.get("required", ())), action.params) if action else None

    def connectors(self) -> tuple[str, ...]:
        """The names of all connectors."""
        return tuple(self._loaded)

    def offering(self, action: str) -> tuple[str, ...]:
        """The connectors that offer an action of that short name."""
        return tuple(name for name, connector in self._loaded.items() if action in connector.actions)

    def find(self, name: str) -> tuple[Connector, Action]:
        """Connector and action of a full name. Raises StepError if there is none: plans are checked, versions outlive
        connectors."""
        provider, _, short = name.partition(".")
        connector = self._loaded.get(provider)
        if connector is None or short not in connector.actions:
            raise StepError(f"Unknown action: {name}")
        return connector, connector.actions[short]

    def credentials(self, provider: str, given: Json) -> dict[str, str]:
        """The credentials of a new connection as text, fields that the connector does not know left out. Source:
        LoopFour contract 13.

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
            message = _fault(rule, value)
            if message:
                faults.append(Fault(("credentials", name), message))
            elif value not in (None, ""):
                fit[name] = str(value)
        if faults:
            raise ValidationFailed("Invalid request", faults)
        return fit


def _fault(rule: Credential, value: Json) -> str | None:
    if value in (None, ""):
        return "Required" if rule.required else None
    if rule.number:
        return None if _is_port(value) else "Expected a number from 1 to 65535"
    if not isinstance(value, str):
        return "Expected string"
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        return "Holds a line break or control character"
    if rule.choices and value not in rule.choices:
        return f"Invalid enum value. Expected {' | '.join(repr(c) for c in rule.choices)}, received {value!r}"
    return None


def _is_port(value: Json) -> bool:
    number = isinstance(value, int) and not isinstance(value, bool)
    text = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5
    return (number or text) and 1 <= int(value) <= 65535
