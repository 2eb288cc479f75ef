"""Actions: what a step asks of a provider, done over HTTP or mail, or made up by the connection's simulator."""

import hashlib
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from stepwell.clock import Clock
from stepwell.connectors.catalogue import Connectors
from stepwell.connectors.failures import read_answer
from stepwell.connectors.mail import MailServer, SmtpMail
from stepwell.connectors.manifest import Action, Auth, Basic, Bearer, Connector, HeaderKey, Request
from stepwell.connectors.message import read_mail
from stepwell.connectors.parameters import accept
from stepwell.connectors.shape import flatten, form_body, json_body
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
    """A connection, its credentials unsealed. `mode`: live or simulator; `base_url` stands in for the provider's."""

    id: str
    provider: str
    mode: str
    base_url: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)


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
    ) -> None:
        self._connectors = connectors
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
        scope = {
            "params": accept(action, compiled, params),
            "connection": _open_fields(connector, connection),
        }
        mask = _masking(connector, connection)
        try:
            if connection.mode == SIMULATOR:
                output = await self._simulate(compiled, scope, connection, call)
            elif connector.manifest.protocol == "smtp":
                output = await self._send_mail(scope, connection, call)
            else:
                output = await _Exchange(self._http, self._clock, connector, compiled, connection, call).run(scope)
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
        self._base_url = (connection.base_url or connector.manifest.base_url).rstrip("/")
        self._credentials = _auth_headers(connector.manifest.auth, connection.credentials)
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
        manifest = self._connector.manifest
        headers = {"Accept": "application/json", **manifest.headers, **request.headers.render(scope)}
        body = None
        if request.body is not None:
            encode = form_body if manifest.encoding == "form" else json_body
            headers["Content-Type"], body = encode(request.body.render(scope))
        if request.method != "GET":
            headers[manifest.idempotency_header] = self._key(name)
        response = await self._http.send(
            self._call.workspace,
            HttpRequest(
                request.method,
                self._base_url + request.path.render(scope),
                headers=headers | self._credentials,
                params=tuple(flatten(request.query.render(scope))),
                body=body,
                timeout_s=max(0.001, self._ends - self._clock.monotonic()),
            ),
        )
        return read_answer(self._connector, response, self._clock.now_ms())

    def _key(self, name: str) -> str:
        operation = self._call.operation_id
        key = f"{operation}:{name}" if len(self._action.requests) > 1 else operation
        return key if len(key) <= MAX_KEY else hashlib.sha256(key.encode()).hexdigest()


def _timeout_s(call: Call) -> float:
    return max(call.timeout_s - MARGIN_S, call.timeout_s / 2)


def _auth_headers(auth: Auth | None, credentials: Mapping[str, str]) -> dict[str, str]:
    match auth:
        case Bearer(field=name):
            return {"Authorization": f"Bearer {credentials.get(name, '')}"}
        case HeaderKey(name=header, field=name):
            return {header: credentials.get(name, "")}
        case Basic(username=username, password=password):
            pair = f"{credentials.get(username, '')}:{credentials.get(password, '') if password else ''}"
            return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
    return {}


def _open_fields(connector: Connector, connection: OpenConnection) -> dict[str, str]:
    """The fields of the credentials that are no secrets; templates may read them."""
    fields = connector.manifest.credentials
    return {name: value for name, value in connection.credentials.items() if name in fields and not fields[name].secret}


def _masking(connector: Connector, connection: OpenConnection) -> Callable[[str], str]:
    """Replaces every credential in a text, also as it was sent. One under four characters only if it is the text."""
    fields = connector.manifest.credentials
    sent = _auth_headers(connector.manifest.auth, connection.credentials).values()
    secrets = {
        value for name, value in connection.credentials.items() if value and name in fields and fields[name].secret
    }
    secrets |= {value.partition(" ")[2] for value in sent} - {""}

    def mask(text: str) -> str:
        if text in secrets:
            return "[secret]"
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= 4:
                text = text.replace(secret, "[secret]")
        return text

    return mask
