"""Cases: what a case file says, read and checked against the workflow it is about."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any

from stepwell import values
from stepwell.cli.testing.mocks import MOCKED, STAND_IN, Answer, Failure, Mock, mocked_types, stand_in, step_of
from stepwell.cli.testing.shape import CASE_FILE, DURATION
from stepwell.cli.testing.text import Complaint, Document, Malformed, read
from stepwell.clock import parse_iso
from stepwell.connectors import Connectors, load_manifests
from stepwell.definitions import Kind, Plan, Step, compile_definition
from stepwell.errors import ValidationFailed
from stepwell.values import Json, Path

START = "2024-01-01T00:00:00Z"
"""When cases begin that name no time."""

SUFFIXES = (".test.yaml", ".test.yml")
_PART = re.compile(r"([0-9]+)(ms|s|m|h|d|w)")
_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


@dataclass(frozen=True, slots=True)
class Event:
    """An event to send: at a time (epoch ms), or so many ms after the end of a step (id or path)."""

    type: str
    payload: Json
    at_ms: int
    after: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision on an approval, taken so long after it was asked for."""

    approve: bool
    by: str | None
    comment: str | None
    after_ms: int


@dataclass(frozen=True, slots=True)
class Child:
    """A workflow that steps start: its plan and the mocks of its steps."""

    plan: Plan
    mocks: Mapping[str, Mock]


@dataclass(frozen=True, slots=True)
class Case:
    """One run to play, and what it should come to."""

    name: str
    line: int
    plan: Plan
    clock_ms: int
    input: dict[str, Json]
    trigger: dict[str, Json]
    mocks: Mapping[str, Mock]
    subworkflows: Mapping[str, Child]  # by id or slug, without prefix
    stand_in: Plan  # of workflows that have a mock
    events: tuple[Event, ...]
    approvals: Mapping[str, tuple[Decision, ...]]
    secrets: Mapping[str, str]
    expect: dict[str, Json]


@dataclass(frozen=True, slots=True)
class CaseFile:
    """The cases of one file, or what is wrong with it."""

    path: File
    name: str
    cases: tuple[Case, ...] = ()
    complaints: list[Complaint] = field(default_factory=list)


def case_files(places: list[File]) -> list[File]:
    """The files that are named, and those of the directories that are, by name.

    Raises:
        FileNotFoundError: a place does not exist, or a directory holds no case file.
    """
    found: list[File] = []
    for place in places:
        if place.is_dir():
            inside = sorted(each for each in place.rglob("*") if each.name.endswith(SUFFIXES))
            if not inside:
                raise FileNotFoundError(f"{place} holds no file of cases (*{SUFFIXES[0]})")
            found += inside
        elif place.exists():
            found.append(place)
        else:
            raise FileNotFoundError(f"{place} does not exist")
    return list(dict.fromkeys(found))


def load(path: File) -> CaseFile:
    """A file's cases; if there is anything wrong with it, no case but all that is wrong."""
    try:
        document = read(path.read_text("utf-8"))
        if faults := CASE_FILE.faults(document.value):
            raise Malformed(document.complaint(each.path, each.message) for each in faults)
        reading = _Reading(path, document)
        cases = tuple(reading.cases())
        if reading.complaints:
            raise Malformed(reading.complaints)
    except Malformed as error:
        return CaseFile(path, path.name, complaints=sorted(error.complaints, key=lambda each: each.line or 0))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        return CaseFile(path, path.name, complaints=[Complaint(None, "", f"Cannot be read: {why}")])
    return CaseFile(path, document.value.get("name", path.name), cases)


def duration_ms(text: str) -> int:
    """Milliseconds of `+3d` or `2h30m`."""
    return sum(int(count) * _UNITS_MS[unit] for count, unit in _PART.findall(text))


