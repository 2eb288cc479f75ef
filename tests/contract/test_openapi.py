"""What OpenAPI promises is true: generated requests, good and bad, get only the answers it tells of."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case

from live import Api


@pytest.fixture
def described(api: Api) -> Any:
    return schemathesis.openapi.from_url(f"{api.server.url}/openapi.json")


operations = schemathesis.pytest.from_fixture("described")


@operations.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_answers_as_described(case: Case, api: Api) -> None:
    case.call_and_validate(headers={"x-api-key": api.key}, timeout=10)
