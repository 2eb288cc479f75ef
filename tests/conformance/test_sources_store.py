"""What workflows were written as, as it is stored."""

import msgspec

from stepwell.ids import TimeOrderedIds
from stepwell.store import Answered, Deployment, SourceVersion, SourceWorkflow, Store, StoredVariable

NOW = 1_800_000_000_000


async def test_a_source_is_written_over_and_forgotten_with_all_that_is_its(
    store: Store, workspace: str, ids: TimeOrderedIds
) -> None:
    source = SourceWorkflow(workspace=workspace, workflow=ids.new(), kind="script", updated_at=NOW)
    version = SourceVersion(
        workspace=workspace, workflow=source.workflow, id=ids.new(), number=1, body=b'{"nodes": []}'
    )
    await store.sources.put(source)
    await store.sources.put_version(version)
    assert await store.sources.set_route(workspace, source.workflow, "a/b")
    changed = msgspec.structs.replace(source, trigger_code="return 1", updated_at=NOW + 1)
    await store.sources.put(changed)
    found = await store.sources.get(workspace, source.workflow)

    await store.sources.delete(workspace, source.workflow)

    assert found == changed
    assert await store.sources.get(workspace, source.workflow) is None
    assert await store.sources.version(workspace, source.workflow, version.id) is None
    assert await store.sources.route("a/b") is None


async def test_versions_are_paged_newest_first_and_keep_their_bytes(
    store: Store, workspace: str, ids: TimeOrderedIds
) -> None:
    workflow = ids.new()
    versions = [
        SourceVersion(workspace=workspace, workflow=workflow, id=ids.new(), number=n, body=b'{ "n" : %d }' % n)
        for n in range(3)
    ]
    for version in versions:
        await store.sources.put_version(version)
    locked = msgspec.structs.replace(versions[0], locked=True)
    await store.sources.put_version(locked)

    first = await store.sources.versions(workspace, workflow, before=None, limit=2)
    rest = await store.sources.versions(workspace, workflow, before=first[-1].id, limit=2)

    assert [*first, *rest] == [versions[2], versions[1], locked]
    assert await store.sources.delete_version(workspace, workflow, locked.id)
    assert not await store.sources.delete_version(workspace, workflow, locked.id)


async def test_a_body_is_saved_over_the_newest_version_unless_that_is_locked_or_deployed(
    store: Store, workspace: str, ids: TimeOrderedIds
) -> None:
    workflow = ids.new()
    await store.sources.put(SourceWorkflow(workspace=workspace, workflow=workflow, kind="workflow"))

    async def saved(body: bytes, *, fresh: bool = False) -> tuple[int, bytes, bool]:
        made = SourceVersion(workspace=workspace, workflow=workflow, id=ids.new(), number=0, body=body, updated_at=NOW)
        version, new = await store.sources.save_version(made, fresh=fresh)
        assert await store.sources.version(workspace, workflow, version.id) == version
        return version.number, version.body, new

    assert await saved(b"1") == (1, b"1", True)
    assert await saved(b"1") == (1, b"1", False)
    assert await saved(b"2") == (1, b"2", False)
    (newest,) = await store.sources.versions(workspace, workflow, before=None, limit=5)
    await store.sources.set_deployed(workspace, workflow, newest.id, NOW)
    assert await saved(b"3") == (2, b"3", True)
    (newest, _) = await store.sources.versions(workspace, workflow, before=None, limit=5)
    await store.sources.put_version(msgspec.structs.replace(newest, locked=True))
    assert await saved(b"4") == (3, b"4", True)
    assert await saved(b"4", fresh=True) == (4, b"4", True)


