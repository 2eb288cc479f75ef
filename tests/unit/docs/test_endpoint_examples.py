"""The page on outbound webhooks: its receivers take what the server signs, and nothing else."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from stepwell.core.endpoint_signing import headers, new_secret

PAGE = (Path(__file__).parents[3] / "docs" / "outbound-webhooks.md").read_text("utf-8")
BODY = b'{"type":"run.completed"}'


def receiver(name: str) -> Callable[[str, dict[str, str], bytes], Any]:
    """A function of the page."""
    scope: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, scope)
    found: Callable[[str, dict[str, str], bytes], Any] = scope[name]
    return found


@pytest.mark.parametrize("name", ["received", "received_by_hand"])
def test_a_receiver_of_the_page_takes_what_is_signed(name: str) -> None:
    secret = new_secret()
    signed = headers([new_secret(), secret], "0190", int(time.time() * 1000), BODY)

    assert receiver(name)(secret, signed, BODY) == {"type": "run.completed"}


@pytest.mark.parametrize("name", ["received", "received_by_hand"])
def test_a_receiver_of_the_page_refuses_what_was_changed_or_is_old(name: str) -> None:
    secret = new_secret()
    now = int(time.time() * 1000)
    fresh, old = headers([secret], "0190", now, BODY), headers([secret], "0190", now - 400_000, BODY)

    for signed, body in ((fresh, BODY + b" "), (old, BODY)):
        with pytest.raises((WebhookVerificationError, ValueError)):
            receiver(name)(secret, signed, body)
