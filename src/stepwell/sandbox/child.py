"""The program of a child process: runs scripts in one engine, one after the other, and answers on the socket at fd 0.

It is started by its path and imports nothing of Stepwell, so that a child is small, starts fast and holds nothing worth
stealing. A frame is two lengths (32 bits, big endian), a JSON object and the text of a value.
"""

import asyncio
import ctypes
import importlib
import json
import re
import resource
import secrets
import select
import signal
import socket
import struct
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MIB = 1024 * 1024
MEMORY = 128 * MIB
DATA = 2048 * MIB  # until the engine stands: V8 alone takes over 530 of address space
LOG_CHARS = 64 * 1024
STOCK = 2  # isolates made ahead: making one takes longer than most scripts
KEPT = 8  # isolates that scripts take one after the other; more than one only where scripts were parked
CROWD_S = 2.0  # so long as many isolates are kept as had parked scripts at once: they come in waves
PARKED = 48  # scripts that wait for the host, at most: each takes 12 MiB of address space, most of it never touched
WAITING = 4 * MIB  # what a script that is parked may keep
SETTLED = 32 * MIB  # beyond it, isolates that are kept go: the server ends a child that keeps twice as much
CPU_GRACE_S = 5
STUCK_S = 0.1  # a kept script that neither ends nor waits for anything after that never will
PIECE = 64 * 1024  # longer results go in pieces, none of which holds up the server's loop when it is read

HARNESS = Path(__file__).with_name("harness.js").read_text().replace("@LOG_CHARS@", str(LOG_CHARS))

_LONE = re.compile(r"\\(?:u(d[89a-f][0-9a-f]{2})|.)")  # JSON escapes; V8 writes halves of characters so, no others
_FRAME = re.compile(r"eval at parsed \(.*<anonymous>:(\d+):\d+\)$")
_TEXTS = re.compile(
    r"""#[^\n]*|'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\"""", re.DOTALL
)

Answer = tuple[dict[str, Any], str]


@dataclass(slots=True)
class Task:
    """What is asked of an engine: a script with its input, or answers of the host to one that is parked under a token.
    `kept`: it may be run by what ran others, and may ask the host. `given_up`: tokens of those that need not go on."""

    input: str
    max_bytes: int
    timeout_s: float
    code: str = ""
    kept: bool = False
    token: int | None = None
    given_up: tuple[int, ...] = ()


class Engine(ABC):
    """What runs scripts."""

    pids: tuple[int, ...] = ()  # processes of its own

    @abstractmethod
    def run(self, task: Task) -> Answer:
        """The answer to a script: `status` ok, error, memory, large, invalid or asks, and what belongs to it."""

    def rest(self, has_work: Any) -> None:  # noqa: B027 - most have nothing to prepare
        """Prepare for the next script until there is one."""


@dataclass(slots=True, eq=False)
class Isolate:
    """One V8 with the harness in it. `kept`: it is ready for many scripts."""

    owner: Any
    harness: Any
    kept: bool = False


