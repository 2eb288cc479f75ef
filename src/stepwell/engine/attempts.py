"""Attempts of effects: the running record before each, the time limit, back-off, and what a failure leaves."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from stepwell import values
from stepwell.clock import iso
from stepwell.definitions import Kind, Step
from stepwell.engine import carried
from stepwell.engine.encoding import encode_config, encode_output
from stepwell.engine.gear import Gear
from stepwell.engine.journal import Journal
from stepwell.engine.ledger import Bill
from stepwell.engine.outcomes import Halted
from stepwell.engine.ports import SecretBox
from stepwell.errors import StepError, StoreUnavailable
from stepwell.states import RecordStatus, WaitsOn
from stepwell.steps import Call, ChosenConnection, EffectType
from stepwell.store import Record
from stepwell.values import Json

LONGEST_RETRY_AFTER_MS = 3_600_000
INTERRUPTED = "INTERRUPTED"
DEFAULT_TIMEOUT_MS = 30_000
GRACE_S = 1.0  # a step that keeps its time itself knows better than we whether its request had been sent


class Attempts:
    """The attempts of one walk's effects."""

    def __init__(self, journal: Journal, secrets: SecretBox, gear: Gear) -> None:
        self._journal = journal
        self._secrets = secrets
        self._gear = gear
        self._carried = carried.decode(journal.run.carried)

    async def advance(
        self, step: Step, path: str, record: Record | None, scope: dict[str, Any], now: int
    ) -> Record | None:
        """One attempt, if one is due. The final record, or None if the step waits for its next attempt.

        Raises:
            Refused, StoreUnavailable: from the barrier; never recorded as the step's error.
        """
        if record is None:
            try:
                record = await self._open(step, path, scope, now)
            except StepError as error:
                return self._close(step, path, now, error=error)
        elif record.status is RecordStatus.WAITING:
            if self._journal.waits(path, "retry"):
                self._journal.wait(path, WaitsOn.RETRY)
                return None
            held = self._journal.value(record.data).get("held")
            record = self._resumed(record, now) if held else self._again(record, now, record.attempts)
        elif not step.idempotent:
            message = "The process ended during the step, which is not idempotent; whether it had its effect is unknown"
            return self._close(step, path, now, error=StepError(message, code=INTERRUPTED, outcome_unknown=True))
        else:
            lost = StepError("The process ended during the attempt", code=INTERRUPTED, outcome_unknown=True)
            record = self._again(record, now, self._with_failure(record, now, lost))
        if step.type.kind is Kind.EFFECT:
            await self._journal.flush()
            await self._hold_if_paused(record, now)
        logs: list[str] = []
        bill = Bill()
        try:
            output = await self._perform(step, record, logs.append, bill)
        except StepError as error:
            self._journal.ledger.charge(path, bill.of_failure())
            return self._failed(step, record, error, self._with_logs(record, logs))
        data = self._with_logs(record, logs)
        self._journal.ledger.charge(path, bill.of_success(step.cost))
        return self._close(step, path, self._gear.clock.now_ms(), output=output, data=data)

    async def _hold_if_paused(self, record: Record, now: int) -> None:
        """An effect whose barrier met a pause has not begun: it is held as it is, and is no lost attempt."""
        if not self._journal.stale:
            return
        await self._journal.look_again()
        if self._journal.paused:
            data = values.encode(self._journal.value(record.data) | {"held": True})
            self._journal.write(record.path, record.step, RecordStatus.WAITING, now, data=data)
            raise Halted

    def _resumed(self, record: Record, now: int) -> Record:
        data = {name: value for name, value in self._journal.value(record.data).items() if name != "held"}
        began = values.encode(data | {"began": now})
        return self._journal.write(record.path, record.step, RecordStatus.RUNNING, now, data=began)

    async def _open(self, step: Step, path: str, scope: dict[str, Any], now: int) -> Record:
        """The first running record: what every attempt will send, resolved once."""
        effect = cast(EffectType, step.type)
        config = effect.resolve(step.program, scope)
        need = effect.connection(step.program, config)
        connection = None
        if need is not None and not self._journal.run.mock:
            connection = await self._gear.environment.choose_connection(self._journal.run, need)
        raw = encode_config(config)
        operation = self._carried.operation_id(path, raw) or f"run_{self._journal.run.id}:{path}"
        data: dict[str, Json] = {"operation": operation, "now": now, "began": now}
        if connection is not None:
            data |= {"connection": connection.id, "provider": connection.provider}
        return self._journal.write(path, step.id, RecordStatus.RUNNING, now, input=raw, data=values.encode(data))

    def _again(self, record: Record, now: int, attempts: bytes | None) -> Record:
        fields = {
            "attempt": record.attempt + 1,
            "attempts": attempts,
            "data": values.encode(self._journal.value(record.data) | {"began": now}),
            "error": None,
        }
        return self._journal.write(record.path, record.step, RecordStatus.RUNNING, now, **fields)

    async def _perform(self, step: Step, record: Record, log: Callable[[str], None], bill: Bill) -> bytes:
        timeout_ms = step.timeout_ms or step.type.default_timeout_ms or DEFAULT_TIMEOUT_MS
        data = self._journal.value(record.data)
        run = self._journal.run
        call = Call(
            workspace=run.workspace,
            workflow_id=run.workflow,
            run_id=run.id,
            path=record.path,
            attempt=record.attempt,
            operation_id=data["operation"],
            now_ms=data["now"],
            timeout_s=timeout_ms / 1000,
            connection=ChosenConnection(data["connection"], data["provider"]) if "connection" in data else None,
            reveal=self._secrets.reveal,
            log=log,
            charge=bill.charge,
            priced=bill.list_price,
        )
        config = self._journal.value(record.input)
        effect = cast(EffectType, step.type)
        if run.mock and effect.connection(step.program, config) is not None:
            bill.waived = True
            return encode_output({"mock": True, "input": config}, self._gear.limits.step_output_bytes)
        try:
            async with asyncio.timeout(call.timeout_s + GRACE_S):
                output = await effect.perform(step.program, config, call, self._gear.ports)
            return encode_output(self._secrets.hide(output), self._gear.limits.step_output_bytes)
        except TimeoutError:
            message = f"The step took longer than {timeout_ms} ms"
            raise StepError(message, kind="timeout", retryable=True, outcome_unknown=True) from None
        except (StepError, StoreUnavailable):
            raise
        except Exception as error:  # a fault of ours must not take the other runs down
            self._gear.events.emit("step.fault", run=run.id, path=record.path, error=self._secrets.hide(repr(error)))
            raise StepError("Internal error while performing the step") from error

    def _with_logs(self, record: Record, logs: list[str]) -> bytes | None:
        """The record's data with the lines that the last attempt printed, None if nothing changes."""
        data: dict[str, Json] = self._journal.value(record.data)
        if not logs and "logs" not in data:
            return None
        return values.encode(data | {"logs": self._secrets.hide(logs)})

    def _failed(self, step: Step, record: Record, error: StepError, data: bytes | None) -> Record | None:
        now = self._gear.clock.now_ms()
        attempts = self._with_failure(record, now, error)
        tried = sum(attempt["error"]["code"] != INTERRUPTED for attempt in values.decode(attempts))
        again = (error.retryable or step.retry.any_error) and not error.final
        if not again or tried >= step.retry.max_attempts:
            return self._close(step, record.path, now, error=error, data=data)
        delay = step.retry.delay_ms(tried, self._gear.random)
        due = now + max(delay, min(error.retry_after_ms or 0, LONGEST_RETRY_AFTER_MS))
        self._journal.set_timer(record.path, "retry", due)
        self._journal.wait(record.path, WaitsOn.RETRY)
        self._journal.write(
            record.path,
            step.id,
            RecordStatus.WAITING,
            now,
            attempts=attempts,
            error=values.encode(self._hidden(error)),
            **({} if data is None else {"data": data}),
        )
        self._gear.events.emit(
            "step.retried", run=self._journal.run.id, path=record.path, attempt=record.attempt, due=iso(due)
        )
        return None

    def _with_failure(self, record: Record, now: int, error: StepError) -> bytes:
        """The failed attempts, this one added: `[{attempt, startedAt, completedAt, error}]`, times in epoch ms."""
        attempts: list[Json] = self._journal.value(record.attempts) or []
        began = self._journal.value(record.data)["began"]
        failure = {"attempt": record.attempt, "startedAt": began, "completedAt": now, "error": self._hidden(error)}
        return values.encode([*attempts, failure])

    def _close(
        self,
        step: Step,
        path: str,
        now: int,
        *,
        output: bytes | None = None,
        error: StepError | None = None,
        data: bytes | None = None,
    ) -> Record:
        status = RecordStatus.SUCCESS if error is None else RecordStatus.ERROR
        self._gear.events.emit("step.finished", run=self._journal.run.id, path=path, status=str(status))
        changed: dict[str, Any] = {} if data is None else {"data": data}
        if error is None:
            return self._journal.write(path, step.id, status, now, output=output, error=None, **changed)
        shown = self._hidden(error) | ({"outcomeUnknown": True} if error.outcome_unknown else {})
        fallback = None if step.fallback is None else values.encode(step.fallback)
        record = self._journal.get(path)
        attempts = self._with_failure(record, now, error) if record and record.attempts else None
        return self._journal.write(
            path, step.id, status, now, output=fallback, error=values.encode(shown), attempts=attempts, **changed
        )

    def _hidden(self, error: StepError) -> dict[str, Json]:
        hidden: dict[str, Json] = self._secrets.hide(error.as_json())
        return hidden
