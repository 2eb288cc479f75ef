"""What the engine asks for around a run, answered by the use cases."""

from stepwell.auth import CannotOpen, Markers
from stepwell.core.connections import Connections
from stepwell.core.plans import Plans
from stepwell.core.secrets import Secrets
from stepwell.definitions import Plan
from stepwell.engine.ports import NoSecrets, SecretBox
from stepwell.errors import StepError
from stepwell.steps import ChosenConnection, ConnectionNeed


class RunEnvironment:
    """The port `engine.Environment`."""

    def __init__(self, plans: Plans, secrets: Secrets, markers: Markers, connections: Connections) -> None:
        self._plans = plans
        self._secrets = secrets
        self._markers = markers
        self._connections = connections

    async def plan(self, workspace: str, workflow: str, version: int) -> Plan:
        """See engine.Environment."""
        return await self._plans.get(workspace, workflow, version)

    async def secrets(self, workspace: str, workflow: str, names: frozenset[str]) -> SecretBox:
        """See engine.Environment."""
        if not names:
            return NoSecrets()
        try:
            values = await self._secrets.open(workspace, workflow, names)
        except CannotOpen:
            raise StepError("A secret cannot be read; enter it again", code="SECRET_MISSING") from None
        if missing := sorted(names - values.keys()):
            raise StepError(f"Secret not found: {missing[0]}", code="SECRET_MISSING")
        return self._markers.box(workspace, workflow, values)

    async def choose_connection(self, workspace: str, need: ConnectionNeed, of_run: str | None) -> ChosenConnection:
        """See engine.Environment."""
        return await self._connections.choose(workspace, need, of_run)
