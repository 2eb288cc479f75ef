"""Faults of containers and waiting steps, each with its path and message. Source: LoopFour contract 3.4, 9 and 10."""

import pytest

from stepwell.errors import Fault
from stepwell.values import Json
from unit.definitions.documents import document, fork, transform

BODY = [transform("a")]


def step(type_: str, id: str = "s", /, **config: Json) -> Json:
    return {"id": id, "type": type_, "config": config}


def loop(id: str, *steps: Json, **config: Json) -> Json:
    return step("loop", id, **{"collection": [1], "steps": list(steps), **config})


def parallel(id: str, *branches: Json, **config: Json) -> Json:
    return step("parallel", id, branches=list(branches), **config)


def attempt(id: str, *steps: Json, **lists: Json) -> Json:
    return step("try", id, steps=list(steps), **lists)


def shown(id: str, text: str) -> Json:
    return {"id": id, "type": "transform", "config": {"mapping": {"x": text}}}


def told(faults, document: Json) -> list[tuple[str, str]]:
    return [(fault.field, fault.message) for fault in faults(document)]


OWNED = "Owned by another step already: a"
BREAK = "A break may stand only in a loop"


# What a config must say


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (step("loop", collection=[1]), [("steps", "Required")]),
        (step("loop", steps=BODY), [("collection", "Required")]),
        (step("loop", steps=BODY, loopType="forEach"), [("collection", "Required")]),
        (step("loop", steps=BODY, loopType="for"), [("iterations", "Required")]),
        (step("loop", steps=BODY, loopType="while"), [("whileCondition", "Required")]),
        (step("loop", steps=[], collection=[1]), [("steps", "Array must contain at least 1 element(s)")]),
        (step("parallel"), [("branches", "Required")]),
        (step("parallel", branches=[]), [("branches", "Array must contain at least 1 element(s)")]),
        (step("parallel", branches=[{"id": "x"}]), [("branches[0].steps", "Required")]),
        (step("parallel", forEachSource="{{input}}"), [("steps", "Required")]),
        (step("race"), [("branches", "Required")]),
        (step("try"), [("steps", "Required")]),
        (step("subworkflow"), [("workflowId", "Required")]),
        (step("subworkflow", workflowId=""), [("workflowId", "String must contain at least 1 character(s)")]),
        (step("wait_for_event"), [("eventType", "Required")]),
        (step("approval"), [("approvers", "Required"), ("reason", "Required")]),
        (step("approval", reason="Why?"), [("approvers", "Required")]),
        (step("approval", approvers="ana"), [("reason", "Required")]),
    ],
)  # fmt: skip
def test_a_field_that_is_missing_is_told(faults, broken, expected):
    assert told(faults, document(broken)) == [(f"steps[0].config.{field}", message) for field, message in expected]


@pytest.mark.parametrize(
    ("broken", "field", "message"),
    [
        (loop("s", *BODY, maxIterations=10_001), "maxIterations", "Number must be less than or equal to 10000"),
        (loop("s", *BODY, maxIterations=0), "maxIterations", "Number must be greater than or equal to 1"),
        (loop("s", *BODY, batchSize=0), "batchSize", "Number must be greater than or equal to 1"),
        (loop("s", *BODY, batchSize=101), "batchSize", "Number must be less than or equal to 100"),
        (loop("s", *BODY, batchSize="many"), "batchSize", "Invalid"),
        (
            loop("s", *BODY, loopType="until"),
            "loopType",
            "Invalid enum value. Expected 'forEach' | 'for' | 'while', received 'until'",
        ),
        (loop("s", *BODY, collection={}), "collection", "Expected string or array, received object"),
        (
            step("loop", steps=BODY, loopType="for", iterations=-1),
            "iterations",
            "Number must be greater than or equal to 0",
        ),
        (loop("s", *BODY, itemVariable="a b"), "itemVariable", "Invalid"),
        (parallel("s", BODY, concurrency=0), "concurrency", "Number must be greater than or equal to 1"),
        (parallel("s", BODY, timeoutMs=0), "timeoutMs", "Number must be greater than or equal to 1"),
        (
            parallel("s", BODY, strategy="all"),
            "strategy",
            "Invalid enum value. Expected 'wait-all' | 'fail-fast', received 'all'",
        ),
        (parallel("s", "a"), "branches[0]", "Expected array or object, received string"),
        (step("race", branches={}), "branches", "Expected array, received object"),
        (attempt("s", *BODY, catch={}), "catch", "Expected array, received object"),
        (step("subworkflow", workflowId="w", inputMapping=[]), "inputMapping", "Expected object, received array"),
        (step("subworkflow", workflowId="w", timeoutMinutes=0), "timeoutMinutes", "Number must be greater than 0"),
        (
            step("wait_for_event", eventType="e", timeoutMs=0),
            "timeoutMs",
            "Number must be greater than or equal to 1",
        ),
        (
            step("wait_for_event", eventType="e", timeoutAction="approve"),
            "timeoutAction",
            "Invalid enum value. Expected 'fail' | 'continue', received 'approve'",
        ),
        (step("wait_for_event", eventType="e", match="x"), "match", "Expected object, received string"),
        (step("approval", approvers=3, reason="r"), "approvers", "Expected string or array, received number"),
        (step("approval", approvers=["a", 3], reason="r"), "approvers[1]", "Expected string, received number"),
    ],
)
def test_a_field_of_the_wrong_form_is_told(faults, broken, field, message):
    assert told(faults, document(broken)) == [(f"steps[0].config.{field}", message)]


