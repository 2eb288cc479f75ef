"""PostgreSQL: one statement on a connection of its own, over a guarded address, with bound parameters."""

import asyncio
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import asyncpg

from stepwell.connectors.egress import EgressRefused, resolve
from stepwell.connectors.shape import text_of
from stepwell.errors import StepError
from stepwell.values import InvalidJson, Json, decode, encode

CLOSE_S = 2.0

_AS_TEXT = ("interval", "timetz", "inet", "cidr", "macaddr", "money", "xml", "bit", "varbit")
_FIRST, _LAST = datetime.min, datetime.max  # noqa: DTZ901 - what the driver has for the infinities
_FOR_NOW = ("08", "40", "53", "57P")  # SQLSTATEs of what may pass: connection, conflict, resources, shutdown


@dataclass(frozen=True, slots=True)
class Database:
    """Where a database is. `tls`: verify (certificate and name), require (encrypted only) or none."""

    host: str
    port: int
    name: str
    username: str
    tls: str
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, credentials: Mapping[str, str]) -> "Database":
        """The database of a postgres connection's credentials."""
        return cls(
            host=credentials["host"],
            port=int(credentials["port"]),
            name=credentials["database"],
            username=credentials["username"],
            tls=credentials["tls"],
            password=credentials.get("password"),
        )


class Postgres:
    """Runs statements, a connection each: none rides on a session that another has changed."""

    def __init__(self, *, allow_private: bool, authorities: str | None = None) -> None:
        """`authorities` are certificates (PEM) that are trusted in place of the machine's."""
        self._allow_private = allow_private
        self._authorities = authorities

    async def query(self, database: Database, params: Mapping[str, Json], timeout_s: float) -> Json:
        """Run `{sql, params?, maxRows, readOnly}` in a transaction: `{rows, rowCount, truncated}`, at most `maxRows`
        rows. Of columns of one name the last counts.

        Raises:
            StepError: kind provider (the server refuses, its SQLSTATE as `providerCode`), network or timeout.
        """
        most = int(params["maxRows"])

        async def run(connection: Any, statement: Any, bound: list[Json]) -> Json:
            async with connection.transaction(readonly=params["readOnly"]):
                cursor = await statement.cursor(*bound)
                rows = [_row(record) for record in await cursor.fetch(most + 1)]
            return {"rows": rows[:most], "rowCount": len(rows[:most]), "truncated": len(rows) > most}

        return await self._attempt(database, params, timeout_s, run, harmless=params["readOnly"])

    async def execute(self, database: Database, params: Mapping[str, Json], timeout_s: float) -> Json:
        """Run `{sql, params?}` by itself: `{command, rowCount}`; `rowCount` is how many rows it changed, null if it is
        no statement that counts. Raises as `query` does."""

        async def run(connection: Any, statement: Any, bound: list[Json]) -> Json:
            await statement.fetch(*bound)
            words = statement.get_statusmsg().split()
            return {"command": words[0], "rowCount": int(words[-1]) if words[-1].isdigit() else None}

        return await self._attempt(database, params, timeout_s, run, harmless=False)

    async def _attempt(
        self, database: Database, params: Mapping[str, Json], timeout_s: float, run: Any, *, harmless: bool
    ) -> Json:
        connection: Any = None
        begun = False
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self._open(database, timeout_s)
                statement = await connection.prepare(params["sql"])
                bound = _bound(statement, params.get("params") or [])
                begun = True
                return await run(connection, statement, bound)
        except EgressRefused as refusal:
            raise StepError(refusal.sentence(database.host), kind="network") from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError, OverflowError) as error:
            raise _failure(error, database.host, begun and not harmless, connection is not None) from None
        finally:
            if connection is not None:
                await _close(connection)

    async def _open(self, database: Database, timeout_s: float) -> Any:
        """A connection to the first address of the host that may be and can be reached. The driver is given the address
        that was judged: it does not ask for the host's addresses again."""
        failure: Exception = OSError("no address")
        for address in await resolve(database.host, database.port, self._allow_private):
            try:
                connection = await asyncpg.connect(
                    host=address,
                    port=database.port,
                    user=database.username,
                    password=database.password or "",
                    database=database.name,
                    ssl=self._tls(database),
                    passfile="",
                    timeout=timeout_s,
                    server_settings={
                        "application_name": "stepwell",
                        "datestyle": "ISO",
                        "intervalstyle": "iso_8601",
                        "timezone": "UTC",
                        "statement_timeout": str(max(1, round(timeout_s * 1000))),
                    },
                    statement_cache_size=0,
                )
            except OSError as error:
                failure = error
                continue
            await _set_codecs(connection)
            return connection
        raise failure

    def _tls(self, database: Database) -> "ssl.SSLContext | bool":
        if database.tls == "none":
            return False
        context = _Named(database.host)
        if database.tls == "require":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self._authorities is not None:
            context.load_verify_locations(cadata=self._authorities)
        else:
            context.load_default_certs()
        return context


class _Named(ssl.SSLContext):
    """Asks for, and checks, the name of the host: the driver itself knows only the address."""

    def __new__(cls, host: str) -> "_Named":
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, host: str) -> None:
        self._host = host

    def wrap_bio(self, incoming: Any, outgoing: Any, server_side: bool = False, *_: Any, **__: Any) -> Any:
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname=self._host)


async def _set_codecs(connection: Any) -> None:
    """What the driver would read with loss, or into objects of its own, comes as the text that the server writes."""
    for name in _AS_TEXT:
        await _set_codec(connection, name, text_of, str)
    await _set_codec(connection, "float4", text_of, _number)
    for name in ("json", "jsonb"):
        await _set_codec(connection, name, lambda value: encode(value).decode(), _json)


