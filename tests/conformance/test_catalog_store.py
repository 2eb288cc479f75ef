"""Every verb on workflows, secrets, workspaces, keys and connections, each also called with a foreign workspace."""

import asyncio
from hashlib import sha256

import msgspec
import pytest

from stepwell.errors import AlreadyExists, NotFound
from stepwell.ids import TimeOrderedIds
from stepwell.states import WorkflowStatus
from stepwell.store import Connection, ConnectionFilter, Key, Secret, Store, Workflow, Workspace

NOW = 1_700_000_000_000
DRAFT, ACTIVE = WorkflowStatus.DRAFT, WorkflowStatus.ACTIVE
PAUSED, ARCHIVED = WorkflowStatus.PAUSED, WorkflowStatus.ARCHIVED
ANY = frozenset(WorkflowStatus)


def a_workflow(workspace: str, ids: TimeOrderedIds, name: str = "Orders", slug: str | None = None) -> Workflow:
    return Workflow(
        workspace=workspace,
        id=ids.new(),
        slug=slug,
        name=name,
        status=DRAFT,
        version=1,
        activated=False,
        updated_at=NOW,
        description="Takes orders",
        trigger=b'{"type":"webhook"}',
        canvas=b'{"zoom":1}',
    )


def a_key(workspace: str, ids: TimeOrderedIds, text: str = "wfk_a", **fields: object) -> Key:
    key = Key(
        workspace=workspace,
        id=ids.new(),
        hash=sha256(text.encode()).digest(),
        prefix=text[:8],
        name="CI",
        scopes=("runs:read", "workflows:execute"),
        dialect="loopfour",
        expires_at=NOW + 1000,
    )
    return msgspec.structs.replace(key, **fields)


def a_connection(workspace: str, ids: TimeOrderedIds, slug: str | None = None, **fields: object) -> Connection:
    connection = Connection(
        workspace=workspace,
        id=ids.new(),
        slug=slug,
        name="Billing",
        provider="stripe",
        status="active",
        mode="live",
        is_default=False,
        base_url="http://127.0.0.1:9",
        external_account_id="acct_1",
        sealed=b"\x00\x01",
        updated_at=NOW,
    )
    return msgspec.structs.replace(connection, **fields)


async def documents(store: Store, workspace: str, workflow: str) -> dict[int, bytes]:
    """The documents of all versions of a workflow, by number."""
    listed = await store.workflows.versions(workspace, workflow, before=None, limit=100)
    read = [await store.workflows.version(workspace, workflow, version.number) for version in listed]
    return {version.number: version.document for version in read if version}


@pytest.fixture
async def workflow(store: Store, workspace: str, ids: TimeOrderedIds) -> Workflow:
    created = a_workflow(workspace, ids, slug="orders")
    await store.workflows.create(created, b'{"name":"Orders"}', "key-1")
    return created


@pytest.fixture
async def connection(store: Store, workspace: str, ids: TimeOrderedIds) -> Connection:
    created = a_connection(workspace, ids, slug="billing")
    await store.connections.create(created)
    return created


# Workflows


async def test_a_workflow_is_found_by_id_and_by_slug(store: Store, workspace: str, workflow: Workflow) -> None:
    assert await store.workflows.get(workspace, workflow.id) == workflow
    assert await store.workflows.get(workspace, workflow.id.upper()) == workflow
    assert await store.workflows.get(workspace, "orders") == workflow


async def test_a_workflow_is_unknown_to_another_workspace(store: Store, foreign: str, workflow: Workflow) -> None:
    assert await store.workflows.get(foreign, workflow.id) is None
    assert await store.workflows.get(foreign, "orders") is None


async def test_the_exact_id_wins_over_a_slug(
    store: Store, workspace: str, ids: TimeOrderedIds, workflow: Workflow
) -> None:
    impostor = a_workflow(workspace, ids, slug=workflow.id)

    await store.workflows.create(impostor, b"{}", "key-1")

    assert await store.workflows.get(workspace, workflow.id) == workflow


