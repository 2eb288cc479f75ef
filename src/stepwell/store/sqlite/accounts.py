"""End users, auth configs, and connecting in progress, in SQLite."""

from collections.abc import Sequence
from typing import Any

import apsw

from stepwell.store.rows_triggers import AccountLink, AuthConfig, EndUser, OAuthGrant
from stepwell.store.sql import load
from stepwell.store.sqlite.codec import key, text
from stepwell.store.sqlite.database import Database, rows

SQL = load("accounts.sql")
_HIGHEST = b"\xff" * 16


class SqliteAccounts:
    """The verbs on end users, auth configs, links and authorizations; see store.port_triggers.Accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_user(self, user: EndUser) -> EndUser:
        return await self._database.write(_put_user, user)

    async def set_active(self, workspace: str, user: str, active: bool) -> bool:
        bindings = {"workspace": key(workspace), "id": key(user), "active": active}
        return await self._database.write(_change, ("set_user_active", bindings))

    async def put_config(self, config: AuthConfig) -> None:
        bindings = {
            "workspace": key(config.workspace),
            "id": key(config.id),
            "provider": config.provider,
            "name": config.name,
            "scheme": config.scheme,
            "sealed": config.sealed,
            "updated_at": config.updated_at,
        }
        await self._database.write(_change, ("put_config", bindings))

    async def delete_config(self, workspace: str, id: str) -> bool:
        return await self._database.write(_change, ("delete_config", {"workspace": key(workspace), "id": key(id)}))

    async def put_link(self, link: AccountLink) -> None:
        bindings = {
            "hash": link.hash,
            "workspace": key(link.workspace),
            "connection": key(link.connection),
            "callback_url": link.callback_url,
            "expires_at": link.expires_at,
        }
        await self._database.write(_change, ("put_link", bindings))

    async def put_grant(self, grant: OAuthGrant) -> None:
        bindings = {
            "hash": grant.hash,
            "workspace": key(grant.workspace),
            "connection": key(grant.connection),
            "sealed": grant.sealed,
            "expires_at": grant.expires_at,
        }
        await self._database.write(_change, ("put_grant", bindings))

    async def take_link(self, hash: bytes, now: int) -> AccountLink | None:
        found = await self._database.write(_take, ("get_link", "delete_link", {"hash": hash, "now": now}))
        return None if found is None else _link(found)

    async def take_grant(self, hash: bytes, now: int) -> OAuthGrant | None:
        found = await self._database.write(_take, ("get_grant", "delete_grant", {"hash": hash, "now": now}))
        return None if found is None else _grant(found)

    async def forget_expired(self, now: int, limit: int) -> int:
        return await self._database.write(_forget, {"now": now, "limit": limit})

    async def user(self, workspace: str, id: str) -> EndUser | None:
        found = self._database.read(SQL["get_user"], {"workspace": key(workspace), "id": key(id)})
        return _user(workspace, found[0]) if found else None

    async def user_named(self, workspace: str, username: str) -> EndUser | None:
        found = self._database.read(SQL["get_user_named"], {"workspace": key(workspace), "username": username})
        return _user(workspace, found[0]) if found else None

    async def users(self, workspace: str, *, search: str | None, offset: int, limit: int) -> tuple[list[EndUser], int]:
        bindings = {"workspace": key(workspace), "search": search.lower() if search else None}
        found = self._database.read(SQL["list_users"], {**bindings, "offset": offset, "limit": limit})
        total: int = self._database.read(SQL["count_users"], bindings)[0][0]
        return [_user(workspace, row) for row in found], total

    async def config(self, workspace: str, id: str) -> AuthConfig | None:
        found = self._database.read(SQL["get_config"], {"workspace": key(workspace), "id": key(id)})
        return _config(workspace, found[0]) if found else None

    async def configs(
        self, workspace: str, *, provider: str | None, offset: int, limit: int, before: str | None = None
    ) -> tuple[list[AuthConfig], int]:
        bindings = {"workspace": key(workspace), "provider": provider}
        place = {"before": _HIGHEST if before is None else key(before), "offset": offset, "limit": limit}
        found = self._database.read(SQL["list_configs"], {**bindings, **place})
        total: int = self._database.read(SQL["count_configs"], bindings)[0][0]
        return [_config(workspace, row) for row in found], total

    async def link_of(self, hash: bytes, now: int) -> AccountLink | None:
        found = self._database.read(SQL["get_link"], {"hash": hash, "now": now})
        return _link(found[0]) if found else None


def _put_user(connection: apsw.Connection, user: EndUser) -> EndUser:
    row = {
        "workspace": key(user.workspace),
        "id": key(user.id),
        "username": user.username,
        "active": user.active,
    }
    connection.execute(SQL["insert_user"], row)
    found = rows(connection, SQL["get_user_named"], {"workspace": row["workspace"], "username": user.username})
    return _user(user.workspace, found[0])


def _take(connection: apsw.Connection, wanted: tuple[str, str, dict[str, Any]]) -> Sequence[Any] | None:
    get, delete, bindings = wanted
    found = rows(connection, SQL[get], bindings)
    if not found:
        return None
    connection.execute(SQL[delete], bindings)
    row: Sequence[Any] = found[0]
    return row


def _forget(connection: apsw.Connection, bindings: dict[str, Any]) -> int:
    removed = 0
    for name in ("forget_links", "forget_grants"):
        connection.execute(SQL[name], bindings)
        removed += connection.changes()
    return removed


def _change(connection: apsw.Connection, wanted: tuple[str, dict[str, Any]]) -> bool:
    name, bindings = wanted
    connection.execute(SQL[name], bindings)
    return connection.changes() > 0


def _user(workspace: str, row: Sequence[Any]) -> EndUser:
    return EndUser(workspace=workspace, id=text(row[0]), username=row[1], active=bool(row[2]))


def _config(workspace: str, row: Sequence[Any]) -> AuthConfig:
    return AuthConfig(
        workspace=workspace,
        id=text(row[0]),
        provider=row[1],
        name=row[2],
        scheme=row[3],
        updated_at=row[4],
        sealed=row[5],
    )


def _link(row: Sequence[Any]) -> AccountLink:
    return AccountLink(
        hash=row[0], workspace=text(row[1]), connection=text(row[2]), callback_url=row[3], expires_at=row[4]
    )


def _grant(row: Sequence[Any]) -> OAuthGrant:
    return OAuthGrant(hash=row[0], workspace=text(row[1]), connection=text(row[2]), sealed=row[3], expires_at=row[4])
