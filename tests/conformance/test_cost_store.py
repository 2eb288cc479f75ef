"""What runs cost, and budgets, in a store."""

from conformance.runs import NOW, Story, a_record
from stepwell import cost
from stepwell.states import RecordStatus, RunState
from stepwell.store import Budget

MONTH = cost.month_of(NOW)
DONE = a_record("a", RecordStatus.SUCCESS)


async def test_charges_of_a_commit_raise_record_run_and_spending(story: Story) -> None:
    run = await story.born()

    await story.write(run, records=(DONE,), charges=(("a", 5),))
    committed = await story.runs.commit(story.commit(run, records=(DONE,), charges=(("a", 7),)))

    loaded = await story.load(run)
    assert (loaded.records[0].cost, loaded.run.cost, committed.cost) == (12, 12, 12)
    assert await story.store.costs.spent(story.workspace, story.workspace, MONTH) == 12


async def test_a_refused_commit_charges_nothing(story: Story) -> None:
    run = await story.born()

    await story.write(run, epoch=9, records=(DONE,), charges=(("a", 5),))

    assert (await story.load(run)).run.cost == 0
    assert await story.store.costs.spent(story.workspace, story.workspace, MONTH) == 0


async def test_a_budget_is_set_anew_and_removed_once(story: Story) -> None:
    costs, key = story.store.costs, story.ids.new()
    for amount in (10, 20):
        await costs.put_budget(Budget(story.workspace, key, amount, "ask"))

    assert await costs.budgets() == [Budget(story.workspace, key, 20, "ask")]
    assert [await costs.delete_budget(story.workspace, key) for _ in range(2)] == [True, False]
    assert await costs.budgets() == []


async def test_a_resumed_run_that_asked_has_no_budget_or_the_one_that_is_given(story: Story) -> None:
    held = b'{"of":"run","action":"ask"}'
    for given in (None, 30):
        run = await story.born(budget=20, over_budget="ask")
        await story.write(run, state=RunState.PAUSED, suspend_at=0, held=held)
        assert (await story.load(run)).run.held == held

        await story.store.signals.resume(story.workspace, run, NOW, given)

        resumed = (await story.load(run)).run
        assert (resumed.held, resumed.budget, resumed.state) == (None, given, RunState.RUNNING)


async def test_a_run_that_a_person_paused_keeps_its_budget(story: Story) -> None:
    run = await story.born(budget=20)
    await story.store.signals.pause(story.workspace, run, NOW)

    await story.store.signals.resume(story.workspace, run, NOW)

    assert (await story.load(run)).run.budget == 20
