import pytest

from stepwell.connectors import read_mail
from stepwell.errors import StepError
from stepwell.values import Json


@pytest.mark.parametrize(
    "params",
    [
        {"subject": "Hi\r\nBcc: evil@example.com"},
        {"subject": "Hi\nX: y"},
        {"to": ["ana@example.com\r\nBcc: evil@example.com"]},
        {"to": ["Ana\r\nBcc: e@example.com <ana@example.com>"]},
        {"from": "a@example.com\nX: y"},
        {"reply_to": ["a@example.com\r\nX: y"]},
        {"attachments": [{"filename": "a\r\nX: y", "content": ""}]},
    ],
)
def test_line_breaks_cannot_add_headers(params: dict[str, Json]) -> None:
    with pytest.raises(StepError, match="line break"):
        read_mail({"to": ["ana@example.com"], "subject": "Hi"} | params, "shop@example.com")


@pytest.mark.parametrize(
    "text", ["ana", "@example.com", "ana@", "a b@example.com", "a@b@c", "<x@y> z", "a>@b.c", "a@..b"]
)
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(StepError, match="Not an e-mail address"):
        read_mail({"to": [text], "subject": "Hi"}, "shop@example.com")


def test_one_text_may_hold_several_addresses() -> None:
    mail = read_mail({"to": "a@x.test, Bo <b@x.test>,", "subject": "Hi"}, "shop@example.com")

    assert mail.recipients == ["a@x.test", "b@x.test"]


def test_a_recipient_named_twice_gets_one_mail() -> None:
    mail = read_mail({"to": ["a@x.test"], "cc": ["a@x.test"], "subject": "Hi"}, "shop@example.com")

    assert mail.recipients == ["a@x.test"]


def test_a_mail_without_recipients_is_refused() -> None:
    with pytest.raises(StepError, match="no recipient"):
        read_mail({"to": [], "subject": "Hi"}, "shop@example.com")


def test_a_domain_of_other_letters_is_written_in_ascii() -> None:
    assert read_mail({"to": ["a@bücher.test"], "subject": "Hi"}, "s@x.test").recipients == ["a@xn--bcher-kva.test"]


def test_an_attachment_that_is_not_base64_is_refused() -> None:
    with pytest.raises(StepError, match="not base64"):
        read_mail({"to": "a@x.test", "subject": "Hi", "attachments": [{"filename": "a", "content": "%%%"}]}, "s@x.test")
