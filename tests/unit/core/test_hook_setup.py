"""Hooks at a provider follow their triggers, whatever fails in between and in whatever order errands are done."""

import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from contract.providers import GitHub, on_event, provider
from stepwell.auth import Vault
from stepwell.clock import FakeClock
from stepwell.connectors import ConnectorActions, Connectors, GuardedHttp, SmtpMail
from stepwell.core import (
    ConnectionFields,
    Connections,
    EventConnections,
    HookSetup,
    Outbox,
    Plans,
    ProviderHooks,
    Triggers,
    Wanted,
    Workflows,
)
from stepwell.events import Events
from stepwell.ids import TimeOrderedIds
from stepwell.steps import STEP_TYPES
from stepwell.store import Trigger
from stepwell.store.sqlite import SqliteStore
from stepwell.values import Json, decode

TRUST = ssl.create_default_context()  # reading the machine's certificates takes a while
PARAMS = {"owner": "acme", "repo": "shop"}


class Office:
    """Workflows over a store, a GitHub, and an outbox that is run by hand."""

    def __init__(
        self, store: SqliteStore, workspace: str, clock: FakeClock, http: GuardedHttp, connectors: Connectors
    ) -> None:
        ids, vault = TimeOrderedIds(clock), Vault(bytes(32))
        plans = Plans(store.workflows, STEP_TYPES, connectors, events=connectors)
        self.told: list[tuple[str, dict[str, Any]]] = []
        events = Events((lambda name, fields: self.told.append((name, dict(fields))),))
        self.store, self.workspace, self.clock = store, workspace, clock
        self.connections = Connections(store, vault, connectors, clock, ids)
        mail = SmtpMail(clock, allow_private=True, tls_context=TRUST)
        actions = ConnectorActions(connectors, http, mail, self.connections.open, store.connections, clock)
        self.outbox = Outbox(store, vault, actions, clock, events)
        self.triggers = Triggers(store, plans, vault, clock, ids)
        self.workflows = Workflows(store, plans, self.triggers, clock, ids)
        accounts = EventConnections(store, self.connections, connectors)
        providers = ProviderHooks(connectors, accounts, actions, "https://flows.example.com", clock, ids, events)
        self.hooks = HookSetup(store, self.triggers, providers, self.outbox, clock, ids, events)
        self.triggers.switched = self.hooks.switched

    async def connect(self, github: GitHub) -> str:
        fields = ConnectionFields(
            name="GitHub", provider="github", credentials={"accessToken": "t0ken"}, base_url=github.url
        )
        return (await self.connections.create(self.workspace, fields)).id

    async def workflow(self, trigger: Json | None = None) -> str:
        document = on_event("github.push", params=PARAMS) if trigger is None else {**on_event("x"), "trigger": trigger}
        made = await self.workflows.create(self.workspace, document, "test")
        await self.workflows.activate(self.workspace, made.workflow.id)
        return made.workflow.id

    async def instance(self, connection: str, repo: str = "shop") -> Trigger:
        config = {"type": "event", "event": "github.push", "params": {**PARAMS, "repo": repo}}
        made, _ = await self.triggers.upsert(
            self.workspace, Wanted(slug="github.push", config=config, connection=connection)
        )
        return made

    async def work(self, seconds: float = 0) -> None:
        """Let time pass, and do every errand that is due."""
        self.clock.advance(seconds)
        while await self.outbox.run_due():
            pass

    async def trigger(self, id: str) -> Trigger:
        found = await self.store.triggers.get(self.workspace, id)
        assert found is not None
        return found


@pytest.fixture
def github() -> Iterator[GitHub]:
    made = GitHub()
    with provider(made.answer) as url:
        made.url = url
        yield made


@pytest.fixture
async def office(store: SqliteStore, workspace: str, clock: FakeClock, connectors: Connectors) -> AsyncIterator[Office]:
    http = GuardedHttp(allow_private=True)
    yield Office(store, workspace, clock, http, connectors)
    await http.close()


async def test_a_setup_that_fails_is_tried_again_later_each_time(office: Office, github: GitHub) -> None:
    await office.connect(github)
    github.failing = [503, 429]
    workflow = await office.workflow()

    await office.work()
    first = await office.trigger(workflow)
    await office.work(60)
    second = len(github.all)
    await office.work(120)

    assert first.reason == "setup_failed: Try again"
    assert (second, len(github.all)) == (0, 1)
    assert (await office.trigger(workflow)).reason is None


async def test_a_setup_that_fails_ten_times_is_given_up(office: Office, github: GitHub) -> None:
    await office.connect(github)
    github.failing = [503] * 20
    workflow = await office.workflow()

    for _ in range(12):
        await office.work(3600)

    trigger = await office.trigger(workflow)
    assert (trigger.status, trigger.reason) == ("error", "setup_failed: Try again")
    assert len(github.failing) == 10


async def test_activation_again_after_a_failure_sets_the_hook_up(office: Office, github: GitHub) -> None:
    await office.connect(github)
    github.failing = [404]
    workflow = await office.workflow()
    await office.work()

    await office.workflows.pause(office.workspace, workflow)
    await office.workflows.activate(office.workspace, workflow)
    await office.work()

    assert len(github.all) == 1
    assert (await office.trigger(workflow)).status == "active"


async def test_a_pause_before_the_setup_leaves_no_hook(office: Office, github: GitHub) -> None:
    await office.connect(github)
    github.failing = [503]
    workflow = await office.workflow()
    await office.work()

    await office.workflows.pause(office.workspace, workflow)
    await office.work(3600)

    assert github.all == []
    assert (await office.trigger(workflow)).cursor is None


