"""The code step, and the transforms that are scripts."""

from stepwell.definitions import Kind


def test_an_object_is_the_output_itself(perform, outside):
    outside.result = {"total": 3}

    assert perform("code", {"code": "return input"}) == {"total": 3}


def test_anything_else_is_wrapped(perform, outside):
    outside.result = [1, 2]

    assert perform("code", {"code": "return input"}) == {"result": [1, 2]}


def test_the_code_is_no_template_and_the_input_is(perform, outside):
    config = {"language": "python", "code": "return '{{ input.x }}'", "input": {"x": "{{ input.x }}"}}

    perform("code", config, input={"x": 5})

    script = outside.scripts[0]
    assert (script.language, script.code, script.input) == ("python", "return '{{ input.x }}'", {"x": 5})


def test_what_is_recorded_is_the_language_the_code_and_the_input(compiled):
    step = compiled("code", {"code": "return 1", "input": "{{ input.x }}"})

    config = step.type.resolve(step.program, {"input": {"x": 5}})

    assert config == {"language": "javascript", "code": "return 1", "input": 5}
    assert step.type.kind is Kind.CODE


def test_the_shortest_limit_counts(perform, outside):
    config = {"code": "return 1", "timeout": 5000, "sandbox": {"timeoutMs": 300, "maxOutputSize": 1000}}

    perform("code", config)

    assert (outside.scripts[0].timeout_ms, outside.scripts[0].max_output_bytes) == (300, 1000)


def test_limits_of_the_sandbox_are_checked_at_save(refused):
    limits = {"timeoutMs": 30_001, "maxOutputSize": 10 * 1024 * 1024 + 1}

    faults = refused("code", {"code": "return 1", "sandbox": limits})

    assert [field for field, _ in faults] == ["config.sandbox.timeoutMs", "config.sandbox.maxOutputSize"]


def test_code_is_required_and_its_language_known(refused):
    fields = [field for field, _ in refused("code", {"language": "ruby"})]

    assert sorted(fields) == ["config.code", "config.language"]


def test_faults_of_python_syntax_are_found_at_save(refused):
    faults = refused("code", {"language": "python", "code": "x = 1\nreturn x +"})

    assert faults == [("config.code", "Syntax error: invalid syntax (line 2)")]


def test_python_that_no_parser_survives_is_a_fault(refused):
    for code in ("return " + "-" * 60_000 + "1", "return " + "(" * 60_000, "return 'a\0b'", "x" + ".y" * 30_000):
        assert [field for field, _ in refused("code", {"language": "python", "code": code})] == ["config.code"]


def test_secrets_may_not_stand_in_the_input(refused):
    faults = refused("code", {"code": "return 1", "input": "{{ secrets.KEY }}"})

    assert faults == [("config.input", "Secrets may stand only in the config of steps that reach outside")]


def test_a_transform_with_a_script_runs_as_code(compiled, perform, outside):
    outside.result = {"net": 5}

    for name in ("script", "code"):
        config = {name: "return {net: input.x}", "input": {"x": "{{ input.x }}"}}

        assert compiled("transform", config).type.kind is Kind.CODE
        assert perform("transform", config, input={"x": 5}) == {"net": 5}
        assert outside.scripts.pop().input == {"x": 5}
