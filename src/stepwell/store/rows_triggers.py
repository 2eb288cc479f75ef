"""Frozen rows of what starts runs by itself: triggers, their firings, and the deliveries that arrived."""

import msgspec


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that starts runs. A workflow's own has the workflow's id; an `instance` stands beside the document.

    `config` is JSON text, written as the trigger of a definition is (LoopFour contract 11 and 12). `scheduled_at` is
    the instant due next by the rule, `next_at` when it is acted on, both in epoch ms.
    """

    workspace: str
    id: str
    kind: str  # schedule, webhook or poll
    slug: str  # schedule, webhook or <connector>.<event>
    workflow: str | None
    config: bytes
    updated_at: int
    instance: bool = False
    end_user: str | None = None
    connection: str | None = None
    provider: str | None = None
    path: str | None = None
    sealed: bytes | None = None
    status: str = "active"  # active, disabled (by a caller) or error (by the server, with a reason)
    reason: str | None = None
    scheduled_at: int | None = None
    next_at: int | None = None
    cursor: bytes | None = None
    fired: int = 0
    refused: int = 0
    refused_in_row: int = 0
    last_fired_at: int | None = None
    disabled_at: int | None = None


class TriggerFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which triggers a list shows, in the order asked for. Values of one field are alternatives, fields all hold."""

    workspace: str
    instances: bool | None = None
    end_user: str | None = None
    ids: tuple[str, ...] | None = None
    slugs: tuple[str, ...] | None = None
    workflows: tuple[str, ...] | None = None
    connections: tuple[str, ...] | None = None
    auth_configs: tuple[str, ...] | None = None
    statuses: tuple[str, ...] | None = None
    before: str | None = None
    offset: int = 0
    limit: int = 50


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one time that a trigger fired, for one workflow: a run, or the reason why there is none. There is at
    most one for a (trigger, workflow, key); it happened at the id's own millisecond."""

    workspace: str
    id: str
    trigger: str
    slug: str
    workflow: str | None
    key: str
    source: str  # schedule, webhook or poll
    status: str = "started"  # started, skipped or failed
    reason: str | None = None
    run: str | None = None
    scheduled_at: int | None = None
    delivery: str | None = None
    payload: bytes | None = None
    end_user: str | None = None
    duration_ms: int = 0
    replay_of: str | None = None


class FiringFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which firings a list shows, newest first. `before` is the id after which the page starts."""

    workspace: str
    triggers: tuple[str, ...] | None = None
    workflow: str | None = None
    delivery: str | None = None
    sources: tuple[str, ...] | None = None
    statuses: tuple[str, ...] | None = None
    slugs: tuple[str, ...] | None = None
    end_user: str | None = None
    before: str | None = None
    offset: int = 0
    limit: int = 50


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One inbound request as it arrived, at the id's own millisecond. Rows of lists carry no body."""

    workspace: str
    id: str
    status: str  # processed, duplicate, rejected or ignored
    provider: str  # custom for paths of their own
    method: str
    path: str
    query: str
    headers: bytes  # a JSON list of [name, value], names in lower case
    body: bytes = b""
    reason: str | None = None
    trigger: str | None = None
    pending: bool = False
    event_type: str | None = None
    duplicate_of: str | None = None


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries a list shows, newest first."""

    workspace: str
    provider: str | None = None
    status: str | None = None
    workflow: str | None = None
    before: str | None = None
    limit: int = 50


class EndUser(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody outside, on whose behalf workflows run; unique by name in a workspace."""

    workspace: str
    id: str
    username: str
    active: bool = True


class AuthConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The app that connections of a provider are made with, its credentials sealed; rows of lists carry none."""

    workspace: str
    id: str
    provider: str
    name: str
    scheme: str
    sealed: bytes | None
    updated_at: int


class AccountLink(msgspec.Struct, frozen=True, kw_only=True):
    """A page at which somebody without a key connects an account; `hash` is the SHA-256 of its token."""

    hash: bytes
    workspace: str
    connection: str
    callback_url: str | None
    expires_at: int


class OAuthGrant(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization that was asked for and has not come back; `hash` is the SHA-256 of its state."""

    hash: bytes
    workspace: str
    connection: str
    sealed: bytes
    expires_at: int