class _Reading:
    """One pass over a file that has the right shape."""

    def __init__(self, path: File, document: Document) -> None:
        self._folder = path.parent
        self._document = document
        self._types = mocked_types()
        self._catalogue = Connectors(load_manifests())
        self._stand_in = compile_definition(stand_in("mocked"), self._types, self._catalogue)
        self.complaints: list[Complaint] = []

    def cases(self) -> Iterator[Case]:
        whole = self._document.value
        for index, written in enumerate(whole["cases"]):
            path: Path = ("cases", index)
            plan = self._plan(whole["workflow"], ("workflow",), written.get("variables"))
            self._check_steps(plan, written, path)
            yield self._case(plan, written, path)

    def _children(self, written: dict[str, Any], path: Path) -> dict[str, Child]:
        children = {}
        for name, child in written.items():
            if isinstance(child, dict) and "workflow" in child:
                plan = self._plan(child["workflow"], (*path, name, "workflow"))
                mocks = child.get("mocks", {})
                self._check_mocks(plan, mocks, (*path, name, "mocks"))
                mocks = {step: _mock(each) for step, each in mocks.items()}
            else:
                self._check_answers(child, (*path, name))
                plan, mocks = self._stand_in, {STAND_IN: _mock(child)}
            children[name.removeprefix("wf_")] = Child(plan, mocks)
        return children

    def _plan(self, workflow: Json, path: Path, variables: Json = None) -> Plan:
        """The plan of a definition that stands in the file at a path, or in a file that is named there."""
        definition = self._in_file(workflow, path) if isinstance(workflow, str) else workflow
        if variables and isinstance(definition, dict):
            definition = {**definition, "variables": {**definition.get("variables", {}), **variables}}
        try:
            return compile_definition(definition, self._types, self._catalogue)
        except ValidationFailed as error:
            if isinstance(workflow, str):
                line = self._document.line(path)
                raise Malformed(Complaint(line, f"{workflow}: {f.field}", f.message) for f in error.faults) from None
            raise Malformed(self._document.complaint((*path, *f.path), f.message) for f in error.faults) from None

    def _in_file(self, name: str, path: Path) -> Json:
        try:
            return values.decode((self._folder / name).read_bytes())
        except OSError as error:
            told = f"{name} cannot be read: {error.strerror}"
        except values.InvalidJson as error:
            told = f"{name} is not JSON: {error}"
        raise Malformed([self._document.complaint(path, told)])

    def _case(self, plan: Plan, written: dict[str, Any], path: Path) -> Case:
        begin = self._time(written.get("clock", START), (*path, "clock"))
        return Case(
            name=written["name"],
            line=self._document.line(path) or 1,
            plan=plan,
            clock_ms=begin,
            input=written.get("input", {}),
            trigger=written.get("trigger", {}),
            mocks={name: _mock(each) for name, each in written.get("mocks", {}).items()},
            subworkflows=self._children(written.get("subworkflows", {}), (*path, "subworkflows")),
            stand_in=self._stand_in,
            events=tuple(
                self._event(each, begin, (*path, "events", index))
                for index, each in enumerate(written.get("events", ()))
            ),
            approvals={
                name: tuple(map(_decision, _listed(each))) for name, each in written.get("approvals", {}).items()
            },
            secrets=written.get("secrets", {}),
            expect=written.get("expect", {}),
        )

    def _event(self, written: dict[str, Any], begin: int, path: Path) -> Event:
        at, after = written.get("at", "+0s"), written.get("after")
        if re.fullmatch(DURATION, at):
            moment = duration_ms(at) + (0 if after else begin)
        else:
            moment = self._time(at, (*path, "at"))
            if after:
                self._complain((*path, "at"), "Beside after, it is a duration such as +3d")
        return Event(written["type"], written.get("payload", {}), moment, after)

    def _time(self, text: str, path: Path) -> int:
        moment = parse_iso(text)
        if moment is None:
            self._complain(path, f"No time: {text}")
        return moment or 0

    def _check_steps(self, plan: Plan, written: dict[str, Any], path: Path) -> None:
        """Every step that a case names must be in the workflow."""
        expect = written.get("expect", {})
        self._check_mocks(plan, written.get("mocks", {}), (*path, "mocks"))
        for name in written.get("approvals", ()):
            step = self._step(plan, name, (*path, "approvals", name))
            if step is not None and step.type.kind is not Kind.APPROVAL:
                self._complain((*path, "approvals", name), f"{step.id} is no approval")
        for name in expect.get("steps", ()):
            self._step(plan, name, (*path, "expect", "steps", name))
        for index, name in enumerate(expect.get("path", ())):
            self._step(plan, name, (*path, "expect", "path", index))
        for index, event in enumerate(written.get("events", ())):
            if "after" in event:
                self._step(plan, event["after"], (*path, "events", index, "after"))

    def _check_mocks(self, plan: Plan, written: dict[str, Any], path: Path) -> None:
        """Only what reaches outside has mocks."""
        for name, mock in written.items():
            self._check_answers(mock, (*path, name))
            step = self._step(plan, name, (*path, name))
            if step is not None and step.type.kind not in MOCKED:
                told = f"{step.id} is a step of type {step.type.name}, which really runs; it takes no mock"
                self._complain((*path, name), told)

    def _check_answers(self, mock: Json, path: Path) -> None:
        for answer in _listed(mock):
            if ("output" in answer) == ("error" in answer):
                self._complain(path, "Say either output or error")

    def _step(self, plan: Plan, name: str, path: Path) -> Step | None:
        step = plan.steps.get(step_of(name))
        if step is None:
            self._complain(path, f"The workflow has no step {step_of(name)}")
        return step

    def _complain(self, path: Path, message: str) -> None:
        self.complaints.append(self._document.complaint(path, message))


def _mock(written: Json) -> Mock:
    return Mock(tuple(map(_answer, _listed(written))), repeats=not isinstance(written, list))


def _answer(written: dict[str, Any]) -> Answer:
    error = written.get("error")
    failure = (
        None
        if error is None
        else Failure(
            code=error.get("code", "STEP_ERROR"),
            message=error.get("message"),
            kind=error.get("kind"),
            retryable=error.get("retryable"),
            http_status=error.get("httpStatus"),
            retry_after_ms=error.get("retryAfterMs"),
        )
    )
    return Answer(written.get("output"), failure, duration_ms(written.get("after", "")))


def _decision(written: dict[str, Any]) -> Decision:
    after = duration_ms(written.get("after", ""))
    return Decision(written["decision"] == "approve", written.get("by"), written.get("comment"), after)


def _listed(value: Json) -> list[Any]:
    return value if isinstance(value, list) else [value]
