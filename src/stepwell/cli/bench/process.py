"""A server process under test, and what the system says of it."""

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from stepwell.cli.bench.load import connect, request
from stepwell.cli.bench.target import KEY

OFF = {f"STEPWELL_RATE_LIMIT_{name}": "0" for name in ("READ", "WRITE", "EXECUTE", "WEBHOOKS")}


class Target:
    """A `stepwell` server on a data directory."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port

    @classmethod
    async def start(cls, data: Path) -> "Target":
        """Start a server and wait until it listens."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from stepwell.cli.bench.target import main; main()",
            str(data),
            stdin=asyncio.subprocess.PIPE,  # its end tells the server that we are gone
            stdout=asyncio.subprocess.PIPE,
            close_fds=True,
            env={**os.environ, **OFF, "STEPWELL_ADMIN_KEY": KEY},
        )
        assert process.stdout is not None
        return cls(process, int(await process.stdout.readline()))

    async def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """End it in good order."""
        self._process.terminate()
        await self._process.wait()

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """One request; the `data` of its answer."""
        connection = await connect(self.port)
        status, answer = await connection.ask(request(method, f"/api/v1{path}", KEY, body))
        connection.close()
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer[:300]!r}")
        return msgspec.json.decode(answer)["data"]

    async def publish(self, name: str, steps: list[Any]) -> str:
        """Create and activate a workflow; its id."""
        document = {"name": name, "trigger": {"type": "api"}, "steps": steps}
        workflow: str = (await self.call("POST", "/workflows", document))["id"]
        await self.call("POST", f"/workflows/{workflow}/activate")
        return workflow

    async def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        connection = await connect(self.port)
        _, answer = await connection.ask(request("GET", "/metrics"))
        connection.close()
        samples = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", answer.decode(), re.MULTILINE)
        return sum(map(float, samples))

    async def wait_until_idle(self, timeout_s: float = 120) -> float:
        """Wait until no run is open; the time at which that was seen (perf_counter)."""
        return await self._wait("stepwell_open_runs", lambda value: value == 0, timeout_s)

    async def wait_until_some(self, name: str, timeout_s: float = 120) -> float:
        """Wait until a metric is above nought; the time at which that was seen (perf_counter)."""
        return await self._wait(name, lambda value: value > 0, timeout_s)

    async def _wait(self, name: str, until: Callable[[float], bool], timeout_s: float) -> float:
        deadline = time.perf_counter() + timeout_s
        while not until(await self.metric(name)):  # noqa: ASYNC110 - another process is watched
            if time.perf_counter() > deadline:
                raise RuntimeError(f"{name} did not become what was waited for")
            await asyncio.sleep(0.02)
        return time.perf_counter()

    def resident_mb(self) -> float:
        """Resident memory in MB."""
        return self._status("VmRSS") / 1024

    def wake_ups(self) -> int:
        """How often its threads have woken up so far."""
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        found = (re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.M) for task in tasks)
        return sum(int(each.group(1)) for each in found if each)

    def _status(self, name: str) -> int:
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+)", text, re.M)
        return int(found.group(1)) if found else 0