class V8(Engine):
    """JavaScript. A script gets an isolate of its own, made while nothing else is to be done; or one that is kept, in
    which nothing that scripts share can be changed."""

    def __init__(self) -> None:
        self._racer = importlib.import_module("py_mini_racer")
        self._racer.init_mini_racer()
        self._stock: list[Isolate] = []
        self._used: list[Isolate] = []
        self._kept: list[Isolate] = []  # the one used longest ago first
        self._parked: dict[int, Isolate] = {}
        self._tokens = self._most = self._crowd = 0
        self._crowd_ends_s = 0.0

    def run(self, task: Task) -> Answer:
        self._used += [self._parked.pop(token) for token in task.given_up if token in self._parked]
        isolate = self._take(task) if task.token is None else self._parked.pop(task.token)
        try:
            if task.token is not None:
                isolate.harness["answers"] = task.input
            else:
                isolate.harness["task"] = f"{task.max_bytes}\0{task.input}\0{task.code}"
            pause, began = 0.0002, time.monotonic()
            while not (told := isolate.harness["told"]):  # a timer may still settle it; the parent sees to the time
                if isolate.kept and time.monotonic() - began > STUCK_S:
                    told = '""\ne["The script waits for something that never happens",""]'
                    break
                time.sleep(pause)
                pause = min(pause * 2, 0.01)
        except (self._racer.JSOOMException, self._racer.JSEvalException) as error:
            self._used.append(isolate)
            status = "memory" if isinstance(error, self._racer.JSOOMException) else "error"
            return {"status": status, "message": str(error).partition("\n")[0][:1900]}, ""
        lines, _, answer = whole(told).partition("\n")
        logs, tag, rest = json.loads(lines), answer[:1], answer[1:]
        if tag == "r":  # the script that ran before spoilt it
            self._used.append(isolate)
            return self.run(task)
        if tag == "h":
            self._tokens += 1
            self._parked[self._tokens] = isolate
            return _sized({"status": "asks", "logs": logs, "token": self._tokens}, rest, max(task.max_bytes, MIB))
        (self._kept if isolate.kept else self._used).append(isolate)
        return _judged(tag, rest, logs, task.max_bytes)

    def rest(self, has_work: Any) -> None:
        if len(self._parked) >= self._crowd or self._crowd_ends_s < time.monotonic():
            self._crowd, self._crowd_ends_s = len(self._parked), time.monotonic() + CROWD_S
        most = self._most + self._crowd * WAITING
        while len(self._kept) > max(KEPT, self._crowd) or (self._kept and self._most and resident() > most):
            self._drop(self._kept.pop(0))
        while self._used and not has_work():
            self._drop(self._used.pop())
        while len(self._stock) < STOCK and not has_work():
            self._stock.append(self._make())
        if not self._kept and not self._parked and not has_work():
            self._keep()
        self._most = self._most or resident() + SETTLED

    def _take(self, task: Task) -> Isolate:
        """The isolate that a script is to begin in."""
        if not task.kept:
            return self._stock.pop() if self._stock else self._make()
        if not self._kept:
            self._keep()
        return self._kept.pop()

    def _keep(self) -> None:
        """Make an isolate ready for many scripts."""
        isolate = self._stock.pop() if self._stock else self._make()
        isolate.kept = isolate.harness["kept"]
        self._kept.append(isolate)

    def _drop(self, isolate: Isolate) -> None:
        isolate.owner.__exit__(None, None, None)

    def _make(self) -> Isolate:
        owner = self._racer.mini_racer()
        racer = owner.__enter__()
        racer.set_hard_memory_limit(MEMORY)
        return Isolate(owner, racer.eval(HARNESS))


def _judged(tag: str, rest: str, logs: str, max_bytes: int) -> Answer:
    if tag == "v":
        return _sized({"status": "ok", "logs": logs}, rest, max_bytes)
    if tag == "b":
        return {"status": "large", "logs": logs}, ""
    if tag == "n":
        return {"status": "invalid", "message": rest[:500], "logs": logs}, ""
    message, stack = json.loads(rest)
    lines = (_FRAME.search(line) for line in stack.split("\n"))
    line = next((int(found[1]) - 2 for found in lines if found), None)  # two lines stand before the body
    return {"status": "error", "message": message, "line": line, "logs": logs}, ""


