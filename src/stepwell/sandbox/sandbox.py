"""The sandbox: the port `Code` over child processes."""

import asyncio
from collections.abc import Callable
from typing import Final

from stepwell import values
from stepwell.errors import StepError
from stepwell.sandbox.pool import Pool
from stepwell.sandbox.process import Answer, too_much_memory
from stepwell.sandbox.results import assembled
from stepwell.steps.ports import Script
from stepwell.values import InvalidJson, Json

LANGUAGES: Final = ("javascript", "python", "cel")
LOG_BYTES = 64 * 1024


class Sandbox:
    """Runs scripts in child processes: JavaScript in V8, Python in Monty. `close` it in the loop that used it."""

    def __init__(self, *, max_children: int = 8, per_workspace: int = 2, idle_s: float = 60.0) -> None:
        self._pool = Pool(max_children, per_workspace, idle_s)

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of the children that are there."""
        return tuple(pid for child in self._pool.children for pid in child.pids)

    async def run(self, workspace: str, script: Script, log: Callable[[str], None]) -> Json:
        """The value that the function body returns. Its time begins once it has a child. See `steps.ports.Code`."""
        if script.language not in LANGUAGES:
            raise StepError(f"Unknown language: {script.language[:50]}", kind="code")
        text = values.encode(script.input)
        async with self._pool.child(workspace, script.language) as child:
            answer, result = await child.ask(script, text)
        _tell(answer.logs, log)
        if answer.status != "ok":
            raise _failure(answer, script)
        try:
            return await asyncio.to_thread(assembled, result) if answer.pieces else values.decode(result)
        except InvalidJson as error:
            raise _not_json(str(error)) from None
        except (IndexError, TypeError, ValueError, AttributeError):  # pieces that do not fit together
            raise StepError("The process of the script gave no result", kind="code") from None

    async def close(self) -> None:
        """End every child."""
        await self._pool.close()


def _tell(logs: str, log: Callable[[str], None]) -> None:
    left = LOG_BYTES
    for line in logs.removesuffix("\n").split("\n") if logs else ():
        raw = line.encode(errors="replace")[:left]
        log(raw.decode(errors="ignore"))
        left -= len(raw) + 1
        if left <= 0:
            break


def _failure(answer: Answer, script: Script) -> StepError:
    match answer.status:
        case "large":
            return StepError(f"Output is larger than {script.max_output_bytes} bytes", code="OUTPUT_TOO_LARGE")
        case "invalid":
            return _not_json(answer.message)
        case "memory":
            return too_much_memory()
        case "crashed":
            return StepError("The process of the script ended unexpectedly", kind="code")
    where = "" if answer.line is None else f" (line {answer.line})"
    return StepError(f"{answer.message[:1900]}{where}", kind="code")


def _not_json(why: str) -> StepError:
    return StepError(f"The script's result is not JSON: {why}"[:1000], kind="code")
