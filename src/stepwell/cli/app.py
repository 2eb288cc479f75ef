"""The command line: its commands, and how an error becomes a message and an exit code."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stepwell import __version__
from stepwell.cli import checking, database, documents, keys, runs, workflows
from stepwell.cli.demo import demo
from stepwell.cli.output import FAILED, REFUSED, complain, out
from stepwell.cli.serving import serve
from stepwell.client import ApiError, ClientError
from stepwell.errors import StartupRefused, StepwellError, ValidationFailed


class Commands(TyperGroup):
    """The commands; an error that a user can mend is told without a traceback."""

    def invoke(self, ctx: Any) -> Any:  # its type is private to Typer
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
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        out.print(__version__, highlight=False)
        raise typer.Exit


app.command()(serve)
app.command()(demo)
app.command()(checking.check)
app.command()(documents.schema)
app.command()(documents.openapi)
app.add_typer(workflows.commands, name="workflow")
app.add_typer(runs.commands, name="run")
app.add_typer(keys.commands, name="key")
app.add_typer(database.commands, name="db")


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
