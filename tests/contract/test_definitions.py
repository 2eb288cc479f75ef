"""What is found when a workflow is saved. Source: LoopFour contract 3.4, 5.2, 6.1 and 16."""

import pytest

from live import Api, refused, transform
from stepwell.values import Json

CONFIG: Json = {"mapping": {"x": 1}}


def step(id: str = "a", **fields: Json) -> Json:
    return {"id": id, "type": "transform", "config": CONFIG, **fields}


def owner(*then: Json, id: str = "c") -> Json:
    return {"id": id, "type": "condition", "config": {"expression": "true", "then": list(then)}}


def comparing(operator: str) -> Json:
    conditions = {"left": "a", "operator": operator, "right": "("}
    return {"id": "c", "type": "condition", "config": {"conditions": conditions, "then": []}}


def rendering(text: str) -> Json:
    return step(config={"mapping": {"x": text}})


def calling(header: str) -> Json:
    return {"id": "a", "type": "api", "config": {"url": "https://example.com", "headers": {"A": header}}}


def nested(levels: int) -> Json:
    inner = step("leaf")
    for level in range(levels - 1):
        inner = owner(inner, id=f"c{level}")
    return inner


def faults(api: Api, *steps: Json, **fields: Json) -> list[tuple[str, str]]:
    document = {"name": "n", "trigger": {"type": "api"}, "steps": list(steps), **fields}
    details = refused(api.post("/workflows", document), 400, "VALIDATION_ERROR", "Invalid workflow configuration")
    return [(fault["field"], fault["message"]) for fault in details]


@pytest.mark.parametrize(
    ("steps", "field", "message"),
    [
        ([step("")], "steps[0].id", "Step ID is required"),
        ([step("-a")], "steps[0].id", None),
        ([step("a" * 129)], "steps[0].id", None),
        ([step(), step()], "steps[1].id", "Duplicate step ID: a"),
        ([step(), owner(step())], "steps[1].config.then[0].id", "Duplicate step ID: a"),
        ([step(type="zap")], "steps[0].type", "Unknown step type: zap"),
        ([step(config={})], "steps[0].config.mapping", "Required"),
        ([{"id": "a", "type": "api"}], "steps[0].config.url", "Required"),
        ([rendering("{{steps.b.output}}")], "steps[0].config.mapping.x", "Unknown step: b"),
        ([owner("b")], "steps[0].config.then[0]", "Unknown step: b"),
        ([step(needs=["b"])], "steps[0].needs[0]", "Unknown step: b"),
        ([step(needs=["b"]), step("b", needs=["a"])], "steps[0].needs", "Cycle in needs: a -> b -> a"),
        ([owner("d"), owner("c", id="d")], "steps[0]", "Ownership cycle: c -> d -> c"),
        ([rendering("{{ input. }}")], "steps[0].config.mapping.x", None),
        ([rendering("{{ input | zap }}")], "steps[0].config.mapping.x", "Unknown filter: zap (line 1, column 12)"),
        ([rendering("{{ env.HOME }}")], "steps[0].config.mapping.x", "Unknown name: env"),
        ([rendering("{% include 'x' %}")], "steps[0].config.mapping.x", None),
        ([step(when="input.x >")], "steps[0].when", None),
        ([comparing("matches")], "steps[0].config.conditions.right", None),
        ([comparing("zap")], "steps[0].config.conditions.operator", "Unknown operator: zap"),
        ([step(f"s{n}") for n in range(501)], "steps", "More than 500 steps"),
        ([step(retryConfig={"maxAttempts": 21})], "steps[0].retryConfig.maxAttempts", None),
        ([{"id": "a", "type": "action", "action": "zap.it"}], "steps[0].action", "Unknown connector: zap"),
        ([{"id": "a", "type": "action", "action": "stripe.zap"}], "steps[0].action", "Unknown action: stripe.zap"),
        ([{"id": "a", "type": "agent"}], "steps[0].type", "Step type not available: agent"),
        ([{"id": "a", "type": "data_table"}], "steps[0].type", "Step type not available: data_table"),
        ([{"id": "a", "type": "pdf"}], "steps[0].type", "Step type not available: pdf"),
        ([{"id": "a", "type": "workspace_files"}], "steps[0].type", "Step type not available: workspace_files"),
    ],
)
def test_a_fault_of_a_step_is_found(api: Api, steps: list[Json], field: str, message: str | None) -> None:
    ((where, told),) = faults(api, *steps)

    assert where == field
    assert message in (None, told)


