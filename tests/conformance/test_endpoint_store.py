"""Every verb on endpoints and their messages, each also called with a foreign workspace."""

import msgspec

from conformance.endpoints import a_message, an_endpoint, listening
from conformance.runs import NOW, Story
from stepwell.ids import lowest_at
from stepwell.store import Endpoint, EndpointMessage, MessageStatus, Store

PENDING, DELIVERED, FAILED = MessageStatus


async def put(story: Story, endpoint: Endpoint, **fields: object) -> EndpointMessage:
    message = a_message(endpoint, story, **fields)
    await story.store.endpoints.put(message)
    return message


async def found(story: Story, message: EndpointMessage) -> EndpointMessage | None:
    return await story.store.endpoints.message(message.workspace, message.endpoint, message.id)


async def test_an_endpoint_is_read_as_it_was_stored(store: Store, story: Story) -> None:
    endpoint = await listening(story, "run.failed", description="Alerts", sealed_old=b"old", old_until=9)

    assert await store.endpoints.get(story.workspace, endpoint.id) == endpoint


async def test_an_endpoint_of_another_workspace_is_not_found(store: Store, story: Story, foreign: str) -> None:
    endpoint = await listening(story)

    assert await store.endpoints.get(foreign, endpoint.id) is None
    assert await store.endpoints.page(foreign, before=None, limit=10) == []
    assert not await store.endpoints.delete(foreign, endpoint.id)
    assert not await store.endpoints.disable(foreign, endpoint.id, "why", NOW)
    assert not await store.endpoints.save(msgspec.structs.replace(endpoint, workspace=foreign), seen=NOW)
    assert await store.endpoints.get(story.workspace, endpoint.id) == endpoint


async def test_a_workspace_has_only_so_many_endpoints(store: Store, story: Story, theirs: Story) -> None:
    assert await store.endpoints.create(an_endpoint(story), 1)
    assert not await store.endpoints.create(an_endpoint(story), 1)
    assert await store.endpoints.create(an_endpoint(theirs), 1)


async def test_endpoints_are_listed_newest_first_a_page_at_a_time(store: Store, story: Story) -> None:
    first, second, third = [await listening(story) for _ in range(3)]

    page = await store.endpoints.page(story.workspace, before=None, limit=2)

    assert [endpoint.id for endpoint in page] == [third.id, second.id]
    assert await store.endpoints.page(story.workspace, before=second.id, limit=2) == [first]


async def test_an_edit_is_written_only_over_what_was_read(store: Store, story: Story) -> None:
    endpoint = await listening(story)
    changed = msgspec.structs.replace(endpoint, url="https://example.com/new", updated_at=NOW + 1)

    assert not await store.endpoints.save(changed, seen=NOW - 1)
    assert await store.endpoints.save(changed, seen=NOW)

    assert await store.endpoints.get(story.workspace, endpoint.id) == changed


async def test_an_endpoint_is_disabled_once_with_its_reason(store: Store, story: Story) -> None:
    endpoint = await listening(story)

    disabled = [await store.endpoints.disable(story.workspace, endpoint.id, why, NOW + 5) for why in ("410", "other")]

    kept = await store.endpoints.get(story.workspace, endpoint.id)
    assert disabled == [True, False]
    assert kept is not None and (kept.enabled, kept.disabled_reason) == (False, "410")


async def test_an_endpoint_fails_since_its_first_failure_and_until_a_success(store: Store, story: Story) -> None:
    endpoint = await listening(story)
    message = await put(story, endpoint)

    since = [await store.endpoints.record(message, NOW + at, succeeded=False) for at in (1, 2)]
    await store.endpoints.record(message, NOW + 3, succeeded=True)
    since.append(await store.endpoints.record(message, NOW + 4, succeeded=False))

    assert since == [NOW + 1, NOW + 1, NOW + 4]


async def test_an_endpoint_that_is_enabled_again_begins_anew(store: Store, story: Story) -> None:
    endpoint = await listening(story)
    await store.endpoints.record(await put(story, endpoint), NOW, succeeded=False)
    await store.endpoints.disable(story.workspace, endpoint.id, "why", NOW)
    disabled = await store.endpoints.get(story.workspace, endpoint.id)
    assert disabled is not None and disabled.failing_since == NOW

    enabled = msgspec.structs.replace(disabled, enabled=True, disabled_reason=None)
    assert await store.endpoints.save(enabled, seen=disabled.updated_at)

    kept = await store.endpoints.get(story.workspace, endpoint.id)
    assert kept is not None and (kept.enabled, kept.failing_since) == (True, None)


async def test_a_message_is_due_at_its_time(store: Store, story: Story) -> None:
    endpoint = await listening(story)
    message = await put(story, endpoint, due=NOW + 10)

    assert await store.endpoints.next(NOW) == NOW + 10
    assert await store.endpoints.due_endpoints(NOW + 9, None, 10) == []
    assert await store.endpoints.due_endpoints(NOW + 10, None, 10) == [endpoint.id]
    assert await store.endpoints.due_messages(endpoint.id, NOW + 9, 10) == []
    assert await store.endpoints.due_messages(endpoint.id, NOW + 10, 10) == [message]


async def test_what_is_due_already_is_not_what_is_due_next(store: Store, story: Story) -> None:
    endpoint = await listening(story)
    await put(story, endpoint, due=NOW)

    assert await store.endpoints.next(NOW) is None


