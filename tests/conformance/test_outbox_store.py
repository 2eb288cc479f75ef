"""Every verb on errands, each also called with a foreign workspace."""

from stepwell.store import Errand, Store


async def test_an_errand_is_due_at_its_time_and_not_before(store: Store, foreign: str) -> None:
    await store.outbox.put(foreign, "run_1:mail", 1000, b"sealed")

    assert await store.outbox.next() == 1000
    assert await store.outbox.due(999, 10) == []
    assert await store.outbox.due(1000, 10) == [Errand(foreign, "run_1:mail", 1000, 0, b"sealed")]


async def test_the_same_operation_is_kept_once(store: Store, foreign: str) -> None:
    await store.outbox.put(foreign, "run_1:mail", 1000, b"first")
    await store.outbox.put(foreign, "run_1:mail", 2000, b"second")

    assert [errand.sealed for errand in await store.outbox.due(9000, 10)] == [b"first"]


async def test_what_is_due_longest_comes_first_and_a_page_at_a_time(store: Store, foreign: str) -> None:
    for due in (3000, 1000, 2000):
        await store.outbox.put(foreign, f"run_{due}:mail", due, b"")

    assert [errand.due for errand in await store.outbox.due(9000, 2)] == [1000, 2000]


async def test_an_errand_that_is_put_off_counts_its_attempts(store: Store, foreign: str) -> None:
    await store.outbox.put(foreign, "run_1:mail", 1000, b"")

    assert await store.outbox.put_off(foreign, "run_1:mail", 5000)

    assert [(errand.due, errand.attempts) for errand in await store.outbox.due(9000, 10)] == [(5000, 1)]


async def test_an_errand_that_is_ended_is_gone(store: Store, foreign: str) -> None:
    await store.outbox.put(foreign, "run_1:mail", 1000, b"")

    assert await store.outbox.end(foreign, "run_1:mail")

    assert (await store.outbox.next(), await store.outbox.due(9000, 10)) == (None, [])


async def test_another_workspace_can_neither_end_nor_put_off_an_errand(
    store: Store, foreign: str, workspace: str
) -> None:
    await store.outbox.put(foreign, "run_1:mail", 1000, b"")

    assert not await store.outbox.end(workspace, "run_1:mail")
    assert not await store.outbox.put_off(workspace, "run_1:mail", 9)

    assert [errand.due for errand in await store.outbox.due(9000, 10)] == [1000]
