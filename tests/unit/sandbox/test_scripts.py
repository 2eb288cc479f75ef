"""What scripts give: results, logs, errors."""

import ast
from decimal import Decimal

import pytest

from stepwell.errors import StepError
from stepwell.sandbox.child import indented

NOT_JSON = "The script's result is not JSON"


@pytest.mark.parametrize(
    ("language", "code", "result"),
    [
        ("javascript", "return {a: input.x + 1, b: 19.99};", {"a": 2, "b": Decimal("19.99")}),
        ("javascript", "const n = input.list.map(x => x * 2);\nreturn n", [2, 4]),
        ("javascript", "if (input.x) return 'é\u2028😀'", "é\u2028😀"),
        ("javascript", "// nothing", None),
        ("javascript", "return await Promise.resolve(5)", 5),
        ("javascript", "return Promise.resolve(5)", 5),
        ("javascript", "return await new Promise(done => setTimeout(() => done('later'), 5))", "later"),
        ("javascript", "return input.price * 1", Decimal("19.99")),
        ("python", "return {'a': input['x'] + 1, 'b': 19.99}", {"a": 2, "b": Decimal("19.99")}),
        ("python", "return [x * 2 for x in input['list']]", [2, 4]),
        ("python", "if input['x']:\n\treturn 'é😀'", "é😀"),
        ("python", "# nothing", None),
        ("python", "import json\nreturn json.loads('[1, 2.5]')", [1, Decimal("2.5")]),
        ("python", "text = '''one\n  two\nthree'''\nreturn text", "one\n  two\nthree"),
        ("python", "def double(x):\n    return x * 2\nreturn double(input['x'])", 2),
        ("python", "return input['price']", Decimal("19.99")),
        ("python", "return 2 ** 100", 2**100),
    ],
)
async def test_a_function_body_returns_its_result(run, language, code, result):
    assert await run(language, code, {"x": 1, "list": [1, 2], "price": Decimal("19.99")}) == result


@pytest.mark.parametrize(
    ("language", "code", "message"),
    [
        ("javascript", "let a = 1;\nnull.foo", "TypeError: Cannot read properties of null (reading 'foo') (line 2)"),
        ("javascript", "await 1;\nthrow new Error('bad')", "Error: bad (line 2)"),
        ("javascript", "throw {why: 'x'}", 'Uncaught {"why":"x"}'),
        ("javascript", "return {", "SyntaxError: Unexpected token ')'"),
        (
            "javascript",
            "return 1n",
            "The script's result is not JSON: TypeError: Do not know how to serialize a BigInt",
        ),
        ("javascript", "return () => 1", "The script's result is not JSON: function"),
        ("python", "a = 1\nraise ValueError('bad')", "ValueError: bad (line 2)"),
        ("python", "def f():\n    return 1 / 0\nreturn f()", "ZeroDivisionError: division by zero (line 2)"),
        ("python", "return {1, 2}", f"{NOT_JSON}: TypeError: Object of type set is not JSON serializable"),
    ],
)
async def test_a_failure_tells_what_and_where(run, language, code, message):
    error = await run(language, code)

    assert isinstance(error, StepError) and error.message == message


@pytest.mark.parametrize("code", ["return float('nan')", "return float('inf')"])
async def test_a_number_that_json_has_not_is_an_error(run, code):
    error = await run("python", code)

    assert isinstance(error, StepError)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("javascript", "console.log('a', {b: 1}); console.warn('c\\nd'); throw new Error('x')"),
        ("python", "print('a', '{\"b\":1}')\nprint('c\\nd')\nraise ValueError('x')"),
    ],
)
async def test_what_is_printed_goes_to_the_logs_of_a_failed_script_too(run, language, code):
    await run(language, code)

    assert run.logs == ["a " + '{"b":1}', "c", "d"]


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("javascript", "for (let i = 0; i < 1000; i++) console.log('é'.repeat(100000))"),
        ("python", "for i in range(100):\n    print('é' * 10000)"),
    ],
)
async def test_logs_end_at_64_kib(run, language, code):
    await run(language, code)

    assert 32_000 < sum(len(line.encode()) + 1 for line in run.logs) <= 64 * 1024 + 1


@pytest.mark.parametrize(
    ("language", "code"), [("javascript", "return 'a'.repeat(2000)"), ("python", "return 'a'*2000")]
)
async def test_a_result_over_its_limit_is_refused(run, language, code):
    error = await run(language, code, max_output_bytes=1000)

    assert (error.code, error.message) == ("OUTPUT_TOO_LARGE", "Output is larger than 1000 bytes")


@pytest.mark.parametrize("language", ["javascript", "python"])
async def test_large_values_pass(run, language):
    value = [{"text": "é" * 100, "n": n} for n in range(5_000)]

    assert await run(language, "return input", value) == value


@pytest.mark.parametrize(
    "code",
    [
        "x = '''a\nb'''\nreturn x",
        'x = """a\n  \'\'\' b\n"""\nif x:\n  return f"{x}"',
        "x = 'it''s' # don't\nreturn [\n1,\n2\n]",
        "x = 'a\\\nb'\nreturn x",
        "return r'''\\\n'''",
        "",
        "x = 1\r\nreturn '''a\r\nb'''",
    ],
)
def test_indenting_changes_no_value(code):
    plain = ast.parse(code).body
    deeper = ast.parse(f"def f():\n    pass\n{indented(code)}\n").body[0].body[1:]

    assert [ast.dump(node) for node in plain] == [ast.dump(node) for node in deeper]
