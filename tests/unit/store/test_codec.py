"""Ids and values come back from their columns as they went in."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from stepwell import values
from stepwell.store.sqlite import codec
from stepwell.store.sqlite.codec import INLINE, Payload

ids = st.binary(min_size=16, max_size=16).map(lambda raw: str(UUID(bytes=raw)))
json_texts = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=3000),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
).map(values.encode)
large = st.binary(min_size=1, max_size=3).map(lambda start: start + bytes(INLINE))


@given(ids)
def test_an_id_comes_back(uuid: str) -> None:
    assert codec.text(codec.key(uuid)) == uuid
    assert codec.text_or_none(codec.key_or_none(uuid)) == uuid


@given(ids, ids)
def test_keys_are_ordered_like_their_ids(one: str, other: str) -> None:
    assert (codec.key(one) < codec.key(other)) == (one < other)


def test_an_absent_id_stays_absent() -> None:
    assert codec.key_or_none(None) is None
    assert codec.text_or_none(None) is None


@given(json_texts)
def test_a_value_comes_back(value: bytes) -> None:
    payloads: list[Payload] = []

    column = codec.pack(value, payloads)

    digest = codec.reference(column)
    stored = {payload.digest: payload.data for payload in payloads}
    assert (column if digest is None else codec.unpack(stored[digest])) == value
    assert (digest is not None) == (len(value) > INLINE)


@given(large, large)
def test_large_values_share_a_payload_only_if_they_are_equal(one: bytes, other: bytes) -> None:
    payloads: list[Payload] = []

    columns = [codec.pack(value, payloads) for value in (one, other, one)]

    assert columns[0] == columns[2]
    assert (columns[0] == columns[1]) == (one == other)


def test_no_value_is_no_payload() -> None:
    payloads: list[Payload] = []

    assert codec.pack(None, payloads) is None
    assert codec.reference(None) is None
    assert payloads == []
