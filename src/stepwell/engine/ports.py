"""What the engine asks of the use cases above it: plans, secrets and the choice of a connection."""

from collections.abc import Mapping
from typing import Protocol

from stepwell.definitions import Plan
from stepwell.steps import ChosenConnection, ConnectionNeed
from stepwell.values import Json


class SecretBox(Protocol):
    """The secrets of one workflow, opened for one walk."""

    markers: Mapping[str, str]  # name -> the marker that stands for it in recorded values

    def reveal(self, value: Json) -> Json:
        """A copy of the value with genuine markers replaced by the secrets."""
        ...

    def hide(self, value: Json) -> Json:
        """A copy of the value with secrets replaced by their markers."""
        ...


class NoSecrets:
    """The box of a workflow that uses none."""

    markers: Mapping[str, str] = {}

    def reveal(self, value: Json) -> Json:
        return value

    def hide(self, value: Json) -> Json:
        return value


class Environment(Protocol):
    """What surrounds a run."""

    async def plan(self, workspace: str, workflow: str, version: int) -> Plan:
        """The compiled version; cached."""
        ...

    async def secrets(self, workspace: str, workflow: str, names: frozenset[str]) -> SecretBox:
        """The secrets of a workflow. Raises StepError SECRET_MISSING naming the first that does not exist."""
        ...

    async def choose_connection(self, workspace: str, need: ConnectionNeed, of_run: str | None) -> ChosenConnection:
        """The connection for a step, by the rules of the LoopFour contract 13. Raises StepError CONNECTION_MISSING."""
        ...
