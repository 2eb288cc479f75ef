"""Calls beyond the rate of a key. Source: AwaitStep contract 3."""

import pytest

from awaitstep_client import AwaitstepApi
from live import Api, live
from stepwell.settings import Admin, RateLimit, Server, Settings

KEY = "wfk_the-admin-key-of-this-test-alone"


def test_too_many_requests_are_told_when_to_come_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = Settings(
        server=Server(data=tmp_path_factory.mktemp("rates")),
        admin=Admin(key=KEY),
        rate_limit=RateLimit(read=1, write=0, execute=0, webhooks=0),
    )
    with live(settings) as server:
        client = AwaitstepApi(Api(server, server.parts.first_workspace, KEY), KEY)
        client.answer("GET", "/api/runs")

        refused = client("GET", "/api/runs")

    assert (refused.status_code, refused.json()) == (429, {"error": "Too many requests"})
    assert (refused.headers["RateLimit-Limit"], refused.headers["RateLimit-Remaining"]) == ("1", "0")
    assert refused.headers["RateLimit-Reset"] == refused.headers["Retry-After"]
    assert int(refused.headers["Retry-After"]) >= 1


def test_too_many_requests_come_after_a_wrong_key_and_before_a_missing_scope(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    settings = Settings(
        server=Server(data=tmp_path_factory.mktemp("order")),
        admin=Admin(key=KEY),
        rate_limit=RateLimit(read=0, write=0, execute=1, webhooks=0),
    )
    with live(settings) as server:
        client = AwaitstepApi(Api(server, server.parts.first_workspace, KEY), KEY)
        reader, stranger = client.scoped("read"), AwaitstepApi(client.native, "ask_" + "x" * 40)

        told = [[each("POST", "/api/workflows/x/trigger").status_code for _ in range(2)] for each in (reader, stranger)]

    assert told == [[403, 429], [401, 401]]