async def _set_codec(connection: Any, name: str, encoder: Any, decoder: Any) -> None:
    await connection.set_type_codec(name, schema="pg_catalog", encoder=encoder, decoder=decoder, format="text")


def _number(text: str) -> Json:
    if text.lstrip("-")[:1].isdigit():
        return Decimal(text)
    return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(text, text)  # they are no JSON numbers


def _json(text: str) -> Json:
    try:
        return decode(text)
    except InvalidJson:
        return text


def _row(record: Any) -> dict[str, Json]:
    return {name: _value(value) for name, value in record.items()}


def _value(value: Any) -> Json:
    """What the driver gives as JSON: numbers with all their digits, times in ISO 8601, bytes in base64."""
    match value:
        case None | bool() | int() | str():
            return value
        case Decimal() | float():
            return _number(f"{value:f}" if isinstance(value, Decimal) else repr(value))
        case asyncpg.Record():
            return _row(value)
        case asyncpg.Range():
            return _range(value)
        case list() | tuple():
            return [_value(child) for child in value]
        case dict():
            return value  # read from JSON
        case bytes():
            return b64encode(value).decode()
        case datetime() | date() | time():
            return _moment(value)
    return str(value)


def _moment(value: date | time) -> str:
    if isinstance(value, time):
        return value.isoformat()
    plain = value.replace(tzinfo=None) if isinstance(value, datetime) else value
    if plain in (_LAST, date.max):
        return "infinity"
    return "-infinity" if plain in (_FIRST, date.min) else value.isoformat()


def _range(value: Any) -> str:
    """As PostgreSQL writes it: `[1,5)`."""
    if value.isempty:
        return "empty"
    low, high = ("" if end is None else text_of(_value(end)) for end in (value.lower, value.upper))
    return f"{'[' if value.lower_inc else '('}{low},{high}{']' if value.upper_inc else ')'}"


def _bound(statement: Any, params: list[Json]) -> list[Any]:
    """The parameters in the types that the driver wants for those of the statement."""
    expected = statement.get_parameters()
    if len(params) != len(expected):
        message = f"The statement takes {len(expected)} parameters, {len(params)} were given"
        raise StepError(message, kind="provider")
    numbered = enumerate(zip(expected, params, strict=True), 1)
    return [_fitted(number, type.name, value) for number, (type, value) in numbered]


def _fitted(number: int, type: str, value: Json) -> Any:
    if value is None:
        return None
    if type.endswith("[]"):
        if not isinstance(value, list):
            raise _unfit(number, type)
        of = type.removesuffix("[]")
        return [_fitted(number, type if isinstance(child, list) else of, child) for child in value]
    convert = _CONVERSIONS.get(type)
    try:
        return value if convert is None else convert(value)
    except (ValueError, TypeError, ArithmeticError):
        raise _unfit(number, type) from None


def _unfit(number: int, type: str) -> StepError:
    return StepError(f"Parameter ${number} is not what the type {type} takes", kind="provider")


def _whole(value: Json) -> int:
    number = Decimal(value) if not isinstance(value, bool) else Decimal("NaN")
    if number != number.to_integral_value():
        raise ValueError
    return int(number)


def _flag(value: Json) -> bool:
    if value not in (True, False, "true", "false", "t", "f"):
        raise ValueError
    return value in (True, "true", "t")


def _date(value: Json) -> date:
    return {"infinity": date.max, "-infinity": date.min}.get(value) or date.fromisoformat(value)


def _local(value: Json) -> datetime:
    return _time(value).replace(tzinfo=None)


def _absolute(value: Json) -> datetime:
    moment = _time(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _time(value: Json) -> datetime:
    return {"infinity": _LAST, "-infinity": _FIRST}.get(value) or datetime.fromisoformat(value)


_CONVERSIONS: Mapping[str, Callable[[Json], Any]] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), _whole),
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "uuid"), text_of),
    "bool": _flag,
    "numeric": Decimal,
    "float8": float,
    "bytea": lambda value: b64decode(value, validate=True),
    "date": _date,
    "time": time.fromisoformat,
    "timestamp": _local,
    "timestamptz": _absolute,
}


async def _close(connection: Any) -> None:
    """Say goodbye if there is time; what was committed stays committed."""
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await connection.close(timeout=CLOSE_S)
    connection.terminate()


def _failure(error: Exception, host: str, uncertain: bool, connected: bool) -> StepError:
    """What a failed statement is for the step."""
    if isinstance(error, TimeoutError | asyncpg.QueryCanceledError):
        message = "Statement timeout" if connected else "Connection timeout"
        return StepError(message, kind="timeout", retryable=True, outcome_unknown=uncertain)
    if isinstance(error, asyncpg.PostgresError):
        code = str(error.sqlstate or "")
        return StepError(
            f"PostgreSQL: {error.args[0] if error.args else code}",
            kind="provider",
            retryable=code.startswith(_FOR_NOW),
            details={"providerCode": code} if code else None,
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return StepError(f"The certificate of {host} is not valid", kind="network")
    if "rejected SSL" in str(error):
        return StepError(f"{host} does not offer encryption; the connection's `tls` asks for it", kind="network")
    if isinstance(error, OSError | asyncpg.ConnectionDoesNotExistError):
        message = f"Connection to {host} lost" if connected else f"Connection to {host} failed"
        return StepError(message, kind="network", retryable=True, outcome_unknown=uncertain)
    return StepError(f"PostgreSQL: {str(error)[:500]}", kind="provider")
