"""LoopFour contract 11.3: who signed a request, judged beside the vendors' own libraries and published vectors."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest
import standardwebhooks
import stripe
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from slack_sdk.signature import Clock as SlackClock
from slack_sdk.signature import SignatureVerifier

from stepwell.triggers import SCHEMES, Inbound, Scheme, Unverified, scheme_of
from stepwell.triggers.signatures import configured

NOW = 1_700_000_000_000
SECRET = "a-secret-of-the-tests"
BODY = b'{"id": "evt_1", "type": "invoice.paid", "amount": 19.90, "name": "\xc3\x84nne"}'
WHSEC = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
SEED = bytes(range(32)).hex()
PUBLIC = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEED)).public_key().public_bytes_raw().hex()
TIMED = sorted(name for name, scheme in SCHEMES.items() if scheme.timed)


def inbound(headers: Mapping[str, str] | None = None, body: bytes = BODY, **fields: object) -> Inbound:
    given = {"method": "POST", "url": "https://hooks.example.com/webhooks/x/ws_1?a=1", "query": {}, **fields}
    return Inbound(headers=headers or {}, body=body, **given)  # type: ignore[arg-type]


def signed(scheme: Scheme, secret: str | None = None, now_ms: int = NOW, body: bytes = BODY) -> Inbound:
    """A request as a sender of the scheme makes it."""
    request = inbound({"webhook-id": "msg_1"}, body)
    headers = scheme.sign(request, secret or signing_key(scheme), now_ms)
    return inbound({**request.headers, **headers}, body)


def signing_key(scheme: Scheme) -> str:
    return SEED if scheme.name == "ed25519" else SECRET


def secret_of(scheme: Scheme) -> str:
    return PUBLIC if scheme.name == "ed25519" else SECRET


def why_not(scheme: Scheme, request: Inbound, *secrets: str, now_ms: int = NOW) -> str | None:
    try:
        scheme.verify(request, secrets or (secret_of(scheme),), now_ms)
    except Unverified as why:
        return str(why)
    return None


# -- beside the vendors' libraries


def test_stripes_library_takes_what_is_signed_here() -> None:
    now_ms = int(time.time() * 1000)  # their tolerance is measured on the machine's clock
    header = signed(SCHEMES["stripe"], now_ms=now_ms).headers["stripe-signature"]

    assert stripe.WebhookSignature.verify_header(BODY.decode(), header, SECRET, 300)


def test_what_stripes_library_signs_is_taken_here() -> None:
    header = stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET, timestamp=NOW // 1000)

    assert why_not(SCHEMES["stripe"], inbound({"stripe-signature": header})) is None


def test_the_standard_webhooks_library_takes_what_is_signed_here() -> None:
    now_ms = int(time.time() * 1000)
    request = signed(SCHEMES["standard-webhooks"], WHSEC, now_ms)

    assert standardwebhooks.Webhook(WHSEC).verify(BODY, dict(request.headers)) == json.loads(BODY)


def test_what_the_standard_webhooks_library_signs_is_taken_here() -> None:
    at = datetime.fromtimestamp(NOW // 1000, UTC)
    signature = standardwebhooks.Webhook(WHSEC).sign("msg_7", at, BODY.decode())
    headers = {"webhook-id": "msg_7", "webhook-timestamp": str(NOW // 1000), "webhook-signature": signature}

    assert why_not(SCHEMES["standard-webhooks"], inbound(headers), WHSEC) is None


def test_slacks_library_takes_what_is_signed_here_and_the_other_way_round() -> None:
    class Now(SlackClock):
        def now(self) -> float:
            return NOW / 1000

    verifier = SignatureVerifier(SECRET, Now())
    headers = dict(signed(SCHEMES["slack"]).headers)
    theirs = verifier.generate_signature(timestamp=str(NOW // 1000), body=BODY)

    assert verifier.is_valid_request(BODY.decode(), headers)
    assert headers["x-slack-signature"] == theirs


# -- published vectors


def test_githubs_published_example_holds() -> None:
    secret, body = "It's a Secret to Everybody", b"Hello, World!"
    header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

    assert why_not(SCHEMES["github"], inbound({"x-hub-signature-256": header}, body), secret) is None


def test_slacks_published_example_holds() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
        b"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
        b"response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F"
        b"96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    found = why_not(
        SCHEMES["slack"], inbound(headers, body), "8f742231b10e8888abcd99yyyzzz85a5", now_ms=1_531_420_618_000
    )

    assert found is None


def test_the_standard_webhooks_published_example_holds() -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    request = inbound(headers, b'{"test": 2432232314}')

    assert why_not(SCHEMES["standard-webhooks"], request, secret, now_ms=1_614_265_330_000) is None


def test_the_second_vector_of_rfc_8032_holds() -> None:
    public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    signature = (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    # The vector signs the byte 0x72 alone; a request always has a time before its body, so the bare scheme is asked.
    scheme = SCHEMES["ed25519"]

    assert scheme._matches(public, b"\x72", [bytes.fromhex(signature)])
    assert not scheme._matches(public, b"\x73", [bytes.fromhex(signature)])


# -- the documented formulas, computed plainly


def _hex(secret: str, text: bytes, digest: str = "sha256") -> str:
    return hmac.new(secret.encode(), text, getattr(hashlib, digest)).hexdigest()


def _base64(secret: str, text: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()).decode()


SECONDS, MILLIS = str(NOW // 1000), str(NOW)
FORMULAS: Mapping[str, Callable[[], dict[str, str]]] = {
    "stripe": lambda: {"stripe-signature": f"t={SECONDS},v1={_hex(SECRET, f'{SECONDS}.'.encode() + BODY)},v0=aa"},
    "github": lambda: {"x-hub-signature-256": f"sha256={_hex(SECRET, BODY)}"},
    "slack": lambda: {
        "x-slack-signature": f"v0={_hex(SECRET, f'v0:{SECONDS}:'.encode() + BODY)}",
        "x-slack-request-timestamp": SECONDS,
    },
    "hubspot": lambda: {
        "x-hubspot-signature-v3": _base64(
            SECRET, b"POSThttps://hooks.example.com/webhooks/x/ws_1?a=1" + BODY + MILLIS.encode()
        ),
        "x-hubspot-request-timestamp": MILLIS,
    },
    "shopify": lambda: {"x-shopify-hmac-sha256": _base64(SECRET, BODY)},
    "standard-webhooks": lambda: {
        "webhook-id": "msg_1",
        "webhook-timestamp": SECONDS,
        "webhook-signature": f"v1,AAAA v1,{_base64(SECRET, f'msg_1.{SECONDS}.'.encode() + BODY)}",
    },
    "intuit": lambda: {"intuit-signature": _base64(SECRET, BODY)},
    "pandadoc": lambda: {"x-pandadoc-signature": _hex(SECRET, BODY)},
    "justpaid": lambda: {
        "x-justpaid-signature": f"v1={_hex(SECRET, f'{SECONDS}.'.encode() + BODY)}",
        "x-justpaid-timestamp": SECONDS,
    },
    "hmac-sha256": lambda: {"x-signature": _hex(SECRET, BODY)},
    "hmac-sha1": lambda: {"x-signature": _hex(SECRET, BODY, "sha1")},
}


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_a_request_that_is_signed_as_documented_is_taken(name: str) -> None:
    assert why_not(SCHEMES[name], inbound(FORMULAS[name]())) is None


def test_every_scheme_of_the_contract_is_known() -> None:
    assert set(SCHEMES) == {*FORMULAS, "ed25519"}


def test_pandadoc_may_sign_in_the_query() -> None:
    assert why_not(SCHEMES["pandadoc"], inbound(query={"signature": _hex(SECRET, BODY)})) is None


def test_hubspot_signs_written_characters_of_the_address_as_they_are() -> None:
    text = b"POSThttps://a.example/hook?x=a:b@c d%20" + BODY + MILLIS.encode()
    headers = {"x-hubspot-signature-v3": _base64(SECRET, text), "x-hubspot-request-timestamp": MILLIS}
    request = inbound(headers, url="https://a.example/hook?x=a%3ab%40c d%20")

    assert why_not(SCHEMES["hubspot"], request) is None


# -- every scheme


@pytest.mark.parametrize("name", sorted(SCHEMES))
class TestEveryScheme:
    def test_takes_what_it_signs(self, name: str) -> None:
        assert why_not(SCHEMES[name], signed(SCHEMES[name])) is None

    def test_refuses_another_body(self, name: str) -> None:
        request = signed(SCHEMES[name])
        changed = inbound(request.headers, BODY.replace(b"19.90", b"19.91"))

        assert why_not(SCHEMES[name], changed) == "The signature does not match"

    def test_refuses_another_secret(self, name: str) -> None:
        other = PUBLIC[::-1] if name == "ed25519" else "another-secret"

        assert why_not(SCHEMES[name], signed(SCHEMES[name]), other) == "The signature does not match"

    def test_takes_either_of_two_secrets(self, name: str) -> None:
        scheme = SCHEMES[name]
        other = "ab" * 32 if name == "ed25519" else "another-secret"

        assert why_not(scheme, signed(scheme), other, secret_of(scheme)) is None
        assert why_not(scheme, signed(scheme), secret_of(scheme), other) is None

    def test_refuses_a_request_without_its_header(self, name: str) -> None:
        headers = {key: value for key, value in signed(SCHEMES[name]).headers.items() if key != SCHEMES[name].header}

        found = why_not(SCHEMES[name], inbound(headers))

        assert found is not None
        assert SCHEMES[name].header in found

    @pytest.mark.parametrize(
        "value", ["", " ", "v1=", "t=1", "zz zz", "sha256=\xe9\xff", "=" * 200, "t=x,v1=y", "v1,é"]
    )
    def test_refuses_a_malformed_header(self, name: str, value: str) -> None:
        headers = {**signed(SCHEMES[name]).headers, SCHEMES[name].header: value}

        assert why_not(SCHEMES[name], inbound(headers))

    def test_refuses_everything_without_a_secret(self, name: str) -> None:
        for secrets in ((), ("",)):
            with pytest.raises(Unverified, match="No secret is set"):
                SCHEMES[name].verify(signed(SCHEMES[name]), secrets, NOW)

    def test_says_nothing_of_the_secret(self, name: str) -> None:
        found = why_not(SCHEMES[name], inbound(FORMULAS.get(name, lambda: {})(), b"x"))

        assert SECRET not in str(found)


@pytest.mark.parametrize("name", TIMED)
class TestTime:
    def test_five_minutes_either_way_are_taken(self, name: str) -> None:
        for now_ms in (NOW + 300_000, NOW - 300_000):
            assert why_not(SCHEMES[name], signed(SCHEMES[name]), now_ms=now_ms) is None

    def test_an_older_request_is_stale(self, name: str) -> None:
        found = why_not(SCHEMES[name], signed(SCHEMES[name]), now_ms=NOW + 301_000)

        assert found == "The timestamp is more than 300 s old"

    def test_a_request_of_the_future_is_refused(self, name: str) -> None:
        found = why_not(SCHEMES[name], signed(SCHEMES[name]), now_ms=NOW - 301_000)

        assert found == "The timestamp is more than 300 s in the future"

    def test_the_tolerance_can_be_set(self, name: str) -> None:
        scheme = configured(SCHEMES[name], tolerance_s=10)

        assert why_not(scheme, signed(scheme), now_ms=NOW + 11_000) == "The timestamp is more than 10 s old"

    def test_the_time_is_signed(self, name: str) -> None:
        scheme = SCHEMES[name]
        headers = dict(signed(scheme).headers)
        if scheme.timestamp_header is not None:
            headers[scheme.timestamp_header] = str(int(headers[scheme.timestamp_header]) + 1)
        else:
            headers[scheme.header] = headers[scheme.header].replace(SECONDS, str(NOW // 1000 + 1))

        assert why_not(scheme, inbound(headers)) == "The signature does not match"


@pytest.mark.parametrize("text", ["", "abc", "-5", "1.5", "１２", "9" * 40])
def test_a_timestamp_that_is_no_number_is_refused(text: str) -> None:
    headers = {**signed(SCHEMES["slack"]).headers, "x-slack-request-timestamp": text}

    assert "x-slack-request-timestamp" in str(why_not(SCHEMES["slack"], inbound(headers)))


def test_one_of_several_stripe_signatures_is_enough() -> None:
    right = _hex(SECRET, f"{SECONDS}.".encode() + BODY)

    assert why_not(SCHEMES["stripe"], inbound({"stripe-signature": f"t={SECONDS}, v1={'0' * 64}, v1={right}"})) is None


def test_stripes_old_scheme_v0_does_not_count() -> None:
    right = _hex(SECRET, f"{SECONDS}.".encode() + BODY)

    assert why_not(SCHEMES["stripe"], inbound({"stripe-signature": f"t={SECONDS},v0={right}"}))


def test_a_whsec_secret_of_stripe_is_a_text() -> None:
    header = f"t={SECONDS},v1={_hex(WHSEC, f'{SECONDS}.'.encode() + BODY)}"

    assert why_not(SCHEMES["stripe"], inbound({"stripe-signature": header}), WHSEC) is None


def test_underscores_stand_for_hyphens() -> None:
    assert scheme_of("hmac_sha256") is SCHEMES["hmac-sha256"]
    assert scheme_of("standard_webhooks") is SCHEMES["standard-webhooks"]
    assert scheme_of("nope") is scheme_of(7) is None


def test_header_encoding_prefix_and_time_of_hmac_can_be_set() -> None:
    scheme = configured(
        SCHEMES["hmac-sha256"],
        header="X-Acme",
        encoding="base64",
        prefix="sig=",
        timestamp_header="X-Acme-Time",
    )
    headers = {"x-acme": f"sig={_base64(SECRET, f'{SECONDS}.'.encode() + BODY)}", "x-acme-time": SECONDS}

    assert why_not(scheme, inbound(headers)) is None
    assert why_not(scheme, inbound(headers), now_ms=NOW + 301_000)
    assert why_not(scheme, inbound({**headers, "x-acme": headers["x-acme"][4:]}))
