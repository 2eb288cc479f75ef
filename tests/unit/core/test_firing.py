"""Firing: a trigger starts a run once for a key, or the reason why it did not is kept."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kit import NoActions, World, transform
from stepwell import values
from stepwell.auth import Vault
from stepwell.core import Fire, Firings, Plans, Triggers, Wanted, Workflows, run_input
from stepwell.core.runs import Runs
from stepwell.definitions import Plan
from stepwell.errors import InvalidState, NotFound, ValidationFailed
from stepwell.store import Delivery, Firing, FiringFilter, Trigger, TriggerFilter
from stepwell.values import Json

HOOK: Json = {"type": "webhook", "path": "orders"}


class Shop(World):
    """A world with the use cases on triggers over it."""

    async def open(self) -> None:
        await self.boot()
        self.compiled = Plans(self.store.workflows, self.step_types, NoActions())
        self.triggers = Triggers(self.store, self.compiled, Vault(bytes(32)), self.clock, self.ids)
        self.workflows = Workflows(self.store, self.compiled, self.triggers, self.clock, self.ids)
        self.runs = Runs(self.store, self.engine, self.compiled, self.ids, self.clock, 1 << 20)
        self.firings = Firings(self.store, self.runs, self.ids, self.clock)

    async def plan(self, workspace: str, workflow: str, version: int) -> Plan:
        return await self.compiled.get(workspace, workflow, version)

    async def workflow(self, trigger: Json = HOOK, *, active: bool = True, **fields: Json) -> str:
        document = {"name": "Shop", "trigger": trigger, "steps": [transform("a", x="{{input.n}}")], **fields}
        made = await self.workflows.create(self.workspace, document, "test")
        if active:
            await self.workflows.activate(self.workspace, made.workflow.id)
        return made.workflow.id

    async def trigger(self, workflow: str) -> Trigger:
        found = await self.store.triggers.get(self.workspace, workflow)
        assert found is not None
        return found

    async def fire(self, trigger: Trigger, key: str = "k", **fields: Any) -> Firing:
        wish = {"source": "webhook", "input": {"n": 1}, "workflow": trigger.workflow, **fields}
        fired = await self.firings.fire(Fire(trigger=trigger, key=key, **wish))
        await self.settle()
        return fired

    async def kept(self) -> list[Firing]:
        return (await self.store.triggers.firings(FiringFilter(workspace=self.workspace)))[0]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(tmp_path / "stepwell.db")
    await shop.open()
    yield shop
    shop.kill()


async def test_a_firing_starts_a_run_that_tells_its_trigger(shop: Shop) -> None:
    trigger = await shop.trigger(await shop.workflow())

    fired = await shop.fire(trigger, trigger_data={"query": {"a": "1"}})

    assert fired.run is not None
    run = await shop.store.runs.get(shop.workspace, fired.run)
    assert run is not None
    assert (run.fired_by, run.trigger, run.state) == (trigger.id, "webhook", "completed")
    assert [(each.run, each.status, each.key) for each in await shop.kept()] == [(run.id, "started", "k")]


async def test_a_key_starts_one_run_however_often_and_by_whomever_it_is_fired(shop: Shop) -> None:
    trigger = await shop.trigger(await shop.workflow())

    fired = await asyncio.gather(*(shop.fire(trigger) for _ in range(20)))

    assert [each.status for each in fired].count("started") == 1
    assert len({each.run for each in fired}) == 1
    assert len(await shop.kept()) == 1


async def test_another_key_starts_another_run(shop: Shop) -> None:
    trigger = await shop.trigger(await shop.workflow())

    first, second = await shop.fire(trigger, "1"), await shop.fire(trigger, "2")

    assert first.run != second.run
    assert (await shop.trigger(trigger.id)).fired == 2


async def test_an_event_of_another_delivery_starts_nothing(shop: Shop) -> None:
    trigger = await shop.trigger(await shop.workflow())
    first, second = shop.ids.new(), shop.ids.new()
    for each in (first, second):
        await shop.store.deliveries.receive(delivery(shop, each), "r", ("e1",), since=0)

    fired = await shop.fire(trigger, "e1", delivery=second, arrival=("r", "e1"))

    assert (fired.status, fired.run) == ("skipped", None)
    assert await shop.kept() == []
    assert (await shop.fire(trigger, "e1", delivery=first, arrival=("r", "e1"))).status == "started"


async def test_a_paused_workflow_starts_nothing_and_the_reason_is_kept(shop: Shop) -> None:
    workflow = await shop.workflow()
    await shop.workflows.pause(shop.workspace, workflow)

    fired = await shop.fire(await shop.trigger(workflow))

    assert fired.status == "skipped"
    assert "Current status: paused" in str((await shop.kept())[0].reason)


async def test_input_that_does_not_fit_fails_and_names_the_field(shop: Shop) -> None:
    schema = {"type": "object", "required": ["customer"]}
    trigger = await shop.trigger(await shop.workflow(inputSchema=schema))

    fired = await shop.fire(trigger)

    assert (fired.status, fired.run) == ("failed", None)
    assert fired.reason == "Input validation failed; customer: Required"


async def test_ten_refused_starts_in_a_row_switch_the_trigger_off(shop: Shop) -> None:
    schema = {"type": "object", "required": ["customer"]}
    workflow = await shop.workflow(inputSchema=schema)
    trigger = await shop.trigger(workflow)
    for number in range(9):
        await shop.fire(trigger, str(number))
    assert (await shop.trigger(workflow)).status == "active"

    await shop.fire(trigger, "9")

    stopped = await shop.trigger(workflow)
    assert (stopped.status, stopped.reason, stopped.refused) == ("error", "too_many_failures", 10)
    assert (await shop.fire(stopped, "10")).reason == "The trigger is switched off: too_many_failures"


async def test_a_start_between_refused_ones_begins_their_count_anew(shop: Shop) -> None:
    schema = {"type": "object", "required": ["customer"]}
    workflow = await shop.workflow(inputSchema=schema)
    trigger = await shop.trigger(workflow)
    for number in range(9):
        await shop.fire(trigger, str(number))

    await shop.fire(trigger, "good", input={"customer": "c"})
    await shop.fire(trigger, "bad")

    assert (await shop.trigger(workflow)).status == "active"


async def test_activating_the_workflow_again_switches_its_own_trigger_on(shop: Shop) -> None:
    workflow = await shop.workflow()
    assert await shop.triggers.fail(await shop.trigger(workflow), "invalid_config")
    await shop.workflows.pause(shop.workspace, workflow)

    await shop.workflows.activate(shop.workspace, workflow)

    again = await shop.trigger(workflow)
    assert (again.status, again.reason) == ("active", None)


async def test_what_is_armed_a_moment_after_the_pause_is_not_due(shop: Shop) -> None:
    workflow = await shop.workflow({"type": "schedule", "cron": "* * * * *"})
    armed = await shop.trigger(workflow)
    assert armed.next_at is not None
    await shop.workflows.pause(shop.workspace, workflow)

    await shop.triggers.arm(armed)

    assert (await shop.trigger(workflow)).next_at is None


async def test_a_workflow_without_a_rule_of_its_own_has_no_row(shop: Shop) -> None:
    workflow = await shop.workflow({"type": "api"})

    assert await shop.store.triggers.get(shop.workspace, workflow) is None


async def test_changing_the_trigger_to_api_removes_its_row(shop: Shop) -> None:
    workflow = await shop.workflow()

    await shop.workflows.update(shop.workspace, workflow, {"trigger": {"type": "api"}}, "test")

    assert await shop.store.triggers.get(shop.workspace, workflow) is None


async def test_a_webhook_without_provider_and_path_gets_a_path_that_stays(shop: Shop) -> None:
    workflow = await shop.workflow({"type": "webhook"})
    path = (await shop.trigger(workflow)).path
    assert path is not None
    assert len(path) == 32

    await shop.workflows.update(shop.workspace, workflow, {"description": "Changed"}, "test")

    assert (await shop.trigger(workflow)).path == path


async def test_what_is_answered_within_a_trigger_is_not_taken_back_as_its_config(shop: Shop) -> None:
    workflow = await shop.workflow({**HOOK, "id": "trg_x", "url": "https://elsewhere.test"})

    assert values.decode((await shop.trigger(workflow)).config) == HOOK


async def test_an_edit_that_leaves_the_trigger_alone_leaves_its_counts(shop: Shop) -> None:
    workflow = await shop.workflow()
    await shop.fire(await shop.trigger(workflow))

    await shop.workflows.update(shop.workspace, workflow, {"name": "Other"}, "test")

    assert (await shop.trigger(workflow)).fired == 1


async def test_a_retry_goes_on_in_the_chain_of_its_run(shop: Shop) -> None:
    trigger = await shop.trigger(await shop.workflow())
    fired = await shop.fire(trigger)

    again = await shop.runs.restart(shop.workspace, str(fired.run), "a")
    third = await shop.runs.restart(shop.workspace, again.new, "a") if await _ended(shop, again.new) else None

    assert third is not None
    run = await shop.store.runs.get(shop.workspace, third.new)
    assert run is not None
    assert run.chain == fired.run


# -- instances


def wanted(workflow: str | None = None, **fields: Any) -> Wanted:
    return Wanted(**{"slug": "webhook", "config": {"type": "webhook", "path": "x"}, "workflow": workflow, **fields})


async def test_the_same_instance_wanted_twenty_times_at_once_is_one_row(shop: Shop) -> None:
    workflow = await shop.workflow({"type": "api"})

    made = await asyncio.gather(*(shop.triggers.upsert(shop.workspace, wanted(workflow)) for _ in range(20)))

    assert len({trigger.id for trigger, _ in made}) == 1
    assert [new for _, new in made].count(True) == 1


async def test_users_and_connections_have_instances_of_their_own(shop: Shop) -> None:
    ada, bob = shop.ids.new(), shop.ids.new()

    for fields in ({}, {"end_user": ada}, {"end_user": bob}, {"end_user": bob, "connection": ada}):
        await shop.triggers.upsert(shop.workspace, wanted(**fields))

    assert (await shop.triggers.page(TriggerFilter(workspace=shop.workspace)))[1] == 4


async def test_an_update_leaves_the_switch_alone_unless_it_says_so(shop: Shop) -> None:
    made, _ = await shop.triggers.upsert(shop.workspace, wanted(enabled=False))

    kept, _ = await shop.triggers.upsert(shop.workspace, wanted())
    switched, _ = await shop.triggers.upsert(shop.workspace, wanted(enabled=True))

    assert (made.status, kept.status, switched.status) == ("disabled", "disabled", "active")


async def test_a_path_of_its_own_outlives_updates(shop: Shop) -> None:
    first, _ = await shop.triggers.upsert(shop.workspace, wanted(own_path=True))
    second, _ = await shop.triggers.upsert(
        shop.workspace, wanted(own_path=True, config={"type": "webhook", "path": "y"})
    )

    assert first.path == second.path is not None


async def test_secrets_of_an_instance_are_sealed(shop: Shop) -> None:
    made, _ = await shop.triggers.upsert(shop.workspace, wanted(secrets=("open sesame 123",)))

    assert shop.triggers.secrets_of(made) == ("open sesame 123",)
    shop.store.database.writer.close()
    assert b"open sesame 123" not in b"".join(each.read_bytes() for each in shop.path.parent.iterdir())


async def test_secrets_that_are_given_at_the_same_moment_are_each_kept_when_they_are_answered(shop: Shop) -> None:
    given = ("the first secret", "the second one")

    made = await asyncio.gather(*(shop.triggers.upsert(shop.workspace, wanted(secrets=(each,))) for each in given))

    assert [shop.triggers.secrets_of(trigger) for trigger, _ in made] == [(each,) for each in given]


async def test_switching_without_a_word_switches_over_and_with_one_sets(shop: Shop) -> None:
    made, _ = await shop.triggers.upsert(shop.workspace, wanted())

    said = [None, None, False, False, True]
    seen = [(await shop.triggers.set_status(shop.workspace, made.id, each)).status for each in said]

    assert seen == ["disabled", "active", "disabled", "disabled", "active"]


async def test_an_instance_whose_account_is_gone_cannot_be_switched_on(shop: Shop) -> None:
    made, _ = await shop.triggers.upsert(shop.workspace, wanted(connection=shop.ids.new()))
    assert await shop.triggers.disable_for_connection(shop.workspace, str(made.connection), "connected_account_deleted")

    with pytest.raises(InvalidState, match="no longer exists"):
        await shop.triggers.set_status(shop.workspace, made.id, True)


async def test_a_deleted_instance_is_gone_and_its_firings_stay(shop: Shop) -> None:
    workflow = await shop.workflow({"type": "api"})
    made, _ = await shop.triggers.upsert(shop.workspace, wanted(workflow))
    await shop.fire(made)

    await shop.triggers.delete(shop.workspace, made.id)

    with pytest.raises(NotFound):
        await shop.triggers.delete(shop.workspace, made.id)
    assert [each.trigger for each in await shop.kept()] == [made.id]


async def test_a_workflows_own_trigger_cannot_be_deleted_as_an_instance(shop: Shop) -> None:
    workflow = await shop.workflow()

    with pytest.raises(NotFound):
        await shop.triggers.delete(shop.workspace, workflow)


async def test_an_instance_without_workflow_starts_the_active_ones_that_name_it(shop: Shop) -> None:
    named = [await shop.workflow({"type": "api"}, active=active) for active in (True, True, False)]
    made, _ = await shop.triggers.upsert(shop.workspace, wanted())
    for workflow, target in zip(named, (made.id, made.slug, made.id), strict=True):
        await shop.store.triggers.link(shop.workspace, workflow, (target,))

    assert await shop.firings.workflows_of(made) == sorted(named[:2])


async def test_an_instance_hands_its_own_input_on_with_the_payload(shop: Shop) -> None:
    config = {"type": "webhook", "path": "x", "input": {"region": "eu"}}
    made, _ = await shop.triggers.upsert(shop.workspace, wanted(config=config))

    given = run_input(made, {"a": 1}, shop.clock.now_ms())

    assert given["region"] == "eu"
    assert given["payload"] == {"a": 1}
    assert given["trigger"].keys() == {"id", "slug", "type", "firedAt"}


async def test_a_trigger_of_another_workspace_is_not_found(shop: Shop) -> None:
    made, _ = await shop.triggers.upsert(shop.workspace, wanted())
    foreign = shop.ids.new()

    for call in (shop.triggers.get, shop.triggers.delete, shop.triggers.set_status):
        with pytest.raises(NotFound):
            await call(foreign, made.id)


async def test_a_bad_config_is_refused_with_its_faults(shop: Shop) -> None:
    config = {"type": "schedule", "cron": "61 * * * *"}

    with pytest.raises(ValidationFailed) as refused:
        await shop.triggers.upsert(shop.workspace, wanted(slug="schedule", config=config))

    assert [fault.field for fault in refused.value.faults] == ["trigger.cron"]


async def test_what_starts_runs_at_a_provider_is_told_of_every_switch(shop: Shop) -> None:
    told: list[bool] = []

    async def switched(trigger: Trigger, on: bool) -> None:
        told.append(on)

    shop.triggers.switched = switched
    made, _ = await shop.triggers.upsert(shop.workspace, wanted())
    await shop.triggers.set_status(shop.workspace, made.id)
    await shop.triggers.set_status(shop.workspace, made.id)
    await shop.triggers.delete(shop.workspace, made.id)

    assert told == [True, False, True, False]


def delivery(shop: Shop, id: str) -> Delivery:
    empty = msgspec.json.encode([])
    return Delivery(
        workspace=shop.workspace,
        id=id,
        status="processed",
        provider="custom",
        method="POST",
        path="/",
        query="",
        headers=empty,
    )


async def _ended(shop: Shop, run: str) -> bool:
    await shop.settle()
    state = await shop.store.runs.state(shop.workspace, run)
    return state is not None and state[0].final