class Monty(Engine):
    """Python. The interpreter is a process of its own below this one; each script gets a fresh session."""

    def __init__(self) -> None:
        self._monty = importlib.import_module("pydantic_monty")
        self._pool = self._monty.Monty(max_processes=1).__enter__()
        with self._pool.checkout() as session:
            self.pids = (session.worker_pid,)

    def run(self, task: Task) -> Answer:
        logs: list[str] = []
        left = LOG_CHARS

        def printed(stream: str, text: str) -> None:
            nonlocal left
            logs.append(text[:left])
            left -= len(logs[-1])

        name = f"_{secrets.token_hex(6)}"
        limits = {"max_memory": MEMORY, "max_feed_duration_secs": task.timeout_s + 2}  # the parent ends it before that
        try:
            with self._pool.checkout(limits=limits, script_name="script.py") as session:
                source = wrapped(task.code, name, task.max_bytes)
                result = session.feed_run(source, inputs={f"{name}t": task.input}, print_callback=printed)
            if not isinstance(result, str):
                return {"status": "large", "logs": "".join(logs)}, ""
            return _sized({"status": "ok", "logs": "".join(logs)}, result, task.max_bytes)
        except self._monty.MontyCrashedError as error:
            return {"status": "crashed", "message": str(error)[:500], "logs": "".join(logs)}, ""
        except (self._monty.MontySyntaxError, self._monty.MontyRuntimeError) as error:
            return self._failure(error, task.code, name, "".join(logs)), ""

    def _failure(self, error: Any, code: str, name: str, logs: str) -> dict[str, Any]:
        kind = type(error.exception()).__name__
        if kind == "MemoryError":
            return {"status": "memory", "logs": logs}
        message = error.display("type-msg").replace(name, "")[:1900]
        lines = [frame.line - 3 for frame in error.traceback()]  # three lines stand before the body
        inside = [line for line in lines if 1 <= line <= code.count("\n") + 1]
        if not inside and kind in ("TypeError", "ValueError"):  # raised while the result was written as JSON
            return {"status": "invalid", "message": message, "logs": logs}
        return {"status": "error", "message": message, "line": inside[-1] if inside else None, "logs": logs}


class Cel(Engine):
    """Conditions that are too costly for the server's loop: the code is CEL, the input its variables. The result is
    `{"value": ...}` or `{"error": [type, message]}`."""

    def __init__(self) -> None:
        self._cel = importlib.import_module("cel")

    def run(self, task: Task) -> Answer:
        try:
            told: dict[str, Any] = {"value": self._cel.compile(task.code).execute(json.loads(task.input))}
        except Exception as error:  # noqa: BLE001 - told to the server, which knows which of them are the condition's
            told = {"error": [type(error).__name__, str(error)[:500]]}
        return _sized({"status": "ok"}, written(told), task.max_bytes)


def wrapped(code: str, name: str, max_bytes: int) -> str:
    """The function body as a module whose last expression is the result as JSON, None if that is too long."""
    return (
        f"import json as {name}j\ndef script(input):\n    pass\n{indented(code)}\n"
        f"{name}o = {name}j.dumps(script({name}j.loads({name}t)), ensure_ascii=False)\n"
        f"({name}o if len({name}o) <= {max_bytes} else None)"
    )


def indented(code: str) -> str:
    """The code one level deeper, lines that begin inside a text left as they are."""
    code = code.replace("\r\n", "\n").replace("\r", "\n")
    parts, end = [], 0
    for found in _TEXTS.finditer(code):
        if "\n" in found[0]:
            parts.append(code[end : found.start()].replace("\n", "\n    "))
            parts.append(found[0])
            end = found.end()
    parts.append(code[end:].replace("\n", "\n    "))
    return "    " + "".join(parts)


def _sized(meta: dict[str, Any], result: str, max_bytes: int) -> Answer:
    size = len(result) if result.isascii() else len(result.encode(errors="replace"))
    return ({**meta, "status": "large"}, "") if size > max_bytes else (meta, result)


ENGINES: Final[dict[str, type[Engine]]] = {"javascript": V8, "python": Monty, "cel": Cel}