async def test_a_slug_that_looks_like_an_id_is_found_when_no_workflow_has_that_id(
    store: Store, workspace: str, ids: TimeOrderedIds
) -> None:
    created = a_workflow(workspace, ids, slug=ids.new())

    await store.workflows.create(created, b"{}", "key-1")

    assert created.slug is not None
    assert await store.workflows.get(workspace, created.slug) == created


async def test_a_slug_is_taken_once_in_a_workspace(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds, workflow: Workflow
) -> None:
    with pytest.raises(AlreadyExists, match="orders"):
        await store.workflows.create(a_workflow(workspace, ids, slug="orders"), b"{}", "key-1")
    theirs = a_workflow(foreign, ids, slug="orders")
    await store.workflows.create(theirs, b"{}", "key-1")

    assert await store.workflows.get(workspace, "orders") == workflow
    assert await store.workflows.get(foreign, "orders") == theirs


async def test_many_workflows_have_no_slug(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    for _ in range(2):
        await store.workflows.create(a_workflow(workspace, ids), b"{}", "key-1")

    assert len(await store.workflows.page(workspace, status=None, search=None, before=None, limit=10)) == 2


async def test_creating_stores_the_first_version(store: Store, workspace: str, workflow: Workflow) -> None:
    version = await store.workflows.version(workspace, workflow.id, 1)

    assert version is not None
    assert (version.number, version.created_at, version.created_by) == (1, NOW, "key-1")
    assert version.document == b'{"name":"Orders"}'


async def test_a_save_with_the_next_number_adds_a_version(store: Store, workspace: str, workflow: Workflow) -> None:
    changed = msgspec.structs.replace(workflow, name="Orders 2", slug=None, version=2, updated_at=NOW + 5, canvas=None)

    assert await store.workflows.save(changed, b'{"v":2}', "key-2", seen=NOW)

    assert await store.workflows.get(workspace, workflow.id) == changed
    assert await documents(store, workspace, workflow.id) == {1: b'{"name":"Orders"}', 2: b'{"v":2}'}


async def test_a_save_is_refused_if_the_workflow_has_changed_since(
    store: Store, workspace: str, workflow: Workflow
) -> None:
    first = msgspec.structs.replace(workflow, name="First", updated_at=NOW + 1)
    second = msgspec.structs.replace(workflow, name="Second", updated_at=NOW + 1)

    answers = await asyncio.gather(
        store.workflows.save(first, b"{}", "key-1", seen=NOW), store.workflows.save(second, b"{}", "key-1", seen=NOW)
    )

    assert answers == [True, False]
    assert await store.workflows.get(workspace, workflow.id) == first


async def test_a_save_of_a_draft_writes_over_its_only_version(store: Store, workspace: str, workflow: Workflow) -> None:
    changed = msgspec.structs.replace(workflow, name="Better", updated_at=NOW + 1)

    assert await store.workflows.save(changed, b'{"better":1}', "key-2", seen=NOW)

    assert await documents(store, workspace, workflow.id) == {1: b'{"better":1}'}


async def test_a_version_that_may_have_had_runs_is_never_written_over(
    store: Store, workspace: str, workflow: Workflow
) -> None:
    await store.workflows.set_status(workspace, workflow.id, ACTIVE, ANY, NOW + 1)

    changed = msgspec.structs.replace(workflow, updated_at=NOW + 2)
    assert not await store.workflows.save(changed, b"{}", "key-1", seen=NOW + 1)

    assert await documents(store, workspace, workflow.id) == {1: b'{"name":"Orders"}'}


async def test_a_save_to_a_taken_slug_is_refused_whole(
    store: Store, workspace: str, ids: TimeOrderedIds, workflow: Workflow
) -> None:
    other = a_workflow(workspace, ids, slug="other")
    await store.workflows.create(other, b"{}", "key-1")

    with pytest.raises(AlreadyExists, match="orders"):
        changed = msgspec.structs.replace(other, slug="orders", version=2, updated_at=NOW + 1)
        await store.workflows.save(changed, b"{}", "key-1", seen=NOW)

    assert await store.workflows.get(workspace, other.id) == other
    assert list(await documents(store, workspace, other.id)) == [1]


async def test_a_save_from_another_workspace_changes_nothing(
    store: Store, workspace: str, foreign: str, workflow: Workflow
) -> None:
    stolen = msgspec.structs.replace(workflow, workspace=foreign, name="Stolen", version=2, updated_at=NOW + 1)

    assert not await store.workflows.save(stolen, b"{}", "key-1", seen=NOW)

    assert await store.workflows.get(workspace, workflow.id) == workflow
    assert await documents(store, foreign, workflow.id) == {}


async def test_a_status_changes_only_from_an_allowed_one(store: Store, workspace: str, workflow: Workflow) -> None:
    refused = await store.workflows.set_status(workspace, workflow.id, PAUSED, frozenset({ACTIVE}), NOW + 1)
    applied = await store.workflows.set_status(workspace, workflow.id, ARCHIVED, frozenset({DRAFT}), NOW + 1)

    assert (refused, applied) == (False, True)
    stored = await store.workflows.get(workspace, workflow.id)
    assert stored == msgspec.structs.replace(workflow, status=ARCHIVED, updated_at=NOW + 1)


async def test_a_workflow_that_was_active_once_stays_activated(
    store: Store, workspace: str, workflow: Workflow
) -> None:
    await store.workflows.set_status(workspace, workflow.id, ACTIVE, ANY, NOW + 1)
    await store.workflows.set_status(workspace, workflow.id, PAUSED, ANY, NOW + 2)

    stored = await store.workflows.get(workspace, workflow.id)

    assert stored is not None
    assert (stored.status, stored.activated) == (PAUSED, True)


async def test_every_change_of_status_raises_the_time_of_change(
    store: Store, workspace: str, workflow: Workflow
) -> None:
    await store.workflows.set_status(workspace, workflow.id, ACTIVE, ANY, NOW)
    await store.workflows.set_status(workspace, workflow.id, PAUSED, ANY, NOW - 1000)

    stored = await store.workflows.get(workspace, workflow.id)

    assert stored is not None
    assert stored.updated_at == NOW + 2


async def test_a_status_is_not_changed_from_another_workspace(
    store: Store, workspace: str, foreign: str, workflow: Workflow
) -> None:
    assert not await store.workflows.set_status(foreign, workflow.id, ACTIVE, ANY, NOW + 1)

    assert await store.workflows.get(workspace, workflow.id) == workflow


async def test_workflows_are_paged_newest_first_without_canvas(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    created = [a_workflow(workspace, ids, name=str(number)) for number in range(3)]
    for workflow in [*created, a_workflow(foreign, ids)]:
        await store.workflows.create(workflow, b"{}", "key-1")

    first = await store.workflows.page(workspace, status=None, search=None, before=None, limit=2)
    second = await store.workflows.page(workspace, status=None, search=None, before=first[-1].id, limit=2)

    listed = [msgspec.structs.replace(workflow, canvas=None) for workflow in reversed(created)]
    assert [*first, *second] == listed


async def test_archived_workflows_are_listed_only_when_asked_for(
    store: Store, workspace: str, ids: TimeOrderedIds, workflow: Workflow
) -> None:
    archived = a_workflow(workspace, ids)
    await store.workflows.create(archived, b"{}", "key-1")
    await store.workflows.set_status(workspace, archived.id, ARCHIVED, ANY, NOW)

    found = {
        status: [
            row.id for row in await store.workflows.page(workspace, status=status, search=None, before=None, limit=9)
        ]
        for status in (None, DRAFT, ARCHIVED)
    }

    assert found == {None: [workflow.id], DRAFT: [workflow.id], ARCHIVED: [archived.id]}


@pytest.mark.parametrize(("search", "found"), [("straSSE", True), ("STRASSE", True), ("e 5%", True), ("e_5", False)])
async def test_a_search_is_a_part_of_the_name_in_any_case(
    store: Store, workspace: str, ids: TimeOrderedIds, search: str, found: bool
) -> None:
    await store.workflows.create(a_workflow(workspace, ids, name="Stra\u00dfe 5%"), b"{}", "key-1")

    page = await store.workflows.page(workspace, status=None, search=search, before=None, limit=9)

    assert bool(page) is found


async def test_versions_are_paged_newest_first_without_documents(
    store: Store, workspace: str, foreign: str, workflow: Workflow
) -> None:
    for number in (2, 3):
        changed = msgspec.structs.replace(workflow, version=number, updated_at=NOW + number)
        seen = NOW if number == 2 else NOW + 2
        assert await store.workflows.save(changed, b"{}", "key-1", seen=seen)

    first = await store.workflows.versions(workspace, workflow.id, before=None, limit=2)
    second = await store.workflows.versions(workspace, workflow.id, before=2, limit=2)

    assert [version.number for version in first] == [3, 2]
    assert [version.number for version in second] == [1]
    assert {version.document for version in first} == {b""}
    assert await store.workflows.versions(foreign, workflow.id, before=None, limit=2) == []
    assert await store.workflows.version(foreign, workflow.id, 1) is None


# Secrets


async def test_a_secret_is_created_once_and_then_replaced(store: Store, workspace: str, workflow: Workflow) -> None:
    first, second = Secret("TOKEN", b"one", NOW), Secret("TOKEN", b"two", NOW + 1)

    answers = [
        await store.workflows.put_secret(workspace, workflow.id, first, replace=True),
        await store.workflows.put_secret(workspace, workflow.id, first, replace=False),
        await store.workflows.put_secret(workspace, workflow.id, second, replace=False),
    ]
    stored = await store.workflows.secrets(workspace, workflow.id)
    replaced = await store.workflows.put_secret(workspace, workflow.id, second, replace=True)

    assert answers == [False, True, False]
    assert stored == [first]
    assert replaced
    assert await store.workflows.secrets(workspace, workflow.id) == [second]


async def test_a_secret_is_removed_once(store: Store, workspace: str, workflow: Workflow) -> None:
    await store.workflows.put_secret(workspace, workflow.id, Secret("B", b"b", NOW), replace=False)
    await store.workflows.put_secret(workspace, workflow.id, Secret("A", b"a", NOW), replace=False)

    answers = [await store.workflows.delete_secret(workspace, workflow.id, "B") for _ in range(2)]

    assert answers == [True, False]
    assert [secret.name for secret in await store.workflows.secrets(workspace, workflow.id)] == ["A"]


async def test_secrets_are_closed_to_another_workspace(
    store: Store, workspace: str, foreign: str, workflow: Workflow
) -> None:
    ours = Secret("A", b"a", NOW)
    await store.workflows.put_secret(workspace, workflow.id, ours, replace=False)

    answers = [
        await store.workflows.put_secret(foreign, workflow.id, Secret("B", b"b", NOW), replace=False),
        await store.workflows.put_secret(foreign, workflow.id, Secret("A", b"b", NOW), replace=True),
        await store.workflows.delete_secret(foreign, workflow.id, "A"),
    ]

    assert answers == [False, False, False]
    assert await store.workflows.secrets(foreign, workflow.id) == []
    assert await store.workflows.secrets(workspace, workflow.id) == [ours]


# Workspaces and keys


async def test_workspaces_are_listed_oldest_first(store: Store, ids: TimeOrderedIds) -> None:
    created = [Workspace(ids.new(), name) for name in ("B", "A")]
    for workspace in created:
        await store.keys.create_workspace(workspace)

    assert await store.keys.workspaces() == created
    assert await store.keys.workspace(created[1].id) == created[1]
    assert await store.keys.workspace(ids.new()) is None


async def test_a_key_is_found_by_its_hash(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    key = a_key(workspace, ids)

    await store.keys.create(key)

    assert await store.keys.find(key.hash) == key
    assert await store.keys.find(b"\x00" * 32) is None


async def test_a_key_text_belongs_to_one_key(store: Store, workspace: str, foreign: str, ids: TimeOrderedIds) -> None:
    key = a_key(workspace, ids)
    await store.keys.create(key)

    with pytest.raises(AlreadyExists):
        await store.keys.create(a_key(foreign, ids))

    assert await store.keys.find(key.hash) == key


async def test_keys_are_paged_newest_first(store: Store, workspace: str, foreign: str, ids: TimeOrderedIds) -> None:
    created = [a_key(workspace, ids, text=str(number)) for number in range(3)]
    for key in [*created, a_key(foreign, ids)]:
        await store.keys.create(key)

    first = await store.keys.page(workspace, before=None, limit=2)
    second = await store.keys.page(workspace, before=first[-1].id, limit=2)

    assert [*first, *second] == created[::-1]


async def test_a_revoked_key_keeps_the_time_of_its_end(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    key = a_key(workspace, ids)
    await store.keys.create(key)

    answers = [await store.keys.revoke(workspace, key.id, now) for now in (NOW + 1, NOW + 2)]

    assert answers == [True, True]
    assert await store.keys.find(key.hash) == msgspec.structs.replace(key, revoked_at=NOW + 1)


async def test_a_touched_key_keeps_the_time_of_its_use(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    key = a_key(workspace, ids)
    await store.keys.create(key)

    await store.keys.touch(workspace, key.id, NOW + 1)

    assert await store.keys.find(key.hash) == msgspec.structs.replace(key, last_used_at=NOW + 1)


async def test_a_key_is_not_changed_from_another_workspace(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    key = a_key(workspace, ids)
    await store.keys.create(key)

    assert not await store.keys.revoke(foreign, key.id, NOW)
    await store.keys.touch(foreign, key.id, NOW)

    assert await store.keys.find(key.hash) == key
    assert await store.keys.page(foreign, before=None, limit=9) == []


# Connections


async def test_a_connection_is_found_by_id_and_by_slug(
    store: Store, workspace: str, foreign: str, connection: Connection
) -> None:
    assert await store.connections.get(workspace, connection.id) == connection
    assert await store.connections.get(workspace, "billing") == connection
    assert await store.connections.get(foreign, connection.id) is None
    assert await store.connections.get(foreign, "billing") is None


async def test_a_connection_slug_is_taken_once_in_a_workspace(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds, connection: Connection
) -> None:
    with pytest.raises(AlreadyExists, match="billing"):
        await store.connections.create(a_connection(workspace, ids, slug="billing", is_default=True))

    await store.connections.create(a_connection(foreign, ids, slug="billing"))
    assert await store.connections.get(workspace, "billing") == connection


async def test_a_new_default_ends_the_former_default_of_its_provider_only(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    former, slack = (
        a_connection(workspace, ids, is_default=True),
        a_connection(workspace, ids, is_default=True, provider="slack"),
    )
    theirs, new = a_connection(foreign, ids, is_default=True), a_connection(workspace, ids, is_default=True)

    for connection in (former, slack, theirs, new):
        await store.connections.create(connection)

    defaults = [
        found.is_default
        for connection in (former, slack, theirs, new)
        if (found := await store.connections.get(connection.workspace, connection.id))
    ]
    assert defaults == [False, True, True, True]


async def test_a_save_to_default_ends_the_former_default(
    store: Store, workspace: str, ids: TimeOrderedIds, connection: Connection
) -> None:
    former = a_connection(workspace, ids, is_default=True)
    await store.connections.create(former)
    changed = msgspec.structs.replace(
        connection, name="Main", slug=None, is_default=True, sealed=b"\x02", status="error", updated_at=NOW + 1
    )

    assert await store.connections.save(changed, seen=NOW)

    assert await store.connections.get(workspace, connection.id) == changed
    assert await store.connections.get(workspace, former.id) == msgspec.structs.replace(former, is_default=False)


async def test_a_connection_save_is_refused_if_it_has_changed_since(
    store: Store, workspace: str, connection: Connection
) -> None:
    changed = msgspec.structs.replace(connection, name="Late", updated_at=NOW + 1)

    assert not await store.connections.save(changed, seen=NOW - 1)

    assert await store.connections.get(workspace, connection.id) == connection


async def test_a_connection_is_not_changed_from_another_workspace(
    store: Store, workspace: str, foreign: str, connection: Connection
) -> None:
    stolen = msgspec.structs.replace(connection, workspace=foreign, name="Stolen", updated_at=NOW + 1)

    answers = [
        await store.connections.save(stolen, seen=NOW),
        await store.connections.delete(foreign, connection.id),
    ]

    assert answers == [False, False]
    assert await store.connections.get(workspace, connection.id) == connection


async def test_connections_are_paged_newest_first_without_credentials(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    created = [
        a_connection(workspace, ids),
        a_connection(workspace, ids, provider="slack"),
        a_connection(workspace, ids, status="disconnected"),
    ]
    for connection in [*created, a_connection(foreign, ids)]:
        await store.connections.create(connection)

    async def page(
        provider: str | None = None, status: str | None = None, before: str | None = None
    ) -> list[Connection]:
        wanted = ConnectionFilter(
            workspace=workspace,
            providers=None if provider is None else (provider,),
            statuses=None if status is None else (status,),
            before=before,
            limit=2,
        )
        return (await store.connections.page(wanted))[0]

    first, second, third = (msgspec.structs.replace(connection, sealed=None) for connection in created)
    assert await page() == [third, second]
    assert await page(before=second.id) == [first]
    assert await page(provider="stripe") == [third, first]
    assert await page(status="active") == [second, first]


async def test_the_candidates_are_the_active_connections_of_the_providers_oldest_first(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    resend, smtp = a_connection(workspace, ids, provider="resend"), a_connection(workspace, ids, provider="smtp")
    expired = a_connection(workspace, ids, provider="smtp", status="expired")
    for connection in (
        resend,
        smtp,
        expired,
        a_connection(workspace, ids),
        a_connection(foreign, ids, provider="smtp"),
    ):
        await store.connections.create(connection)

    found = await store.connections.candidates(workspace, ("smtp", "resend", "smtp"))

    assert found == [msgspec.structs.replace(connection, sealed=None) for connection in (resend, smtp)]


async def test_operations_are_numbered_from_one_within_connection_and_kind(
    store: Store, workspace: str, ids: TimeOrderedIds, connection: Connection
) -> None:
    other = a_connection(workspace, ids)
    await store.connections.create(other)
    wanted = [
        (connection.id, "r:a", "in"),
        (connection.id, "r:b", "in"),
        (connection.id, "r:b", "msg"),
        (other.id, "r:b", "in"),
    ]

    numbers = [await store.connections.count(workspace, *operation) for operation in wanted]

    assert numbers == [1, 2, 1, 1]


async def test_the_same_operation_has_the_same_number(store: Store, workspace: str, connection: Connection) -> None:
    numbers = await asyncio.gather(
        *(store.connections.count(workspace, connection.id, operation, "in") for operation in ("a", "b", "a"))
    )

    assert numbers == [1, 2, 1]


async def test_a_foreign_connection_counts_nothing(
    store: Store, workspace: str, foreign: str, connection: Connection
) -> None:
    with pytest.raises(NotFound, match="Connection not found"):
        await store.connections.count(foreign, connection.id, "a", "in")

    assert await store.connections.count(workspace, connection.id, "b", "in") == 1


async def test_a_connection_is_deleted_once_with_its_counts(
    store: Store, workspace: str, connection: Connection
) -> None:
    await store.connections.count(workspace, connection.id, "a", "in")

    answers = [await store.connections.delete(workspace, connection.id) for _ in range(2)]

    assert answers == [True, False]
    await store.connections.create(connection)
    assert await store.connections.count(workspace, connection.id, "b", "in") == 1
