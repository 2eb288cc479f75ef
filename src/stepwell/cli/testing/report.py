"""What `stepwell test` tells: a line a case, the difference of those that failed, a summary; and JUnit XML."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import typer
from rich.markup import escape

from stepwell.cli.output import out
from stepwell.cli.testing.cases import CaseFile
from stepwell.cli.testing.text import Complaint

_COLOURS = {"-": "red", "+": "green", "@": "cyan"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


@dataclass(frozen=True, slots=True)
class Result:
    """A case that was played: how long it took, what passed on its clock, and what was wrong."""

    file: CaseFile
    name: str
    line: int
    took_s: float
    passed_ms: int
    wrong: list[str]


def show_file(file: CaseFile) -> None:
    """Print a file's name, and what is wrong with the file itself."""
    out.print(f"[bold]{escape(str(file.path))}[/]", highlight=False, soft_wrap=True)
    for complaint in file.complaints:
        out.print(f"  [red]malformed[/]  {escape(told(complaint))}", highlight=False, soft_wrap=True)


def show_result(result: Result) -> None:
    """Print a case's line and, if it failed, why."""
    word, colour = ("failed", "red") if result.wrong else ("passed", "green")
    passed = f", {_duration(result.passed_ms)} on its clock" if result.passed_ms else ""
    took = f"[dim]{result.took_s * 1000:.0f} ms{passed}[/]"
    where = f"  [dim]line {result.line}[/]" if result.wrong else ""
    out.print(f"  [{colour}]{word}[/]  {escape(result.name)}  {took}{where}", highlight=False, soft_wrap=True)
    for line in result.wrong:
        style = _COLOURS.get(line[:1])
        shown = f"[{style}]{escape(line)}[/]" if style else escape(line)
        out.print(f"    {shown}", highlight=False, soft_wrap=True)


def show_summary(results: Sequence[Result], malformed: Sequence[CaseFile]) -> None:
    """Print how many cases passed and failed, and how many files are none."""
    failed = sum(bool(result.wrong) for result in results)
    parts = [f"{len(results) - failed} passed", *([f"{failed} failed"] if failed else [])]
    if malformed:
        parts.append(f"{len(malformed)} malformed file{'s' if len(malformed) > 1 else ''}")
    colour = "red" if failed or malformed else "green"
    out.print(f"[{colour}]{', '.join(parts)}[/] in {sum(r.took_s for r in results):.2f} s", highlight=False)


def write_junit(results: Sequence[Result], malformed: Sequence[CaseFile], file: Path) -> None:
    """Write the results as JUnit XML: a suite for each file, an error for a file that is none."""
    root = ElementTree.Element("testsuites")
    files = list(dict.fromkeys(result.file.path for result in results))
    for path in files:
        its = [result for result in results if result.file.path == path]
        suite = _suite(root, its[0].file, len(its), sum(bool(r.wrong) for r in its), 0, sum(r.took_s for r in its))
        for result in its:
            case = _testcase(suite, result.file, result.name, result.took_s)
            if result.wrong:
                text = "\n".join(result.wrong)
                ElementTree.SubElement(case, "failure", message=_xml(result.wrong[0])).text = _xml(text)
    for broken in malformed:
        suite = _suite(root, broken, 1, 0, 1, 0.0)
        lines = [told(complaint) for complaint in broken.complaints]
        case = _testcase(suite, broken, "file", 0.0)
        ElementTree.SubElement(case, "error", message=_xml(lines[0])).text = _xml("\n".join(lines))
    ElementTree.indent(root)
    try:
        ElementTree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be written: {error.strerror}", param_hint="--junit") from error


def told(complaint: Complaint) -> str:
    """Something wrong in a file, on one line."""
    line = f"line {complaint.line}: " if complaint.line else ""
    return f"{line}{f'{complaint.field}: ' if complaint.field else ''}{complaint.message}"


def _suite(
    root: ElementTree.Element, file: CaseFile, tests: int, failures: int, errors: int, took_s: float
) -> ElementTree.Element:
    about = {"name": _xml(file.name), "file": _xml(str(file.path)), "tests": str(tests)}
    return ElementTree.SubElement(
        root, "testsuite", {**about, "failures": str(failures), "errors": str(errors), "time": f"{took_s:.3f}"}
    )


def _testcase(suite: ElementTree.Element, file: CaseFile, name: str, took_s: float) -> ElementTree.Element:
    return ElementTree.SubElement(
        suite, "testcase", name=_xml(name), classname=_xml(str(file.path)), time=f"{took_s:.3f}"
    )


def _xml(text: str) -> str:
    """The text without what XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _duration(ms: int) -> str:
    parts = []
    for unit, size in _UNITS:
        count, ms = divmod(ms, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
