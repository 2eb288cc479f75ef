"""The postgres connector against a real PostgreSQL: values, parameters, limits, failures and encryption."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from databases import PostgresServer, encrypting, postgres
from stepwell.connectors import Database, Postgres
from stepwell.errors import StepError
from stepwell.values import Json

CLOSED_PORT = 9


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of `localhost`, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, form, plain)
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres() as running:
        yield running


@pytest.fixture
def database(server: PostgresServer) -> Database:
    return Database("localhost", server.port, server.database, server.username, "none", server.password)


@pytest.fixture
def no_faults() -> None:
    """These tests need no server of ours, unless they ask for one."""


def query(database: Database, sql: str, *params: Json, timeout_s: float = 5, **options: Any) -> Json:
    given = {"sql": sql, "params": list(params), "maxRows": 1000, "readOnly": False, **options}
    return asyncio.run(Postgres(allow_private=True).query(database, given, timeout_s))


def execute(database: Database, sql: str, *params: Json) -> Json:
    return asyncio.run(Postgres(allow_private=True).execute(database, {"sql": sql, "params": list(params)}, 5))


def value(database: Database, expression: str, *params: Json) -> Json:
    return query(database, f"SELECT {expression} AS v", *params)["rows"][0]["v"]


def failure(database: Database, sql: str, *params: Json, **options: Any) -> StepError:
    with pytest.raises(StepError) as error:
        query(database, sql, *params, **options)
    return error.value


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1.50::numeric(10, 2)", Decimal("1.50")),
        ("123456789012345678901234567890.123456789::numeric", Decimal("123456789012345678901234567890.123456789")),
        ("9223372036854775807::int8", 9223372036854775807),
        ("0.1::float8", Decimal("0.1")),
        ("'NaN'::float8", "NaN"),
        ("'-Infinity'::float8", "-Infinity"),
        ("true", True),
        ("NULL::text", None),
        ("DATE '2024-01-15'", "2024-01-15"),
        ("TIMESTAMP '2024-01-15 10:00'", "2024-01-15T10:00:00"),
        ("TIMESTAMPTZ '2024-01-15 10:00+02'", "2024-01-15T08:00:00+00:00"),
        ("'infinity'::timestamptz", "infinity"),
        ("INTERVAL '1 day 2 hours'", "P1DT2H"),
        ("'\\x6869'::bytea", "aGk="),
        ("'{\"a\": [1.50, null]}'::jsonb", {"a": [Decimal("1.50"), None]}),
        ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("'{1,NULL}'::int[]", [1, None]),
        ("ARRAY[1.5::numeric]", [Decimal("1.5")]),
        ("int4range(1, 5)", "[1,5)"),
        ("'empty'::int4range", "empty"),
        ("'192.0.2.1'::inet", "192.0.2.1"),
        ("0.1::float4", Decimal("0.1")),
        ("'-infinity'::date", "-infinity"),
        ("TIME '10:00:00.5'", "10:00:00.500000"),
        ("numrange(1.5, NULL, '(]')", "(1.5,)"),
        ("'{[1,3),[5,7)}'::int4multirange", ["[1,3)", "[5,7)"]),
        ("ROW(1, 'a'::text, DATE '2024-01-15')", [1, "a", "2024-01-15"]),
        ("POINT(1, 2.5)", [Decimal("1.0"), Decimal("2.5")]),
        ("ARRAY['{\"a\": 1}'::jsonb]", [{"a": 1}]),
        ("12.5::money", "$12.50"),
        ("B'101'", "101"),
    ],
)
def test_values_come_as_json_without_loss(database: Database, expression: str, expected: Json) -> None:
    assert value(database, expression) == expected


@pytest.mark.parametrize(
    ("type", "given", "expected"),
    [
        ("int", 7, 7),
        ("int", "7", 7),
        ("text", 7, "7"),
        ("text", "'; DROP TABLE t; --", "'; DROP TABLE t; --"),
        ("numeric", Decimal("1.10"), Decimal("1.10")),
        ("bool", True, True),
        ("date", "2024-01-15", "2024-01-15"),
        ("timestamptz", "2024-01-15T10:00:00Z", "2024-01-15T10:00:00+00:00"),
        ("jsonb", {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        ("jsonb", "text", "text"),
        ("bytea", "aGk=", "aGk="),
        ("text[]", ["a", "b,c"], ["a", "b,c"]),
        ("int[]", [1, 2], [1, 2]),
        ("text", None, None),
        ("float8", "1.5", Decimal("1.5")),
        ("time", "10:00", "10:00:00"),
        ("timestamp", "2024-01-15T10:00:00", "2024-01-15T10:00:00"),
        ("timestamptz", "infinity", "infinity"),
        ("interval", "P1D", "P1D"),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("int[][]", [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
    ],
)
def test_parameters_are_what_json_has_and_are_bound(database: Database, type: str, given: Json, expected: Json) -> None:
    assert value(database, f"$1::{type}", given) == expected


def test_rows_beyond_the_limit_are_not_read(database: Database) -> None:
    answer = query(database, "SELECT generate_series(1, 1000000) AS n", maxRows=2)

    assert answer == {"rows": [{"n": 1}, {"n": 2}], "rowCount": 2, "truncated": True}


def test_a_statement_may_change_rows_and_return_them(database: Database) -> None:
    execute(database, "CREATE TABLE orders (id int PRIMARY KEY, total numeric)")

    added = query(database, "INSERT INTO orders VALUES ($1, $2) RETURNING id", 1, "9.90")

    assert added["rows"] == [{"id": 1}]
    assert query(database, "SELECT total FROM orders")["rows"] == [{"total": Decimal("9.90")}]
    assert execute(database, "UPDATE orders SET total = 1") == {"command": "UPDATE", "rowCount": 1}
    assert execute(database, "VACUUM orders") == {"command": "VACUUM", "rowCount": None}


def test_read_only_refuses_a_change(database: Database) -> None:
    error = failure(database, "CREATE TABLE never (id int)", readOnly=True)

    assert error.details == {"providerCode": "25006"}
    assert value(database, "to_regclass('never')::text") is None


@pytest.mark.parametrize(
    ("sql", "params", "told", "code"),
    [
        ("SELEC 1", (), 'PostgreSQL: syntax error at or near "SELEC"', "42601"),
        ("SELECT 1; SELECT 2", (), "PostgreSQL: cannot insert multiple commands into a prepared statement", "42601"),
        ("SELECT 'x'::int", (), 'PostgreSQL: invalid input syntax for type integer: "x"', "22P02"),
        ("SELECT * FROM nothing", (), 'PostgreSQL: relation "nothing" does not exist', "42P01"),
    ],
)
def test_what_the_server_refuses_is_told_with_its_code(
    database: Database, sql: str, params: tuple[Json, ...], told: str, code: str
) -> None:
    error = failure(database, sql, *params)

    assert (error.message, error.kind, error.retryable) == (told, "provider", False)
    assert error.details == {"providerCode": code}


def test_the_number_of_parameters_must_be_that_of_the_statement(database: Database) -> None:
    assert failure(database, "SELECT $1::int").message == "The statement takes 1 parameters, 0 were given"


@pytest.mark.parametrize(
    ("type", "given"),
    [
        ("int4", "x"),
        ("int4", 1.5),
        ("int4", True),
        ("bytea", "a b"),
        ("date", "soon"),
        ("timestamptz", 5),
        ("bool", "maybe"),
        ("int4[]", 1),
        ("numeric", {}),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(database: Database, type: str, given: Json) -> None:
    told = f"Parameter $1 is not what the type {type.removesuffix('[]') if given != 1 else type} takes"

    assert failure(database, f"SELECT $1::{type}", given).message == told


def test_a_conflict_that_may_pass_is_retryable(database: Database) -> None:
    error = failure(database, "DO $$ BEGIN RAISE EXCEPTION 'busy' USING ERRCODE = '40001'; END $$")

    assert (error.message, error.retryable) == ("PostgreSQL: busy", True)


def test_a_statement_ends_with_its_time(database: Database) -> None:
    error = failure(database, "SELECT pg_sleep(60)", timeout_s=0.3)

    assert (error.message, error.kind, error.retryable) == ("Statement timeout", "timeout", True)
    assert error.outcome_unknown
    left = "SELECT count(*) AS n FROM pg_stat_activity WHERE query = $1 AND state = 'active'"
    assert query(database, left, "SELECT pg_sleep(60)")["rows"] == [{"n": 0}]


def test_a_wrong_password_is_told_without_it(database: Database) -> None:
    error = failure(replace(database, password="not-the-password"), "SELECT 1")

    assert error.message == 'PostgreSQL: password authentication failed for user "app"'
    assert "not-the-password" not in repr(error.details)


def test_a_server_that_does_not_answer_is_a_failure_of_the_network(database: Database) -> None:
    error = failure(replace(database, port=CLOSED_PORT), "SELECT 1")

    assert (error.message, error.kind, error.retryable) == ("Connection to localhost failed", "network", True)
    assert not error.outcome_unknown


def test_the_egress_guard_judges_the_address(database: Database) -> None:
    given = {"sql": "SELECT 1", "params": [], "maxRows": 1, "readOnly": True}
    for allow_private, host in ((False, "localhost"), (True, "169.254.169.254")):
        with pytest.raises(StepError, match="refused: it is a"):
            asyncio.run(Postgres(allow_private=allow_private).query(replace(database, host=host), given, 5))


def encrypted(database: Database, certificate: Path, mode: str, host: str, *, known: bool = True) -> Json:
    """The answer over an encrypted connection, the certificate being trusted if it is `known`."""
    authorities = certificate.read_text().partition("-----BEGIN PRIVATE KEY")[0] if known else None
    given = {"sql": "SELECT 1 AS one", "params": [], "maxRows": 1, "readOnly": True}
    with encrypting(database.port, certificate) as port:
        there = replace(database, tls=mode, host=host, port=port)
        return asyncio.run(Postgres(allow_private=True, authorities=authorities).query(there, given, 5))["rows"]


def test_an_encrypted_connection_checks_the_certificate_unless_told_otherwise(
    database: Database, certificate: Path
) -> None:
    assert encrypted(database, certificate, "require", "127.0.0.1", known=False) == [{"one": 1}]
    assert encrypted(database, certificate, "verify", "localhost") == [{"one": 1}]


@pytest.mark.parametrize(("host", "known"), [("localhost", False), ("127.0.0.1", True)])
def test_a_certificate_that_is_unknown_or_of_another_name_is_refused(
    database: Database, certificate: Path, host: str, known: bool
) -> None:
    with pytest.raises(StepError, match=f"The certificate of {host} is not valid"):
        encrypted(database, certificate, "verify", host, known=known)


@pytest.mark.parametrize("mode", ["require", "verify"])
def test_encryption_that_the_server_does_not_offer_is_told(database: Database, mode: str) -> None:
    assert "does not offer encryption" in failure(replace(database, tls=mode), "SELECT 1").message
