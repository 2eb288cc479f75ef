"""Every action of every connector against the recorded shape of its requests: method, path, headers and body."""

from decimal import Decimal
from typing import Any

import pytest

from stepwell.connectors import OpenConnection, load_manifests
from stepwell.values import Json, map_strings
from unit.connectors.servers import Act, Serve
from unit.connectors.shapes import Recorder, load, params

SHAPES = load()
CASES = [(provider, action) for provider, shapes in SHAPES.items() for action in shapes["actions"]]
OWN_PROTOCOLS = {"smtp": "test_smtp_mail.py", "postgres": "test_postgres.py"}


@pytest.mark.parametrize(("provider", "action"), CASES)
async def test_an_action_sends_its_recorded_shape(act: Act, serve: Serve, provider: str, action: str) -> None:
    shapes, case = SHAPES[provider], SHAPES[provider]["actions"][action]
    server = Recorder(case.get("answers", [{}]), case.get("answerHeaders", {}))
    base = await serve(server.handle)
    connection = OpenConnection("c1", provider, "live", base + shapes.get("base", ""), shapes["credentials"])

    output = await act(connection, f"{provider}.{action}", params(case))

    common = shapes.get("headers", {})
    expected = [{**each, "headers": {**common, **each.get("headers", {})}} for each in case["sends"]]
    assert server.sent == expected
    if "output" in case:
        assert plain(output) == case["output"]


@pytest.mark.parametrize(("provider", "action"), CASES)
async def test_an_action_is_simulated_without_credentials_and_network(act: Act, provider: str, action: str) -> None:
    given = params(SHAPES[provider]["actions"][action])
    connection = OpenConnection("c1", provider, "simulator")

    first = await act(connection, f"{provider}.{action}", given)

    assert first == await act(connection, f"{provider}.{action}", given)
    assert "{{" not in repr(first)


def test_every_action_has_a_recorded_shape() -> None:
    offered = {
        (name, action)
        for name, connector in load_manifests().items()
        if name not in OWN_PROTOCOLS
        for action in connector.actions
    }

    assert set(CASES) == offered


def test_every_http_connector_can_be_tried_out_by_an_action_that_changes_nothing() -> None:
    for name, connector in load_manifests().items():
        if connector.manifest.protocol == "http":
            test = connector.manifest.test
            assert test is not None, name
            action = connector.actions[test.action]
            assert action.validator.is_valid(test.params), name
            assert not set(action.params.get("required", ())) - test.params.keys(), name


def plain(value: Json) -> Any:
    """Numbers as YAML reads them."""
    if isinstance(value, dict):
        return {key: plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [plain(child) for child in value]
    return float(value) if isinstance(value, Decimal) else map_strings(value, str)