@pytest.mark.parametrize("text", ["1 day", "h", "24", "1.5h", "-1h", "7days", ""])
def test_a_bad_timeout_text_is_told(faults, text):
    broken = step("approval", approvers="ana", reason="r", timeout=text)

    assert told(faults, document(broken)) == [("steps[0].config.timeout", "Expected a duration such as 7d, 24h or 30m")]


@pytest.mark.parametrize("text", ["7d", "24h", "30m", "{{input.time}}"])
def test_a_good_timeout_text_is_accepted(compile_, text):
    compile_(document(step("approval", approvers="ana", reason="r", timeout=text)))


def test_the_title_of_an_approval_stands_for_its_reason(compile_):
    compile_(document(step("approval", approvers="ana", title="Why?")))


@pytest.mark.parametrize(
    ("match", "path", "message"),
    [
        ({"a": {"$near": 1}}, ("a", "$near"), "Unknown operator: $near"),
        ({"a.b": {"$in": 3}}, ("a.b", "$in"), "Expected array"),
        ({"a": {"$exists": "yes"}}, ("a", "$exists"), "Expected boolean"),
        ({"a": {"$regex": 1}}, ("a", "$regex"), "Expected string"),
        ({"a..b": 1}, ("a..b",), "Expected a dotted path"),
    ],
)
def test_a_bad_filter_is_told_where_it_stands(faults, match, path, message):
    broken = step("wait_for_event", eventType="e", match=match)

    assert faults(document(broken)) == [Fault(("steps", 0, "config", "match", *path), message)]


def test_the_value_of_a_filter_may_be_a_template(compile_, faults):
    compile_(document(step("wait_for_event", eventType="e", match={"id": "{{input.id}}"})))

    broken = document(step("wait_for_event", eventType="e", match={"id": "{{inptu.id}}"}))
    assert told(faults, broken) == [("steps[0].config.match.id", "Unknown name: inptu")]


def test_a_parallel_takes_branches_or_items(faults):
    broken = parallel("s", BODY, forEachSource=[1], steps=[transform("b")])

    assert ("steps[0].config.branches", "Not allowed together with forEachSource") in told(faults, document(broken))


@pytest.mark.parametrize("type_", ["parallel", "race"])
def test_branches_have_different_ids(faults, type_):
    branches = [{"id": "x", "steps": [transform("a")]}, {"id": "x", "steps": [transform("b")]}]

    assert told(faults, document(step(type_, branches=branches))) == [
        ("steps[0].config.branches[1].id", "Duplicate branch: x")
    ]


# Conditions


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (step("loop", steps=BODY, loopType="while", whileCondition="1 +"), "config.whileCondition"),
        (loop("s", *BODY, breakCondition="1 +"), "config.breakCondition"),
        (loop("s", *BODY, breakCondition={"left": 1, "operator": "near"}), "config.breakCondition.operator"),
        (
            loop("s", *BODY, breakCondition=[{"field": "{{item}}", "operator": "near", "value": 1}]),
            "config.breakCondition[0].operator",
        ),
        (step("end", condition="1 +"), "config.condition"),
        ({**loop("s", *BODY), "when": "1 +"}, "when"),
    ],
)
def test_a_bad_condition_is_told_where_it_stands(faults, broken, field):
    assert [name for name, _ in told(faults, document(broken))] == [f"steps[0].{field}"]


def test_a_bad_condition_of_a_break_is_told(faults):
    broken = loop("s", step("break", "b", condition="1 +"))

    assert [name for name, _ in told(faults, document(broken))] == ["steps[0].config.steps[0].config.condition"]


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"breakCondition": "{{secrets.KEY}} == 'x'"}, "breakCondition"),
        ({"collection": "{{secrets.KEY}}"}, "collection"),
    ],
)
def test_a_container_takes_no_secrets(faults, config, field):
    assert [name for name, _ in told(faults, document(loop("s", *BODY, **config)))] == [f"steps[0].config.{field}"]


