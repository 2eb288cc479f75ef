"""Frozen rows of the log of triggers: what they fired, and the deliveries that came to them in vain."""

import msgspec


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a trigger was called on: a firing, or a delivery of which there is none, because it was refused or
    meant no workflow. It happened at the id's own millisecond; `place` says which of the delivery's events it was."""

    id: str
    trigger: str
    slug: str
    source: str  # schedule, webhook or poll
    status: str  # started, skipped or failed
    reason: str | None
    workflow: str | None
    run: str | None
    delivery: str | None
    place: int | None
    payload: bytes | None
    end_user: str | None
    duration_ms: int
    replay_of: str | None


class InvocationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which invocations a list shows, newest first. Values of one field are alternatives, fields all hold. `provided`
    is whether a webhook came to a connector's event or to a webhook of one's own."""

    workspace: str
    triggers: tuple[str, ...] | None = None
    slugs: tuple[str, ...] | None = None
    sources: tuple[str, ...] | None = None
    provided: bool | None = None
    statuses: tuple[str, ...] | None = None
    end_user: str | None = None
    before: str | None = None
    offset: int = 0
    limit: int = 50
