"""Mails as items: bounded and readable, whatever they are made of."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.connectors.mail_items import read_headers, read_message
from stepwell.values import encode


def test_the_head_is_read_with_its_encoded_words() -> None:
    raw = b"From: =?utf-8?b?SsO2cmc=?= <j@example.com>\r\nSubject: =?iso-8859-1?q?Gr=FC=DFe?=\r\n\r\n"

    assert read_headers(raw) == ("jörg <j@example.com>", "grüsse")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff" * 500,
        b"Subject: =?nonsense?x?=\r\n\r\n",
        b"From: <<<>>>,,@@\r\nTo: a@b, c <d\r\nDate: yesterday\r\n\r\nhello",
        b"Content-Type: text/plain; charset=no-such\r\n\r\nhello \xff",
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n' + b"--x\r\n" * 5000,
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n' * 200,
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!!",
        b"Date: Mon, 15 Jan 99999 11:30:00 +9999\r\n\r\n",
        b"From: " + b"(" * 5000 + b"\r\n\r\n",
    ],
)
def test_what_is_broken_is_read_as_far_as_it_goes(raw: bytes) -> None:
    message = read_message(raw)

    assert encode(message)
    assert set(message) == {"messageId", "from", "to", "cc", "subject", "date", "text", "html", "attachments"}


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(raw: bytes) -> None:
    assert encode(read_message(b'From: a@b\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n' + raw))


def test_texts_and_lists_are_bounded() -> None:
    to = ", ".join(f"u{number}@example.com" for number in range(1000))
    message = read_message(f"To: {to}\r\nSubject: {'s' * 9000}\r\n\r\n{'x' * 1_000_000}".encode())

    assert (len(message["text"]), len(message["subject"])) == (262_144, 4096)
    assert 0 < len(message["to"]) <= 200


def test_a_body_of_an_unknown_character_set_is_read_as_utf_8() -> None:
    message = read_message("Content-Type: text/plain; charset=no-such\r\n\r\nGrüße".encode())

    assert message["text"] == "Grüße"
