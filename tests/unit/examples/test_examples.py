"""The examples: each compiles, says what it shows, and has cases that pass."""

import os
from importlib import resources
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stepwell.cli import app
from stepwell.connectors import Connectors, load_manifests
from stepwell.definitions import compile_definition
from stepwell.steps import STEP_TYPES
from stepwell.values import decode

EXAMPLES = Path(__file__).parents[3] / "examples"
DOCUMENTS = sorted(EXAMPLES.glob("*.json"))
CASES = sorted(EXAMPLES.glob("*.test.yaml"))


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.stem)
def test_an_example_compiles_without_warnings_and_says_what_it_shows(file: Path) -> None:
    document = decode(file.read_bytes())

    assert compile_definition(document, STEP_TYPES, Connectors(load_manifests())).warnings == ()
    assert document["description"]


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.name.partition(".")[0])
def test_the_cases_of_an_example_pass(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("STEPWELL_")]:
        monkeypatch.delenv(name)

    done = CliRunner().invoke(app, ["test", str(file)])

    assert done.exit_code == 0, done.output


def test_every_example_has_cases_and_a_paragraph() -> None:
    tested = {
        line.split()[1] for file in CASES for line in file.read_text("utf-8").splitlines() if "workflow: " in line
    }
    page = (EXAMPLES / "README.md").read_text("utf-8")

    assert {file.name for file in DOCUMENTS} <= tested
    assert [file.name for file in (*DOCUMENTS, *CASES) if f"]({file.name})" not in page] == []


@pytest.mark.parametrize(
    "name", ["process-customer-order.json", "approval-over-limit.json", "stripe-invoice-paid.json"]
)
def test_what_the_demo_plays_is_the_example(name: str) -> None:
    packaged = resources.files("stepwell.cli.demo") / name

    assert packaged.read_bytes() == (EXAMPLES / name).read_bytes()
