"""API keys: their text, and who a request comes from."""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass

from stepwell.auth.scopes import DIALECTS, SCOPES, granted
from stepwell.clock import Clock
from stepwell.errors import InvalidKey, KeyExpired, StoreUnavailable, Unauthorized
from stepwell.store import Key, Keys

MAX_CACHED = 10_000
FRESH_S = 60.0
_SHOWN = 8
_REFUSED = "Invalid or missing API key"
_ADMIN_ID = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from. `scopes` are those of the core; `dialect` is the key's."""

    workspace: str
    key_id: str
    key_name: str
    scopes: frozenset[str]
    dialect: str


def new_key_text(dialect: str) -> str:
    """The text of a new key: the dialect's prefix and 32 or 40 characters of `[A-Za-z0-9_-]`."""
    known = DIALECTS[dialect]
    return known.prefix + known.infix + secrets.token_urlsafe(known.characters * 3 // 4)


def hash_key(text: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(text.encode(errors="replace")).digest()


def shown_prefix(text: str) -> str:
    """The part of a key that stays visible."""
    return text[:_SHOWN]


class Authenticator:
    """Tells whose a key is. Keys are remembered for a minute; a revoked one is forgotten at once.

    Nothing a caller sends is kept but the hashes of keys that exist, so the cache is bounded by them as well.
    """

    def __init__(
        self, keys: Keys, clock: Clock, *, admin_key: str | None = None, admin_workspace: str | None = None
    ) -> None:
        """`admin_key` is accepted as an admin key of `admin_workspace` without being stored."""
        self._keys = keys
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._forgotten = 0
        self._admin: tuple[bytes, Principal] | None = None
        if admin_key is not None and admin_workspace is not None:
            principal = Principal(admin_workspace, _ADMIN_ID, "STEPWELL_ADMIN_KEY", SCOPES, "loopfour")
            self._admin = (hash_key(admin_key), principal)

    async def authenticate(self, text: str | None) -> Principal:
        """The principal behind a key's text.

        Raises:
            Unauthorized: no key, or one that is unknown, expired or revoked.
        """
        if not text:
            raise Unauthorized(_REFUSED)
        hash = hash_key(text)
        known = self._known.get(hash)
        if known is None or known.stale_at <= self._clock.monotonic():
            known = await self._look_up(hash)
        if not hmac.compare_digest(hash, known.hash):
            raise _refused()
        if known.expires_at is not None and known.expires_at <= self._clock.now_ms():
            raise KeyExpired(_REFUSED)
        return known.principal

    def forget(self, key_id: str) -> None:
        """A key was revoked or changed: look it up again when it is used next."""
        self._forgotten += 1
        self._known = OrderedDict(
            (hash, known) for hash, known in self._known.items() if known.principal.key_id != key_id
        )

    async def _look_up(self, hash: bytes) -> "_Known":
        if self._admin is not None and hmac.compare_digest(hash, self._admin[0]):
            return _Known(hash, self._admin[1], None, self._clock.monotonic() + FRESH_S)
        self._known.pop(hash, None)
        forgotten = self._forgotten
        key = await self._keys.find(hash)
        if key is None or key.revoked_at is not None:
            raise _refused()
        principal = Principal(key.workspace, key.id, key.name, granted(key.dialect, key.scopes), key.dialect)
        known = _Known(key.hash, principal, key.expires_at, self._clock.monotonic() + FRESH_S)
        if forgotten == self._forgotten:  # else it may have been revoked while it was read
            self._known[hash] = known
            if len(self._known) > MAX_CACHED:
                self._known.popitem(last=False)
        await self._note_use(key)
        return known

    async def _note_use(self, key: Key) -> None:
        """Keep the time of use, at most once a minute; a store that cannot be written now refuses nobody."""
        now = self._clock.now_ms()
        unused = key.last_used_at is None or now - key.last_used_at >= FRESH_S * 1000
        if unused and (key.expires_at is None or now < key.expires_at):
            try:
                await self._keys.touch(key.workspace, key.id, now)
            except StoreUnavailable:
                return


@dataclass(frozen=True, slots=True)
class _Known:
    hash: bytes
    principal: Principal
    expires_at: int | None
    stale_at: float


def _refused() -> InvalidKey:
    return InvalidKey(_REFUSED)
