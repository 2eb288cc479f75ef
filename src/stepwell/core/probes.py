"""Probes: whether a connection works, tried with the most harmless call there is. Source: LoopFour contract 13."""

import msgspec

from stepwell.clock import Clock
from stepwell.connectors import Connectors, MailServer, SmtpMail
from stepwell.core.connecting import ACTIVE, PENDING, SIMULATOR
from stepwell.core.connections import Connections
from stepwell.errors import StepError
from stepwell.ids import Ids
from stepwell.steps import Actions, Call, ChosenConnection
from stepwell.store import Connection

TIMEOUT_S = 15.0
ERROR = "error"
NOT_CONNECTED = "The account is not connected yet. Authorize it first."


class Tested(msgspec.Struct, frozen=True):
    """What a probe came to; `checked_at` in epoch ms."""

    ok: bool
    status: str
    message: str
    checked_at: int


class Probes:
    """Tries connections. One that the provider refuses is in `error`; one that cannot be reached now stays as it is."""

    def __init__(
        self, connections: Connections, connectors: Connectors, actions: Actions, mail: SmtpMail, clock: Clock, ids: Ids
    ) -> None:
        """`actions` open connections whatever their status."""
        self._connections = connections
        self._connectors = connectors
        self._actions = actions
        self._mail = mail
        self._clock = clock
        self._ids = ids

    async def test(self, workspace: str, reference: str) -> Tested:
        """Try a connection, and note in its status what came of it. Raises NotFound."""
        connection = await self._connections.get(workspace, reference)
        if connection.status == PENDING:
            return self._told(connection, ok=False, message=NOT_CONNECTED)
        try:
            message = await self._tried(connection)
        except StepError as error:
            connection = await self._connections.get(workspace, connection.id)  # a refused token has expired it
            if not error.retryable and error.code != "CONNECTION_MISSING":
                connection = await self._connections.marked(connection, ERROR, error.message)
            return self._told(connection, ok=False, message=error.message)
        if message is None:
            manifest = self._connectors.get(connection.provider)
            title = manifest.manifest.title if manifest else connection.provider
            return self._told(
                connection, ok=False, message=f"{title} has no call that changes nothing; a step will show"
            )
        connection = await self._connections.get(workspace, connection.id)  # its token may be a new one
        connection = await self._connections.marked(connection, ACTIVE, None)
        return self._told(connection, ok=True, message=message)

    async def _tried(self, connection: Connection) -> str | None:
        """What went well; None if there is nothing to try. Raises StepError."""
        if connection.mode == SIMULATOR:
            return "The simulator answers"
        connector = self._connectors.get(connection.provider)
        if connector is None:
            raise StepError(f"The connector {connection.provider} no longer exists")
        if connector.manifest.protocol == "smtp":
            opened = await self._connections.open(connection.workspace, connection.id, any_status=True)
            await self._mail.check(MailServer.of(opened.credentials), TIMEOUT_S)
            return "The mail server takes the login"
        test = connector.manifest.test
        if test is None:
            return None
        try:
            await self._actions.perform(f"{connector.name}.{test.action}", test.params, self._call(connection))
        except StepError as error:
            if error.details.get("providerCode") not in test.good_codes:
                raise
        return f"{connector.manifest.title} takes the credentials"

    def _call(self, connection: Connection) -> Call:
        return Call(
            workspace=connection.workspace,
            workflow_id="",
            run_id="",
            path="",
            attempt=1,
            operation_id=f"test_{self._ids.new()}",
            now_ms=self._clock.now_ms(),
            timeout_s=TIMEOUT_S,
            connection=ChosenConnection(connection.id, connection.provider),
            reveal=lambda value: value,
        )

    def _told(self, connection: Connection, *, ok: bool, message: str) -> Tested:
        return Tested(ok, connection.status, message, self._clock.now_ms())
