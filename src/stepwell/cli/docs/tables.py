"""The regions that pages may have, and the short tables among them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from stepwell.auth import SCOPES
from stepwell.cli.docs import api, dialects
from stepwell.cli.docs.connectors import connectors
from stepwell.cli.docs.fields import field_table, table
from stepwell.cli.docs.regions import Regions
from stepwell.definitions.document import ERROR_HANDLING, RETRY
from stepwell.definitions.document import SETTINGS as RUN_SETTINGS
from stepwell.events import EVENTS
from stepwell.services import Metrics
from stepwell.settings import describe
from stepwell.states import RUN_TRANSITIONS, WORKFLOW_TRANSITIONS, RunState, WorkflowStatus
from stepwell.steps import STEP_TYPES

S = TypeVar("S", bound=StrEnum)


def settings() -> str:
    """Every setting with its variable, default and meaning."""
    rows = [(f"`{line.name}`", f"`{line.variable}`", f"`{line.default}`", line.help) for line in describe()]
    return table(("Setting", "Variable", "Default", "Meaning"), rows)


def events() -> str:
    """Every event that may be logged."""
    return table(("Event", "Level", ""), [(f"`{name}`", told.level, told.words) for name, told in EVENTS.items()])


def metrics() -> str:
    """Every metric of our own."""
    counted = Metrics()
    counted.watch(open_runs=lambda: 0, active_runs=lambda: 0)
    lines = counted.exposition()[0].decode().splitlines()
    told = [line.split(" ", 3)[2:] for line in lines if line.startswith("# HELP stepwell_")]
    return table(("Metric", ""), [(f"`{name}`", help) for name, help in told if not name.endswith("_created")])


def scopes() -> str:
    """Every scope that a key may have."""
    return ", ".join(f"`{scope}`" for scope in sorted(SCOPES))


def run_states() -> str:
    """The transitions of a run, as a diagram."""
    return diagram(RunState.PENDING, RUN_TRANSITIONS)


def workflow_states() -> str:
    """The transitions of a workflow, as a diagram."""
    return diagram(WorkflowStatus.DRAFT, WORKFLOW_TRANSITIONS)


def diagram(first: S, transitions: Mapping[S, frozenset[S]]) -> str:
    """A table of transitions as a Mermaid diagram."""
    states = list(type(first))
    moves = [f"    {state} --> {after}" for state in states for after in states if after in transitions[state]]
    ends = [f"    {state} --> [*]" for state in states if not transitions[state]]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {first}", *moves, *ends, "```"])


def steps() -> str:
    """The config of every step type."""
    return "\n\n".join(f"### {name}\n\n{field_table(kind.config_schema)}" for name, kind in sorted(STEP_TYPES.items()))


REGIONS: Regions = {
    **api.regions(),
    "connectors": connectors,
    "dialect-errors": dialects.errors,
    "dialect-ids": dialects.ids,
    "dialect-scopes": dialects.scopes,
    "dialect-states": dialects.states,
    "error-handling": lambda: field_table(ERROR_HANDLING),
    "events": events,
    "metrics": metrics,
    "retry": lambda: field_table(RETRY),
    "run-settings": lambda: field_table(RUN_SETTINGS),
    "run-states": run_states,
    "scopes": scopes,
    "settings": settings,
    "steps": steps,
    "workflow-states": workflow_states,
}
