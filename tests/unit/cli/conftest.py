"""What the tests of commands share."""

import os
from collections.abc import Callable
from typing import TypeAlias

import pytest
from typer.testing import CliRunner, Result

from stepwell.cli import app

Run: TypeAlias = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, with no setting of Stepwell in the environment but those given."""
    for name in [name for name in os.environ if name.startswith("STEPWELL_")]:
        monkeypatch.delenv(name)

    def run(*args: object, **env: str) -> Result:
        return CliRunner().invoke(app, [str(arg) for arg in args], env=env)

    return run
