"""Where a unique index of SQLite becomes a domain error."""

from typing import Any

import apsw

from stepwell.errors import AlreadyExists


def execute(connection: apsw.Connection, sql: str, row: dict[str, Any], taken: str) -> int:
    """Run a statement that may meet a unique index; how many rows it changed.

    Raises:
        AlreadyExists: with the message `taken`.
    """
    try:
        connection.execute(sql, row)
    except apsw.ConstraintError as error:
        if getattr(error, "extendedresult", None) != apsw.SQLITE_CONSTRAINT_UNIQUE:
            raise  # a primary key taken twice is a fault of ours
        raise AlreadyExists(taken) from None
    return connection.changes()
