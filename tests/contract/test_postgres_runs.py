"""Runs with steps of the postgres connector."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from databases import PostgresServer, postgres
from live import Api, refused, transform
from stepwell.values import Json


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    with postgres() as running:
        yield running


def connect(api: Api, database: PostgresServer, **credentials: Json) -> None:
    given = {"host": "127.0.0.1", "port": database.port, "database": database.database, "username": database.username}
    given |= {"password": database.password, "tls": "none", **credentials}
    api.data("POST", "/connections", {"name": "db", "provider": "postgres", "credentials": given})


def ask(action: str, **config: Json) -> Json:
    return {"id": action, "type": "action", "action": f"postgres.{action}", "config": config}


def test_a_run_writes_and_reads_rows(api: Api, database: PostgresServer) -> None:
    connect(api, database)
    steps = [
        ask("execute", sql="CREATE TABLE paid (id int, total numeric)"),
        {**ask("query", sql="INSERT INTO paid VALUES ($1, $2) RETURNING *", params=[1, "{{input.total}}"])},
    ]

    run = api.finish(api.workflow(transform(steps=steps)), input={"total": 19.90})

    assert run["status"] == "completed", run
    assert run["steps"][1]["output"] == {
        "rows": [{"id": 1, "total": Decimal("19.9")}],
        "rowCount": 1,
        "truncated": False,
    }


def test_the_password_shows_in_no_error(api: Api, database: PostgresServer) -> None:
    connect(api, database)
    step = ask("query", sql=f"SELECT '{database.password}'::int")

    run = api.finish(api.workflow(transform(steps=[step])), input={})

    assert run["error"]["message"] == 'PostgreSQL: invalid input syntax for type integer: "[secret]"'


def test_a_connection_is_tried_out(api: Api, database: PostgresServer) -> None:
    connect(api, database)
    [connection] = api.data("GET", "/connections")

    assert api.data("POST", f"/connections/{connection['id']}/test")["ok"] is True


def test_a_statement_without_sql_is_refused_when_it_is_saved(api: Api) -> None:
    steps = [ask("query", maxRows=0, params="x")]

    details = refused(api.post("/workflows", transform(steps=steps)), 400, "VALIDATION_ERROR")

    assert {detail["field"] for detail in details} == {
        "steps[0].config.sql",
        "steps[0].config.maxRows",
        "steps[0].config.params",
    }
