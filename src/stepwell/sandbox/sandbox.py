"""The sandbox: the port `Code` over child processes."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from stepwell import values
from stepwell.errors import StepError
from stepwell.sandbox.pool import DEEPEST, Pool
from stepwell.sandbox.process import Answer, Child, Ended, too_much_memory, too_slow
from stepwell.sandbox.results import assembled
from stepwell.steps.ports import Host, Script
from stepwell.values import InvalidJson, Json

LANGUAGES: Final = ("javascript", "python", "cel")
LOG_BYTES = 64 * 1024
MOST_ASKED = 64  # questions of one script that are answered at once
MOST_REPEATS = 5
PAST_BYTES = 1024 * 1024  # what was asked and told is kept up to that

_depth: ContextVar[int] = ContextVar("depth", default=0)  # of scripts that wait for what is done here


@dataclass(slots=True)
class _Talk:
    """A script that waits: what it said last, and what it asked and was told before."""

    script: Script
    text: bytes
    child: Child
    answer: Answer
    result: bytes
    past: list[tuple[list[Json], bytes]] = field(default_factory=list)
    past_bytes: int = 0
    repeats: int = 0

    def keep(self, questions: list[Json], said: bytes) -> None:
        """Keep what it asked last and was told then, while that is little enough to go through it again."""
        self.past_bytes += len(self.result) + len(said)
        if self.past_bytes <= PAST_BYTES:
            self.past.append((questions, said))
        else:
            self.past.clear()
            self.repeats = MOST_REPEATS


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
        depth = _depth.get()
        if depth > DEEPEST:
            raise StepError(f"Functions call each other more than {DEEPEST} deep", kind="code")
        text = values.encode(script.input)
        async with self._pool.child(workspace, script.language, depth) as child:
            ends = asyncio.get_running_loop().time() + script.timeout_ms / 1000
            answer, result = await child.ask(script, text)
            if answer.token is not None:
                self._pool.park(child)
        _tell(answer.logs, log)
        if answer.token is not None:
            try:
                async with asyncio.timeout_at(ends):
                    talk = _Talk(script, text, child, answer, result)
                    answer, result = await self._attended(talk, log, host or _nobody)
            except TimeoutError:
                raise too_slow(script) from None
        if answer.status != "ok":
            raise _failure(answer, script)
        return await _value(answer, result)

    async def _attended(self, talk: _Talk, log: Callable[[str], None], host: Host) -> tuple[Answer, bytes]:
        """Answer what a script asks, each question as soon as that can be, and look again when a timer of it is due,
        until it is done. The child has other scripts to run meanwhile."""
        asked: set[asyncio.Task[Json]] = set()
        open_: deque[Json] = deque()
        below = copy_context()
        below.run(_depth.set, _depth.get() + 1)
        try:
            while talk.answer.status == "asks":
                wait_ms, *questions = await _value(talk.answer, talk.result)
                open_.extend(questions)
                while open_ and len(asked) < MOST_ASKED:
                    asked.add(asyncio.create_task(_answered(host, *open_.popleft()), context=below))
                done, asked = await _first(asked, None if wait_ms is None else max(1, wait_ms) / 1000)
                said = values.encode(sorted((each.result() for each in done), key=itemgetter(0)))
                talk.keep(questions, said)
                try:
                    async with self._pool.again(talk.child) as child:
                        talk.answer, talk.result = await child.ask(talk.script, said, talk.answer.token)
                except Ended:
                    await self._repeat(talk)
                _tell(talk.answer.logs, log)
            return talk.answer, talk.result
        finally:
            self._pool.leave(talk.child, talk.answer.token)
            for each in asked:
                each.cancel()

    async def _repeat(self, talk: _Talk) -> None:
        """Bring a script whose child ended while it waited to the same place in another, with the answers that it had:
        nothing is asked twice. Only if it asks the same again, and a few times at most: it may be what ends them.

        Raises:
            Ended.
        """
        if talk.repeats == MOST_REPEATS:
            raise Ended
        talk.repeats += 1
        if not any(questions for questions, _ in talk.past):
            talk.past.clear()  # it waited for timers only
        async with self._pool.child(talk.child.workspace, talk.script.language, _depth.get()) as child:
            self._pool.park(child)
            self._pool.leave(talk.child)
            talk.child = child
            talk.answer, talk.result = await child.ask(talk.script, talk.text)
            for questions, said in talk.past:
                if talk.answer.status != "asks" or (await _value(talk.answer, talk.result))[1:] != questions:
                    raise Ended
                talk.answer, talk.result = await child.ask(talk.script, said, talk.answer.token)
        if not talk.past:
            talk.answer.logs = ""  # they were told

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


async def _first(
    asked: set[asyncio.Task[Json]], wait_s: float | None
) -> tuple[set[asyncio.Task[Json]], set[asyncio.Task[Json]]]:
    """Those of the tasks that are done, once one is or so long has passed, and the others."""
    if not asked:
        await asyncio.sleep(wait_s or 0)
        return set(), set()
    return await asyncio.wait(asked, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)


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
