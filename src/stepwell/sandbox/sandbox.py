"""The sandbox: the port `Code` over child processes."""

import asyncio
from collections.abc import Callable
from operator import itemgetter
from typing import Final

from stepwell import values
from stepwell.errors import StepError
from stepwell.sandbox.pool import Pool
from stepwell.sandbox.process import Answer, Child, too_much_memory
from stepwell.sandbox.results import assembled
from stepwell.steps.ports import Host, Script
from stepwell.values import InvalidJson, Json

LANGUAGES: Final = ("javascript", "python", "cel")
LOG_BYTES = 64 * 1024
LOOK_S = 0.02  # between looks at a script that waits for the host and a timer at once


class Sandbox:
    """Runs scripts in child processes: JavaScript in V8, Python in Monty. `close` it in the loop that used it."""

    def __init__(self, *, max_children: int = 8, per_workspace: int = 2, idle_s: float = 60.0) -> None:
        self._pool = Pool(max_children, per_workspace, idle_s)

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of the children that are there."""
        return tuple(pid for child in self._pool.children for pid in child.pids)

    async def run(self, workspace: str, script: Script, log: Callable[[str], None], host: Host | None = None) -> Json:
        """The value that the function body returns. Its time begins once it has a child. See `steps.ports.Code`."""
        if script.language not in LANGUAGES:
            raise StepError(f"Unknown language: {script.language[:50]}", kind="code")
        text = values.encode(script.input)
        async with self._pool.child(workspace, script.language) as child:
            answer, result = await child.ask(script, text)
            child.parked += answer.token is not None
        _tell(answer.logs, log)
        if answer.token is not None:
            answer, result = await self._attended(child, script, log, host or _nobody, answer, result)
        if answer.status != "ok":
            raise _failure(answer, script)
        return await _value(answer, result)

    async def _attended(
        self, child: Child, script: Script, log: Callable[[str], None], host: Host, answer: Answer, result: bytes
    ) -> tuple[Answer, bytes]:
        """Answer what a script asks, each question as soon as that can be, until it is done. The child has other
        scripts to run meanwhile."""
        asked: set[asyncio.Future[Json]] = set()
        try:
            while answer.status == "asks":
                ticking, *questions = await _value(answer, result)
                asked |= {asyncio.ensure_future(_answered(host, *each)) for each in questions}
                done, asked = await asyncio.wait(
                    asked, timeout=LOOK_S if ticking else None, return_when=asyncio.FIRST_COMPLETED
                )
                async with self._pool.again(child):
                    text = values.encode(sorted((each.result() for each in done), key=itemgetter(0)))
                    answer, result = await child.ask(script, text, answer.token)
                _tell(answer.logs, log)
            return answer, result
        finally:
            child.parked -= 1
            for each in asked:
                each.cancel()
            self._pool.wake()

    async def close(self) -> None:
        """End every child."""
        await self._pool.close()


async def _nobody(question: Json) -> Json:
    raise StepError("Nothing can be asked here", kind="code")


async def _answered(host: Host, number: int, question: Json) -> Json:
    """What the host says, in the form that the script's side takes: its number, whether it is good, and what it is."""
    try:
        return [number, True, await host(question)]
    except StepError as error:
        return [number, False, error.message]


async def _value(answer: Answer, result: bytes) -> Json:
    """The value that a child sent. Raises StepError."""
    try:
        return await asyncio.to_thread(assembled, result) if answer.pieces else values.decode(result)
    except InvalidJson as error:
        raise _not_json(str(error)) from None
    except (IndexError, TypeError, ValueError, AttributeError):  # pieces that do not fit together
        raise StepError("The process of the script gave no result", kind="code") from None


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