async def test_endpoints_with_something_due_come_in_turn(store: Store, story: Story, theirs: Story) -> None:
    endpoints = [await listening(each) for each in (story, theirs, story)]
    for endpoint in endpoints:
        for _ in range(3):
            await put(story, endpoint)
    ordered = sorted(endpoint.id for endpoint in endpoints)

    assert await store.endpoints.due_endpoints(NOW, None, 2) == ordered[:2]
    assert await store.endpoints.due_endpoints(NOW, ordered[0], 10) == ordered[1:]


async def test_the_longest_due_message_comes_first(store: Store, story: Story) -> None:
    endpoint = await listening(story)
    for due in (NOW + 2, NOW, NOW + 1):
        await put(story, endpoint, due=due)

    assert [message.due for message in await store.endpoints.due_messages(endpoint.id, NOW + 9, 2)] == [NOW, NOW + 1]


async def test_a_try_is_recorded_with_the_body_that_was_sent_first(store: Store, story: Story) -> None:
    endpoint = await listening(story)
    message = await put(story, endpoint)
    tried = msgspec.structs.replace(
        message, attempts=1, due=NOW + 5000, response_status=500, error="HTTP 500", body=b"first", tries=b"[1]"
    )

    await store.endpoints.record(tried, NOW, succeeded=False)
    await store.endpoints.record(msgspec.structs.replace(tried, body=b"second"), NOW, succeeded=False)

    assert await found(story, message) == tried


async def test_the_run_is_kept_until_there_is_a_body(store: Store, story: Story) -> None:
    endpoint = await listening(story, "run.completed")
    await story.finish(await story.born())
    (message,) = await store.endpoints.due_messages(endpoint.id, NOW + 9, 10)

    await store.endpoints.record(message, NOW, succeeded=None)
    without = await found(story, message)
    await store.endpoints.record(msgspec.structs.replace(message, body=b"{}"), NOW, succeeded=None)
    rendered = await found(story, message)

    assert without is not None and without.subject == message.subject is not None
    assert rendered is not None and (rendered.subject, rendered.body) == (None, b"{}")


async def test_an_ended_message_is_due_again_when_it_is_asked_for(store: Store, story: Story, foreign: str) -> None:
    endpoint = await listening(story)
    message = await put(story, endpoint, status=FAILED, due=None)

    assert not await store.endpoints.requeue(foreign, endpoint.id, message.id, NOW)
    assert await store.endpoints.due_messages(endpoint.id, NOW, 10) == []
    assert await store.endpoints.requeue(story.workspace, endpoint.id, message.id, NOW)

    (again,) = await store.endpoints.due_messages(endpoint.id, NOW, 10)
    assert (again.id, again.status) == (message.id, PENDING)


async def test_messages_are_listed_newest_first_whatever_their_status(store: Store, story: Story) -> None:
    endpoint = await listening(story)
    kinds = ((DELIVERED, None), (PENDING, NOW), (FAILED, None), (DELIVERED, None))
    messages = [await put(story, endpoint, status=status, due=due) for status, due in kinds]
    newest = [message.id for message in reversed(messages)]

    async def listed(status: MessageStatus | None, before: str | None, limit: int) -> list[str]:
        page = await store.endpoints.messages(story.workspace, endpoint.id, status=status, before=before, limit=limit)
        return [message.id for message in page]

    assert await listed(None, None, 3) == newest[:3]
    assert await listed(None, newest[2], 3) == newest[3:]
    assert await listed(DELIVERED, None, 10) == [newest[0], newest[3]]


async def test_messages_of_another_workspace_are_not_found(store: Store, story: Story, foreign: str) -> None:
    endpoint = await listening(story)
    message = await put(story, endpoint)

    assert await store.endpoints.message(foreign, endpoint.id, message.id) is None
    assert await store.endpoints.messages(foreign, endpoint.id, status=None, before=None, limit=10) == []
    assert await store.endpoints.drop_messages(foreign, endpoint.id, 10) == 0
    assert await store.endpoints.prune_messages(foreign, lowest_at(NOW * 2), 10) == 0
    await store.endpoints.record(
        msgspec.structs.replace(message, workspace=foreign, status=DELIVERED, due=None), NOW, succeeded=True
    )
    assert await found(story, message) == message


async def test_messages_of_a_removed_endpoint_are_dropped_in_pages(store: Store, story: Story) -> None:
    endpoint, other = await listening(story), await listening(story)
    for _ in range(3):
        await put(story, endpoint)
    kept = await put(story, other)

    dropped = [await store.endpoints.drop_messages(story.workspace, endpoint.id, 2) for _ in range(3)]

    assert dropped == [2, 1, 0]
    assert await found(story, kept) == kept


async def test_only_old_messages_that_are_not_to_be_sent_any_more_are_pruned(store: Store, story: Story) -> None:
    endpoint = await listening(story)
    ended = [await put(story, endpoint, status=status, due=None) for status in (DELIVERED, FAILED, DELIVERED)]
    pending = await put(story, endpoint)
    newer = await put(story, endpoint, status=DELIVERED, due=None)

    pruned = [await store.endpoints.prune_messages(story.workspace, newer.id, 2) for _ in range(2)]

    assert pruned == [2, 1]
    assert [await found(story, message) for message in ended] == [None] * 3
    assert [await found(story, message) for message in (pending, newer)] == [pending, newer]
