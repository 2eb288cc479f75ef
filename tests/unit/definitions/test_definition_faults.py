"""Every check at save, each with its path and message. Source: LoopFour contract 3.4."""

import pytest

from stepwell.errors import Fault
from unit.definitions.documents import document, fork, transform


def told(faults, document):
    return [(fault.field, fault.message) for fault in faults(document)]


def test_all_faults_come_at_once_missing_fields_first(faults):
    broken = {"steps": [{"type": "transform"}, {"id": "a", "type": "x"}], "trigger": {}}

    assert told(faults, broken) == [
        ("name", "Required"),
        ("trigger.type", "Required"),
        ("steps[0].id", "Step ID is required"),
        ("steps[0].config.mapping", "Required"),
        ("steps[1].type", "Unknown step type: x"),
    ]


@pytest.mark.parametrize("id", [None, ""])
def test_a_missing_step_id_has_the_vendors_message(faults, id):
    assert faults(document(transform(id))) == [Fault(("steps", 0, "id"), "Step ID is required")]


@pytest.mark.parametrize("id", ["-a", "a b", "a" * 129, "ä", "a\n"])
def test_a_step_id_has_only_letters_digits_and_marks(faults, id):
    ((field, message),) = told(faults, document(transform(id)))

    assert field == "steps[0].id"
    assert message.startswith("Step ID takes")


def test_a_step_id_is_a_text(faults):
    assert told(faults, document(transform(7))) == [("steps[0].id", "Expected string, received number")]


def test_a_step_id_is_unique_in_the_document_inline_steps_included(faults):
    broken = document(transform("a"), fork("c", then=[transform("a")]))

    assert told(faults, broken) == [("steps[1].config.then[0].id", "Duplicate step ID: a")]


@pytest.mark.parametrize("type_", ["agent", "data_table", "pdf", "workspace_files"])
def test_a_step_type_of_later_is_refused_as_not_available(faults, type_):
    assert told(faults, document({"id": "a", "type": type_})) == [
        ("steps[0].type", f"Step type not available: {type_}")
    ]


@pytest.mark.parametrize("type_", ["slack_event", "email_event"])
def test_a_trigger_type_of_later_is_refused_as_not_available(faults, type_):
    assert told(faults, document(trigger={"type": type_})) == [("trigger.type", f"Trigger type not available: {type_}")]


def test_an_unknown_trigger_type_is_refused(faults):
    assert told(faults, document(trigger={"type": "x"})) == [("trigger.type", "Unknown trigger type: x")]


@pytest.mark.parametrize("type_", ["api", "manual", "webhook", "schedule"])
def test_the_trigger_types_that_exist_are_accepted(compile_, type_):
    compile_(document(transform("a"), trigger={"type": type_}))


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"name": "a" * 256}, "name", "String must contain at most 255 character(s)"),
        ({"name": ""}, "name", "String must contain at least 1 character(s)"),
        ({"name": 1}, "name", "Expected string, received number"),
        ({"slug": "a b"}, "slug", "Invalid"),
        ({"variables": []}, "variables", "Expected object, received array"),
        ({"output": "x"}, "output", "Expected object, received string"),
        ({"steps": {}}, "steps", "Expected array, received object"),
        ({"trigger": "api"}, "trigger", "Expected object, received string"),
        ({"settings": {"timeoutMs": 0}}, "settings.timeoutMs", "Number must be greater than or equal to 1"),
        ({"settings": {"maxConcurrentRuns": "2"}}, "settings.maxConcurrentRuns", "Expected integer, received string"),
        (
            {"settings": {"idempotencyConflict": "x"}},
            "settings.idempotencyConflict",
            "Invalid enum value. Expected 'return' | 'reject', received 'x'",
        ),
    ],
)
def test_a_field_of_the_wrong_form_is_told(faults, fields, field, message):
    assert told(faults, document(**fields)) == [(field, message)]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"retryConfig": {"maxAttempts": 0}}, "retryConfig.maxAttempts"),
        ({"retryConfig": {"maxAttempts": 21}}, "retryConfig.maxAttempts"),
        ({"retryConfig": {"initialDelayMs": -1}}, "retryConfig.initialDelayMs"),
        ({"retryConfig": {"backoffMultiplier": 0}}, "retryConfig.backoffMultiplier"),
        ({"retryConfig": {"jitter": 1}}, "retryConfig.jitter"),
        ({"errorHandling": {"strategy": "x"}}, "errorHandling.strategy"),
        ({"timeoutMs": 0}, "timeoutMs"),
        ({"idempotent": "yes"}, "idempotent"),
        ({"needs": "a"}, "needs"),
        ({"when": 1}, "when"),
        ({"name": []}, "name"),
        ({"config": []}, "config"),
    ],
)
def test_a_common_step_field_out_of_its_range_is_told(faults, fields, field):
    assert f"steps[0].{field}" in [fault.field for fault in faults(document(transform("a", **fields)))]


