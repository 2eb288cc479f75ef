"""The inbox between storing a delivery and starting its runs: what a death or an overload leaves is made good."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stepwell.clock import FakeClock
from stepwell.core import Address, Core, InboundRequest, Received
from stepwell.errors import NotFound, Overloaded, Unauthorized
from stepwell.events import Events
from stepwell.ids import TimeOrderedIds
from stepwell.server import open_core
from stepwell.settings import Engine, Server, Settings
from stepwell.store import Delivery, DeliveryFilter, RunFilter
from stepwell.triggers import SCHEMES, Inbound
from stepwell.values import Json, decode, encode

SECRET = "a-secret-of-the-tests"
SHORT: Json = {"id": "take", "type": "transform", "config": {"mapping": {"n": "{{input.n}}"}}}
LONG: Json = {"id": "pause", "type": "wait", "config": {"duration": 3_600_000}}
SIGNATURE: Json = {"scheme": "stripe", "secrets": ["{{secrets.HOOK}}"]}


class House:
    """A core over a directory, its workspace, and what is asked of it."""

    def __init__(self, core: Core, workspace: str, clock: FakeClock) -> None:
        self.core, self.workspace, self.clock = core, workspace, clock
        self.address = Address(workspace=workspace, provider="custom", path="orders")
        self.ids = TimeOrderedIds(clock)

    async def workflow(self, *steps: Json, **trigger: Json) -> str:
        """The id of an active workflow that listens to the path."""
        document = {"name": "Hook", "trigger": {"type": "webhook", "path": "orders", **trigger}, "steps": list(steps)}
        made = (await self.core.workflows.create(self.workspace, document, "test")).workflow.id
        if "signature" in trigger:
            await self.core.secrets.create(self.workspace, made, "HOOK", SECRET)
        await self.core.workflows.activate(self.workspace, made)
        return made

    def request(self, body: Json, **headers: str) -> InboundRequest:
        named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        path = f"/webhooks/custom/ws_{self.workspace}/orders"
        return InboundRequest(method="POST", path=path, query="", headers=tuple(named.items()), body=encode(body))

    async def receive(self, body: Json, **headers: str) -> Received:
        return await self.core.inbox.receive(self.address, self.request(body, **headers))

    def signed(self, body: Json) -> dict[str, str]:
        inbound = Inbound(method="POST", url="", headers={}, query={}, body=encode(body))
        return SCHEMES["stripe"].sign(inbound, SECRET, self.clock.now_ms())

    async def left_behind(self, body: Json, *keys: str, **headers: str) -> Delivery:
        """A delivery as a death leaves it: stored, and none of its runs started."""
        row = Delivery(
            workspace=self.workspace,
            id=self.ids.new(),
            status="processed",
            pending=True,
            provider="custom",
            method="POST",
            path=f"/webhooks/custom/ws_{self.workspace}/orders",
            query="a=1",
            headers=encode([[name.replace("_", "-"), value] for name, value in headers.items()]),
            body=encode(body),
        )
        await self.core.store.deliveries.receive(row, self.address.route, keys or (f"{row.id}#0",), since=0)
        return row

    async def inputs(self, workflow: str) -> list[Json]:
        """What the runs of a workflow were given, oldest first."""
        rows = await self.core.runs.page(RunFilter(workspace=self.workspace, workflow=workflow))
        runs = [await self.core.store.runs.get(self.workspace, row.id) for row in reversed(rows)]
        return [decode(run.input) for run in runs if run is not None]

    async def delivery(self) -> Delivery:
        """The oldest delivery."""
        rows = await self.core.inbox.page(DeliveryFilter(workspace=self.workspace))
        return (await self.core.inbox.get(self.workspace, rows[-1].id))[0]


@asynccontextmanager
async def opened(data: Path, engine: Engine | None = None) -> AsyncIterator[House]:
    clock = FakeClock()
    settings = Settings(server=Server(data=data), engine=engine or Engine())
    async with open_core(settings, Events(), clock) as (core, workspace):
        await core.engine.recover()
        yield House(core, workspace, clock)
        await core.engine.drain(1)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path) as house:
        yield house


async def test_the_runs_that_a_death_kept_from_starting_are_started(house: House) -> None:
    workflow = await house.workflow(SHORT)
    row = await house.left_behind({"n": 1})

    assert await house.core.inbox.resume() == 1

    found, results = await house.core.inbox.get(house.workspace, row.id)
    assert await house.inputs(workflow) == [{"n": 1}]
    assert (found.pending, found.status, [each.status for each in results]) == (False, "processed", ["started"])


async def test_resuming_again_starts_nothing(house: House) -> None:
    workflow = await house.workflow(SHORT)
    await house.left_behind({"n": 1})
    await house.core.inbox.resume()

    assert await house.core.inbox.resume() == 0
    assert len(await house.inputs(workflow)) == 1


async def test_of_several_runs_only_the_missing_ones_are_started(house: House) -> None:
    first = await house.workflow(SHORT)
    row = await house.left_behind({"n": 1})
    await house.core.inbox.resume()
    second = await house.workflow(SHORT)
    await house.core.store.database.write(_pend, row.id)  # type: ignore[attr-defined]

    await house.core.inbox.resume()

    assert (await house.inputs(first), await house.inputs(second)) == ([{"n": 1}], [{"n": 1}])


def _pend(connection: object, delivery: str) -> None:
    connection.execute("UPDATE deliveries SET pending = 1")  # type: ignore[attr-defined]


async def test_only_events_that_are_the_deliverys_own_are_resumed(house: House) -> None:
    workflow = await house.workflow(SHORT)
    await house.receive({"n": 1}, X_Event_Id="e-1")
    await house.left_behind([{"n": 1}, {"n": 2}], "e-1#0", "e-1#1", x_event_id="e-1")

    await house.core.inbox.resume()

    assert await house.inputs(workflow) == [{"n": 1}, {"n": 1}, {"n": 2}]


async def test_what_was_signed_is_verified_at_the_time_it_came(house: House) -> None:
    workflow = await house.workflow(SHORT, signature=SIGNATURE)
    row = await house.left_behind({"n": 1}, **house.signed({"n": 1}))
    await house.left_behind({"n": 2}, **house.signed({"n": 3}))
    house.clock.advance(86_400)

    await house.core.inbox.resume()

    assert await house.inputs(workflow) == [{"n": 1}]
    assert not (await house.core.inbox.get(house.workspace, row.id))[0].pending


async def test_a_delivery_that_nobody_listens_to_any_more_is_settled(house: House) -> None:
    row = await house.left_behind({"n": 1})

    await house.core.inbox.resume()

    assert (await house.core.inbox.get(house.workspace, row.id))[0].status == "ignored"


async def test_a_request_is_refused_before_it_is_stored_if_no_run_could_be_started(tmp_path: Path) -> None:
    async with opened(tmp_path, Engine(max_open_runs=1)) as house:
        await house.workflow(LONG)
        await house.receive({"n": 1})

        with pytest.raises(Overloaded):
            await house.receive({"n": 2})

        assert len(await house.core.inbox.page(DeliveryFilter(workspace=house.workspace))) == 1


async def test_what_could_not_be_started_at_once_is_started_later(tmp_path: Path) -> None:
    async with opened(tmp_path, Engine(max_open_runs=1)) as house:
        workflows = [await house.workflow(LONG) for _ in range(2)]
        with pytest.raises(Overloaded):
            await house.receive({"n": 1}, X_Event_Id="e-1")
        assert (await house.delivery()).pending
        assert house.core.inbox.left.is_set()
        await _end_all(house)

        await house.core.inbox.resume()

        assert [await house.inputs(workflow) for workflow in workflows] == [[{"n": 1}], [{"n": 1}]]
        assert not (await house.delivery()).pending


async def test_a_sender_that_repeats_what_was_refused_gets_it_started(tmp_path: Path) -> None:
    async with opened(tmp_path, Engine(max_open_runs=1)) as house:
        workflows = [await house.workflow(LONG) for _ in range(2)]
        with pytest.raises(Overloaded):
            await house.receive({"n": 1}, X_Event_Id="e-1")
        await _end_all(house)

        again = await house.receive({"n": 1}, X_Event_Id="e-1")

        assert again.duplicate
        assert again.event == (await house.delivery()).id
        assert [await house.inputs(workflow) for workflow in workflows] == [[{"n": 1}], [{"n": 1}]]


async def _end_all(house: House) -> None:
    for run in await house.core.runs.page(RunFilter(workspace=house.workspace)):
        await house.core.runs.cancel(house.workspace, run.id)


async def test_a_request_that_proves_itself_to_one_trigger_starts_only_that(house: House) -> None:
    open_one, signed = await house.workflow(SHORT), await house.workflow(SHORT, signature=SIGNATURE)

    received = await house.receive({"n": 1})

    _, results = await house.core.inbox.get(house.workspace, received.event)
    assert (received.triggered, await house.inputs(open_one), await house.inputs(signed)) == (1, [{"n": 1}], [])
    reasons = {each.workflow: each.reason for each in results}
    assert reasons == {open_one: None, signed: "Not verified: The header stripe-signature is missing"}


async def test_a_replay_does_not_start_what_a_request_never_proved_itself_to(house: House) -> None:
    open_one, signed = await house.workflow(SHORT), await house.workflow(SHORT, signature=SIGNATURE)
    received = await house.receive({"n": 1})

    await house.core.inbox.replay(house.workspace, received.event)

    assert (len(await house.inputs(open_one)), await house.inputs(signed)) == (2, [])


async def test_a_replay_for_one_trigger_leaves_the_others_alone(house: House) -> None:
    first, second = await house.workflow(SHORT), await house.workflow(SHORT)
    received = await house.receive({"n": 1})

    (fired,) = await house.core.inbox.replay(house.workspace, received.event, trigger=second)

    assert (len(await house.inputs(first)), len(await house.inputs(second))) == (1, 2)
    assert fired.replay_of is not None


async def test_a_trigger_is_followed_as_it_changes(house: House) -> None:
    workflow = await house.workflow(SHORT)
    await house.receive({"n": 1})

    await house.core.triggers.set_status(house.workspace, workflow, False)
    disabled = await house.receive({"n": 2})
    await house.core.triggers.set_status(house.workspace, workflow, True)
    trigger = {"type": "webhook", "path": "orders", "filter": {"n": {"$gt": 5}}}
    await house.core.workflows.update(house.workspace, workflow, {"trigger": trigger}, "test")
    filtered = await house.receive({"n": 3})
    await house.core.workflows.archive(house.workspace, workflow)

    assert (disabled.triggered, filtered.triggered) == (0, 0)
    assert await house.inputs(workflow) == [{"n": 1}]
    with pytest.raises(NotFound):
        await house.receive({"n": 9})


async def test_a_secret_is_followed_as_it_changes(house: House) -> None:
    workflow = await house.workflow(SHORT, signature=SIGNATURE)
    await house.receive({"n": 1}, **house.signed({"n": 1}))

    await house.core.secrets.replace(house.workspace, workflow, "HOOK", "another-secret")

    with pytest.raises(Unauthorized):
        await house.receive({"n": 2}, **house.signed({"n": 2}))


async def test_ten_refused_inputs_in_a_row_switch_the_trigger_off(house: House) -> None:
    workflow = await house.workflow(SHORT)
    schema = {"inputSchema": {"type": "object", "required": ["customer"]}}
    await house.core.workflows.update(house.workspace, workflow, schema, "test")
    for n in range(10):
        await house.receive({"n": n})

    received = await house.receive({"n": 10, "customer": 1})

    assert received.triggered == 0
    assert (await house.core.inbox.get(house.workspace, received.event))[0].reason is not None
    assert (await house.core.triggers.get(house.workspace, workflow)).reason == "too_many_failures"
