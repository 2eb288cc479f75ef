"""One server for the whole room, and a workspace of its own for each test."""

from collections.abc import Iterator

import pytest

from answering import Answering, answering
from live import Api, LiveServer, NewApi, live
from stepwell.auth import SCOPES
from stepwell.settings import Admin, Egress, RateLimit, Server, Settings

ADMIN_KEY = "wfk_admin-key-of-the-contract-tests"


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        server=Server(data=tmp_path_factory.mktemp("data")),
        admin=Admin(key=ADMIN_KEY),
        egress=Egress(allow_private=True),
        rate_limit=RateLimit(read=0, write=0, execute=0, webhooks=0),
    )


@pytest.fixture(scope="session")
def server(settings: Settings) -> Iterator[LiveServer]:
    with live(settings) as server:
        yield server


@pytest.fixture(autouse=True)
def no_faults(server: LiveServer) -> Iterator[None]:
    """No test may bring the server to a fault of its own."""
    yield
    faults, server.faults[:] = list(server.faults), []
    assert faults == []


@pytest.fixture
def new_api(server: LiveServer) -> NewApi:
    """Makes workspaces, each with an admin's client."""

    def make() -> Api:
        core = server.parts.core
        workspace = server.call(core.workspaces.create(server.parts.first_workspace, "test")).id
        key = server.call(core.keys.create(workspace, "admin", sorted(SCOPES)))
        return Api(server, workspace, key.text)

    return make


@pytest.fixture
def operator(server: LiveServer) -> Api:
    """A client of the first workspace, whose admin keys may see and make the others."""
    return Api(server, server.parts.first_workspace, ADMIN_KEY)


@pytest.fixture
def api(new_api: NewApi) -> Api:
    return new_api()


@pytest.fixture
def upstream() -> Iterator[Answering]:
    with answering() as server:
        yield server
