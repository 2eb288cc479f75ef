"""A dry run of a retry or restart: what would be reused, what would run, and what of that has side effects."""

from live import Api, refused
from stepwell.values import Json


def mapped(id: str, value: Json) -> Json:
    return {"id": id, "type": "transform", "config": {"mapping": {"n": value}}}


def looped(*steps: Json) -> Json:
    config = {"collection": "{{input.items}}", "steps": list(steps)}
    return {
        "name": "Preview",
        "trigger": {"type": "api"},
        "steps": [mapped("first", 1), {"id": "each", "type": "loop", "config": config}, mapped("last", 2)],
    }


def test_a_preview_of_a_restart_tells_and_changes_nothing(api: Api) -> None:
    done = api.finish(
        api.workflow(looped(mapped("a", "{{item}}"), mapped("b", "{{item}}"))), input={"items": [1, 2, 3]}
    )

    body = {"fromStepId": "each[1].b", "preview": True}
    response = api.post(f"/runs/{done['id']}/restart", body)

    assert response.status_code == 200
    told = response.json()["data"]
    assert told["restartFromStepId"] == "each[1].b"
    assert [step.get("path", step["stepId"]) for step in told["reused"]] == [
        "first",
        "each[0].a",
        "each[0].b",
        "each[1].a",
    ]
    assert [step.get("path", step["stepId"]) for step in told["wouldRun"]] == ["each", "each[*].a", "each[1].b", "last"]
    assert not any(step["sideEffects"] for step in told["wouldRun"])
    assert len(api.data("GET", "/runs?limit=100")) == 1


def test_a_preview_names_what_has_side_effects(api: Api) -> None:
    call = {"id": "call", "type": "api", "config": {"url": "http://127.0.0.1:9/", "method": "GET"}}
    document = {"name": "Effects", "trigger": {"type": "api"}, "steps": [mapped("first", 1), call]}
    failed = api.finish(api.workflow(document))

    told = api.data("POST", f"/runs/{failed['id']}/retry", {"preview": True})

    assert told["restartFromStepId"] == "call"
    assert told["wouldRun"] == [{"stepId": "call", "type": "api", "sideEffects": True}]


def test_a_preview_of_a_step_that_is_not_there_is_refused_like_the_restart(api: Api) -> None:
    done = api.finish(api.workflow(looped(mapped("a", 1))), input={"items": []})

    response = api.post(f"/runs/{done['id']}/restart", {"fromStepId": "each[0].no", "preview": True})

    assert refused(response, 400, "INVALID_STEP", "Step not found: each[0].no") is None


def test_a_condition_that_fails_tells_the_expression_and_its_values(api: Api) -> None:
    config = {"expression": "input.amount > input.limit", "then": [mapped("a", 1)]}
    document = {
        "name": "Why",
        "trigger": {"type": "api"},
        "steps": [{"id": "q", "type": "condition", "config": config}],
    }

    failed = api.finish(api.workflow(document), input={"amount": "much", "limit": 5})

    [result] = failed["stepResults"]
    assert result["error"]["code"] == "CONDITION_ERROR"
    assert result["error"]["details"] == {
        "expression": "input.amount > input.limit",
        "values": {"input.amount": "much", "input.limit": 5},
    }
