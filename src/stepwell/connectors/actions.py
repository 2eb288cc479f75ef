"""Actions: what a step asks of a provider, done over HTTP or mail, or made up by the connection's simulator."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import quote

from stepwell.clock import Clock
from stepwell.connectors.catalogue import Connectors
from stepwell.connectors.connector import Action, Connector, Request
from stepwell.connectors.credentials import masking, open_fields, sent
from stepwell.connectors.failures import read_answer
from stepwell.connectors.mail import MailServer, SmtpMail
from stepwell.connectors.message import read_mail
from stepwell.connectors.parameters import accept
from stepwell.connectors.postgres import Database, Postgres
from stepwell.connectors.prices import price_of
from stepwell.connectors.shape import encoded, flatten, text_of
from stepwell.definitions import ActionSpec
from stepwell.errors import StepError
from stepwell.expressions import Scope
from stepwell.steps.ports import Call, Http, HttpRequest
from stepwell.values import Json, map_strings

MAX_KEY = 255
"""Characters of an idempotency key; a longer one is hashed. Source: LoopFour contract 8.4."""
SIMULATOR = "simulator"
MARGIN_S = 0.05
"""So much sooner than the step's own time is up the provider's is, so that the message says what was slow."""


@dataclass(frozen=True, slots=True)
class OpenConnection:
    """A connection, its credentials unsealed. `mode`: live or simulator; `base_url` stands in for the provider's,
    `headers` for what the manifest would send of the credentials. `renew` gives the connection with another access
    token, if the provider no longer takes this one."""

    id: str
    provider: str
    mode: str
    base_url: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    renew: Callable[[], Awaitable["OpenConnection"]] | None = field(default=None, repr=False, compare=False)


class Simulator(Protocol):
    """Durable counters of simulated objects."""

    async def count(self, workspace: str, connection_id: str, operation_id: str, kind: str) -> int:
        """The number of the operation's object, from 1, counted per connection and kind; the same operation id gives
        the same number."""
        ...


class ConnectorActions:
    """The ports `Actions` and `Catalogue` over the connectors' manifests."""

    def __init__(
        self,
        connectors: Connectors,
        http: Http,
        mail: SmtpMail,
        open_connection: Callable[[str, str], Awaitable[OpenConnection]],
        simulator: Simulator,
        clock: Clock,
        postgres: Postgres | None = None,
    ) -> None:
        """`postgres` may be absent where no action is performed live."""
        self._connectors = connectors
        self._postgres = postgres
        self._http = http
        self._mail = mail
        self._open_connection = open_connection
        self._simulator = simulator
        self._clock = clock

    def action(self, name: str) -> ActionSpec | None:
        """See `definitions.Catalogue`."""
        return self._connectors.action(name)

    def connectors(self) -> tuple[str, ...]:
        """See `definitions.Catalogue`."""
        return self._connectors.connectors()

    def offering(self, action: str) -> tuple[str, ...]:
        """See `definitions.Catalogue`."""
        return self._connectors.offering(action)

    async def perform(self, action: str, params: Json, call: Call) -> Json:
        """Run an action with parameters whose secrets are opened. See `steps.ports.Actions`; credentials in an output
        or a message show as `[secret]`."""
        connector, compiled = self._connectors.find(action)
        connection = await self._connection(connector, call)
        try:
            return await self._performed(connector, compiled, params, connection, call)
        except StepError as error:
            if error.http_status != HTTPStatus.UNAUTHORIZED or connection.renew is None:
                raise
        return await self._performed(connector, compiled, params, await connection.renew(), call)

    async def _performed(
        self, connector: Connector, compiled: Action, params: Json, connection: OpenConnection, call: Call
    ) -> Json:
        scope = {
            "params": accept(f"{connector.name}.{compiled.name}", compiled, params),
            "connection": open_fields(connector.manifest, connection.credentials),
            "call": {"id": call.operation_id, "now": call.now_ms},
        }
        mask = masking(connector.manifest, connection.credentials, connection.headers)
        try:
            if connection.mode == SIMULATOR:
                output = await self._simulate(compiled, scope, connection, call)
            elif connector.manifest.protocol == "smtp":
                output = await self._send_mail(scope, connection, call)
            elif connector.manifest.protocol == "postgres":
                output = await self._run_sql(compiled.name, scope["params"], connection, call)
            else:
                output = await _Exchange(self._http, self._clock, connector, compiled, connection, call).run(scope)
            if connection.mode != SIMULATOR:  # what is made up costs nothing
                call.priced(price_of(compiled, output))
        except StepError as error:
            error.message, error.details = mask(error.message), map_strings(error.details, mask)
            raise
        return map_strings(output, mask)

    async def _connection(self, connector: Connector, call: Call) -> OpenConnection:
        chosen = call.connection
        if chosen is None or chosen.provider != connector.name:
            raise StepError(f"No connection for {connector.name}", code="CONNECTION_MISSING")
        return await self._open_connection(call.workspace, chosen.id)

    async def _simulate(self, action: Action, scope: Scope, connection: OpenConnection, call: Call) -> Json:
        case = next(case for case in action.simulate if case.when is None or case.when.evaluate(scope))
        if case.count is None:
            return case.output.render(scope)
        count = await self._simulator.count(call.workspace, connection.id, call.operation_id, case.count)
        return case.output.render({**scope, "count": count, "n": f"{count:04d}"})

    async def _run_sql(self, name: str, params: Json, connection: OpenConnection, call: Call) -> Json:
        if self._postgres is None:
            raise StepError("Databases cannot be reached here")
        database, timeout_s = Database.of(connection.credentials), _timeout_s(call)
        if name == "execute":
            return await self._postgres.execute(database, params, timeout_s)
        return await self._postgres.query(database, params, timeout_s)

    async def _send_mail(self, scope: Mapping[str, Json], connection: OpenConnection, call: Call) -> Json:
        server = MailServer.of(connection.credentials)
        mail = read_mail(scope["params"], server.sender)
        sent = await self._mail.send(server, mail, call.operation_id, _timeout_s(call))
        output: dict[str, Json] = {"messageId": sent.message_id, "status": "sent"}
        return output | {"rejected": list(sent.rejected)} if sent.rejected else output


