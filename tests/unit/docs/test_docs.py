"""The documentation says what the code does: examples compile, tables are complete, links lead somewhere."""

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest

from stepwell.cli.docs import REGIONS, UnknownRegion, filled, write
from stepwell.connectors import Connectors, load_manifests
from stepwell.definitions import Step, compile_definition
from stepwell.expressions import OPERATORS, compile_template
from stepwell.expressions.filters import FILTERS
from stepwell.http import DIALECTS
from stepwell.http.routes import Dialect
from stepwell.settings import describe
from stepwell.states import RUN_TRANSITIONS, WORKFLOW_TRANSITIONS, RecordStatus, RunState, WorkflowStatus
from stepwell.steps import STEP_TYPES
from stepwell.values import Json, decode

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def json_blocks() -> Iterator[tuple[str, str]]:
    for each in PAGES:
        for number, block in enumerate(re.findall(r"```json\n(.*?)```", each.read_text("utf-8"), re.DOTALL)):
            yield f"{named(each)}:{number}", block


BLOCKS = dict(json_blocks())
WORKFLOWS = {where: decode(block) for where, block in BLOCKS.items() if '"steps": [' in block}


@pytest.mark.parametrize("where", BLOCKS)
def test_a_json_block_is_json(where: str) -> None:
    assert isinstance(decode(BLOCKS[where]), dict)


@pytest.mark.parametrize("where", WORKFLOWS)
def test_an_example_workflow_compiles_without_warnings(where: str) -> None:
    plan = compile_definition(WORKFLOWS[where], STEP_TYPES, Connectors(load_manifests()))

    assert plan.warnings == ()


def test_every_step_type_has_an_example() -> None:
    shown = {step.type.name for each in WORKFLOWS.values() for step in _plan_steps(each)}

    assert shown == set(STEP_TYPES)


def test_the_filter_table_shows_what_templates_give() -> None:
    scope = {"input": next(decode(block) for block in BLOCKS.values() if '"ana maria"' in block)}
    rows = re.findall(r"^\| `(.*?)` \| `(.*?)` \|$", _section("workflows.md", "Filters"), re.MULTILINE)

    assert len(rows) > 10
    for template, result in rows:
        assert compile_template(template.replace(r"\|", "|")).render(scope) == decode(result), template


def test_every_filter_is_listed_and_no_other() -> None:
    kinds = _section("workflows.md", "Filters").partition("| kind | filters |")[2]

    assert set(re.findall(r"`(\w+)`", kinds)) == set(FILTERS)


def test_every_operator_is_listed_and_no_other() -> None:
    table = _section("workflows.md", "Conditions").partition("| operator |")[2].partition("```")[0]
    listed = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.partition(" | ")[0])}

    assert listed == set(OPERATORS)


def test_every_setting_is_in_the_operations_page() -> None:
    text = page("operations.md")

    assert [line.variable for line in describe() if f"| `{line.name}` | `{line.variable}` |" not in text] == []


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: str(dialect.name))
def test_every_route_is_in_the_page_of_its_dialect(dialect: Dialect) -> None:
    text = page("api.md" if dialect.name == "loopfour" else f"api-{dialect.name}.md")
    routes = [f"### {route.method} {dialect.base}{route.path}\n" for route in dialect.routes]

    assert [route for route in routes if route not in text] == []


def test_every_action_is_in_the_connectors_page() -> None:
    text = page("connectors.md")
    actions = [f"### {name}.{action}\n" for name, each in load_manifests().items() for action in each.actions]

    assert [action for action in actions if action not in text] == []


@pytest.mark.parametrize(
    ("heading", "states", "transitions"),
    [("Runs", RunState, RUN_TRANSITIONS), ("Workflows", WorkflowStatus, WORKFLOW_TRANSITIONS)],
)
def test_a_state_diagram_shows_exactly_the_states_and_transitions_of_the_table(
    heading: str, states: type[StrEnum], transitions: dict[StrEnum, frozenset[StrEnum]]
) -> None:
    moves = _moves(heading)

    assert {state for move in moves for state in move} == {"[*]", *states}
    assert {move for move in moves if "[*]" not in move} == {
        (state, after) for state, following in transitions.items() for after in following
    }
    assert {state for state, after in moves if after == "[*]"} == {s for s in states if not transitions[s]}


def test_the_record_diagram_shows_exactly_the_statuses_and_ends_in_the_final_ones() -> None:
    moves = _moves("Records")

    assert {state for move in moves for state in move} == {"[*]", *RecordStatus}
    assert {state for state, after in moves if after == "[*]"} == {s for s in RecordStatus if s.final}
    assert {state for state, after in moves if after != "[*]" and state != "[*]"} == {
        s for s in RecordStatus if not s.final
    }


@pytest.mark.parametrize("each", PAGES, ids=named)
def test_generated_regions_are_up_to_date(each: Path) -> None:
    text = each.read_text("utf-8")

    assert filled(text, REGIONS) == text, "run `make docs`"


def test_every_region_is_used() -> None:
    used = {name for each in PAGES for name in re.findall(r"<!-- generated: ([a-z-]+) -->", each.read_text("utf-8"))}

    assert used == set(REGIONS)


@pytest.mark.parametrize("each", PAGES, ids=named)
def test_every_relative_link_leads_to_a_file_and_its_heading(each: Path) -> None:
    text = re.sub(r"```.*?```", "", each.read_text("utf-8"), flags=re.DOTALL)

    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (each.parent / path).resolve() if path else each
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file), target


def test_every_decision_has_a_number_of_its_own_and_the_three_parts() -> None:
    decisions = sorted((DOCS / "decisions").glob("*.md"))

    assert [each.name[:4] for each in decisions] == [f"{number:04d}" for number in range(1, len(decisions) + 1)]
    for each in decisions:
        headings = re.findall(r"^## (.+)$", each.read_text("utf-8"), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequence"], each.name


def test_what_stands_outside_of_regions_is_kept() -> None:
    text = "before\n<!-- generated: a -->\nold\n<!-- /generated -->\nafter\n"

    assert filled(text, {"a": lambda: "new\n"}) == "before\n<!-- generated: a -->\nnew\n<!-- /generated -->\nafter\n"


def test_an_unknown_region_is_refused_by_name() -> None:
    with pytest.raises(UnknownRegion, match="nowhere"):
        filled("<!-- generated: nowhere -->\n<!-- /generated -->", {})


def test_writing_names_only_the_pages_that_changed(tmp_path: Path) -> None:
    stale, current = tmp_path / "stale.md", tmp_path / "deeper" / "current.md"
    current.parent.mkdir()
    stale.write_text("<!-- generated: a -->\nold\n<!-- /generated -->")
    current.write_text("<!-- generated: a -->\nnew\n<!-- /generated -->")

    assert write(tmp_path, {"a": lambda: "new"}) == [stale]
    assert stale.read_text() == current.read_text()


def _plan_steps(document: Json) -> Iterator[Step]:
    yield from compile_definition(document, STEP_TYPES, Connectors(load_manifests())).steps.values()


def _section(name: str, heading: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    begin = re.search(rf"^(#+) {heading}$", page(name), re.MULTILINE)
    assert begin is not None
    rest = page(name)[begin.end() :]
    end = re.search(rf"^#{{1,{len(begin[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def _moves(heading: str) -> set[tuple[str, str]]:
    return set(re.findall(r"^    (\S+) --> ([\w*\[\]]+)", _section("state-machine.md", heading), re.MULTILINE))


def _anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