# Names


@pytest.mark.parametrize(
    "name", ["input", "steps", "run", "runId", "now", "workflow", "trigger", "variables", "secrets"]
)
@pytest.mark.parametrize("field", ["itemVariable", "indexVariable"])
def test_a_loop_takes_no_reserved_name(faults, name, field):
    assert told(faults, document(loop("s", *BODY, **{field: name}))) == [
        (f"steps[0].config.{field}", f"Reserved name: {name}")
    ]


def test_a_parallel_takes_no_reserved_name(faults):
    for name in ("steps", "index"):
        broken = step("parallel", forEachSource=[1], forEachAs=name, steps=BODY)
        assert told(faults, document(broken)) == [("steps[0].config.forEachAs", f"Reserved name: {name}")]


def test_item_and_index_have_different_names(faults):
    assert told(faults, document(loop("s", *BODY, itemVariable="i", indexVariable="i"))) == [
        ("steps[0].config.indexVariable", "Must differ from itemVariable")
    ]


def test_the_names_of_a_loop_are_known_only_inside(faults):
    broken = document(loop("s", shown("a", "{{item}} {{index}}")), shown("b", "{{item}}"), output={"i": "{{index}}"})

    assert told(faults, broken) == [
        ("steps[1].config.mapping.x", "Unknown name: item"),
        ("output.i", "Unknown name: index"),
    ]


def test_a_renamed_item_is_known_by_its_new_name_only(faults):
    broken = loop("s", shown("a", "{{row}}"), shown("b", "{{item}}"), itemVariable="row")

    assert told(faults, document(broken)) == [("steps[0].config.steps[1].config.mapping.x", "Unknown name: item")]


def test_the_collection_of_a_loop_does_not_know_its_item_but_its_conditions_do(compile_, faults):
    compile_(document(loop("s", *BODY, breakCondition="item == 1 && index > 0")))

    assert told(faults, document(loop("s", *BODY, collection="{{item}}"))) == [
        ("steps[0].config.collection", "Unknown name: item")
    ]


def test_names_reach_through_branches_and_containers(compile_):
    inner = fork("c", then=[attempt("t", parallel("p", [shown("a", "{{row}} {{error.message}}")]))])

    compile_(document(loop("s", inner, itemVariable="row")))


def test_steps_named_by_id_know_the_names_of_their_loop(compile_, faults):
    compile_(document(loop("s", "a"), shown("a", "{{item}}")))

    assert told(faults, document(loop("s", "b"), transform("b"), shown("a", "{{item}}"))) == [
        ("steps[2].config.mapping.x", "Unknown name: item")
    ]


def test_error_is_known_in_a_try_only(faults):
    tried = attempt("s", transform("a"), catch=[shown("c", "{{error.code}}")])

    assert told(faults, document(tried, shown("b", "{{error.code}}"))) == [
        ("steps[1].config.mapping.x", "Unknown name: error")
    ]


# Ownership


@pytest.mark.parametrize(
    ("first", "second", "field"),
    [
        (loop("x", "a"), loop("y", "a"), "steps[1].config.steps[0]"),
        (parallel("x", ["a"]), parallel("y", ["a"]), "steps[1].config.branches[0][0]"),
        (attempt("x", "a"), attempt("y", "b", catch=["a"]), "steps[1].config.catch[0]"),
        (loop("x", "a"), step("race", "y", branches=[{"steps": ["a"]}]), "steps[1].config.branches[0].steps[0]"),
        (loop("x", "a"), fork("y", then=["a"]), "steps[1].config.then[0]"),
        (fork("x", then=["a"]), loop("y", "a"), "steps[1].config.steps[0]"),
    ],
)  # fmt: skip
def test_a_step_has_one_container(faults, first, second, field):
    assert told(faults, document(first, second, transform("a"), transform("b"))) == [(field, OWNED)]


@pytest.mark.parametrize(
    ("owner", "field"),
    [
        (parallel("s", ["a"], ["a"]), "branches[1][0]"),
        (attempt("s", "a", catch=["a"]), "catch[0]"),
        (attempt("s", "a", **{"finally": ["a"]}), "finally[0]"),
        (loop("s", "a", "a"), "steps[1]"),
    ],
)
def test_a_container_names_a_step_once(faults, owner, field):
    assert told(faults, document(owner, transform("a"))) == [(f"steps[0].config.{field}", OWNED)]


def test_branches_inside_one_container_may_share_a_step(compile_):
    forks = [fork("c", then=["a"]), fork("d", then=["a"])]

    plan = compile_(document(loop("s", *forks), transform("a")))

    assert plan.within["a"] == ("s",)


