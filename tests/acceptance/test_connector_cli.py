"""`stepwell connector` against a real server process."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.processes import ServerProcess, command
from acceptance.test_cli import QUIET, Cli
from answering import answering

DOCUMENT = Path(__file__).parents[1] / "contract" / "petstore.yaml"


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    data = tmp_path_factory.mktemp("data")
    key = command("key", "create", "--data", str(data)).stdout.strip()
    with ServerProcess(data, QUIET) as server:
        yield Cli(server, key, tmp_path_factory.mktemp("files"))


def test_a_file_becomes_a_connector_with_a_summary_of_what_was_left_out(cli: Cli) -> None:
    told = cli("connector", "add", str(DOCUMENT), "--name", "petshop")

    assert "petshop  added: Pet Shop, https://petshop.example.com/shop/v3" in told
    assert "7 actions, 2 operations skipped:" in told
    assert "  GET /legacy: it needs the security scheme staff, which cannot be sent beside owners and shopKey" in told


def test_a_url_becomes_a_connector_named_by_its_title(cli: Cli) -> None:
    with answering() as server:
        server.body = DOCUMENT.read_bytes()
        told = cli("connector", "add", f"{server.url}/openapi.yaml")

    assert "pet_shop  added" in told
    assert cli.json("connector", "show", "pet_shop")["source"] == f"{server.url}/openapi.yaml"


def test_a_connector_is_shown_with_credentials_actions_and_parameters(cli: Cli) -> None:
    cli("connector", "add", str(DOCUMENT), "--name", "shown", "--replace")

    told = cli("connector", "show", "shown")

    for part in (
        "shopKey",
        "shown.getPetById",
        "GET /pets/{{params.petId}}",
        "required",
        "The pet's id",
        "Not imported:",
    ):
        assert part in told


def test_an_action_is_shown_with_the_fields_of_its_body_and_its_output(cli: Cli) -> None:
    cli("connector", "add", str(DOCUMENT), "--name", "shown", "--replace")

    told = cli("connector", "show", "shown", "addPet")

    assert "body.name" in told
    assert '"name": "Rex {{not a template}}"' in told
    assert "no action sing" in cli("connector", "show", "shown", "sing", code=2)


def test_a_connector_that_comes_with_stepwell_is_shown_the_same_way(cli: Cli) -> None:
    told = cli("connector", "show", "stripe")

    assert "stripe.createInvoice" in told
    assert "comes with Stepwell" in told


def test_connectors_are_listed_and_removed(cli: Cli) -> None:
    cli("connector", "add", str(DOCUMENT), "--name", "brief")
    assert "brief" in cli("connector", "list")

    cli("connector", "remove", "brief")

    assert "brief" not in [each["name"] for each in cli.json("connector", "list")]
    cli("connector", "remove", "stripe", code=1)


def test_what_cannot_be_read_or_imported_is_told_in_a_line(cli: Cli, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    for content, told, code in (
        ('{"swagger": "2.0", "info": {"title": "Old"}}', "Swagger 2.0 is not read", 1),
        ("{", "not JSON", 2),
        (json.dumps({"openapi": "3.0.0", "paths": {}}), "no title", 2),
    ):
        bad.write_text(content)
        assert told in " ".join(cli("connector", "add", str(bad), code=code).split())
    assert "cannot be read" in cli("connector", "add", str(tmp_path / "none.yaml"), code=2)


def test_an_added_connector_survives_a_restart(tmp_path: Path) -> None:
    key = command("key", "create", "--data", str(tmp_path)).stdout.strip()
    with ServerProcess(tmp_path, QUIET) as server:
        Cli(server, key, tmp_path)("connector", "add", str(DOCUMENT), "--name", "petshop")
    with ServerProcess(tmp_path, QUIET) as server:
        assert len(Cli(server, key, tmp_path).json("connector", "show", "petshop")["actions"]) == 7
