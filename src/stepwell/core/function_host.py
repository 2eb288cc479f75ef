"""What functions ask of the server: requests to other systems, calls of other functions, starts of runs. Each is done
once, without retries. Source: AwaitStep contract 8."""

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from stepwell.clock import Clock
from stepwell.core.runs import Runs
from stepwell.core.starting import StartRequest
from stepwell.errors import StepError, StepwellError, ValidationFailed
from stepwell.ids import Ids
from stepwell.steps import STEP_TYPES
from stepwell.steps.ports import Call, EffectType, Host, Ports
from stepwell.values import Json

TIMEOUT_S = 30.0
Asked = Callable[[str, str, str, str | None, Json], Awaitable[Json]]


class FunctionHost:
    """Answers the questions of functions: `{do, config}`, where `do` is `api` or `function` with the config of the step
    type, or `start` with `workflow` and `input`, which gives `{instanceId}`."""

    def __init__(self, ports: Ports, runs: Runs, clock: Clock, ids: Ids) -> None:
        self._ports = ports
        self._runs = runs
        self._clock = clock
        self._ids = ids
        self._known: Mapping[str, Asked] = {"api": self._step, "function": self._step, "start": self._start}

    def of(self, workspace: str, workflow: str, request: str, key: str | None) -> Host:
        """The host of one call of a function; `key` is that of its caller, whose budget runs count for."""

        async def answer(question: Json) -> Json:
            asked = question if isinstance(question, dict) else {}
            perform = self._known.get(str(asked.get("do")))
            if perform is None or not isinstance(asked.get("config"), dict):
                raise StepError(f"Expected do (one of {', '.join(self._known)}) and config", kind="code")
            return await perform(workspace, workflow, request, key, asked)

        return answer

    async def _step(self, workspace: str, workflow: str, request: str, key: str | None, question: Json) -> Json:
        call = Call(
            workspace=workspace,
            workflow_id=workflow,
            run_id=request,
            path="function",
            attempt=1,
            operation_id=self._ids.new(),
            now_ms=self._clock.now_ms(),
            timeout_s=TIMEOUT_S,
            connection=None,
            reveal=lambda value: value,
        )
        step = cast(EffectType, STEP_TYPES[question["do"]])
        return await step.perform(None, question["config"], call, self._ports)

    async def _start(self, workspace: str, workflow: str, request: str, key: str | None, question: Json) -> Json:
        config = question["config"]
        given = {} if config.get("input") is None else config["input"]
        try:
            started = await self._runs.start(
                workspace, StartRequest(workflow=str(config.get("workflow")), input=given, key=key)
            )
        except ValidationFailed as error:
            told = "; ".join(f"{fault.field}: {fault.message}" for fault in error.faults)
            raise StepError(told[:1900], kind="code") from None
        except StepwellError as error:
            raise StepError(error.message[:1900], kind="code") from None
        return {"instanceId": started.run}
