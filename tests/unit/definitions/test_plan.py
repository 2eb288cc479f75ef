"""What a document compiles to."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from stepwell.definitions import Bounds, OnError, RetryPolicy, compile_definition, document_schema
from stepwell.errors import ValidationFailed
from stepwell.steps import STEP_TYPES
from stepwell.values import decode
from unit.definitions.documents import document, fork, transform

EXAMPLE = Path(__file__).parents[3] / "examples" / "process-customer-order.json"


def ids(steps):
    return [step.id for step in steps]


def test_the_complete_example_compiles_without_warnings(compile_):
    plan = compile_(decode(EXAMPLE.read_bytes()))

    assert list(plan.steps) == ["calculate-total", "create-invoice", "send-confirmation"]
    assert plan.warnings == ()


def test_the_complete_example_validates_against_the_document_schema(catalogue):
    schema = document_schema(STEP_TYPES, catalogue)

    Draft202012Validator(schema, offline=True).validate(json.loads(EXAMPLE.read_text()))


@pytest.mark.parametrize(
    "broken",
    [
        document({"id": "a", "type": "nope"}),
        document({"id": "a", "type": "api"}),
        document({"id": "a", "type": "api", "config": {"url": 1}}),
        document({"id": "a", "type": "action", "action": "acme.do"}),
        {"name": "x", "steps": []},
    ],
)
def test_the_document_schema_refuses_what_an_editor_can_see(catalogue, broken):
    assert not Draft202012Validator(document_schema(STEP_TYPES, catalogue), offline=True).is_valid(broken)


def test_unknown_fields_are_named_in_warnings(compile_):
    step = transform("a", foo=1, retryConfig={"bar": 2})
    call = {"id": "i", "type": "action", "action": "stripe.createInvoice", "config": {"customerId": "c", "note": 1}}

    warnings = compile_(document(step, call, extra=1, settings={"zz": 1}, trigger={"type": "api", "tt": 1})).warnings

    assert sorted(warnings) == [
        "Unknown field: extra",
        "Unknown field: settings.zz",
        "Unknown field: steps[0].foo",
        "Unknown field: steps[0].retryConfig.bar",
        "Unknown field: steps[1].config.note",
        "Unknown field: trigger.tt",
    ]


def test_null_stands_for_an_absent_optional_field(compile_):
    plan = compile_(document(transform("a", name=None, retryConfig=None, when=None), slug=None, settings=None))

    assert plan.steps["a"].name == "a"
    assert plan.warnings == ()


def test_without_retry_config_a_step_is_tried_once(compile_):
    assert compile_(document(transform("a"))).steps["a"].retry == RetryPolicy(max_attempts=1)


@pytest.mark.parametrize("fields", [{"retryConfig": {}}, {"errorHandling": {"strategy": "retry"}}])
def test_retry_config_or_strategy_gives_the_contracts_defaults(compile_, fields):
    step = compile_(document(transform("a", **fields))).steps["a"]

    assert step.retry == RetryPolicy(3, 1000, 30_000, 2.0, jitter=False)


def test_retry_config_wins_over_retries_of_an_api_step(compile_):
    config = {"url": "https://x.example", "retries": 4, "retryDelayMs": 5, "retryMaxDelayMs": 6, "timeout": 700}
    call = {"id": "a", "type": "api", "config": config}

    plan = compile_(document(call, {**call, "id": "b", "retryConfig": {"maxAttempts": 2}, "timeoutMs": 9}))

    assert plan.steps["a"].retry == RetryPolicy(5, 5, 6)
    assert plan.steps["a"].timeout_ms == 700
    assert plan.steps["b"].retry.max_attempts == 2
    assert plan.steps["b"].timeout_ms == 9


def test_effects_time_out_after_thirty_seconds_and_others_never(compile_):
    plan = compile_(document(transform("a"), {"id": "b", "type": "api", "config": {"url": "https://x.example"}}))

    assert [step.timeout_ms for step in plan.steps.values()] == [None, 30_000]


def test_common_fields_reach_the_step(compile_):
    handling = {"strategy": "continue", "fallback": {"x": 1}}

    step = compile_(document(transform("a", name="A", errorHandling=handling, idempotent=False))).steps["a"]

    assert (step.name, step.on_error, step.fallback, step.idempotent) == ("A", OnError.CONTINUE, {"x": 1}, False)


def test_steps_that_a_branch_names_leave_the_root(compile_):
    plan = compile_(document(fork("c", then=["x"], otherwise=["y"]), transform("x"), transform("y"), transform("z")))

    assert ids(plan.root.steps) == ["c", "z"]
    assert ids(plan.root.steps[0].branches.then.steps) == ["x"]
    assert plan.parents == {"c": None, "x": "c", "y": "c", "z": None}


def test_inline_steps_and_ids_mix_in_one_list(compile_):
    plan = compile_(document(fork("c", then=["x", transform("in")]), transform("x")))

    assert ids(plan.root.steps[0].branches.then.steps) == ["x", "in"]
    assert list(plan.steps) == ["c", "in", "x"]


def test_what_a_branch_not_taken_skips_includes_nested_branches(compile_):
    inner = fork("d", then=[transform("y")], otherwise=[transform("z")])
    plan = compile_(document(fork("c", then=[transform("x"), inner], otherwise=[transform("w")])))

    branches = plan.steps["c"].branches

    assert ids(branches.skip_then) == ["x", "d", "y", "z"]
    assert ids(branches.skip_otherwise) == ["w"]


def test_a_step_named_by_several_branches_is_skipped_only_by_the_last(compile_):
    plan = compile_(document(fork("c", then=["x"]), fork("d", then=["x"]), transform("x")))

    assert ids(plan.steps["c"].branches.skip_then) == []
    assert ids(plan.steps["d"].branches.skip_then) == ["x"]
    assert plan.parents["x"] == "c"


def test_a_step_in_both_branches_of_a_condition_is_never_skipped(compile_):
    branches = compile_(document(fork("c", then=["x"], otherwise=["x"]), transform("x"))).steps["c"].branches

    assert ids(branches.skip_then) == ids(branches.skip_otherwise) == []


def test_needs_makes_a_block_a_graph_branches_by_themselves(compile_):
    inner = [transform("x"), transform("y", needs=["x"])]
    plan = compile_(document(transform("a"), fork("c", then=inner)))

    assert not plan.root.dag
    assert plan.steps["c"].branches.then.dag
    assert plan.steps["y"].needs == ("x",)


def test_settings_are_read(compile_):
    settings = {"timeoutMs": 5, "maxConcurrentRuns": 2, "idempotencyConflict": "reject"}

    read = compile_(document(settings=settings)).settings

    assert (read.timeout_ms, read.max_concurrent_runs, read.reject_idempotency_conflict) == (5, 2, True)


def test_output_templates_are_compiled(compile_):
    plan = compile_(document(transform("a"), output={"x": "{{input.n | times: 2}}"}))

    assert plan.output.render({"input": {"n": 4}}) == {"x": 8}


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        (Bounds(steps=2), ("steps", "More than 2 steps")),
        (Bounds(nesting=1), ("steps[0].config.steps[0]", "Steps are nested deeper than 1")),
        (Bounds(turns=5), ("steps[0].config.maxIterations", "Number must be less than or equal to 5")),
    ],
)
def test_the_servers_limits_bound_a_definition(bounds: Bounds, told: tuple[str, str], catalogue: Any) -> None:
    inner = {"id": "b", "type": "transform", "config": {"mapping": {}}}
    config = {"loopType": "for", "iterations": 2, "maxIterations": 6, "steps": [inner]}
    document = {
        "name": "Bounded",
        "trigger": {"type": "api"},
        "steps": [{"id": "a", "type": "loop", "config": config}, {**inner, "id": "c"}],
    }

    with pytest.raises(ValidationFailed) as refused:
        compile_definition(document, STEP_TYPES, catalogue, bounds)

    assert told in [(fault.field, fault.message) for fault in refused.value.faults]
