"""Rotation: another vault key, without a moment in which something cannot be opened."""

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from stepwell.auth import CannotOpen, Vault
from stepwell.core import outbox, repeats, secrets, triggers, variables
from stepwell.core.credentials import record_of
from stepwell.core.endpoint_sender import secret_record
from stepwell.core.oauth import grant_record
from stepwell.core.tokens import config_record
from stepwell.events import Events
from stepwell.store import SEAL_KINDS, Seal, SealKind, Store

BATCH = 200
"""Values that are wrapped anew in one transaction."""
BATCHES = 20
"""And so many batches in one step: some tens of milliseconds of the writer each."""


class VaultStatus(msgspec.Struct, frozen=True):
    """The vault's keys, by their names, and how many values older keys have sealed. `unreadable` ones are sealed by a
    key that is lost, or damaged: no key is kept for them. `rewrapped` were in the last step."""

    key_id: str
    older_ids: tuple[str, ...]
    in_file: bool
    remaining: dict[SealKind, int]
    rewrapped: int = 0
    unreadable: int = 0

    @property
    def sealed(self) -> bool:
        """Whether the current key has sealed all that can be opened."""
        return sum(self.remaining.values()) <= self.unreadable

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do: older keys in the file are forgotten too."""
        return self.sealed and not (self.in_file and self.older_ids)


class Rotation:
    """Makes a new vault key and wraps the data keys of all sealed values with it, in steps that may be interrupted."""

    def __init__(self, store: Store, vault: Vault, events: Events) -> None:
        self._store = store
        self._vault = vault
        self._events = events
        self._turn = asyncio.Lock()

    async def status(self) -> VaultStatus:
        """How things stand; changes nothing."""
        remaining = await self._store.seals.counts(self._vault.head)
        return self._status(remaining)

    async def step(self, *, begin: bool) -> VaultStatus:
        """Go on with a rotation. If none is under way and `begin` is said, make a new key; keys of the settings are not
        made here, but values are wrapped by the present one. Once nothing needs the older keys they are forgotten.

        Raises:
            OSError: the key file cannot be written; nothing has changed.
        """
        async with self._turn:
            if begin and not self._vault.older_ids and self._vault.in_file:
                self._vault.turn()
                self._events.emit("vault.turned", key=self._vault.key_id)
            await self._rewrap_probe()
            rewrapped, unreadable, ended = await self._rewrap()
            remaining = await self._store.seals.counts(self._vault.head)
            status = self._status(remaining, rewrapped, unreadable)
            if ended and not rewrapped and status.sealed and self._vault.older_ids and self._vault.in_file:
                self._vault.forget_older()
                self._events.emit("vault.rotated", key=self._vault.key_id)
                status = self._status(remaining, rewrapped, unreadable)
            return status

    async def _rewrap_probe(self) -> None:
        probe = await self._store.keys.vault_probe(self._vault.probe())
        if not probe.startswith(self._vault.head):
            await self._store.seals.replace_probe(probe, self._vault.probe())

    async def _rewrap(self) -> tuple[int, int, bool]:
        """How many values were wrapped anew and how many cannot be opened, and whether all were looked at."""
        rewrapped = unreadable = batches = 0
        for kind in SEAL_KINDS:
            passed = 0
            while found := await self._store.seals.page(kind, self._vault.head, offset=passed, limit=BATCH):
                if batches == BATCHES:
                    return rewrapped, unreadable, False
                changed = [(seal, new) for seal in found if (new := self._wrapped(seal)) is not None]
                passed += len(found) - len(changed)
                rewrapped += await self._store.seals.replace(tuple(changed)) if changed else 0
                batches += 1
            unreadable += passed
        return rewrapped, unreadable, True

    def _wrapped(self, seal: Seal) -> bytes | None:
        try:
            return self._vault.rewrap(seal.workspace, RECORDS[seal.kind](*seal.names), seal.sealed)
        except CannotOpen:
            self._events.emit("vault.unreadable", kind=seal.kind, record=":".join(seal.names))
            return None

    def _status(self, remaining: dict[SealKind, int], rewrapped: int = 0, unreadable: int = 0) -> VaultStatus:
        vault = self._vault
        return VaultStatus(vault.key_id, tuple(vault.older_ids), vault.in_file, remaining, rewrapped, unreadable)


RECORDS: Mapping[SealKind, Callable[..., str]] = {
    "connections": record_of,
    "secrets": secrets.sealed_for,
    "outbox": outbox.sealed_for,
    "auth_configs": config_record,
    "oauth_grants": grant_record,
    "triggers": triggers.sealed_for,
    "endpoints": secret_record,
    "endpoints_old": secret_record,
    "variables": variables.sealed_for,
    "repeats": repeats.sealed_for,
}
"""What the values of each kind are sealed for, given their names."""
