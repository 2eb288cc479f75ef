"""Every verb on connectors made from documents; they are the server's, so no workspace is named."""

from stepwell.store import Store, StoredConnector


def connector(name: str, *, now: int = 1000, manifest: bytes = b'{"name":"x"}') -> StoredConnector:
    return StoredConnector(
        name=name,
        title=name.title(),
        source="https://x.test/openapi.json",
        manifest=manifest,
        skipped=b"[]",
        created_at=now,
        updated_at=now,
    )


async def test_a_connector_is_kept_as_it_was_put(store: Store) -> None:
    large = connector("petshop", manifest=b'{"a":"' + b"x" * 100_000 + b'"}')

    assert await store.connectors.put(large, replace=False)

    assert await store.connectors.get("petshop") == large
    assert await store.connectors.get("other") is None


async def test_a_name_is_put_once(store: Store) -> None:
    first = connector("petshop")
    await store.connectors.put(first, replace=False)

    assert not await store.connectors.put(connector("petshop", now=2000), replace=False)

    assert await store.connectors.get("petshop") == first


async def test_a_connector_that_replaces_another_keeps_the_time_it_was_made(store: Store) -> None:
    await store.connectors.put(connector("petshop"), replace=False)

    assert await store.connectors.put(connector("petshop", now=2000, manifest=b"{}"), replace=True)

    found = await store.connectors.get("petshop")
    assert found is not None
    assert (found.manifest, found.created_at, found.updated_at) == (b"{}", 1000, 2000)


async def test_one_that_replaces_nothing_is_put(store: Store) -> None:
    assert await store.connectors.put(connector("petshop"), replace=True)

    assert await store.connectors.get("petshop") == connector("petshop")


async def test_all_are_listed_by_name(store: Store) -> None:
    for name in ("b", "c", "a"):
        await store.connectors.put(connector(name), replace=False)

    assert [each.name for each in await store.connectors.all()] == ["a", "b", "c"]


async def test_a_deleted_connector_is_gone(store: Store) -> None:
    await store.connectors.put(connector("petshop"), replace=False)

    assert await store.connectors.delete("petshop")

    assert not await store.connectors.delete("petshop")
    assert await store.connectors.all() == []
