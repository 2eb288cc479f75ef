"""API keys: made, listed, revoked. Source: LoopFour contract 2."""

from collections.abc import Sequence

import msgspec

from stepwell import ids as uuids
from stepwell.auth import DIALECTS, Authenticator, hash_key, new_key_text, shown_prefix
from stepwell.clock import Clock
from stepwell.core.checks import name_faults, refuse
from stepwell.errors import Fault, NotFound
from stepwell.ids import Ids
from stepwell.store import Key, Store


class NewKey(msgspec.Struct, frozen=True):
    """A key that was just made; its text is never shown again."""

    key: Key
    text: str

    def __repr__(self) -> str:
        return f"NewKey({self.key!r})"


class Keys:
    """The use cases on keys."""

    def __init__(self, store: Store, clock: Clock, ids: Ids, authenticator: Authenticator | None = None) -> None:
        """`authenticator` is told of revoked keys; none where nobody authenticates, as on the command line."""
        self._store = store.keys
        self._clock = clock
        self._ids = ids
        self._authenticator = authenticator

    async def create(
        self,
        workspace: str,
        name: str,
        scopes: Sequence[str],
        *,
        expires_at: int | None = None,
        dialect: str = "loopfour",
    ) -> NewKey:
        """Make a key. `expires_at` is in epoch ms.

        Raises:
            ValidationFailed: a scope or the dialect is not known, no scope, a bad name, or an end that is past.
        """
        faults = name_faults(name)
        known = DIALECTS.get(dialect)
        if not scopes:
            faults.append(Fault(("scopes",), "Required"))
        for index, scope in enumerate(scopes if known else ()):
            if scope not in DIALECTS[dialect].scopes:
                faults.append(Fault(("scopes", index), f"Unknown scope: {scope}"[:300]))
        if expires_at is not None and expires_at <= self._clock.now_ms():
            faults.append(Fault(("expiresAt",), "Must be in the future"))
        if known is None:
            faults.append(Fault(("dialect",), f"Unknown dialect: {dialect}"[:300]))
        refuse(faults)
        text = new_key_text(dialect)
        key = Key(
            workspace=workspace,
            id=self._ids.new(),
            hash=hash_key(text),
            prefix=shown_prefix(text),
            name=name,
            scopes=tuple(dict.fromkeys(scopes)),
            dialect=dialect,
            expires_at=expires_at,
        )
        await self._store.create(key)
        return NewKey(key, text)

    async def page(self, workspace: str, *, before: str | None = None, limit: int = 50) -> list[Key]:
        """Keys, revoked ones included, newest first, after the one with the id `before`."""
        return await self._store.page(workspace, before=before, limit=limit)

    async def revoke(self, workspace: str, key: str) -> None:
        """End a key's life at once; raises NotFound if there is no such key."""
        uuid = uuids.parse(key)
        if uuid is None or not await self._store.revoke(workspace, uuid, self._clock.now_ms()):
            raise NotFound("Key not found")
        if self._authenticator is not None:
            self._authenticator.forget(uuid)
