"""Secrets of workflows: sealed when they are given, opened only for a run."""

import re
from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from stepwell.auth import Vault
from stepwell.clock import Clock
from stepwell.core.checks import refuse
from stepwell.errors import AlreadyExists, Fault, NotFound
from stepwell.store import Secret, Store

SHORTEST, LONGEST = 4, 65_536
KEPT = 500  # opened secrets
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,127}")


class SecretName(msgspec.Struct, frozen=True):
    """What is shown of a secret."""

    name: str
    updated_at: int


class Secrets:
    """The use cases on secrets. A reference is a workflow's id or slug.

    Every one raises NotFound if the workspace has no workflow of that reference.
    """

    def __init__(self, store: Store, vault: Vault, clock: Clock) -> None:
        self._store = store.workflows
        self._vault = vault
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str, bytes], str] = OrderedDict()

    async def create(self, workspace: str, reference: str, name: str, value: str) -> SecretName:
        """Store a new secret.

        Raises:
            ValidationFailed: the name or value is not fit.
            AlreadyExists: there is one of that name.
        """
        workflow = await self._workflow(workspace, reference)
        name_fault = [] if _NAME.fullmatch(name) else [Fault(("key",), "1 to 128 letters, digits, _ and -")]
        refuse([*name_fault, *value_faults(value)])
        secret = self._sealed(workspace, workflow, name, value)
        if not await self._store.put_secret(workspace, workflow, secret, replace=False):
            raise AlreadyExists(f"Secret already exists: {name}")
        return SecretName(name, secret.updated_at)

    async def replace(self, workspace: str, reference: str, name: str, value: str) -> SecretName:
        """Give a secret another value.

        Raises:
            NotFound: there is no such secret.
            ValidationFailed: the value is not fit.
        """
        workflow = await self._workflow(workspace, reference)
        if name not in {secret.name for secret in await self._store.secrets(workspace, workflow)}:
            raise NotFound("Secret not found")
        refuse(value_faults(value))
        secret = self._sealed(workspace, workflow, name, value)
        if not await self._store.put_secret(workspace, workflow, secret, replace=True):
            raise NotFound("Secret not found")
        return SecretName(name, secret.updated_at)

    async def names(self, workspace: str, reference: str) -> list[SecretName]:
        """All secrets, by name, without their values."""
        workflow = await self._workflow(workspace, reference)
        return [SecretName(secret.name, secret.updated_at) for secret in await self._store.secrets(workspace, workflow)]

    async def delete(self, workspace: str, reference: str, name: str) -> None:
        """Remove a secret; raises NotFound if there is none of that name."""
        workflow = await self._workflow(workspace, reference)
        if not await self._store.delete_secret(workspace, workflow, name):
            raise NotFound("Secret not found")

    async def open(self, workspace: str, workflow: str, names: Iterable[str]) -> dict[str, str]:
        """The values of those of the named secrets that exist. Raises CannotOpen if one is damaged."""
        wanted = frozenset(names)
        return {
            secret.name: self._opened(workspace, workflow, secret)
            for secret in await self._store.secrets(workspace, workflow)
            if secret.name in wanted
        }

    def _opened(self, workspace: str, workflow: str, secret: Secret) -> str:
        """The value of a secret; those opened last are kept, since a burst of webhooks needs the same one each time."""
        record = sealed_for(workflow, secret.name)
        key = (workspace, record, secret.sealed)
        value = self._kept.get(key)
        if value is None:
            value = self._kept[key] = self._vault.open(*key).decode()
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return value

    def _sealed(self, workspace: str, workflow: str, name: str, value: str) -> Secret:
        sealed = self._vault.seal(workspace, sealed_for(workflow, name), value.encode())
        return Secret(name, sealed, self._clock.now_ms())

    async def _workflow(self, workspace: str, reference: str) -> str:
        workflow = await self._store.get(workspace, reference)
        if workflow is None:
            raise NotFound("Workflow not found")
        return workflow.id


def sealed_for(workflow: str, name: str) -> str:
    """What a workflow's secret is sealed for."""
    return f"secret:{workflow}:{name}"


def value_faults(value: str) -> list[Fault]:
    """What is wrong with the value of a secret, at `value`."""
    if not value:
        return [Fault(("value",), "Required")]
    if len(value.strip()) < SHORTEST:
        return [
            Fault(("value",), f"At least {SHORTEST} characters: a shorter value could not be masked where it appears")
        ]
    if len(value) > LONGEST:
        return [Fault(("value",), f"At most {LONGEST} characters")]
    return []
