"""A real sandbox: children are started, nothing is mocked."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from stepwell.errors import StepError
from stepwell.sandbox import Sandbox
from stepwell.steps import Script

BOTH = ("javascript", "python")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    await sandbox.close()


@pytest.fixture
def run(sandbox: Sandbox) -> Callable[..., Any]:
    """Runs one script; its result, or its error."""

    async def run_(language: str, code: str, input: Any = None, *, workspace: str = "ws", **limits: int) -> Any:
        lines: list[str] = []
        try:
            result = await sandbox.run(workspace, Script(language, code, input, **limits), lines.append)
        except StepError as error:
            assert error.kind == "code" or error.code == "OUTPUT_TOO_LARGE"
            result = error
        run_.logs = lines  # type: ignore[attr-defined]
        return result

    return run_