@pytest.mark.parametrize("name", ["inputSchema", "outputSchema"])
@pytest.mark.parametrize(
    ("schema", "path", "message"),
    [
        ({"$ref": "https://example.com/x"}, ("$ref",), "Only local references are allowed: https://example.com/x"),
        ({"$ref": "file:///etc/passwd"}, ("$ref",), "Only local references are allowed: file:///etc/passwd"),
        ({"items": {"$ref": "b.json"}}, ("items", "$ref"), "Only local references are allowed: b.json"),
        ({"pattern": "("}, ("pattern",), "Invalid"),
        ({"pattern": "(?=a)"}, ("pattern",), "Invalid"),
        ({"minimum": "1"}, ("minimum",), "Expected number, received string"),
        ({"$ref": "#/$defs/a"}, (), "Not a JSON Schema: Pointer '/$defs/a' does not exist"),
    ],
)  # fmt: skip
def test_a_json_schema_is_checked(faults, name, schema, path, message):
    assert faults(document(**{name: schema})) == [Fault((name, *path), message)]


def test_data_in_a_schema_may_look_like_a_reference(compile_):
    compile_(
        document(inputSchema={"const": {"$ref": "https://example.com"}, "properties": {"$ref": {"type": "string"}}})
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{steps.foo.output.x}}", "Unknown step: foo"),
        ("{{variables.x}}", "Unknown variable: x"),
        ("{{env.HOME}}", "Unknown name: env"),
    ],
)
def test_a_name_that_does_not_exist_is_told_where_it_stands(faults, text, message):
    broken = document(transform("a", config={"mapping": {"deep": [{"b": text}]}}), variables={"y": 1})

    assert faults(broken) == [Fault(("steps", 0, "config", "mapping", "deep", 0, "b"), message)]


def test_a_bad_template_does_not_hide_unknown_names_beside_it(faults):
    broken = document(transform("a", config={"mapping": {"b": "{{ input.x | nope }}", "c": "{{ steps.foo }}"}}))

    first, second = told(faults, broken)

    assert first[1].startswith("Unknown filter: nope")
    assert second == ("steps[0].config.mapping.c", "Unknown step: foo")


def test_unknown_names_in_output_and_when_are_told(faults):
    broken = document(transform("a", when="steps.foo.output.x == 1"), output={"b": "{{steps.bar}}"})

    assert told(faults, broken) == [("steps[0].when", "Unknown step: foo"), ("output.b", "Unknown step: bar")]


def test_a_later_step_may_be_referenced(compile_):
    compile_(document(transform("a", config={"mapping": {"x": "{{steps.b.output}}"}}), transform("b")))


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (document(transform("a", config={"mapping": {"x": "{{secrets.K}}"}})), "steps[0].config.mapping.x"),
        (document(transform("a", when="secrets.K == '1'")), "steps[0].when"),
        (document(output={"x": "{{secrets.K}}"}), "output.x"),
        (document({"id": "w", "type": "wait", "config": {"until": "{{secrets.K}}"}}), "steps[0].config.until"),
    ],
)
def test_secrets_stand_only_in_steps_that_reach_outside(faults, broken, field):
    assert told(faults, broken) == [(field, "Secrets may stand only in the config of steps that reach outside")]


def test_secrets_of_effects_and_of_the_trigger_signature_are_collected(compile_):
    call = {"id": "a", "type": "api", "config": {"url": "https://x.example", "headers": {"k": "{{secrets.ONE}}"}}}
    trigger = {"type": "webhook", "signature": {"secrets": ["{{secrets.TWO}}"]}}

    plan = compile_(document(call, trigger=trigger))
    assert (plan.secrets, plan.trigger_secrets) == ({"ONE"}, {"TWO"})


def test_a_trigger_signature_takes_nothing_but_secrets(faults):
    trigger = {"type": "webhook", "signature": {"header": "{{input.x}}"}}

    assert told(faults, document(trigger=trigger)) == [
        ("trigger.signature.header", "Only secrets.<NAME> may stand here")
    ]


