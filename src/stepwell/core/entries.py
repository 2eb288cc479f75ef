"""What the addresses below `/fn/` lead to: functions, and workflows that a plain HTTP call starts. Source: AwaitStep
contract 8."""

import hmac
from collections.abc import Awaitable, Callable

import msgspec

from stepwell import ids
from stepwell.auth import CannotOpen, Principal
from stepwell.core.plans import Plans
from stepwell.core.secrets import Secrets
from stepwell.definitions import Plan
from stepwell.errors import NotFound, Unauthorized
from stepwell.states import WorkflowStatus
from stepwell.store import Store
from stepwell.values import Json

SCOPE = "workflows:execute"


class Entry(msgspec.Struct, frozen=True):
    """An active workflow that an address leads to."""

    workspace: str
    workflow: str
    plan: Plan

    @property
    def function(self) -> bool:
        """Whether it answers by itself; else a call starts a run."""
        return self.plan.inline is not None

    @property
    def by_itself(self) -> bool:
        """Whether its code takes whole requests, of every method."""
        return bool((self.plan.inline or {}).get("triggerCode"))

    @property
    def method(self) -> str:
        """The method that calls it."""
        return "POST" if self.function else str(self.plan.entry["method"])

    @property
    def auth(self) -> Json:
        """What it demands of its callers, None if nothing."""
        return (self.plan.inline if self.function else self.plan.entry).get("auth")


class Entries:
    """The addresses."""

    def __init__(self, store: Store, plans: Plans, secrets: Secrets) -> None:
        self._store = store
        self._plans = plans
        self._secrets = secrets

    async def find(self, path: str) -> Entry:
        """What a path leads to: an id of a workflow, with `wf_` or without; the address that one was deployed under; a
        slug that only one workflow of the server has. Raises NotFound."""
        place = await self._place(path)
        workflow = None if place is None else await self._store.workflows.get(*place)
        if place is None or workflow is None or workflow.status is not WorkflowStatus.ACTIVE:
            raise NotFound("Not found")
        plan = await self._plans.get(place[0], workflow.id, workflow.version)
        if plan.inline is None and plan.entry is None:
            raise NotFound("Not found")
        return Entry(place[0], workflow.id, plan)

    async def admit(
        self, entry: Entry, headers: Json, authenticate: Callable[[], Awaitable[Principal]]
    ) -> Principal | None:
        """Check what an entry demands of its callers; whose key it was, where it is a key. `headers` are those of the
        request, in lower case; `authenticate` tells whose key came with it.

        Raises:
            Unauthorized.
        """
        auth = entry.auth
        if auth is None:
            return None
        if auth["type"] == "key":
            principal = await authenticate()
            if principal.workspace != entry.workspace or SCOPE not in principal.scopes:
                raise Unauthorized("Unauthorized")
            return principal
        given = headers.get((auth.get("header") or "x-function-secret").lower(), "")
        try:
            wanted = await self._secrets.open(entry.workspace, entry.workflow, [auth.get("secretName", "")])
        except CannotOpen:
            raise Unauthorized("Unauthorized") from None
        if not any(_same(given, each.strip()) for each in wanted.values()):
            raise Unauthorized("Unauthorized")
        return None

    async def _place(self, path: str) -> tuple[str, str] | None:
        """Workspace and workflow."""
        bare = path.removeprefix("wf_")
        if (id := ids.parse(bare)) is not None:
            return await self._store.workflows.find(id)
        segments = path.split("/")
        patterns = [path, *("/".join([*segments[:count], "*"]) for count in range(len(segments) - 1, 0, -1))]
        for pattern in patterns:
            if (place := await self._store.sources.route(pattern)) is not None:
                return place
        return await self._store.workflows.find(bare) if len(segments) == 1 else None


def _same(given: str, wanted: str) -> bool:
    """Whether a header is a text: its bytes, which came as Latin-1, may be that or UTF-8."""
    forms = (given.encode(), given.encode("latin-1", "replace"))
    return wanted != "" and any(hmac.compare_digest(form, wanted.encode()) for form in forms)
