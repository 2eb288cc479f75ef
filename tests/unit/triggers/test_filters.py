"""LoopFour contract 11.4: filters over JSON values."""

from decimal import Decimal

import pytest

from stepwell.errors import Fault, ValidationFailed
from stepwell.triggers import compile_filter
from stepwell.values import Json

VALUE = {
    "amount": 120,
    "price": Decimal("19.99"),
    "status": "Closed Won",
    "at": "2024-01-15T10:30:00Z",
    "tags": ["new", "eu"],
    "items": [{"sku": "a1"}, {"sku": "b2"}],
    "customer": {"id": "cus_1", "vip": True},
    "note": None,
}


def holds(document: Json, value: Json = VALUE) -> bool:
    return compile_filter(document).matches(value)


@pytest.mark.parametrize(
    ("operator", "right", "wrong"),
    [
        ("$eq", "Closed Won", "Lost"),
        ("$ne", "Lost", "Closed Won"),
        ("$in", ["Lost", "Closed Won"], ["Lost"]),
        ("$nin", ["Lost"], ["Lost", "Closed Won"]),
        ("$exists", True, False),
        ("$contains", "Won", "Lost"),
        ("$regex", "^Closed", "^Won"),
    ],
)
def test_each_operator_holds_or_not(operator: str, right: Json, wrong: Json) -> None:
    assert holds({"status": {operator: right}})
    assert not holds({"status": {operator: wrong}})


@pytest.mark.parametrize(
    ("operator", "right", "wrong"),
    [("$gt", 119, 120), ("$gte", 120, 121), ("$lt", Decimal("120.5"), 120), ("$lte", 120, 119), ("$gt", "100", "200")],
)
def test_numbers_are_ordered_by_value(operator: str, right: Json, wrong: Json) -> None:
    assert holds({"amount": {operator: right}})
    assert not holds({"amount": {operator: wrong}})


def test_instants_are_ordered_by_time() -> None:
    assert holds({"at": {"$lt": "2024-01-15T12:00:00+01:00"}})


def test_a_plain_value_means_equal() -> None:
    assert holds({"status": "Closed Won", "customer": {"id": "cus_1", "vip": True}, "note": None})
    assert not holds({"customer": {"id": "cus_1"}})


def test_values_are_compared_as_in_conditions() -> None:
    assert holds({"amount": "120"})
    assert holds({"customer.vip": "true"})
    assert holds({"price": Decimal("19.990")})


def test_every_key_and_every_operator_must_hold() -> None:
    assert holds({"amount": {"$gt": 100, "$lt": 200}, "status": "Closed Won"})
    assert not holds({"amount": {"$gt": 100, "$lt": 110}})
    assert not holds({"amount": 120, "status": "Lost"})


@pytest.mark.parametrize("path", ["items.1.sku", "items[1].sku"])
def test_paths_lead_through_objects_and_arrays(path: str) -> None:
    assert holds({path: "b2"})


@pytest.mark.parametrize(
    "path", ["items.2.sku", "items.x", "status.length", "customer.name.first", "note.x", "tags.-1"]
)
def test_what_a_path_does_not_lead_to_is_null(path: str) -> None:
    assert holds({path: {"$exists": False, "$eq": None}})
    assert not holds({path: {"$gt": 0}})


def test_arrays_contain_their_members() -> None:
    assert holds({"tags": {"$contains": "eu"}})
    assert not holds({"tags": {"$contains": "us"}})


def test_an_empty_filter_holds_for_everything() -> None:
    assert holds({}, None)


def test_all_faults_are_told_at_once_with_their_places() -> None:
    document = {
        "a": {"$near": 1},
        "b": {"$in": 3, "$exists": "yes"},
        "c": {"$regex": "("},
        "d": {"$gt": 1, "plain": 2},
        "e": {"$regex": 1},
        "f..g": 1,
    }

    with pytest.raises(ValidationFailed) as refused:
        compile_filter(document, ("match",))

    assert [(fault.path, fault.message.split(":")[0]) for fault in refused.value.faults] == [
        (("match", "a", "$near"), "Unknown operator"),
        (("match", "b", "$in"), "Expected array"),
        (("match", "b", "$exists"), "Expected boolean"),
        (("match", "c", "$regex"), "Invalid regular expression"),
        (("match", "d", "plain"), "Unknown operator"),
        (("match", "e", "$regex"), "Expected string"),
        (("match", "f..g"), "Expected a dotted path"),
    ]


def test_a_filter_is_an_object() -> None:
    with pytest.raises(ValidationFailed) as refused:
        compile_filter(["a"], ("match",))

    assert refused.value.faults == [Fault(("match",), "Expected object")]
