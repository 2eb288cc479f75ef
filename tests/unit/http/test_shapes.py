"""Requests as structs: every fault at once."""

import pytest

from stepwell.errors import ValidationFailed
from stepwell.http.dialects.loopfour.requests import RestartBody, RunBody, RunsQuery
from stepwell.http.shapes import Shape
from stepwell.values import decode


def test_integers_may_be_written_with_an_exponent() -> None:
    assert Shape(RunBody).of_json(decode('{"maxExecutionTimeMs": 3e4}')).max_execution_time_ms == 30_000


def test_decimals_below_the_members_stay_decimals() -> None:
    body = Shape(RunBody).of_json(decode('{"maxExecutionTimeMs": 3e4, "input": {"n": 2.0}}'))

    assert str(body.input["n"]) == "2.0"  # type: ignore[index]


def test_missing_fields_come_first_then_members_in_their_order() -> None:
    with pytest.raises(ValidationFailed) as refusal:
        Shape(RestartBody).of_json({"version": 0, "overrideInput": []})

    assert [fault.field for fault in refusal.value.faults] == ["fromStepId", "overrideInput", "version"]


@pytest.mark.parametrize("given", [{"status": "null"}, {"limit": "null"}, {"triggerType": "null"}])
def test_null_in_a_query_is_a_text(given: dict[str, str]) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        Shape(RunsQuery).of_query(given)

    assert [fault.field for fault in refusal.value.faults] == list(given)


def test_a_query_is_read_with_the_types_of_its_fields() -> None:
    query = Shape(RunsQuery).of_query({"limit": "20", "workflowId": "12"})

    assert (query.limit, query.workflow_id, query.status) == (20, "12", None)
