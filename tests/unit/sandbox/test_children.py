"""Which child runs what, and how children end."""

import asyncio
import os
from pathlib import Path

import pytest

from stepwell.sandbox import Sandbox
from stepwell.steps import Script

ENDLESS = {"javascript": "while (true) {}", "python": "while True:\n  pass"}


def alive(pid: int) -> bool:
    """Whether a process still runs; one that is only waiting to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def gone(pids: tuple[int, ...]) -> bool:
    """Whether the processes end within a second."""
    for _ in range(100):
        if not any(map(alive, pids)):
            return True
        await asyncio.sleep(0.01)
    return False


async def ready(sandbox: Sandbox, workspace: str, language: str) -> None:
    await sandbox.run(workspace, Script(language, "return 1", None), print)


@pytest.mark.parametrize("language", ["javascript", "python"])
async def test_a_child_is_used_again_by_its_workspace_only(sandbox, language):
    await ready(sandbox, "one", language)
    first = sandbox.pids
    await ready(sandbox, "one", language)
    assert sandbox.pids == first

    await ready(sandbox, "two", language)

    assert set(first) < set(sandbox.pids)


async def test_the_child_idle_for_longest_makes_room():
    sandbox = Sandbox(max_children=2)
    await ready(sandbox, "one", "python")
    first = sandbox.pids
    await ready(sandbox, "two", "python")

    await ready(sandbox, "three", "python")

    assert not set(first) & set(sandbox.pids)
    assert await gone(first)
    await sandbox.close()


async def test_a_child_idle_for_too_long_is_ended():
    sandbox = Sandbox(idle_s=0.05)
    await ready(sandbox, "one", "javascript")

    assert await gone(sandbox.pids)
    assert sandbox.pids == ()
    await sandbox.close()


async def test_more_scripts_than_children_wait_for_their_turn():
    sandbox = Sandbox(max_children=2, per_workspace=1)
    order = [sandbox.run("one", Script("python", "return input", n), print) for n in range(10)]

    assert await asyncio.gather(*order) == list(range(10))
    await sandbox.close()


@pytest.mark.parametrize("language", ["javascript", "python"])
async def test_a_cancelled_script_takes_its_child_along(sandbox, language):
    await ready(sandbox, "ws", language)
    pids = sandbox.pids
    running = asyncio.ensure_future(sandbox.run("ws", Script(language, ENDLESS[language], None), print))
    await asyncio.sleep(0.05)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert await gone(pids)
    assert sandbox.pids == ()


@pytest.mark.parametrize("language", ["javascript", "python"])
async def test_a_child_that_dies_fails_its_script_only(sandbox, run, language):
    await ready(sandbox, "ws", language)
    running = asyncio.ensure_future(
        run(language, "while (true) {}" if language == "javascript" else "while True:\n  pass")
    )
    await asyncio.sleep(0.05)

    os.kill(sandbox.pids[-1], 9)

    assert (await running).message == "The process of the script ended unexpectedly"
    assert await run(language, "return 1") == 1


async def test_a_child_that_died_while_idle_is_replaced_and_takes_its_worker_along(sandbox):
    await ready(sandbox, "ws", "python")
    pids = sandbox.pids
    os.kill(pids[0], 9)
    assert await gone(pids[:1])
    await asyncio.sleep(0.02)  # for the loop to see the end of the connection

    await ready(sandbox, "ws", "python")

    assert not set(pids) & set(sandbox.pids)
    assert await gone(pids)


async def test_close_ends_all():
    sandbox = Sandbox()
    for language in ("javascript", "python"):
        await ready(sandbox, "ws", language)
    pids = sandbox.pids

    await sandbox.close()

    assert len(pids) == 3
    assert await gone(pids)


@pytest.mark.parametrize("language", ["javascript", "python"])
async def test_a_child_knows_nothing_of_the_server(sandbox, language):
    await ready(sandbox, "ws", language)

    for pid in sandbox.pids:
        check_confined(pid)


def check_confined(pid: int) -> None:
    """No environment, an empty folder, no way to gain rights, and hard limits."""
    assert Path(f"/proc/{pid}/environ").read_bytes().strip(b"\0") == b""
    assert not list(Path(os.readlink(f"/proc/{pid}/cwd")).iterdir())
    assert "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text()
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert "Max file size             0 " in limits
    assert "Max core file size        0 " in limits
    assert "Max open files            64 " in limits
