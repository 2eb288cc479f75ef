"""The SQL files: every statement has a purpose line and a name of its own; migrations are numbered without gaps."""

from importlib import resources

import pytest

from stepwell.store import sql
from stepwell.store.sql import load, migrations

FILES = sorted(
    entry.name for entry in (resources.files("stepwell.store") / "queries").iterdir() if entry.name.endswith(".sql")
)


@pytest.mark.parametrize("file", FILES)
def test_every_file_of_statements_loads(file: str) -> None:
    statements = load(file)

    assert statements
    assert all(statement and not statement.startswith("--") for statement in statements.values())


def test_no_name_stands_in_two_files() -> None:
    assert len(load(*FILES)) == sum(len(load(file)) for file in FILES)


@pytest.mark.parametrize(
    "text",
    [
        "-- name: one\nSELECT 1;\n",
        "-- name: one\n-- Purpose.\nSELECT 1;\n-- name: one\n-- Purpose.\nSELECT 2;\n",
    ],
    ids=["no purpose", "twice"],
)
def test_a_statement_without_purpose_or_with_a_taken_name_is_refused(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    package = tmp_path_factory.mktemp("package")
    (package / "queries").mkdir()
    (package / "queries" / "own.sql").write_text(text)
    monkeypatch.setattr(sql.resources, "files", lambda name: package)

    with pytest.raises(ValueError, match="own.sql: one"):
        load("own.sql")


def test_migrations_are_numbered_from_one_without_gaps() -> None:
    numbers = [number for number, _ in migrations()]

    assert numbers == list(range(1, len(numbers) + 1))