def confine() -> None:
    """Give up what no script needs, before any is read."""
    for limit, most in (
        (resource.RLIMIT_DATA, DATA),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: never outlive the server


def allow_memory(pids: tuple[int, ...]) -> None:
    """Bound each process to what its engine has taken and twice a script's memory: the parent, who looks at what is
    resident, comes first; this holds what grows faster than it looks."""
    for pid in pids:
        with open(f"/proc/{pid or 'self'}/status") as file:
            taken = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmData"))
        resource.prlimit(pid, resource.RLIMIT_DATA, (taken + 2 * MEMORY + PARKED * 12 * MIB, DATA))


def allow_cpu(pids: tuple[int, ...], seconds: float) -> None:
    """Let each process use that much more processor time, and die after it even if no parent is left to see to it."""
    for pid in pids:
        used = cpu_seconds(pid)
        resource.prlimit(pid, resource.RLIMIT_CPU, (int(used + seconds) + CPU_GRACE_S, resource.RLIM_INFINITY))


def resident() -> int:
    """Bytes of memory that this process has in use."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    if not pid:
        return time.process_time()
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def serve(language: str) -> None:
    """Answer until the socket is closed. Nothing is awaited: V8's binding wants to be called inside a loop."""
    link = socket.socket(fileno=0)
    engine = ENGINES[language]()
    reader = link.makefile("rb")
    waiting = select.poll()
    waiting.register(link, select.POLLIN)
    idle = lambda: bool(waiting.poll(0))  # noqa: E731
    engine.rest(idle)
    if sys.platform == "linux":
        allow_memory((0, *engine.pids))
    send(link, {"pids": engine.pids}, "")
    while header := reader.read(8):
        meta_length, text_length = struct.unpack(">II", header)
        meta = json.loads(reader.read(meta_length))
        text = reader.read(text_length).decode()
        task = Task(text, **meta)
        if sys.platform == "linux":
            allow_cpu((0, *engine.pids), task.timeout_s)
        answer, result = engine.run(task)
        send(link, *parted(answer, result))
        engine.rest(idle)


def parted(answer: dict[str, Any], result: str) -> Answer:
    """An answer whose result is in pieces if it is long."""
    if len(result) <= PIECE:
        return answer, result
    try:
        return {**answer, "pieces": True}, "\n".join(pieces(json.loads(result)))
    except (RecursionError, ValueError) as error:  # nested too deep; numbers of thousands of digits
        return {**answer, "status": "invalid", "message": str(error)[:500]}, ""


def pieces(value: Any, opening: str = "") -> Iterator[str]:
    """A value as lines, each a letter and JSON: `v` a value, `m` members for the list or object that is open, `l` and
    `o` open a list or object (under the key that follows, in an object), `e` ends it. See `results.py`."""
    if not isinstance(value, dict | list):
        yield f"v{written(value)}"
        return
    named = isinstance(value, dict)
    members = list(value.items()) if isinstance(value, dict) else value
    yield ("o" if named else "l") + opening
    at, step = 0, 256
    while at < len(members):
        part = members[at : at + step]
        text = written(dict(part) if named else part)
        if len(text) > PIECE and len(part) > 1:
            step = len(part) // 2
            continue
        name, child = part[0] if named else ("", part[0])
        if len(text) > PIECE and isinstance(child, dict | list):
            yield from pieces(child, written(name) if named else "")
        else:
            yield f"m{text}"
        at += len(part)
        if len(text) < PIECE // 2:
            step *= 2
    yield "e"


def whole(text: str) -> str:
    """JSON text of V8 with the sign for an unreadable character in place of halves of characters."""
    return _LONE.sub(lambda found: "\ufffd" if found[1] else found[0], text) if "\\ud" in text else text


def written(value: Any) -> str:
    """Compact JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def send(link: socket.socket, meta: dict[str, Any], text: str) -> None:
    """Write one frame."""
    head, tail = json.dumps(meta).encode(), text.encode(errors="surrogatepass")
    link.sendall(struct.pack(">II", len(head), len(tail)) + head + tail)


if __name__ == "__main__":
    confine()
    asyncio.run(serve(sys.argv[1]))
