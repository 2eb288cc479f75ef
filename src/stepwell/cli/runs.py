"""`stepwell run`: runs on a server."""

from collections.abc import Callable
from typing import Annotated

import typer

from stepwell.cli.options import DEFAULT_URL, STYLE, ApiKeyOption, JsonOption, UrlOption, json_object
from stepwell.cli.output import FAILED, json_text, say, show_json, show_table
from stepwell.cli.watching import follow, show_outcome, show_preview, show_run
from stepwell.client import ApiError, Client, Restarted, Run, Started, first

commands = typer.Typer(help="Start, watch and steer runs on a server.", no_args_is_help=True, **STYLE)

_COLUMNS = {
    "id": "Id",
    "workflowId": "Workflow",
    "status": "Status",
    "triggerType": "Trigger",
    "durationMs": "Took (ms)",
    "createdAt": "Created",
}
_RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
_Wait = Annotated[bool, typer.Option("--wait", help="Show the run until it ends; exit code 1 unless it completes.")]
_Input = Annotated[str | None, typer.Option("--input", help="JSON object, @file or @- for standard input.")]


@commands.command()
def start(
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="Id, slug or exact name of an active workflow.")],
    input: _Input = None,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key within 24 h starts nothing anew.")] = None,
    connection: Annotated[str | None, typer.Option(help="Id or slug of the connection to use.")] = None,
    wait: _Wait = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a run. When this returns, the run is on the server's disk."""
    given = json_object(input, "--input") if input is not None else {}
    client = Client(url, api_key)

    def started(reference: str) -> Started:
        return client.runs.start(reference, given, idempotency_key=idempotency_key, connection=connection)

    begun = _by_any_name(client, workflow, started)
    if wait:
        _finish(client, begun.run_id, as_json=as_json)
    elif as_json:
        show_json(begun)
    else:
        say(f"{begun.run_id}  {begun.status}{' (started before with this key)' if begun.replayed else ''}")


@commands.command()
def watch(run: _RunId, url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None, as_json: JsonOption = False) -> None:
    """Follow a run until it ends; exit code 1 unless it completes. With --json, an event a line."""
    client = Client(url, api_key)
    if not as_json:
        _finish(client, run, as_json=False)
        return
    status = ""
    for event in client.runs.stream(run):
        say(json_text(event, indent=0))
        status = event.data.status if isinstance(event.data, Run) else status
    _judge(status)


@commands.command("list")
def list_runs(
    workflow: Annotated[str | None, typer.Option(help="Only runs of this workflow: id or slug.")] = None,
    status: Annotated[str | None, typer.Option(help="Only runs that are pending, running, completed, ...")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List runs, newest first."""
    client = Client(url, api_key)
    found = first(
        limit, lambda size, cursor: client.runs.list(workflow=workflow, status=status, limit=size, cursor=cursor)
    )
    if as_json:
        show_json(found)
    else:
        show_table(_COLUMNS, found, empty="No runs. `stepwell run start WORKFLOW` makes one.")


@commands.command()
def show(run: _RunId, url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None, as_json: JsonOption = False) -> None:
    """Show a run with its steps."""
    found = Client(url, api_key).runs.get(run)
    if as_json:
        show_json(found)
    else:
        show_run(found)


@commands.command()
def cancel(run: _RunId, url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None) -> None:
    """Cancel a run that has not ended."""
    Client(url, api_key).runs.cancel(run)
    say(f"{run}  cancelled")


@commands.command()
def pause(run: _RunId, url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None) -> None:
    """Let the steps in flight end and start no other until the run is resumed."""
    Client(url, api_key).runs.pause(run)
    say(f"{run}  paused")


@commands.command()
def resume(
    run: _RunId,
    budget: Annotated[int | None, typer.Option(min=0, help="Cents that the run may cost in all from now on.")] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
) -> None:
    """Let a paused run go on. One that asks because of its budget goes on without it, or with the one given."""
    Client(url, api_key).runs.resume(run, budget_cents=budget)
    say(f"{run}  resumed")


@commands.command()
def event(
    run: _RunId,
    type: Annotated[str, typer.Argument(metavar="TYPE", help="The type of event that a step waits for.")],
    payload: Annotated[
        str | None, typer.Option("--payload", help="JSON object, @file or @- for standard input.")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
) -> None:
    """Send an event to a run."""
    given = json_object(payload, "--payload") if payload is not None else None
    say(f"{Client(url, api_key).runs.send_event(run, type, given)}  stored")


@commands.command()
def retry(
    run: _RunId,
    wait: _Wait = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on with a failed run from its first failed step, as a new run."""
    client = Client(url, api_key)
    _go_on(client, client.runs.retry(run), wait=wait, as_json=as_json)


@commands.command()
def restart(
    run: _RunId,
    from_step: Annotated[str, typer.Option("--from", metavar="STEP", help="Id of the step to go on with.")],
    input: _Input = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only tell what would be reused and what would run.")] = (
        False
    ),
    wait: _Wait = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on with an ended run from a step, as a new run; --input is merged over the original's input. A step inside a
    loop is named by its path, such as each-invoice[3].send."""
    override = json_object(input, "--input") if input is not None else None
    client = Client(url, api_key)
    if preview:
        found = client.runs.preview_restart(run, from_step, override)
        show_json(found) if as_json else show_preview(found)
        return
    _go_on(client, client.runs.restart(run, from_step, override), wait=wait, as_json=as_json)


def _by_any_name(client: Client, workflow: str, started: Callable[[str], Started]) -> Started:
    """Start by id or slug, else by name: only then the key needs to read workflows."""
    try:
        return started(workflow)
    except ApiError as error:
        if error.code != "NOT_FOUND":
            raise
    return started(client.workflows.find(workflow).id)


def _go_on(client: Client, restarted: Restarted, *, wait: bool, as_json: bool) -> None:
    if wait:
        _finish(client, restarted.new_run_id, as_json=as_json)
    elif as_json:
        show_json(restarted)
    else:
        where = f" from {restarted.restart_from_step_id}" if restarted.restart_from_step_id else ""
        say(f"{restarted.new_run_id}  {restarted.status}: goes on with {restarted.original_run_id}{where}")


def _finish(client: Client, run: str, *, as_json: bool) -> None:
    if as_json:
        for _ in client.runs.stream(run):
            pass
        ended = client.runs.get(run)
        show_json(ended)
    else:
        ended = follow(client, run)
        show_outcome(ended)
    _judge(ended.status)


def _judge(status: str) -> None:
    if status != "completed":
        raise typer.Exit(FAILED)