async def test_a_pause_that_follows_a_setup_whose_answer_was_lost_takes_it_down(office: Office, github: GitHub) -> None:
    await office.connect(github)
    github.lost = True
    workflow = await office.workflow()
    await office.work()
    left = len(github.all)

    await office.workflows.pause(office.workspace, workflow)
    await office.work()

    assert (left, github.all) == (1, [])


async def test_a_pause_and_an_activation_at_once_leave_one_hook(office: Office, github: GitHub) -> None:
    await office.connect(github)
    workflow = await office.workflow()
    await office.work()

    await office.workflows.pause(office.workspace, workflow)
    await office.workflows.activate(office.workspace, workflow)
    await office.work()
    kept = (await office.trigger(workflow)).cursor

    assert len(github.all) == 1
    assert kept is not None
    assert decode(kept)["setup"] == {"id": github.all[0]["id"]}


async def test_an_instance_that_is_removed_takes_its_hook_with_it(office: Office, github: GitHub) -> None:
    instance = await office.instance(await office.connect(github))
    await office.work()
    there = len(github.all)

    await office.triggers.delete(office.workspace, instance.id)
    await office.work()

    assert (there, github.all) == (1, [])


async def test_an_instance_of_another_repository_moves_its_hook(office: Office, github: GitHub) -> None:
    connection = await office.connect(github)
    await office.instance(connection)
    await office.work()

    await office.instance(connection, "other")
    await office.work()

    assert {name: len(hooks) for name, hooks in github.hooks.items()} == {"acme/shop": 0, "acme/other": 1}


async def test_a_hook_that_cannot_be_taken_down_yet_does_not_hold_the_next_one_up(
    office: Office, github: GitHub
) -> None:
    connection = await office.connect(github)
    instance = await office.instance(connection)
    await office.work()
    github.refusing = [503]

    await office.instance(connection, "other")
    await office.work()
    at_first = {name: len(hooks) for name, hooks in github.hooks.items()}
    await office.work(60)

    assert at_first == {"acme/shop": 1, "acme/other": 1}
    assert [len(github.hooks[name]) for name in ("acme/shop", "acme/other")] == [0, 1]
    assert (await office.trigger(instance.id)).reason is None


async def test_a_hook_that_may_not_be_taken_down_is_told_of(office: Office, github: GitHub) -> None:
    await office.connect(github)
    workflow = await office.workflow()
    await office.work()
    github.refusing = [403]

    await office.workflows.pause(office.workspace, workflow)
    await office.work()

    assert [fields["error"] for name, fields in office.told if name == "hook.failed"] == ["Not now"]
    assert len(github.all) == 1


async def test_an_instance_that_is_upserted_as_it_was_keeps_a_hook_that_works(office: Office, github: GitHub) -> None:
    connection = await office.connect(github)
    instance = await office.instance(connection)
    await office.work()

    await office.instance(connection)
    await office.work()

    (hook,) = github.all
    kept = await office.trigger(instance.id)
    assert office.triggers.secrets_of(kept) == (hook["config"]["secret"],)
    assert decode(kept.cursor or b"")["setup"] == {"id": hook["id"]}


async def test_an_instance_that_is_disabled_has_no_hook_until_it_is_enabled(office: Office, github: GitHub) -> None:
    instance = await office.instance(await office.connect(github))
    await office.work()

    await office.triggers.set_status(office.workspace, instance.id, False)
    await office.work()
    off = list(github.all)
    await office.triggers.set_status(office.workspace, instance.id, True)
    await office.work()

    assert (off, len(github.all)) == ([], 1)


async def test_a_hook_that_is_gone_at_the_provider_counts_as_taken_down(office: Office, github: GitHub) -> None:
    await office.connect(github)
    workflow = await office.workflow()
    await office.work()
    github.hooks.clear()

    await office.workflows.pause(office.workspace, workflow)
    await office.work()

    assert (await office.trigger(workflow)).cursor is None
    assert "hook.failed" not in [name for name, _ in office.told]


async def test_the_address_is_the_servers_public_one(office: Office, github: GitHub) -> None:
    await office.connect(github)
    workflow = await office.workflow()

    await office.work()

    assert github.all[0]["config"]["url"] == f"https://flows.example.com/webhooks/t/trg_{workflow}"


async def test_the_secret_is_kept_sealed_only(office: Office, github: GitHub) -> None:
    await office.connect(github)
    workflow = await office.workflow()
    await office.work()

    trigger = await office.trigger(workflow)
    secret = github.all[0]["config"]["secret"]

    assert secret.encode() not in (trigger.sealed or b"") + trigger.config + (trigger.cursor or b"")
    assert office.triggers.secrets_of(trigger) == (secret,)


async def test_a_death_between_a_pause_and_its_errand_is_made_good_at_start(office: Office, github: GitHub) -> None:
    await office.connect(github)
    workflow = await office.workflow()
    await office.work()

    async def nobody(trigger: Trigger, on: bool) -> None:
        pass

    office.triggers.switched = nobody
    await office.workflows.pause(office.workspace, workflow)
    count = await office.hooks.recover()
    await office.work()

    assert (count, github.all) == (1, [])


async def test_a_start_leaves_hooks_alone_that_are_as_they_should_be(office: Office, github: GitHub) -> None:
    await office.connect(github)
    await office.workflow()
    await office.work()

    assert await office.hooks.recover() == 0
