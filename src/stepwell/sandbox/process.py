"""A child process as the server sees it: started, asked, watched and killed."""

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from stepwell.errors import StepError
from stepwell.steps.ports import Script
from stepwell.values import Json

MIB = 1024 * 1024
MEMORY = 128 * MIB
SETTLED = 64 * MIB  # a child that keeps more than this from earlier scripts begins no other
META_BYTES = MIB
PARKED = 4 * MIB  # what a script that waits may keep
START_S = 20.0
LOOK_S = 0.01

_PROGRAM = Path(__file__).with_name("child.py")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_FATAL = {signal.SIGABRT, signal.SIGTRAP, signal.SIGILL}  # how V8 and allocators end when they get no memory


class Answer(msgspec.Struct):
    """What a child says about a script; its result is the text that follows."""

    status: str
    message: str = ""
    line: int | None = None
    logs: str = ""
    pieces: bool = False  # the result is to be assembled
    token: int | None = None  # of a script that waits for the host


class _Hello(msgspec.Struct):
    pids: list[int]


_answers = msgspec.json.Decoder(Answer)
_hellos = msgspec.json.Decoder(_Hello)


class Gone(Exception):
    """The child ended, or said what no child says."""


class Ended(StepError):
    """The child that a script waited in is there no more."""

    def __init__(self) -> None:
        super().__init__("The process of the script ended unexpectedly", kind="code")


@dataclass(slots=True, eq=False)
class Child:
    """One child. It belongs to one workspace from its first script to its end."""

    workspace: str
    language: str
    process: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    pids: tuple[int, ...]
    base: int = 0
    fit: bool = True  # to be asked again
    spent: bool = False  # it keeps so much memory that it is to begin no other script
    idle_since: float = 0.0
    parked: int = 0  # scripts in it that wait for the host
    most_parked: int = 0  # at once, since it began
    given_up: list[int] = field(default_factory=list)  # tokens of those that need not go on

    @classmethod
    async def start(cls, workspace: str, language: str, folder: str) -> Self:
        """A child that is ready.

        Raises:
            StepError: it did not start.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: ASYNC220 - a vfork of a millisecond or two; its end is never awaited
                [sys.executable, "-I", "-B", str(_PROGRAM), language],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd=folder,
                start_new_session=True,
            )
        ours.setblocking(False)
        try:
            reader, writer = await asyncio.open_unix_connection(sock=ours)
            child = cls(workspace, language, process, reader, writer, (process.pid,))
        except BaseException:
            ours.close()
            _kill(process)
            raise
        try:
            async with asyncio.timeout(START_S):
                head, _ = await child._receive(0)
            child.pids = (process.pid, *_hellos.decode(head).pids)
        except (TimeoutError, Gone, msgspec.MsgspecError):
            child.kill()
            raise StepError("The sandbox did not start", kind="code", retryable=True) from None
        except BaseException:
            child.kill()
            raise
        child.base = child.resident()
        return child

    async def ask(self, script: Script, text: bytes, token: int | None = None) -> tuple[Answer, bytes]:
        """Run a script with its input, or go on with the one parked under a token. Whatever goes wrong, cancellation
        included, leaves the child killed.

        Raises:
            StepError: it took too long, used too much memory, or the child ended.
        """
        watch = _Watch(self)
        self.fit = False
        try:
            async with asyncio.timeout(script.timeout_ms / 1000):
                self._send(script, text, token)
                await self.writer.drain()
                head, tail = await self._receive(script.max_output_bytes * 2 + META_BYTES)  # pieces add a little
            answer = _answers.decode(head)
            self.spent = watch.start - self.base >= SETTLED + self.most_parked * PARKED
            self.fit = answer.status not in ("memory", "crashed")
            return answer, tail
        except TimeoutError:
            if watch.exceeded:
                raise too_much_memory() from None
            raise too_slow(script) from None
        except (Gone, msgspec.MsgspecError, OSError):
            self.kill()
            raise self._ended(watch) from None
        finally:
            watch.stop()
            if not self.fit:
                self.kill()

    @property
    def alive(self) -> bool:
        """Whether the child has not ended by itself. It is not asked for its status: while that is not collected, the
        process group keeps its number, and `kill` reaches what is left of it."""
        return self.process.returncode is None and not self.reader.at_eof()

    @property
    def lasts(self) -> bool:
        """Whether it has still something to do: scripts to begin, or some that wait in it."""
        return self.fit and (not self.spent or self.parked > 0)

    def resident(self) -> int:
        """Bytes of memory in use by the child and the processes below it."""
        total = 0
        for pid in self.pids:
            try:
                with open(f"/proc/{pid}/statm", "rb") as file:
                    total += int(file.read().split()[1]) * _PAGE
            except (OSError, IndexError):
                continue
        return total

    def kill(self) -> None:
        """End the child and all below it now; `reaped` tells when the system has let it go."""
        self.fit = False
        _kill(self.process)
        self.writer.transport.abort()

    def reaped(self) -> bool:
        """Whether the ended child is gone from the process table."""
        return self.process.poll() is not None

    def _send(self, script: Script, text: bytes, token: int | None) -> None:
        task: Json = {  # `Task` in child.py
            "max_bytes": script.max_output_bytes,
            "timeout_s": script.timeout_ms / 1000,
            "code": script.code if token is None else "",
            "kept": script.kept,
            "token": token,
            "given_up": self.given_up,
        }
        self.given_up = []
        head = msgspec.json.encode(task)
        self.writer.write(struct.pack(">II", len(head), len(text)) + head)
        self.writer.write(text)

    async def _receive(self, max_bytes: int) -> tuple[bytes, bytes]:
        try:
            head, tail = struct.unpack(">II", await self.reader.readexactly(8))
            if head > META_BYTES or tail > max_bytes:
                raise Gone
            return await self.reader.readexactly(head), await self.reader.readexactly(tail)
        except asyncio.IncompleteReadError:
            raise Gone from None

    def _ended(self, watch: "_Watch") -> StepError:
        """Why the child has gone: the watch's kill, or its own end for want of memory."""
        code = self.process.returncode
        if code is None:
            try:
                code = self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                code = 0
        if watch.exceeded or (-code in _FATAL):
            return too_much_memory()
        return StepError("The process of the script ended unexpectedly", kind="code")


def too_much_memory() -> StepError:
    """The error of a script over its memory."""
    return StepError("The script used more than 128 MiB of memory", kind="code")


def too_slow(script: Script) -> StepError:
    """The error of a script over its time."""
    return StepError(f"The script took longer than {script.timeout_ms} ms", kind="code")


class _Watch:
    """Looks at a child's memory while a script runs, and kills the child over the limit."""

    def __init__(self, child: Child, most: int = MEMORY) -> None:
        self.exceeded = False
        self.start = child.resident()
        self._child = child
        self._most = self.start + most
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(LOOK_S, self._look)

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        if self._child.resident() > self._most:
            self.exceeded = True
            _kill(self._child.process)
        else:
            self._timer = self._loop.call_later(LOOK_S, self._look)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The child leads a process group: what it started goes with it."""
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()
