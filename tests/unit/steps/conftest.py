"""Compiling and running one step, with ports that note what they are asked."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from stepwell.definitions import ActionSpec, Step, compile_definition
from stepwell.errors import StepError, ValidationFailed
from stepwell.steps import STEP_TYPES, Call, ChosenConnection, HttpRequest, HttpResponse, Ports, Script
from stepwell.values import Json, map_strings


class TinyCatalogue:
    """Providers for e-mail, Slack and invoices."""

    _actions = {
        "stripe.createInvoice": ActionSpec(
            "stripe.createInvoice",
            "stripe",
            ("customerId",),
            {"properties": {"customerId": {"type": "string"}, "amount": {"type": "number"}, "note": {}}},
        )
    }

    def action(self, name: str) -> ActionSpec | None:
        return self._actions.get(name)

    def connectors(self) -> tuple[str, ...]:
        return ("resend", "slack", "smtp", "stripe")

    def offering(self, action: str) -> tuple[str, ...]:
        return ("resend", "smtp") if action == "sendEmail" else ()


@dataclass
class Outside:
    """All ports: answers with what a test prepared and keeps what it was asked."""

    answer: HttpResponse | StepError = field(default_factory=lambda: answer(200, b"{}"))
    result: Json = field(default_factory=dict)
    requests: list[HttpRequest] = field(default_factory=list)
    performed: list[tuple[str, Json]] = field(default_factory=list)
    kept: list[tuple[str, Json, int]] = field(default_factory=list)
    scripts: list[Script] = field(default_factory=list)

    async def send(self, workspace: str, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        if isinstance(self.answer, StepError):
            raise self.answer
        return self.answer

    async def perform(self, action: str, params: Json, call: Call) -> Json:
        self.performed.append((action, params))
        return self.result

    async def put(self, action: str, params: Json, call: Call, due_ms: int) -> None:
        self.kept.append((action, params, due_ms))

    async def run(self, workspace: str, script: Script, log: Callable[[str], None]) -> Json:
        self.scripts.append(script)
        return self.result


def answer(status: int, body: bytes, **headers: str) -> HttpResponse:
    """An HTTP answer; `content_type` names the header Content-Type."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status, named, body, "https://api.example/x")


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def compiled() -> Callable[..., Step]:
    """Compiles one step of the given type and config."""

    def compile_(type_: str, config: Json, **fields: Json) -> Step:
        document = {
            "name": "Test",
            "trigger": {"type": "api"},
            "steps": [{"id": "it", "type": type_, "config": config, **fields}],
        }
        return compile_definition(document, STEP_TYPES, TinyCatalogue()).steps["it"]

    return compile_


@pytest.fixture
def refused(compiled: Callable[..., Step]) -> Callable[..., list[tuple[str, str]]]:
    """The faults of a step, their fields below it."""

    def faults(type_: str, config: Json, **fields: Json) -> list[tuple[str, str]]:
        with pytest.raises(ValidationFailed) as error:
            compiled(type_, config, **fields)
        return [(fault.field.removeprefix("steps[0]."), fault.message) for fault in error.value.faults]

    return faults


@pytest.fixture
def evaluate(compiled: Callable[..., Step]) -> Callable[..., tuple[Json, Json]]:
    """Runs a pure step: resolved config and output."""

    def run(type_: str, config: Json, **scope: Json) -> tuple[Json, Json]:
        step = compiled(type_, config)
        return step.type.evaluate(step.program, scope)

    return run


@pytest.fixture
def perform(compiled: Callable[..., Step], outside: Outside) -> Callable[..., Json]:
    """Runs one attempt of an effect; `[[x]]` in its resolved config is a secret marker that opens to `open-x`."""

    def run(type_: str, config: Json, *, provider: str = "resend", fields: Json = None, **scope: Json) -> Json:
        step = compiled(type_, config, **(fields or {}))
        resolved = step.type.resolve(step.program, scope)
        call = Call(
            workspace="ws",
            workflow_id="wf",
            run_id="run",
            path="it",
            attempt=1,
            operation_id="run:it",
            now_ms=1_700_000_000_000,
            timeout_s=30.0,
            connection=ChosenConnection("conn", provider),
            reveal=lambda value: map_strings(value, lambda text: text.replace("[[", "open-").replace("]]", "")),
        )
        return asyncio.run(
            step.type.perform(
                step.program, resolved, call, Ports(http=outside, actions=outside, outbox=outside, code=outside)
            )
        )

    return run
