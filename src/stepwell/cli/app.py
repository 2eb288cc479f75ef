"""The command line: its commands, and how an error becomes a message and an exit code."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stepwell import __version__
from stepwell.cli.options import STYLE
from stepwell.cli.output import FAILED, REFUSED, complain, out
from stepwell.client import ApiError, ClientError
from stepwell.errors import StartupRefused, StepwellError, ValidationFailed

COMMANDS = {
    "serve": "stepwell.cli.serving:serve",
    "demo": "stepwell.cli.demo:demo",
    "check": "stepwell.cli.checking:check",
    "bench": "stepwell.cli.bench:bench",
    "workflow": "stepwell.cli.workflows:commands",
    "run": "stepwell.cli.runs:commands",
    "webhook": "stepwell.cli.webhooks:commands",
    "endpoint": "stepwell.cli.endpoints:commands",
    "schedule": "stepwell.cli.schedules:commands",
    "key": "stepwell.cli.keys:commands",
    "budget": "stepwell.cli.budgets:commands",
    "connector": "stepwell.cli.connectors:commands",
    "connection": "stepwell.cli.connections:commands",
    "vault": "stepwell.cli.vault:commands",
    "test": "stepwell.cli.testing:test",
    "db": "stepwell.cli.database:commands",
    "schema": "stepwell.cli.documents:schema",
    "openapi": "stepwell.cli.documents:openapi",
}
"""Where each command is. It is imported when it is used: a client's command does not wait for the server's parts."""


class Commands(TyperGroup):
    """The commands of the table; an error that a user can mend is told without a traceback."""

    def list_commands(self, ctx: Any) -> list[str]:  # the context's type is private to Typer
        return list(COMMANDS)

    def get_command(self, ctx: Any, name: str) -> Any:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            command, found = found, typer.Typer(**STYLE)
            found.command(name)(command)
        made = typer.main.get_command(found)
        made.name = name
        return made

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except StartupRefused as error:
            complain(error.message)
            raise typer.Exit(REFUSED) from None
        except ValidationFailed as error:
            complain(error.message, [f"{fault.field}: {fault.message}" for fault in error.faults])
            raise typer.Exit(REFUSED) from None
        except ApiError as error:
            complain(*_told(error))
            raise typer.Exit(FAILED) from None
        except (ClientError, StepwellError) as error:
            complain(error.message)
            raise typer.Exit(FAILED) from None


app = typer.Typer(
    name="stepwell",
    help="A self-hosted, durable workflow server: `serve` runs it, `demo` shows it, the rest works with it.",
    epilog="Exit codes: 0 done, 1 it failed, 2 wrong use or refused at start.",
    cls=Commands,
    no_args_is_help=True,
    **STYLE,
)


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        out.print(__version__, highlight=False)
        raise typer.Exit


def main() -> None:
    """Run the command that the process was started with."""
    app()


def _told(error: ApiError) -> tuple[str, list[str]]:
    """The message and the lines below it: what is wrong where, what helps, how the log calls the request."""
    lines = list(error.faults)
    if error.code == "UNAUTHORIZED":
        lines.append("Give a key by --api-key or STEPWELL_API_KEY; `stepwell key create` makes one.")
    if error.retry_after_s is not None:
        lines.append(f"Try again in {error.retry_after_s} s.")
    if error.status >= 500 and error.request_id:
        lines.append(f"The server's log tells more under request {error.request_id}.")
    return f"{error.message} ({error.code})", lines
