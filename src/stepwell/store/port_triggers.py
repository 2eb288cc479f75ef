"""What a store offers for triggers, deliveries and the people they act for; store.port has the rules of all verbs."""

from typing import Protocol

from stepwell.store.rows_triggers import (
    AccountLink,
    AuthConfig,
    Delivery,
    DeliveryFilter,
    EndUser,
    Firing,
    FiringFilter,
    OAuthGrant,
    Trigger,
    TriggerFilter,
)


class Triggers(Protocol):
    """Triggers and what came of their firings. One that starts a run is written by `Runs.start` (NewRun.firing)."""

    async def upsert(self, wanted: Trigger) -> tuple[Trigger, bool]:
        """Store an instance, or give the one of the same identity its config, kind, path, secrets and times; as stored,
        and whether it is new. Status and id of an existing one stay; so does its path if `wanted` has one too."""
        ...

    async def save(self, changed: Trigger, *, seen: int) -> bool:
        """Write a trigger, if the stored `updated_at` is still `seen`."""
        ...

    async def delete(self, workspace: str, trigger: str) -> bool:
        """Remove an instance with the links that name its id; its firings stay."""
        ...

    async def get(self, workspace: str, trigger: str) -> Trigger | None:
        """One trigger."""
        ...

    async def page(self, wanted: TriggerFilter) -> tuple[list[Trigger], int]:
        """A page of triggers, newest first, and how many pass the filter in all."""
        ...

    async def of_workflow(self, workspace: str, workflow: str) -> list[Trigger]:
        """The document's own trigger and all instances of a workflow."""
        ...

    async def of_connection(self, workspace: str, connection: str) -> list[Trigger]:
        """The triggers that use a connection."""
        ...

    async def hooks(self, workspace: str, *, provider: str | None = None, path: str | None = None) -> list[Trigger]:
        """The webhook triggers of a provider, or of a path, whatever their status and that of their workflows."""
        ...

    async def find(self, trigger: str) -> Trigger | None:
        """A trigger by id alone: its address names no workspace."""
        ...

    async def link(self, workspace: str, workflow: str, targets: tuple[str, ...]) -> None:
        """Let a workflow name these instances, by id or slug, and no others."""
        ...

    async def linked(self, workspace: str, targets: tuple[str, ...]) -> list[str]:
        """The workflows that name any of the targets."""
        ...

    async def due(self, now: int, limit: int) -> list[Trigger]:
        """Active triggers of all workspaces whose time has come, the longest due first."""
        ...

    async def next_due(self) -> int | None:
        """When the next trigger is due, in epoch ms."""
        ...

    async def unarmed(self, after: str | None, limit: int) -> list[Trigger]:
        """Active schedules and polls of active workflows that have no next time, of all workspaces, by id."""
        ...

    async def arm(self, workspace: str, trigger: str, scheduled_at: int | None, next_at: int | None) -> bool:
        """Set what is due next."""
        ...

    async def advance(self, changed: Trigger, *, seen: int | None) -> bool:
        """Write times, cursor, counts, status and reason of a trigger that fired, if its `next_at` is still `seen`."""
        ...

    async def record(self, firings: tuple[Firing, ...]) -> None:
        """Keep firings that started nothing; of one key only the first. Those that failed count as refused; ten in a
        row put their trigger into `error`, `too_many_failures`."""
        ...

    async def firing(self, workspace: str, firing: str) -> Firing | None:
        """One firing."""
        ...

    async def fired(self, workspace: str, trigger: str, workflow: str, key: str) -> Firing | None:
        """What came of a firing, by its key."""
        ...

    async def history(self, workspace: str, trigger: str, before: str | None, limit: int) -> list[Firing]:
        """The firings of a trigger, newest first, after the one with the id `before`."""
        ...

    async def firings(self, wanted: FiringFilter) -> tuple[list[Firing], int]:
        """A page of firings, newest first, and how many pass the filter in all."""
        ...

    async def open_runs(self, workspace: str, trigger: str, limit: int) -> list[str]:
        """The runs of a trigger that are not final, oldest first."""
        ...

    async def last_ends(self, workspace: str, trigger: str, limit: int, *, after: str) -> list[str]:
        """The states of the newest runs of a trigger that are final, newest first; only of runs whose id is above
        `after`."""
        ...

    async def prune_firings(self, before: str, limit: int) -> int:
        """Remove firings, of all workspaces, whose id is below another; how many were removed."""
        ...