@pytest.mark.parametrize(
    ("step", "field", "message"),
    [
        ({"type": "action", "action": "acme.do"}, "action", "Unknown connector: acme"),
        ({"type": "action", "action": "stripe.do"}, "action", "Unknown action: stripe.do"),
        ({"type": "action"}, "action", "Required"),
        ({"type": "action", "action": "stripe.createInvoice"}, "config.customerId", "Required"),
        ({"type": "api"}, "config.url", "Required"),
        ({"type": "condition", "config": {"expression": "true"}}, "config.then", "Required"),
        ({"type": "wait"}, "config.duration", "Required"),
    ],
)
def test_a_missing_or_unknown_part_of_a_config_is_told(faults, step, field, message):
    assert told(faults, document({"id": "a", **step})) == [(f"steps[0].{field}", message)]


def test_a_branch_that_names_no_step_is_told(faults):
    assert told(faults, document(fork("c", then=["foo"]))) == [("steps[0].config.then[0]", "Unknown step: foo")]


def test_a_step_that_does_not_compile_is_not_also_unknown(faults):
    broken = document(fork("c", then=["a"]), {"id": "a", "type": "nope"}, transform("b", needs=["a"]))

    assert told(faults, broken) == [("steps[1].type", "Unknown step type: nope")]


def test_an_ownership_cycle_is_told(faults):
    ((_, message),) = told(faults, document(fork("a", then=["b"]), fork("b", then=["a"])))

    assert message in ("Ownership cycle: a -> b -> a", "Ownership cycle: b -> a -> b")


def test_a_step_cannot_own_itself(faults):
    assert told(faults, document(fork("a", then=["a"]))) == [("steps[0]", "Ownership cycle: a -> a")]


def test_needs_names_steps_of_the_same_block(faults):
    broken = document(fork("c", then=[transform("in")]), transform("a", needs=["in", "foo"]))

    assert told(faults, broken) == [
        ("steps[1].needs[0]", "Not a step of the same block: in"),
        ("steps[1].needs[1]", "Unknown step: foo"),
    ]


def test_a_cycle_in_needs_is_told(faults):
    ((_, message),) = told(faults, document(transform("a", needs=["b"]), transform("b", needs=["a"])))

    assert message.startswith("Cycle in needs: ")


def nested(levels):
    step = transform("s0")
    for level in range(1, levels):
        step = fork(f"s{level}", then=[step])
    return step


def test_sixteen_levels_of_inline_steps_are_accepted_and_seventeen_are_not(compile_, faults):
    compile_(document(nested(16)))

    assert [fault.message for fault in faults(document(nested(17)))] == ["Steps are nested deeper than 16"]


def test_levels_count_through_ids_too(faults):
    chain = [fork(f"s{level}", then=[f"s{level + 1}"]) for level in range(16)]

    assert told(faults, document(*chain, transform("s16"))) == [("steps[16]", "Steps are nested deeper than 16")]


def test_five_hundred_steps_are_accepted_and_one_more_is_not(compile_, faults):
    steps = [transform(f"s{index}") for index in range(501)]
    compile_(document(*steps[:500]))

    assert told(faults, document(*steps)) == [("steps", "More than 500 steps")]


def test_a_root_step_is_an_object(faults):
    assert told(faults, document("a")) == [("steps[0]", "Expected object, received string")]


def test_a_document_is_an_object(faults):
    assert faults([]) == [Fault((), "Expected object, received array")]


@pytest.mark.parametrize("word", ["allOf", "anyOf", "oneOf"])
def test_a_schema_whose_references_multiply_without_end_is_refused(faults, word):
    definitions = {f"n{level}": {word: [{"$ref": f"#/$defs/n{level + 1}"}] * 2} for level in range(40)}
    schema = {"$ref": "#/$defs/n0", "$defs": {**definitions, "n40": {}}}

    assert told(faults, document(inputSchema=schema)) == [
        ("inputSchema", "Too complex: its references make too many subschemas")
    ]


def test_a_chain_of_references_that_could_exhaust_the_stack_is_refused(faults):
    definitions = {f"n{level}": {"$ref": f"#/$defs/n{level + 1}"} for level in range(5000)}
    schema = {"$ref": "#/$defs/n0", "$defs": {**definitions, "n5000": {}}}

    assert told(faults, document(inputSchema=schema)) == [
        ("inputSchema", "Too complex: its references make too many subschemas")
    ]


def test_a_recursive_schema_is_accepted(compile_):
    compile_(document(inputSchema={"properties": {"children": {"items": {"$ref": "#"}}}}))
