"""Commands of the command line, run against a real server with a key of the workspace."""

from collections.abc import Callable

from typer.testing import CliRunner

from live import Api
from stepwell.cli import app

Run = Callable[..., str]


def commands(api: Api, group: str) -> Run:
    """Runs commands of a group; what each prints. `code` is the exit code that it must have."""
    env = {"STEPWELL_URL": api.server.url, "STEPWELL_API_KEY": api.key}

    def run(*args: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, [group, *args], env=env)
        assert done.exit_code == code, done.output
        return done.output

    return run