class _Exchange:
    """The requests of one attempt of an action, one after the other, within the attempt's time."""

    def __init__(
        self, http: Http, clock: Clock, connector: Connector, action: Action, connection: OpenConnection, call: Call
    ) -> None:
        self._http = http
        self._clock = clock
        self._connector = connector
        self._action = action
        self._call = call
        self._own_base_url = connection.base_url
        self._sent = sent(connector.manifest.auths, connection.credentials, connection.headers)
        self._ends = clock.monotonic() + _timeout_s(call)

    async def run(self, scope: Scope) -> Json:
        """The action's output."""
        answers: dict[str, Json] = {}
        scope = {**scope, "requests": answers}
        answer: Json = None
        for request in self._action.requests:
            if request.when is not None and not request.when.evaluate(scope):
                continue
            if request.each is None:
                answer = answers[request.name] = await self._send(request, request.name, scope)
                continue
            answers[request.name] = []
            for index, item in enumerate(request.each.render(scope) or []):
                turn = {**scope, "item": item, "index": index}
                answers[request.name].append(await self._send(request, f"{request.name}.{index}", turn))
        return answer if self._action.output is None else self._action.output.render(scope)

    async def _send(self, request: Request, name: str, scope: Scope) -> Json:
        headers = {"Accept": "*/*" if request.answer in ("text", "any") else "application/json"}
        headers |= _texts(self._connector.headers.render(scope)) | _texts(request.headers.render(scope))
        body = None
        if request.body is not None and (written := request.body.render(scope)) is not None:
            content_type, body = encoded(request.encoding, written, repeats=request.repeats)
            headers["Content-Type"] = request.content_type or content_type
        if request.method not in ("GET", "HEAD"):
            headers[self._connector.manifest.idempotency_header] = self._key(name)
        cookies = {**_cookies(request.cookies.render(scope)), **self._sent.cookies}
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        response = await self._http.send(
            self._call.workspace,
            HttpRequest(
                request.method,
                self._base_url(scope) + request.path.render(scope),
                headers=headers | self._sent.headers,
                params=(*flatten(request.query.render(scope), repeats=request.repeats), *self._sent.query),
                body=body,
                timeout_s=max(0.001, self._ends - self._clock.monotonic()),
            ),
        )
        return read_answer(self._connector, response, self._clock.now_ms(), request.answer)

    def _base_url(self, scope: Scope) -> str:
        return (self._own_base_url or text_of(self._connector.base_url.render(scope))).rstrip("/")

    def _key(self, name: str) -> str:
        operation = self._call.operation_id
        key = f"{operation}:{name}" if len(self._action.requests) > 1 else operation
        return key if len(key) <= MAX_KEY else hashlib.sha256(key.encode()).hexdigest()


def _timeout_s(call: Call) -> float:
    return max(call.timeout_s - MARGIN_S, call.timeout_s / 2)


def _texts(fields: Mapping[str, Json]) -> dict[str, str]:
    return {name: text_of(value) for name, value in fields.items()}


def _cookies(fields: Mapping[str, Json]) -> dict[str, str]:
    return {name: quote(value, safe="") for name, value in _texts(fields).items()}
