"""Real processes of the command: started, waited for, ended."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

COMMAND = str(Path(sys.executable).parent / "stepwell")
START_S = 30.0
END_S = 60.0
LOOK_S = 0.01


class Process:
    """`stepwell ...` in the background; what it prints goes to a file, so that it never waits for a reader."""

    def __init__(self, *args: str, env: Mapping[str, str] | None = None) -> None:
        self._out = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the block ends
        self.process = subprocess.Popen(
            [COMMAND, *args], stdin=subprocess.DEVNULL, stdout=self._out, stderr=subprocess.STDOUT, env=environment(env)
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        """What it printed so far, both streams."""
        return os.pread(self._out.fileno(), os.fstat(self._out.fileno()).st_size, 0).decode(errors="replace")

    def wait_until(self, true: Callable[[], bool], what: str, timeout_s: float = START_S) -> None:
        """Look again and again; fails with the log if the process ends or the time is up first."""
        end = time.monotonic() + timeout_s
        while not true():
            if self.process.poll() is not None:
                raise AssertionError(f"{what} did not happen: exit code {self.process.returncode}\n{self.log}")
            if time.monotonic() > end:
                raise AssertionError(f"{what} did not happen within {timeout_s:.0f} s\n{self.log}")
            time.sleep(LOOK_S)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait(END_S)

    def terminate(self) -> None:
        """SIGTERM; does not wait."""
        self.process.terminate()

    def interrupt(self) -> None:
        """SIGINT, as Ctrl-C sends it; does not wait."""
        self.process.send_signal(signal.SIGINT)

    def wait(self, timeout_s: float = END_S) -> int:
        """The exit code once it has ended; fails with the log if it does not."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s:.0f} s\n{self.log}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()
        self._out.close()


class ServerProcess(Process):
    """`stepwell serve` on a data directory. As a context it is ready when the block begins and gone when it ends."""

    def __init__(self, data: Path, env: Mapping[str, str] | None = None, port: int = 0) -> None:
        self.data = data
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__("serve", "--host", "127.0.0.1", "--port", str(self.port), "--data", str(data), env=env)

    def wait_ready(self, timeout_s: float = START_S) -> Self:
        """Return once the server takes requests."""
        self.wait_until(lambda: is_ready(self.url), "readiness", timeout_s)
        return self

    def __enter__(self) -> Self:
        try:
            return self.wait_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise


def command(*args: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """`stepwell ...` to its end."""
    return subprocess.run([COMMAND, *args], env=environment(env), capture_output=True, text=True, timeout=END_S)


def environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """The environment of a process: ours without settings of Stepwell, and what is given. The first process keeps what
    it has compiled for the others, also where Python is told not to."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("STEPWELL_")}
    bare.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**bare, **(env or {})}


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_ready(url: str) -> bool:
    """Whether the server at an address takes requests."""
    try:
        with urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
