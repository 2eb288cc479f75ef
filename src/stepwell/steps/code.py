"""code: a function body of the workflow's author, run in the sandbox. Source: LoopFour contract 9.7."""

import ast
import re
import warnings
from dataclasses import dataclass

from stepwell.definitions import Kind, Source
from stepwell.errors import StepError
from stepwell.expressions import Scope, Template
from stepwell.steps.fields import number_field, read_number, text_field
from stepwell.steps.ports import Call, ConnectionNeed, Ports, Script
from stepwell.values import Json

LANGUAGES = ("javascript", "python")
MAX_TIMEOUT_MS = 30_000
MAX_OUTPUT_BYTES = 10 * 1024 * 1024
MAX_CODE = 256 * 1024
ATTEMPT = "__attempt"  # a member of the input by this name becomes the number of the attempt
NON_RETRYABLE = "NonRetryableError"  # an error of this name is not tried again
CHECKED_CODE = 64 * 1024  # of longer code the sandbox finds the faults

_LIMITS = ("timeout", "sandbox")
_CHANGES = re.compile(r"[pP]rototype|__proto__|definePropert|WebAssembly|Atomics|FinalizationRegistry")
"""In JavaScript that may change built-in objects, or needs one that a kept isolate lacks: such runs in a fresh one."""


@dataclass(frozen=True, slots=True)
class CodeProgram:
    """The code as it is written; templates stand only in the input and the limits."""

    language: str
    code: str
    input: Template | None = None
    limits: tuple[tuple[str, Template], ...] = ()


class CodeStep:
    """Output is what the function body returns: an object itself, anything else as `result`."""

    name = "code"
    kind = Kind.CODE
    default_timeout_ms: int | None = 30_000
    config_schema: Json = {
        "type": "object",
        "required": ["code"],
        "properties": {
            "language": {"enum": list(LANGUAGES), "description": "The language.", "default": "javascript"},
            "code": text_field("Function body; `input` is bound, `return` gives the result.", minLength=1),
            "input": {"description": "What the code sees as `input`."},
            "timeout": number_field("Limit of one attempt in ms.", minimum=1, maximum=MAX_TIMEOUT_MS),
            "sandbox": {
                "type": "object",
                "description": "Limits of the script.",
                "properties": {
                    "timeoutMs": number_field("Longest run in ms.", minimum=1, maximum=MAX_TIMEOUT_MS),
                    "maxOutputSize": number_field("Limit of the result.", minimum=1, maximum=MAX_OUTPUT_BYTES),
                },
            },
        },
    }

    def compile(self, source: Source) -> CodeProgram | None:
        return compiled(source, "code")

    def resolve(self, program: CodeProgram, scope: Scope) -> Json:
        given = None if program.input is None else program.input.render(scope)
        config: dict[str, Json] = {"language": program.language, "code": program.code, "input": given}
        return config | {name: template.render(scope) for name, template in program.limits}

    def connection(self, program: CodeProgram, config: Json) -> ConnectionNeed | None:
        return None

    async def perform(self, program: CodeProgram, config: Json, call: Call, ports: Ports) -> Json:
        limits = config.get("sandbox") or {}
        timeouts = [read_number(config, "timeout"), read_number(limits, "timeoutMs")]
        longest_ms = min(MAX_TIMEOUT_MS, int(call.timeout_s * 1000))
        most = read_number(limits, "maxOutputSize")
        given = config["input"]
        if isinstance(given, dict) and ATTEMPT in given:
            given = {**given, ATTEMPT: call.attempt}
        script = Script(
            language=config["language"],
            code=config["code"],
            input=given,
            timeout_ms=min([longest_ms, *(max(1, int(each)) for each in timeouts if each is not None)]),
            max_output_bytes=MAX_OUTPUT_BYTES if most is None else max(1, min(int(most), MAX_OUTPUT_BYTES)),
            kept=config["language"] == "javascript" and _CHANGES.search(config["code"]) is None,
        )
        try:
            result = await ports.code.run(call.workspace, script, call.log)
        except StepError as error:
            error.final = error.message.startswith(NON_RETRYABLE)
            raise
        return result if isinstance(result, dict) else {"result": result}


def compiled(source: Source, field: str) -> CodeProgram | None:
    """The program of a step whose code stands in that field of its config."""
    code = source.config.get(field)
    language = source.config.get("language", LANGUAGES[0])
    given = source.template("input")
    limits = [(name, source.template(name)) for name in _LIMITS if name in source.config]
    if not isinstance(code, str):
        return None  # the schema's fault
    if len(code) > MAX_CODE:
        source.fault((field,), f"Longer than {MAX_CODE} characters")
    elif language == "python" and len(code) <= CHECKED_CODE:
        wrong = python_fault(code)
        if wrong is not None:
            source.fault((field,), wrong)
    return CodeProgram(language, code, given, tuple((name, each) for name, each in limits if each is not None))


def python_fault(code: str) -> str | None:
    """What is wrong with the syntax of a function body, if anything. A `return` outside a function is no fault of
    syntax, so the body is parsed as it stands; nothing is compiled or run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except SyntaxError as error:
        where = "" if error.lineno is None else f" (line {error.lineno})"
        return f"Syntax error: {error.msg}{where}"[:300]
    except (ValueError, RecursionError, MemoryError):
        return "Syntax error: the code cannot be parsed"
    return None
