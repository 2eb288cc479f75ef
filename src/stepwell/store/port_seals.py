"""What a store offers to wrap sealed values anew, over all workspaces; see store.port for the rules of all verbs."""

from typing import Literal, Protocol, TypeAlias, get_args

import msgspec

SealKind: TypeAlias = Literal[
    "connections",
    "secrets",
    "outbox",
    "auth_configs",
    "oauth_grants",
    "triggers",
    "endpoints",
    "endpoints_old",
    "variables",
    "repeats",
]
SEAL_KINDS: tuple[SealKind, ...] = get_args(SealKind)
"""Every column that holds sealed values, by its table."""


class Seal(msgspec.Struct, frozen=True):
    """A sealed value and whose it is. `names` tell the record within the workspace: of a secret workflow and name, of
    an errand the operation, of an authorization the hash in hex, of an answer place and key, else an id."""

    kind: SealKind
    workspace: str
    names: tuple[str, ...]
    sealed: bytes


class Seals(Protocol):
    """Sealed values, wherever they are."""

    async def page(self, kind: SealKind, head: bytes, *, offset: int, limit: int) -> list[Seal]:
        """Values that do not begin with `head`: those that another key than the current one has sealed."""
        ...

    async def replace(self, changed: tuple[tuple[Seal, bytes], ...]) -> int:
        """Put other bytes in the place of values, in one transaction, as far as they are still as they were read; how
        many were."""
        ...

    async def counts(self, head: bytes) -> dict[SealKind, int]:
        """How many values of each kind do not begin with `head`; kinds without any are left out."""
        ...

    async def replace_probe(self, old: bytes, new: bytes) -> bool:
        """Put other bytes in the place of the vault's probe, if it is still as it was read."""
        ...
