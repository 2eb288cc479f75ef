"""Signatures of messages to endpoints, and when those are tried again. Source: LoopFour contract 14."""

import base64
import hmac
import os
from collections.abc import Sequence
from email.utils import parsedate_to_datetime

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32
ID_PREFIX = "dlv_"
DELAYS_MS = tuple(1000 * seconds for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400))
"""Between a failed try and the next: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h; then no more."""
LONGEST_RETRY_AFTER_MS = 24 * 3_600_000
_PATIENT = (429, 503)  # statuses whose Retry-After is heard


def new_secret() -> str:
    """`whsec_` and the base64 of 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(os.urandom(SECRET_BYTES)).decode()


def headers(secrets: Sequence[str], message: str, now_ms: int, body: bytes) -> dict[str, str]:
    """The headers of one try at a time: the id, which is every try's, the time in seconds, a signature for each
    secret."""
    id, timestamp = ID_PREFIX + message, str(now_ms // 1000)
    signed = f"{id}.{timestamp}.".encode() + body
    signatures = [_signature(secret, signed) for secret in secrets]
    return {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def next_try_ms(attempts: int, now_ms: int, status: int | None = None, retry_after: str | None = None) -> int | None:
    """When a message is tried again after so many failed tries, the last of them ended now; None if it is not. A
    receiver that answered 429 or 503 may ask for more time, up to a day."""
    if attempts > len(DELAYS_MS):
        return None
    asked = _asked_ms(retry_after, now_ms) if status in _PATIENT and retry_after is not None else 0
    return now_ms + max(DELAYS_MS[attempts - 1], min(asked, LONGEST_RETRY_AFTER_MS))


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _asked_ms(retry_after: str, now_ms: int) -> int:
    """Milliseconds of a Retry-After header: seconds or a date; 0 if it says neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return int(text[:9]) * 1000
    try:
        return round(parsedate_to_datetime(text).timestamp() * 1000) - now_ms
    except ValueError:
        return 0
