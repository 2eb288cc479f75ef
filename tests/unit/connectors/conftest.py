"""Real servers on loopback, and a guarded client that may reach them."""

import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stepwell.clock import FakeClock
from stepwell.connectors import ConnectorActions, Connectors, GuardedHttp, OpenConnection, SmtpMail, load_manifests
from stepwell.values import Json
from unit.connectors.servers import Act, Counters, Handler, Serve, call


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server that gives every request to a handler; the answer is its base URL."""
    servers: list[TestServer] = []

    async def start(handler: Handler) -> str:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", handler)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        servers.append(server)
        return str(server.make_url("")).rstrip("/")

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
async def http() -> AsyncIterator[GuardedHttp]:
    """A client that may reach loopback."""
    client = GuardedHttp(allow_private=True)
    yield client
    await client.close()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands."""
    return FakeClock(1_700_000_000_000)


@pytest.fixture(scope="session")
def trust() -> ssl.SSLContext:
    """The machine's certificates; reading them takes a while."""
    return ssl.create_default_context()


@pytest.fixture
def mail(clock: FakeClock, trust: ssl.SSLContext) -> SmtpMail:
    """A mail client that may reach loopback."""
    return SmtpMail(clock, allow_private=True, tls_context=trust)


@pytest.fixture(scope="session")
def connectors() -> Connectors:
    """The connectors that come with Stepwell."""
    return Connectors(load_manifests())


@pytest.fixture
def act(http: GuardedHttp, mail: SmtpMail, clock: FakeClock, connectors: Connectors) -> Act:
    """Perform an action on a connection."""
    opened: dict[str, OpenConnection] = {}
    counters = Counters()

    async def open_connection(workspace: str, connection_id: str) -> OpenConnection:
        return opened[connection_id]

    actions = ConnectorActions(connectors, http, mail, open_connection, counters, clock)

    async def perform(connection: OpenConnection, action: str, params: Json, *args: Any, **changes: Any) -> Json:
        opened[connection.id] = connection
        return await actions.perform(action, params, call(connection, *args, **changes))

    return perform
