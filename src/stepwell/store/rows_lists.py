"""Frozen rows of lists that are counted, ordered and paged by number."""

from typing import Literal

import msgspec

from stepwell.states import RunState, WorkflowStatus


class WorkflowListing(msgspec.Struct, frozen=True, kw_only=True):
    """Which workflows a list shows, in which order. `search` is a part of the name in any case; `before` the id after
    which a page of the newest first starts."""

    workspace: str
    statuses: tuple[WorkflowStatus, ...]
    search: str | None = None
    before: str | None = None
    order: Literal["created", "updated", "name"] = "created"
    ascending: bool = False
    offset: int = 0
    limit: int = 50


class RunListing(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs a list shows, in which order; no `states` are all of them. `chain` is the first run of a chain. With
    `unowned`, runs of no end user count as the user's."""

    workspace: str
    workflows: tuple[str, ...] | None = None
    states: tuple[RunState, ...] = ()
    end_user: str | None = None
    unowned: bool = False
    chain: str | None = None
    before: str | None = None
    order: Literal["created", "started", "updated"] = "created"  # updated: when it ended, else when it started
    ascending: bool = False
    offset: int = 0
    limit: int = 50


class RunCounts(msgspec.Struct, frozen=True):
    """How many runs a workflow has had, open ones included, and the newest of them."""

    all: int = 0
    completed: int = 0
    failed: int = 0  # timed out and cancelled ones included
    open: int = 0
    newest: str | None = None


class Activity(msgspec.Struct, frozen=True):
    """What a workspace has done lately: runs of the last day, those of them that failed, what the runs of the last 30
    days have cost (millionths of a cent), and the newest run."""

    runs: int = 0
    failed: int = 0
    cost: int = 0
    newest: str | None = None
