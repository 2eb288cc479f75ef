"""Signatures verify with the library of the standard; tries follow the contract's schedule."""

import base64
import re
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from standardwebhooks import Webhook

from stepwell.core.endpoint_signing import headers, new_secret, next_try_ms

NOW = 1_700_000_000_123
BODY = b'{"type":"run.completed"}'
SECOND = 1000
HOUR = 3600 * SECOND


def verified(secret: str, signed: dict[str, str]) -> bool:
    """Whether one of the signatures is the library's with this secret."""
    moment = datetime.fromtimestamp(int(signed["webhook-timestamp"]), UTC)
    return Webhook(secret).sign(signed["webhook-id"], moment, BODY.decode()) in signed["webhook-signature"].split()


def test_a_secret_is_32_random_bytes_in_base64() -> None:
    first, second = new_secret(), new_secret()

    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 32
    assert first != second


def test_the_headers_are_those_of_the_standard() -> None:
    signed = headers([new_secret()], "0190", NOW, BODY)

    assert (signed["webhook-id"], signed["webhook-timestamp"]) == ("dlv_0190", "1700000000")
    assert re.fullmatch(r"v1,[A-Za-z0-9+/]{43}=", signed["webhook-signature"])


def test_a_signature_is_the_one_that_the_library_makes() -> None:
    secret = new_secret()

    assert verified(secret, headers([secret], "0190", NOW, BODY))


def test_with_two_secrets_each_signs() -> None:
    new, old, other = new_secret(), new_secret(), new_secret()

    signed = headers([new, old], "0190", NOW, BODY)

    assert [verified(secret, signed) for secret in (new, old, other)] == [True, True, False]
    assert signed["webhook-signature"].count(" ") == 1


def test_tries_follow_after_5_s_5_min_30_min_2_h_5_h_10_h_and_14_h() -> None:
    delays = [(next_try_ms(attempts, NOW) or 0) - NOW for attempts in range(1, 8)]

    assert delays == [5 * SECOND, 300 * SECOND, 1800 * SECOND, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR]


def test_after_the_eighth_try_there_is_no_other() -> None:
    assert next_try_ms(8, NOW) is None


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_more_time_gets_it(status: int) -> None:
    in_a_minute = formatdate((NOW + 60 * SECOND) / 1000, usegmt=True)

    assert next_try_ms(1, NOW, status, "60") == NOW + 60 * SECOND
    assert abs((next_try_ms(1, NOW, status, in_a_minute) or 0) - NOW - 60 * SECOND) < SECOND


@pytest.mark.parametrize(
    ("status", "retry_after"),
    [(429, "1"), (429, "soon"), (429, ""), (503, "Sat, 01 Jan 2000 00:00:00 GMT"), (500, "60"), (None, "60")],
)
def test_what_asks_for_no_more_time_changes_nothing(status: int | None, retry_after: str) -> None:
    assert next_try_ms(1, NOW, status, retry_after) == NOW + 5 * SECOND


def test_nobody_is_waited_for_longer_than_a_day() -> None:
    assert next_try_ms(1, NOW, 503, "999999999999") == NOW + 24 * HOUR
