"""How values are written as JSON."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.values import Json, decode, encode


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("19.90", b"19.90"),
        ("0.000001", b"0.000001"),
        ("0.0000003", b"0.0000003"),
        ("-0.00000030", b"-0.00000030"),
        ("3e-7", b"0.0000003"),
        ("1e2", b"1E+2"),
    ],
)
def test_a_small_number_is_written_without_an_exponent(number: str, text: bytes) -> None:
    assert encode(Decimal(number)) == text
    assert encode({"a": [Decimal(number), "1E-7"]}) == b'{"a":[%s,"1E-7"]}' % text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text() | st.decimals(-1, 1, places=12),
        lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    )
)
def test_what_is_written_reads_as_the_same_value(value: Json) -> None:
    assert decode(encode(value)) == value
