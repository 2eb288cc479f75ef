"""Mails as events: each that arrives starts one run. Against a real IMAP server."""

from collections.abc import Iterator

import msgspec
import pytest

from contract.providers import has_looked, inputs, on_event, poll, row, trigger_when
from live import Api
from postbox import PASSWORD, Postbox, postbox
from stepwell.values import Json, decode


@pytest.fixture(scope="module")
def box() -> Iterator[Postbox]:
    with postbox() as server:
        yield server


def mail(subject: str = "Hello", sender: str = "Ana <ana@example.com>", text: str = "Please send two.") -> bytes:
    return (
        f"From: {sender}\nTo: orders@example.com\nSubject: {subject}\nMessage-ID: <{abs(hash(subject))}@example.com>\n"
        f"Date: Mon, 15 Jan 2024 11:30:00 +0100\n\n{text}\n"
    ).encode()


def connect(api: Api, box: Postbox, **changes: str) -> None:
    fields: Json = {"name": "Mail", "provider": "email_imap", "credentials": {**box.credentials, **changes}}
    api.data("POST", "/connections", fields)


def watching(api: Api, box: Postbox, first: str = "skip", **params: Json) -> str:
    connect(api, box)
    workflow = api.workflow(on_event("email_imap.new_mail", params=params, first=first))
    trigger_when(api, workflow, has_looked)
    return workflow


def subjects(api: Api, workflow: str) -> list[str]:
    return [each["subject"] for each in inputs(api, workflow)]


def test_only_mails_that_arrive_after_the_first_look_start_runs(api: Api, box: Postbox) -> None:
    workflow = watching(api, box)
    box.put(mail("one"))
    box.put(mail("two"))

    poll(api, workflow)
    poll(api, workflow)

    assert subjects(api, workflow) == ["one", "two"]


def test_a_run_is_given_the_mail_with_what_is_attached(api: Api, box: Postbox) -> None:
    workflow = watching(api, box)
    box.put(
        b"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.com>\nTo: a@example.com, B <b@example.com>\n"
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nMessage-ID: <1@example.com>\nDate: Mon, 15 Jan 2024 11:30:00 +0100\n"
        b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: multipart/alternative; '
        b'boundary="y"\n\n--y\nContent-Type: text/plain; charset=utf-8\n\nplain\n--y\nContent-Type: text/html\n\n'
        b"<p>html</p>\n--y--\n--x\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n"
        b'Content-Disposition: attachment; filename="a.pdf"\n\nAAEC\n--x--\n'
    )

    poll(api, workflow)

    (given,) = inputs(api, workflow)
    assert {**given, "text": given["text"].strip(), "html": given["html"].strip(), "uid": 0} == {
        "messageId": "<1@example.com>",
        "from": {"name": "Jörg", "address": "joerg@example.com"},
        "to": [{"name": None, "address": "a@example.com"}, {"name": "B", "address": "b@example.com"}],
        "cc": [],
        "subject": "Grüße",
        "date": "2024-01-15T10:30:00Z",
        "text": "plain",
        "html": "<p>html</p>",
        "attachments": [{"name": "a.pdf", "contentType": "application/pdf", "size": 3}],
        "mailbox": "INBOX",
        "uid": 0,
        "truncated": False,
    }


def test_mails_are_found_by_sender_and_subject_whatever_their_case(api: Api, box: Postbox) -> None:
    workflow = watching(api, box, **{"from": "ANA@", "subject": "order"})
    box.put(mail("Order 1"))
    box.put(mail("Order 2", sender="bo@example.com"))
    box.put(mail("Other"))

    poll(api, workflow)

    assert subjects(api, workflow) == ["Order 1"]


def test_read_mails_are_passed_over_if_that_is_wanted(api: Api, box: Postbox) -> None:
    workflow = watching(api, box, unseen=True)
    box.put(mail("read"), flags=r"(\Seen)")
    box.put(mail("unread"))

    poll(api, workflow)

    assert subjects(api, workflow) == ["unread"]


def test_mails_are_not_marked_as_seen(api: Api, box: Postbox) -> None:
    before = box.seen()
    watching(api, box, first="emit")

    assert box.seen() == before


def test_mails_are_marked_as_seen_if_that_is_wanted(api: Api, box: Postbox) -> None:
    workflow = watching(api, box, markSeen=True)
    box.put(mail("one"))

    poll(api, workflow)

    assert box.seen()[-1] is True


def test_a_mailbox_that_was_numbered_anew_begins_anew(api: Api, box: Postbox) -> None:
    workflow = watching(api, box)
    due = row(api, workflow)
    kept = decode(due.cursor or b"")
    kept["state"]["validity"] += 1
    old = msgspec.structs.replace(due, cursor=msgspec.json.encode(kept))
    box.put(mail("there when it was seen to be so"))

    poll(api, workflow, old)
    box.put(mail("after"))
    poll(api, workflow)

    assert subjects(api, workflow) == ["after"]


def test_a_mailbox_that_is_not_there_is_a_reason(api: Api, box: Postbox) -> None:
    connect(api, box)

    workflow = api.workflow(on_event("email_imap.new_mail", params={"mailbox": "Nöwhere"}))
    failed = trigger_when(api, workflow, lambda found: found.reason)

    assert str(failed.reason).startswith("poll_failed: Mailbox Nöwhere cannot be opened")


def test_a_wrong_password_is_a_reason_that_does_not_tell_it(api: Api, box: Postbox) -> None:
    connect(api, box, password="not-the-password")

    workflow = api.workflow(on_event("email_imap.new_mail"))
    failed = trigger_when(api, workflow, lambda found: found.reason)

    assert str(failed.reason).startswith("poll_failed: Mail server 127.0.0.1: ")
    assert "not-the-password" not in str(failed.reason)


def test_a_name_and_a_password_with_quotes_are_sent_as_they_are(api: Api, box: Postbox) -> None:
    connect(api, box, username='demo" user', password='a"b\\c d')

    workflow = api.workflow(on_event("email_imap.new_mail"))
    failed = trigger_when(api, workflow, lambda found: found.reason)

    assert "redentials" in str(failed.reason) or "LOGIN" in str(failed.reason)


@pytest.mark.parametrize(("status", "reason"), [("expired", "expired"), (None, "deleted")])
def test_a_connection_that_ends_puts_the_trigger_into_error(
    api: Api, box: Postbox, status: str | None, reason: str
) -> None:
    connect(api, box)
    (connection,) = api.data("GET", "/connections")
    workflow = api.workflow(on_event("email_imap.new_mail", connection=connection["id"]))
    trigger_when(api, workflow, has_looked)
    if status is None:
        api.data("DELETE", f"/connections/{connection['id']}")
    else:
        connections = api.server.parts.core.connections
        stored = api.server.call(connections.get(api.workspace, connection["id"][5:]))
        api.server.call(connections.marked(stored, status, None))

    ended = poll(api, workflow)

    assert (ended.status, ended.reason, ended.next_at) == ("error", f"connected_account_{reason}", None)


def test_the_password_is_in_no_answer(api: Api, box: Postbox) -> None:
    workflow = watching(api, box)
    box.put(mail("one", text=f"my password is {PASSWORD}"))

    poll(api, workflow)

    assert inputs(api, workflow)[0]["text"].strip() == "my password is [secret]"
