"""Variables of workspaces: what every deploy of the workspace may read, the secret ones sealed. Source: AwaitStep
contract 4.3, 7."""

import msgspec

from stepwell.auth import Vault
from stepwell.clock import Clock
from stepwell.core.checks import refuse
from stepwell.core.secrets import value_faults
from stepwell.errors import AlreadyExists, NotFound
from stepwell.ids import Ids
from stepwell.store import Store, StoredVariable


class Variables:
    """The use cases on the variables of a workspace."""

    def __init__(self, store: Store, vault: Vault, clock: Clock, ids: Ids) -> None:
        self._store = store.sources
        self._vault = vault
        self._clock = clock
        self._ids = ids

    async def all(self, workspace: str) -> list[StoredVariable]:
        """All of them, newest first."""
        return sorted(await self._store.variables(workspace), key=lambda each: each.id, reverse=True)

    async def get(self, workspace: str, id: str) -> StoredVariable:
        """One of them. Raises NotFound."""
        for each in await self._store.variables(workspace):
            if each.id == id:
                return each
        raise NotFound("Environment variable not found")

    async def create(self, workspace: str, name: str, value: str, *, secret: bool) -> StoredVariable:
        """Store a new one.

        Raises:
            AlreadyExists: the name is taken.
            ValidationFailed: a secret that is too short to be masked.
        """
        made = StoredVariable(workspace=workspace, id=self._ids.new(), name=name, secret=secret)
        return await self._put(made, value)

    async def change(
        self, workspace: str, id: str, *, name: str | None, value: str | None, secret: bool | None
    ) -> StoredVariable:
        """Change what is given. Raises NotFound, and as `create` does."""
        stored = await self.get(workspace, id)
        kept = self._value(stored) if value is None else value
        changed = msgspec.structs.replace(
            stored, name=name or stored.name, secret=stored.secret if secret is None else secret
        )
        return await self._put(changed, kept)

    async def delete(self, workspace: str, id: str) -> None:
        """Remove one. Raises NotFound."""
        if not await self._store.delete_variable(workspace, id):
            raise NotFound("Environment variable not found")

    async def values(self, workspace: str) -> dict[str, tuple[str, bool]]:
        """The value of each by name, and whether it is secret. Raises CannotOpen if one is damaged."""
        return {each.name: (self._value(each), each.secret) for each in await self._store.variables(workspace)}

    async def _put(self, variable: StoredVariable, value: str) -> StoredVariable:
        sealed = None
        if variable.secret:
            refuse(value_faults(value))
            sealed = self._vault.seal(variable.workspace, sealed_for(variable.id), value.encode())
        made = msgspec.structs.replace(
            variable, value=None if variable.secret else value, sealed=sealed, updated_at=self._clock.now_ms()
        )
        if not await self._store.put_variable(made):
            raise AlreadyExists(f"Environment variable already exists: {variable.name}")
        return made

    def _value(self, variable: StoredVariable) -> str:
        if variable.sealed is None:
            return variable.value or ""
        return self._vault.open(variable.workspace, sealed_for(variable.id), variable.sealed).decode()


def sealed_for(id: str) -> str:
    """What a secret variable is sealed for."""
    return f"variable:{id}"
