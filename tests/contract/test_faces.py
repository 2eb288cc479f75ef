"""One core, four faces: the same run, read through each dialect in each of its states."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from aitasker_client import AitaskerApi, aitasker
from answering import Answering
from awaitstep_client import AwaitstepApi, awaitstep
from flowra_client import FlowraApi, flowra
from live import Api
from stepwell.values import Json

NEVER = {"id": "wait", "type": "wait_for_event", "config": {"eventType": "never"}}


@dataclass(frozen=True)
class Faces:
    """A run as each dialect words its state."""

    native: Api
    awaitstep: AwaitstepApi
    flowra: FlowraApi
    aitasker: AitaskerApi

    def words(self, workflow: str, run: str) -> dict[str, str]:
        """The state of a run in each dialect's word."""
        bare_run, bare_workflow = run.removeprefix("run_"), workflow.removeprefix("wf_")
        execution = self.flowra.answer("GET", f"/workflow/manager/executions/{bare_run}")["data"]
        return {
            "loopfour": self.native.data("GET", f"/runs/{run}")["status"],
            "awaitstep": self.awaitstep.answer("GET", f"/api/workflows/{workflow}/runs/{bare_run}")["status"],
            "flowra": execution["status"],
            "aitasker": self.aitasker.run(bare_workflow, bare_run)["status"],
        }

    def until(self, workflow: str, run: str, status: str) -> dict[str, str]:
        """The same, once it has a status natively."""
        self.native.until(run, lambda found: found["status"] == status)
        return self.words(workflow, run)


@pytest.fixture
def faces(api: Api) -> Faces:
    return Faces(api, awaitstep(api), flowra(api), aitasker(api))


def started(faces: Faces, *steps: Json, **fields: Json) -> tuple[str, str]:
    """An active workflow of these steps and a run of it."""
    workflow = faces.native.workflow({"name": "Faces", "trigger": {"type": "api"}, "steps": list(steps), **fields})
    return workflow, faces.native.start(workflow)


def test_a_run_that_waits_for_its_place_is_pending(faces: Faces) -> None:
    workflow, _ = started(faces, NEVER, settings={"maxConcurrentRuns": 1})
    second = faces.native.start(workflow)

    assert faces.words(workflow, second) == {
        "loopfour": "pending",
        "awaitstep": "queued",
        "flowra": "running",
        "aitasker": "pending",
    }


def test_a_run_whose_step_is_in_flight_is_running(faces: Faces, upstream: Answering) -> None:
    upstream.delay_s = 30
    workflow, run = started(faces, {"id": "call", "type": "api", "config": {"method": "GET", "url": upstream.url}})

    assert faces.until(workflow, run, "running") == {
        "loopfour": "running",
        "awaitstep": "running",
        "flowra": "running",
        "aitasker": "running",
    }


APPROVAL = {"id": "ask", "type": "approval", "config": {"approvers": ["a"], "reason": "May I?"}}
TASK = {"id": "work", "type": "task", "config": {"template": {"title": "Do it"}}}


@pytest.mark.parametrize("step", [NEVER, APPROVAL, TASK], ids=["event", "approval", "task"])
def test_a_run_that_waits_for_somebody(faces: Faces, step: Json) -> None:
    workflow, run = started(faces, step)

    assert faces.until(workflow, run, "suspended") == {
        "loopfour": "suspended",
        "awaitstep": "paused",
        "flowra": "paused",
        "aitasker": "waiting",
    }


def test_a_run_that_waits_for_a_time(faces: Faces) -> None:
    workflow, run = started(faces, {"id": "wait", "type": "wait", "config": {"duration": 3_600_000}})
    faces.native.until(run, lambda found: found["waitingFor"] is not None)

    words = faces.words(workflow, run)

    assert words == {"loopfour": "running", "awaitstep": "paused", "flowra": "running", "aitasker": "waiting"}


def test_a_run_that_was_paused_by_hand(faces: Faces) -> None:
    workflow, run = started(faces, NEVER)
    faces.until(workflow, run, "suspended")
    faces.native.data("POST", f"/runs/{run}/pause")

    assert faces.words(workflow, run) == {
        "loopfour": "suspended",
        "awaitstep": "paused",
        "flowra": "paused",
        "aitasker": "paused",
    }


def ended(act: Callable[[Faces, str], None], *steps: Json, **fields: Json) -> Callable[[Faces], tuple[str, str]]:
    """A run that something ends."""

    def make(faces: Faces) -> tuple[str, str]:
        workflow, run = started(faces, *steps, **fields)
        act(faces, run)
        faces.native.until(run, lambda found: found["completedAt"] is not None)
        return workflow, run

    return make


FAILING = {"id": "call", "type": "api", "config": {"method": "GET", "url": "http://127.0.0.1:1/"}}
ENDS = {
    "completed": ended(lambda faces, run: None, {"id": "t", "type": "transform", "config": {"mapping": {}}}),
    "failed": ended(lambda faces, run: None, {**FAILING, "retryConfig": {"maxAttempts": 1}}),
    "cancelled": ended(lambda faces, run: faces.native.data("POST", f"/runs/{run}/cancel"), NEVER),
    "timeout": ended(lambda faces, run: None, NEVER, settings={"timeoutMs": 300}),
}


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (
            "completed",
            {"loopfour": "completed", "awaitstep": "complete", "flowra": "completed", "aitasker": "completed"},
        ),
        ("failed", {"loopfour": "failed", "awaitstep": "errored", "flowra": "failed", "aitasker": "failed"}),
        (
            "cancelled",
            {"loopfour": "cancelled", "awaitstep": "terminated", "flowra": "failed", "aitasker": "cancelled"},
        ),
        ("timeout", {"loopfour": "timeout", "awaitstep": "errored", "flowra": "timeout", "aitasker": "failed"}),
    ],
)
def test_a_run_that_has_ended(faces: Faces, end: str, words: dict[str, str]) -> None:
    workflow, run = ENDS[end](faces)

    assert faces.words(workflow, run) == words
