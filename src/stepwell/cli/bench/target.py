"""The server under test as a process of its own: `python -m stepwell.cli.bench.target DIRECTORY`."""

import asyncio
import os
import sys
from pathlib import Path

import uvloop

from stepwell.serving import Parts, serve
from stepwell.settings import load

KEY = "wfk_" + "bench" * 6 + "00"


def main() -> None:
    """Serve on a free port and print it; limits are off, nothing is logged."""
    settings = load(os.environ, None, {"server.data": Path(sys.argv[1]), "server.port": 0})

    def started(parts: Parts, port: int) -> None:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        asyncio.get_running_loop().add_reader(sys.stdin, os._exit, 1)  # whoever measures is gone

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, bench=True, started=started))


if __name__ == "__main__":
    main()