@pytest.mark.parametrize(
    ("name", "value", "field", "message"),
    [
        ("name", "n" * 256, "name", "String must contain at most 255 character(s)"),
        ("slug", "a b", "slug", "Invalid"),
        ("inputSchema", {"type": "zap"}, "inputSchema.type", None),
        ("inputSchema", {"$ref": "https://x.example/y"}, "inputSchema.$ref", None),
        ("outputSchema", {"$ref": "file:///x"}, "outputSchema.$ref", None),
        ("settings", {"timeoutMs": 0}, "settings.timeoutMs", "Number must be greater than or equal to 1"),
        ("trigger", {"type": "slack_event"}, "trigger.type", "Trigger type not available: slack_event"),
        ("trigger", {"type": "email_event"}, "trigger.type", "Trigger type not available: email_event"),
        ("trigger", {"type": "magic"}, "trigger.type", "Unknown trigger type: magic"),
    ],
)
def test_a_fault_of_a_workflow_is_found(api: Api, name: str, value: Json, field: str, message: str | None) -> None:
    ((where, told),) = faults(api, step(), **{name: value})

    assert where == field
    assert message in (None, told)


def test_all_faults_are_told_at_once_in_the_order_of_the_document(api: Api) -> None:
    found = faults(api, step(""), step(type="zap"), rendering("{{"), name="", settings={"timeoutMs": 0})

    assert [where for where, _ in found] == [
        "name",
        "steps[0].id",
        "steps[1].type",
        "steps[2].id",
        "steps[2].config.mapping.x",
        "settings.timeoutMs",
    ]


def test_steps_nest_16_deep(api: Api) -> None:
    assert api.post("/workflows", transform(steps=[nested(16)])).status_code == 201
    assert [message for _, message in faults(api, nested(17))] == ["Steps are nested deeper than 16"]


@pytest.mark.parametrize("trigger", ["api", "manual"])
def test_a_manual_trigger_acts_as_api(api: Api, trigger: str) -> None:
    run = api.finish(api.workflow(transform(trigger={"type": trigger})))

    assert (run["status"], run["triggerType"]) == ("completed", "api")


def test_unknown_fields_are_named_wherever_they_stand(api: Api) -> None:
    made = api.data("POST", "/workflows", transform(steps=[step(colour=1)], settings={"colour": 1}))

    assert made["warnings"] == ["Unknown field: settings.colour", "Unknown field: steps[0].colour"]
    assert made["settings"] == {"colour": 1}


@pytest.mark.parametrize("text", ["{{secrets.TOKEN}}", "Bearer {{ secrets.TOKEN }}", "{{ secrets['TOKEN'] }}"])
def test_a_secret_may_stand_in_a_step_that_reaches_outside(api: Api, text: str) -> None:
    assert api.post("/workflows", transform(steps=[calling(text)])).status_code == 201


@pytest.mark.parametrize(
    "text",
    [
        "{{ secrets.TOKEN | base64_encode }}",
        "{{ secrets }}",
        "{{ secrets[input.name] }}",
        "{% assign x = secrets.TOKEN %}{{ x }}",
        "{% if secrets.TOKEN == 'a' %}b{% endif %}",
    ],
)
def test_a_secret_is_neither_filtered_nor_looked_at(api: Api, text: str) -> None:
    assert [where for where, _ in faults(api, calling(text))] == ["steps[0].config.headers.A"]


@pytest.mark.parametrize(
    ("steps", "fields", "field"),
    [
        ([rendering("{{secrets.TOKEN}}")], {}, "steps[0].config.mapping.x"),
        ([step(when="secrets.TOKEN == 'a'")], {}, "steps[0].when"),
        ([step()], {"output": {"x": "{{secrets.TOKEN}}"}}, "output.x"),
    ],
)
def test_a_secret_stands_nowhere_else(api: Api, steps: list[Json], fields: Json, field: str) -> None:
    assert [where for where, _ in faults(api, *steps, **fields)] == [field]


def test_a_signature_takes_secrets_only(api: Api) -> None:
    def trigger(secret: str) -> Json:
        return {"type": "webhook", "signature": {"scheme": "github", "secrets": [secret]}}

    assert api.post("/workflows", transform(trigger=trigger("{{secrets.HOOK}}"))).status_code == 201
    found = faults(api, step(), trigger=trigger("{{input.hook}}"))
    assert found == [("trigger.signature.secrets[0]", "Only secrets.<NAME> may stand here")]