def test_branches_of_different_turns_may_not_share_a_step(faults):
    broken = document(loop("s", fork("c", then=["a"])), fork("d", then=["a"]), transform("a"))

    assert told(faults, broken) == [("steps[1].config.then[0]", OWNED)]


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (loop("s", "nothing"), "steps[0]"),
        (parallel("s", BODY, ["nothing"]), "branches[1][0]"),
        (parallel("s", {"id": "x", "steps": ["nothing"]}), "branches[0].steps[0]"),
        (step("race", branches=[["nothing"]]), "branches[0][0]"),
        (attempt("s", "nothing"), "steps[0]"),
        (attempt("s", *BODY, catch=["nothing"]), "catch[0]"),
        (attempt("s", *BODY, **{"finally": ["nothing"]}), "finally[0]"),
        (step("approval", approvers="ana", reason="r", then=["nothing"]), "then[0]"),
        (step("approval", approvers="ana", reason="r", **{"else": ["nothing"]}), "else[0]"),
    ],
)
def test_an_unknown_id_in_a_list_is_told(faults, broken, field):
    assert told(faults, document(broken)) == [(f"steps[0].config.{field}", "Unknown step: nothing")]


@pytest.mark.parametrize(
    ("steps", "cycle"),
    [
        ([loop("x", "x")], {"x"}),
        ([loop("x", "y"), parallel("y", ["x"])], {"x", "y"}),
        ([attempt("x", "a", catch=["y"]), fork("y", then=["z"]), loop("z", "x"), transform("a")], {"x", "y", "z"}),
    ],
)
def test_an_ownership_cycle_is_told(faults, steps, cycle):
    ((field, message),) = told(faults, document(*steps))

    begin, _, chain = message.partition(": ")
    assert (begin, set(chain.split(" -> "))) == ("Ownership cycle", cycle)
    assert field in ("steps[0]", "steps[1]", "steps[2]")


def nested(levels: int) -> Json:
    innermost: Json = transform("last")
    makers = (loop, attempt, lambda id, step: parallel(id, [step]))
    for level in range(levels - 1):
        innermost = makers[level % 3](f"n{level}", innermost)
    return innermost


def test_sixteen_levels_of_containers_are_accepted_and_seventeen_are_not(compile_, faults):
    compile_(document(nested(16)))

    messages = {message for _, message in told(faults, document(nested(17)))}
    assert messages == {"Steps are nested deeper than 16"}


def test_levels_count_through_ids_too(faults):
    steps = [loop(f"n{level}", f"n{level + 1}") for level in range(16)]

    assert told(faults, document(*steps, transform("n16"))) == [("steps[16]", "Steps are nested deeper than 16")]


# break


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (step("break", "b"), "type"),
        (parallel("p", [step("break", "b")]), "config.branches[0][0].type"),
        (loop("s", parallel("p", [step("break", "b")])), "config.steps[0].config.branches[0][0].type"),
        (
            loop("s", step("race", "p", branches=[[attempt("t", step("break", "b"))]])),
            "config.steps[0].config.branches[0][0].config.steps[0].type",
        ),
        (attempt("t", step("break", "b")), "config.steps[0].type"),
        (fork("c", then=[step("break", "b")]), "config.then[0].type"),
    ],
)
def test_a_break_stands_only_in_a_loop(faults, broken, field):
    assert told(faults, document(broken)) == [(f"steps[0].{field}", BREAK)]


def test_a_break_may_stand_in_a_try_or_a_branch_in_a_loop(compile_):
    compile_(document(loop("s", attempt("t", fork("c", then=[step("break", "b")])))))
    compile_(document(parallel("p", [loop("s", step("break", "b"))])))


# needs


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (loop("s", transform("b", needs=["out"])), "config.steps[0]"),
        (parallel("s", [transform("b")], [transform("c", needs=["b"])]), "config.branches[1][0]"),
        (attempt("s", transform("b"), catch=[transform("c", needs=["b"])]), "config.catch[0]"),
        (loop("s", loop("u", transform("v")), transform("c", needs=["v"])), "config.steps[1]"),
    ],
)  # fmt: skip
def test_needs_do_not_reach_across_bodies(faults, broken, field):
    ((place, message),) = told(faults, document(broken, transform("out")))

    assert place == f"steps[0].{field}.needs[0]"
    assert message.startswith("Not a step of the same block: ")


def test_needs_inside_a_body_are_a_graph_of_that_body(compile_, faults):
    plan = compile_(document(loop("s", transform("b", needs=["c"]), transform("c", needs=[]))))
    assert (plan.steps["s"].bodies[0].block.dag, plan.root.dag) == (True, False)

    broken = document(loop("s", transform("b", needs=["c"]), transform("c", needs=["b"])))
    ((field, message),) = told(faults, broken)
    assert (field[-6:], message.partition(":")[0]) == (".needs", "Cycle in needs")
