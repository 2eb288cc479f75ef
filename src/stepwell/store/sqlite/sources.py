"""What workflows were written as, in SQLite."""

from collections.abc import Sequence
from typing import Any

import apsw
import msgspec

from stepwell.store.rows_sources import Answered, Deployment, SourceVersion, SourceWorkflow, StoredVariable
from stepwell.store.sql import load
from stepwell.store.sqlite.codec import key, key_or_none, text, text_or_none
from stepwell.store.sqlite.database import Database, rows

SQL = load("sources.sql")
_HIGHEST = b"\xff" * 16

Bindings = dict[str, Any]


class SqliteSources:
    """The verbs on sources; see store.port_sources.Sources."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, workspace: str, workflow: str) -> SourceWorkflow | None:
        found = self._database.read(SQL["get_source"], _place(workspace, workflow))
        return _source(found[0]) if found else None

    async def put(self, source: SourceWorkflow) -> None:
        row = _columns(source, "current_version", "deployed_version")
        await self._database.write(_change, ("put_source", row), size=500 + len(source.env_vars))

    async def set_deployed(self, workspace: str, workflow: str, version: str | None, at: int) -> None:
        row = {**_place(workspace, workflow), "version": key_or_none(version), "at": at}
        await self._database.write(_change, ("set_deployed_version", row))

    async def delete(self, workspace: str, workflow: str) -> None:
        await self._database.write(_delete, _place(workspace, workflow))

    async def versions(self, workspace: str, workflow: str, *, before: str | None, limit: int) -> list[SourceVersion]:
        page = {**_place(workspace, workflow), "before": _before(before), "limit": limit}
        return [_version(row) for row in self._database.read(SQL["list_source_versions"], page)]

    async def version(self, workspace: str, workflow: str, id: str) -> SourceVersion | None:
        place = {**_place(workspace, workflow), "id": key(id)}
        found = self._database.read(SQL["get_source_version"], place)
        return _version(found[0]) if found else None

    async def save_version(self, version: SourceVersion, *, fresh: bool) -> tuple[SourceVersion, bool]:
        return await self._database.write(_save_version, (version, fresh), size=500 + len(version.body))

    async def put_version(self, version: SourceVersion) -> None:
        row = _columns(version)
        await self._database.write(_change, ("put_source_version", row), size=500 + len(version.body))

    async def delete_version(self, workspace: str, workflow: str, id: str) -> bool:
        place = {**_place(workspace, workflow), "id": key(id)}
        return await self._database.write(_change, ("delete_source_version", place)) > 0

    async def put_deployment(self, deployment: Deployment) -> None:
        await self._database.write(_change, ("put_deployment", _columns(deployment, "version")))

    async def deployments(
        self, workspace: str, *, workflow: str | None, before: str | None, limit: int
    ) -> list[Deployment]:
        page: Bindings = {"workspace": key(workspace), "before": _before(before), "limit": limit}
        name = "list_deployments"
        if workflow is not None:
            name, page["workflow"] = "list_deployments_of_workflow", key(workflow)
        return [_deployment(row) for row in self._database.read(SQL[name], page)]

    async def variables(self, workspace: str) -> list[StoredVariable]:
        found = self._database.read(SQL["list_variables"], {"workspace": key(workspace)})
        return [_variable(row) for row in found]

    async def put_variable(self, variable: StoredVariable) -> bool:
        return await self._database.write(_put_variable, _columns(variable))

    async def delete_variable(self, workspace: str, id: str) -> bool:
        bindings = {"workspace": key(workspace), "id": key(id)}
        return await self._database.write(_change, ("delete_variable", bindings)) > 0

    async def route(self, pattern: str) -> tuple[str, str] | None:
        found = self._database.read(SQL["get_route"], {"pattern": pattern})
        return (text(found[0][0]), text(found[0][1])) if found else None

    async def set_route(self, workspace: str, workflow: str, pattern: str | None) -> bool:
        return await self._database.write(_set_route, {**_place(workspace, workflow), "pattern": pattern})

    async def repeat(self, workspace: str, place: str, key: str, since: int) -> Answered | None:
        bindings = {**_of_key(workspace, place, key), "since": since}
        found = self._database.read(SQL["get_repeat"], bindings)
        return Answered(*found[0]) if found else None

    async def put_repeat(self, workspace: str, place: str, key: str, at: int, answered: Answered) -> None:
        row = {**_of_key(workspace, place, key), "at": at, "status": answered.status, "body": answered.body}
        await self._database.write(_change, ("put_repeat", row), size=500 + len(answered.body))

    async def forget_repeats(self, before: int, limit: int) -> int:
        return await self._database.write(_change, ("forget_repeats", {"before": before, "limit": limit}))


def _change(connection: apsw.Connection, wanted: tuple[str, Bindings]) -> int:
    connection.execute(SQL[wanted[0]], wanted[1])
    return connection.changes()


def _delete(connection: apsw.Connection, place: Bindings) -> None:
    for name in ("delete_source", "delete_source_versions", "delete_source_deployments", "delete_source_routes"):
        connection.execute(SQL[name], place)


def _save_version(connection: apsw.Connection, wanted: tuple[SourceVersion, bool]) -> tuple[SourceVersion, bool]:
    version, fresh = wanted
    place = _place(version.workspace, version.workflow)
    listed = rows(connection, SQL["list_source_versions"], {**place, "before": _HIGHEST, "limit": 1})
    newest = _version(listed[0]) if listed else None
    if newest is not None and not fresh:
        if newest.body == version.body:
            return newest, False
        ((deployed,),) = rows(connection, SQL["get_deployed_version"], place)
        if not newest.locked and deployed != key(newest.id):
            changed = msgspec.structs.replace(newest, body=version.body, updated_at=version.updated_at)
            connection.execute(SQL["put_source_version"], _columns(changed))
            return changed, False
    made = msgspec.structs.replace(version, number=1 if newest is None else newest.number + 1)
    connection.execute(SQL["put_source_version"], _columns(made))
    connection.execute(SQL["set_current_version"], {**place, "version": key(made.id), "at": made.updated_at})
    return made, True


def _put_variable(connection: apsw.Connection, row: Bindings) -> bool:
    try:
        connection.execute(SQL["put_variable"], row)
    except apsw.ConstraintError:
        return False
    return True


def _set_route(connection: apsw.Connection, wanted: Bindings) -> bool:
    place = {name: wanted[name] for name in ("workspace", "workflow")}
    if wanted["pattern"] is not None:
        taken = rows(connection, SQL["get_route"], {"pattern": wanted["pattern"]})
        if taken and tuple(taken[0]) != (place["workspace"], place["workflow"]):
            return False
    connection.execute(SQL["delete_source_routes"], place)
    if wanted["pattern"] is not None:
        connection.execute(SQL["put_route"], wanted)
    return True


_KEYS = ("workspace", "workflow", "id", "connection")


def _columns(row: msgspec.Struct, *nullable: str) -> Bindings:
    """The columns of a row; ids are packed, those of these names may be none."""
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    packed = {name: key(value) for name, value in fields.items() if name in _KEYS}
    return fields | packed | {name: key_or_none(fields[name]) for name in nullable}


def _source(row: Sequence[Any]) -> SourceWorkflow:
    return SourceWorkflow(
        workspace=text(row[0]),
        workflow=text(row[1]),
        kind=row[2],
        trigger_code=row[3],
        env_vars=row[4],
        deploy_config=row[5],
        current_version=text_or_none(row[6]),
        deployed_version=text_or_none(row[7]),
        updated_at=row[8],
    )


def _version(row: Sequence[Any]) -> SourceVersion:
    return SourceVersion(
        workspace=text(row[0]),
        workflow=text(row[1]),
        id=text(row[2]),
        number=row[3],
        body=row[4],
        locked=bool(row[5]),
        created_by=row[6],
        updated_at=row[7],
    )


def _deployment(row: Sequence[Any]) -> Deployment:
    return Deployment(
        workspace=text(row[0]),
        id=text(row[1]),
        workflow=text(row[2]),
        version=text_or_none(row[3]),
        connection=text(row[4]),
        service_name=row[5],
        service_url=row[6],
        status=row[7],
        error=row[8],
    )


def _variable(row: Sequence[Any]) -> StoredVariable:
    return StoredVariable(
        workspace=text(row[0]),
        id=text(row[1]),
        name=row[2],
        secret=bool(row[3]),
        value=row[4],
        sealed=row[5],
        updated_at=row[6],
    )


def _place(workspace: str, workflow: str) -> Bindings:
    return {"workspace": key(workspace), "workflow": key(workflow)}


def _of_key(workspace: str, place: str, name: str) -> Bindings:
    return {"workspace": key(workspace), "place": place, "key": name}


def _before(id: str | None) -> bytes:
    return _HIGHEST if id is None else key(id)
