"""Secret markers: genuine ones open, forged ones do not, and nothing of their shape is shown."""

import base64
from decimal import Decimal

import pytest

from stepwell.auth import Markers, SecretBox, Vault, mask, mask_encoded, mask_text
from stepwell.values import Json, decode, encode

MARKERS = Markers(Vault(bytes(range(32))))
TOKEN = MARKERS.marker("w", "f", "TOKEN")


def box(**secrets: str) -> SecretBox:
    return MARKERS.box("w", "f", secrets)


def test_a_box_names_the_marker_of_each_secret() -> None:
    assert box(TOKEN="tok-123", OTHER_KEY="abcd").markers == {
        "TOKEN": TOKEN,
        "OTHER_KEY": MARKERS.marker("w", "f", "OTHER_KEY"),
    }


def test_genuine_markers_open_in_every_text_of_a_value() -> None:
    value = {"headers": [{"auth": f"Bearer {TOKEN}"}], "n": 1, "twice": TOKEN + TOKEN}

    assert box(TOKEN="tok-123").reveal(value) == {
        "headers": [{"auth": "Bearer tok-123"}],
        "n": 1,
        "twice": "tok-123tok-123",
    }


@pytest.mark.parametrize(
    "forged",
    [
        "\ue000TOKEN:0123456789abcdef\ue001",
        "\ue000TOKEN\ue001",
        MARKERS.marker("w", "other", "TOKEN"),
        MARKERS.marker("other", "f", "TOKEN"),
        Markers(Vault(bytes(32))).marker("w", "f", "TOKEN"),
    ],
)
def test_a_marker_that_this_server_did_not_make_for_the_workflow_stays_closed(forged: str) -> None:
    assert box(TOKEN="tok-123").reveal({"a": forged}) == {"a": forged}


def test_a_marker_inside_a_secret_is_not_opened_again() -> None:
    other = MARKERS.marker("w", "f", "OTHER")

    assert box(TOKEN=f"x{other}", OTHER="oooo").reveal(TOKEN) == f"x{other}"


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        ("Bearer p4/ss word+", f"Bearer {TOKEN}"),
        ({"p4/ss word+": ["p4/ss word+"]}, {TOKEN: [TOKEN]}),
        ("?key=p4%2Fss%20word%2B", f"?key={TOKEN}"),
        ("?key=p4%2Fss+word%2B", f"?key={TOKEN}"),
        ("Basic " + base64.b64encode(b"p4/ss word+").decode(), f"Basic {TOKEN}"),
        ({"n": 5, "ok": True, "none": None}, {"n": 5, "ok": True, "none": None}),
    ],
)
def test_a_secret_is_hidden_however_an_answer_repeats_it(value: Json, hidden: Json) -> None:
    assert box(TOKEN="p4/ss word+").hide(value) == hidden


def test_a_secret_of_several_lines_is_hidden_in_json_within_a_text() -> None:
    secret = 'line "one"\nline two'

    assert box(TOKEN=secret).hide(encode({"key": secret}).decode()) == f'{{"key":"{TOKEN}"}}'


def test_a_number_is_hidden_if_it_is_the_secret_as_a_whole() -> None:
    value = {"a": 1234, "b": 91234, "c": Decimal("12.34"), "d": True}

    assert box(TOKEN="1234").hide(value) == {"a": TOKEN, "b": 91234, "c": Decimal("12.34"), "d": True}


def test_of_overlapping_secrets_the_longest_is_hidden() -> None:
    secrets = box(A="abcd", TOKEN="abcdef")

    assert secrets.hide("abcdef abcd") == f"{TOKEN} {MARKERS.marker('w', 'f', 'A')}"


def test_what_was_hidden_opens_to_what_it_was() -> None:
    secrets = box(TOKEN="tok-123", OTHER="other-4")
    value = {"a": "tok-123 and other-4", "b": ["tok-123"]}

    assert secrets.reveal(secrets.hide(value)) == value


def test_a_box_without_secrets_changes_nothing() -> None:
    assert (box().hide({"a": TOKEN}), box().reveal({"a": TOKEN})) == ({"a": TOKEN}, {"a": TOKEN})


def test_everything_of_a_markers_shape_is_shown_as_secret() -> None:
    forged = "\ue000X:0123456789abcdef\ue001"
    value = {"a": f"Bearer {TOKEN}", forged: [forged, 1]}
    shown = {"a": "Bearer [secret]", "[secret]": ["[secret]", 1]}

    assert mask(value) == shown
    assert mask_text(value["a"]) == "Bearer [secret]"
    assert decode(mask_encoded(encode(value))) == shown


def test_text_that_only_begins_like_a_marker_is_shown_as_it_is() -> None:
    value = {"a": "\ue000 private use \ue001"}

    assert mask(value) == value
    assert mask_encoded(encode(value)) == encode(value)


def test_the_repr_of_a_box_holds_no_secret() -> None:
    assert "tok-123" not in repr(box(TOKEN="tok-123"))
