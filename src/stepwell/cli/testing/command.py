"""The command: which files, which cases, what comes of them."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from stepwell.cli.options import DEFAULT_URL, ApiKeyOption, OutputOption, UrlOption
from stepwell.cli.output import FAILED, REFUSED, say, write_text
from stepwell.cli.testing.cases import CaseFile, case_files, load
from stepwell.cli.testing.expecting import difference
from stepwell.cli.testing.recording import recorded
from stepwell.cli.testing.report import Result, show_file, show_result, show_summary, write_junit
from stepwell.cli.testing.stage import Scripts, play
from stepwell.client import Client
from stepwell.sandbox import Sandbox


def test(
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE_OR_DIR...", help="Files of cases; of a directory all *.test.yaml in it."),
    ] = None,
    filter: Annotated[
        str | None, typer.Option("--filter", metavar="TEXT", help="Only cases with this in their or their file's name.")
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML as well.")] = None,
    from_run: Annotated[
        str | None, typer.Option("--from-run", metavar="RUN", help="Write a case from this run of a server instead.")
    ] = None,
    output: OutputOption = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
) -> None:
    """Play test cases of workflows: on the real engine, with mocks for what reaches outside, without a server.

    Waits take no time: a case has a clock of its own.

    With --from-run, a run is read from a server and a case is written that plays it again.

    Exit code 1 if a case failed, 2 if a file is no file of cases.
    """
    if from_run is not None:
        if places:
            raise typer.BadParameter("name either files or a run", param_hint="--from-run")
        write_text(recorded(Client(url, api_key), from_run), output)
        return
    if output is not None:
        raise typer.BadParameter("it goes with --from-run", param_hint="--output")
    try:
        found = case_files(places or [])
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error), param_hint="FILE_OR_DIR") from None
    if not found:
        raise typer.BadParameter("name a file of cases or a directory", param_hint="FILE_OR_DIR")
    files = [load(path) for path in found]
    malformed = [file for file in files if file.complaints]
    results = asyncio.run(_play_all(files, filter or ""))
    if junit is not None:
        write_junit(results, malformed, junit)
    if not results and not malformed:
        say(f"No case has {filter} in its name.")
        raise typer.Exit(REFUSED)
    _judge(results, malformed)


async def _play_all(files: list[CaseFile], wanted: str) -> list[Result]:
    """Play the cases that are wanted, telling of each."""
    sandbox = Sandbox()
    try:
        return await _play(files, wanted, Scripts(sandbox))
    finally:
        await sandbox.close()


async def _play(files: list[CaseFile], wanted: str, scripts: Scripts) -> list[Result]:
    results: list[Result] = []
    for file in files:
        cases = [case for case in file.cases if _named(wanted, case.name, file.name, str(file.path))]
        if cases or file.complaints:
            show_file(file)
        for case in cases:
            began = time.monotonic()
            played = await play(case, scripts)
            took_s = time.monotonic() - began
            results.append(
                Result(file, case.name, case.line, took_s, played.passed_ms, difference(case.expect, played))
            )
            show_result(results[-1])
    return results


def _judge(results: list[Result], malformed: list[CaseFile]) -> None:
    show_summary(results, malformed)
    if malformed:
        raise typer.Exit(REFUSED)
    if any(result.wrong for result in results):
        raise typer.Exit(FAILED)


def _named(wanted: str, *names: str) -> bool:
    return any(wanted.lower() in name.lower() for name in names)