async def test_a_new_version_is_the_current_one_and_settings_leave_it_so(
    store: Store, workspace: str, ids: TimeOrderedIds
) -> None:
    source = SourceWorkflow(workspace=workspace, workflow=ids.new(), kind="workflow", updated_at=NOW)
    await store.sources.put(source)
    made = SourceVersion(workspace=workspace, workflow=source.workflow, id=ids.new(), number=0, body=b"{}")
    version, _ = await store.sources.save_version(msgspec.structs.replace(made, updated_at=NOW + 1), fresh=False)
    await store.sources.set_deployed(workspace, source.workflow, version.id, NOW + 2)

    await store.sources.put(msgspec.structs.replace(source, trigger_code="return 1", updated_at=NOW + 3))

    found = await store.sources.get(workspace, source.workflow)
    assert found is not None
    assert (found.current_version, found.deployed_version, found.trigger_code) == (version.id, version.id, "return 1")


async def test_deployments_are_listed_for_one_workflow_or_all(
    store: Store, workspace: str, ids: TimeOrderedIds
) -> None:
    made = [
        Deployment(
            workspace=workspace,
            id=ids.new(),
            workflow=ids.new(),
            version=None,
            connection=ids.new(),
            service_name="s",
            service_url=None,
            status="pending",
        )
        for _ in range(2)
    ]
    for deployment in made:
        await store.sources.put_deployment(deployment)
    done = msgspec.structs.replace(made[1], status="failed", error="why")
    await store.sources.put_deployment(done)

    listed = await store.sources.deployments(workspace, workflow=None, before=None, limit=5)
    assert listed == [done, made[0]]
    assert await store.sources.deployments(workspace, workflow=made[0].workflow, before=None, limit=5) == [made[0]]


async def test_the_name_of_a_variable_is_taken_once(store: Store, workspace: str, ids: TimeOrderedIds) -> None:
    first = StoredVariable(workspace=workspace, id=ids.new(), name="A", secret=False, value="1")
    second = StoredVariable(workspace=workspace, id=ids.new(), name="B", secret=True, sealed=b"x")

    written = [await store.sources.put_variable(each) for each in (second, first)]
    taken = await store.sources.put_variable(msgspec.structs.replace(second, name="A"))

    assert (written, taken) == ([True, True], False)
    assert await store.sources.variables(workspace) == [first, second]
    assert await store.sources.delete_variable(workspace, first.id)


async def test_an_address_belongs_to_one_workflow_on_the_server(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    mine, other = ids.new(), ids.new()

    taken = [
        await store.sources.set_route(workspace, mine, "x"),
        await store.sources.set_route(foreign, other, "x"),
        await store.sources.set_route(workspace, mine, "y"),
        await store.sources.set_route(foreign, other, "x"),
    ]

    assert taken == [True, False, True, True]
    assert (await store.sources.route("x"), await store.sources.route("y")) == ((foreign, other), (workspace, mine))


async def test_an_answer_is_kept_by_its_key_for_a_time(store: Store, workspace: str, foreign: str) -> None:
    await store.sources.put_repeat(workspace, "deploy", "k", NOW, Answered(200, b"{}"))

    assert await store.sources.repeat(workspace, "deploy", "k", NOW - 1) == Answered(200, b"{}")
    assert await store.sources.repeat(workspace, "deploy", "k", NOW) is None
    assert await store.sources.repeat(foreign, "deploy", "k", NOW - 1) is None
    assert await store.sources.forget_repeats(NOW, 10) == 1


async def test_a_foreign_workspace_finds_nothing(
    store: Store, workspace: str, foreign: str, ids: TimeOrderedIds
) -> None:
    source = SourceWorkflow(workspace=workspace, workflow=ids.new(), kind="workflow")
    version = SourceVersion(workspace=workspace, workflow=source.workflow, id=ids.new(), number=1, body=b"{}")
    await store.sources.put(source)
    await store.sources.put_version(version)

    assert await store.sources.get(foreign, source.workflow) is None
    assert await store.sources.versions(foreign, source.workflow, before=None, limit=5) == []
    assert await store.sources.variables(foreign) == []
    assert not await store.sources.delete_version(foreign, source.workflow, version.id)