class Deliveries(Protocol):
    """Inbound requests as they arrived."""

    async def receive(self, delivery: Delivery, route: str, keys: tuple[str, ...], *, since: int) -> str | None:
        """Keep a delivery, and the event ids it brings for a route (an element of the body each, or its own id).
        If all of them arrived before and after `since` (epoch ms), it is kept as a duplicate and the first one's
        delivery is the answer; else None, and the new ones belong to this delivery."""
        ...

    async def close(self, workspace: str, delivery: str, expected: int) -> bool:
        """Nothing is pending of a delivery any more, if it has started so many runs; whether that was so."""
        ...

    async def settle(self, workspace: str, delivery: str, status: str, reason: str | None) -> None:
        """Note what came of a delivery; nothing is pending of it any more."""
        ...

    async def get(self, workspace: str, delivery: str) -> Delivery | None:
        """One delivery with its body."""
        ...

    async def page(self, wanted: DeliveryFilter) -> list[Delivery]:
        """A page of deliveries, newest first, without bodies."""
        ...

    async def keys_of(self, workspace: str, route: str, delivery: str) -> tuple[str, ...]:
        """The event ids that belong to a delivery."""
        ...

    async def pending(self, before: str, limit: int) -> list[Delivery]:
        """Deliveries of all workspaces, received before an id, of which runs may be missing; oldest first."""
        ...

    async def prune(self, before: str, limit: int) -> int:
        """Remove deliveries, of all workspaces, whose id is below another; how many were removed."""
        ...

    async def prune_rejected(self, workspace: str, keep: int, limit: int) -> int:
        """Remove the oldest rejected and duplicate ones beyond a number that is kept; how many were removed."""
        ...

    async def forget_keys(self, before: int, limit: int) -> int:
        """Remove event ids that arrived before a time; how many were removed."""
        ...


class Accounts(Protocol):
    """End users, the apps their accounts are connected with, and connecting in progress."""

    async def put_user(self, user: EndUser) -> EndUser:
        """Store a user, or find the one of the same name."""
        ...

    async def user(self, workspace: str, id: str) -> EndUser | None:
        """One user."""
        ...

    async def user_named(self, workspace: str, username: str) -> EndUser | None:
        """The user of a name."""
        ...

    async def users(self, workspace: str, *, search: str | None, offset: int, limit: int) -> tuple[list[EndUser], int]:
        """A page of users, newest first, and how many there are in all."""
        ...

    async def set_active(self, workspace: str, user: str, active: bool) -> bool:
        """Switch a user on or off."""
        ...

    async def put_config(self, config: AuthConfig) -> None:
        """Store an auth config, or write over the one of its id."""
        ...

    async def config(self, workspace: str, id: str) -> AuthConfig | None:
        """One auth config."""
        ...

    async def configs(
        self, workspace: str, *, provider: str | None, offset: int, limit: int, before: str | None = None
    ) -> tuple[list[AuthConfig], int]:
        """A page of auth configs, newest first, after the one with the id `before`, and how many there are in all."""
        ...

    async def delete_config(self, workspace: str, id: str) -> bool:
        """Remove an auth config."""
        ...

    async def put_link(self, link: AccountLink) -> None:
        """Keep a link."""
        ...

    async def take_link(self, hash: bytes, now: int) -> AccountLink | None:
        """The link of a token, used up with this; None if there is none or its time is over."""
        ...

    async def link_of(self, hash: bytes, now: int) -> AccountLink | None:
        """The same, without using it up."""
        ...

    async def put_grant(self, grant: OAuthGrant) -> None:
        """Keep an authorization that is asked for."""
        ...

    async def take_grant(self, hash: bytes, now: int) -> OAuthGrant | None:
        """The authorization of a state, used up with this."""
        ...

    async def forget_expired(self, now: int, limit: int) -> int:
        """Remove links and authorizations whose time is over; how many were removed."""
        ...
