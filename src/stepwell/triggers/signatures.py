"""Signature schemes of inbound webhooks: how a request proves who sent it. Source: LoopFour contract 11.3."""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

TOLERANCE_S = 300
MOST_SECRETS = 2  # live at once, during a rotation
LONGEST_TOLERANCE_S = 86_400

Encoding: TypeAlias = Literal["hex", "base64"]

_TIME = re.compile(r"[0-9]{1,16}")
_WHSEC = "whsec_"
_HUBSPOT_LEAVES = {
    f"%{ord(char):02X}": char for char in ":/?@!$'()*,;"
}  # characters that HubSpot signs as they are, however the address wrote them
_HUBSPOT_WRITTEN = re.compile("|".join(_HUBSPOT_LEAVES), re.IGNORECASE)


class Unverified(Exception):
    """A request does not prove who sent it; the message says why, in plain words and without secrets."""


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came. Header names are in lower case; `url` is the address that its sender called."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


class Claim(msgspec.Struct, frozen=True):
    """What a request says of itself: signatures, any of which may be right, and when it was signed."""

    signatures: Sequence[str]
    timestamp: str = ""


def _header(inbound: Inbound, name: str) -> str:
    value = inbound.headers.get(name, "").strip()
    if not value:
        raise Unverified(f"The header {name} is missing")
    return value


def _timestamp(scheme: "Scheme", inbound: Inbound) -> str:
    if scheme.timestamp_header is None:
        return ""
    return _checked_time(_header(inbound, scheme.timestamp_header), scheme.timestamp_header)


def _checked_time(text: str, where: str) -> str:
    if not _TIME.fullmatch(text):
        raise Unverified(f"The timestamp in {where} is not a whole number")
    return text


def _unprefixed(scheme: "Scheme", text: str) -> Claim:
    if not text.startswith(scheme.prefix):
        raise Unverified(f"The header {scheme.header} does not begin with {scheme.prefix}")
    return Claim((text[len(scheme.prefix) :],))


def _plain_claim(scheme: "Scheme", inbound: Inbound) -> Claim:
    timestamp = _timestamp(scheme, inbound)
    return msgspec.structs.replace(_unprefixed(scheme, _header(inbound, scheme.header)), timestamp=timestamp)


def _prefixed(scheme: "Scheme", encoded: str, timestamp: str) -> str:
    return scheme.prefix + encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A way of signing, and where its requests tell event type and id. Header names are in lower case.

    `signed` makes the text that is signed of a request and its timestamp; `claim` reads the headers; `written` is how a
    signature is written into its header. `id_fields` are tried in order; `id_hashed` takes the hash of the body where
    nothing else names the event.
    """

    name: str
    header: str
    encoding: Encoding = "hex"
    prefix: str = ""
    digest: Literal["sha256", "sha1", "ed25519"] = "sha256"
    timestamp_header: str | None = None
    timestamp_in_header: bool = False
    unit_ms: int = 1000  # of the timestamp
    tolerance_s: int = TOLERANCE_S
    signed: Callable[["Scheme", Inbound, str], bytes]
    claim: Callable[["Scheme", Inbound], Claim] = _plain_claim
    written: Callable[["Scheme", str, str], str] = _prefixed
    type_header: str | None = None
    id_header: str | None = None
    id_fields: tuple[str, ...] = ()
    id_hashed: bool = False
    configurable: tuple[str, ...] = ()

    @property
    def timed(self) -> bool:
        """Whether requests say when they were signed."""
        return self.timestamp_header is not None or self.timestamp_in_header

    def verify(self, inbound: Inbound, secrets: Iterable[str], now_ms: int) -> None:
        """Make sure that the holder of one of the secrets signed the request, and not long ago.

        Every secret is tried on every signature, in constant time.

        Raises:
            Unverified.
        """
        usable = [secret for secret in secrets if secret]
        if not usable:
            raise Unverified("No secret is set")
        claim = self.claim(self, inbound)
        given = [found for each in claim.signatures if (found := self._decoded(each)) is not None]
        if not given:
            raise Unverified(f"The header {self.header} holds no signature that can be read")
        text = self.signed(self, inbound, claim.timestamp)
        right = False
        for secret in usable:
            right |= self._matches(secret, text, given)
        if not right:
            raise Unverified("The signature does not match")
        if self.timed:
            self._check_time(claim.timestamp, now_ms)

    def sign(self, inbound: Inbound, secret: str, now_ms: int) -> dict[str, str]:
        """The headers by which a sender proves itself; of `ed25519`, `secret` is the private key in hex."""
        timestamp = str(now_ms // self.unit_ms) if self.timed else ""
        text = self.signed(self, inbound, timestamp)
        if self.digest == "ed25519":
            made = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)).sign(text)
        else:
            made = hmac.digest(self._key(secret), text, self.digest)
        encoded = made.hex() if self.encoding == "hex" else base64.b64encode(made).decode()
        headers = {self.header: self.written(self, encoded, timestamp)}
        return headers if self.timestamp_header is None else {**headers, self.timestamp_header: timestamp}

    def _matches(self, secret: str, text: bytes, given: list[bytes]) -> bool:
        if self.digest == "ed25519":
            return sum(_signed_by(secret, text, each) for each in given) > 0
        # hmac.new keeps the interpreter's lock for a short text; hmac.digest would get it back behind other threads
        expected = hmac.new(self._key(secret), text, self.digest).digest()
        return sum(hmac.compare_digest(expected, each) for each in given) > 0  # all are compared

    def _key(self, secret: str) -> bytes:
        """The key that a secret stands for."""
        if self.name == "standard-webhooks" and secret.startswith(_WHSEC):
            encoded = secret[len(_WHSEC) :]
            try:
                return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
            except binascii.Error:
                pass  # no base64: its text is the key
        return secret.encode()

    def _decoded(self, text: str) -> bytes | None:
        try:
            if self.encoding == "hex":
                return binascii.unhexlify(text)
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except ValueError:  # binascii.Error is one
            return None

    def _check_time(self, timestamp: str, now_ms: int) -> None:
        age_ms = now_ms - int(timestamp) * self.unit_ms
        if age_ms > self.tolerance_s * 1000:
            raise Unverified(f"The timestamp is more than {self.tolerance_s} s old")
        if age_ms < -self.tolerance_s * 1000:
            raise Unverified(f"The timestamp is more than {self.tolerance_s} s in the future")


def scheme_of(name: object) -> Scheme | None:
    """The scheme of a name, in which `_` may stand for `-`."""
    return SCHEMES.get(name.replace("_", "-")) if isinstance(name, str) else None


def configured(
    scheme: Scheme,
    *,
    header: str | None = None,
    encoding: Encoding | None = None,
    prefix: str | None = None,
    timestamp_header: str | None = None,
    tolerance_s: int | None = None,
) -> Scheme:
    """The scheme with what a trigger says of it."""
    return replace(
        scheme,
        header=header.lower() if header else scheme.header,
        encoding=encoding or scheme.encoding,
        prefix=scheme.prefix if prefix is None else prefix,
        timestamp_header=timestamp_header.lower() if timestamp_header else scheme.timestamp_header,
        tolerance_s=scheme.tolerance_s if tolerance_s is None else tolerance_s,
    )


def _signed_by(public_key: str, text: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


# -- what is read of a request


def _stripe_claim(scheme: Scheme, inbound: Inbound) -> Claim:
    """`t=1492774577,v1=5257a869...,v1=...,v0=...`."""
    pairs = [part.strip().partition("=") for part in _header(inbound, scheme.header).split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1"]
    if not times or not signatures:
        raise Unverified(f"The header {scheme.header} needs t= and v1=")
    return Claim(signatures, _checked_time(times[0], scheme.header))


def _standard_claim(scheme: Scheme, inbound: Inbound) -> Claim:
    """`v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4= v1a,...`."""
    _header(inbound, "webhook-id")
    timestamp = _timestamp(scheme, inbound)
    versions = [part.partition(",") for part in _header(inbound, scheme.header).split()]
    signatures = [value for version, _, value in versions if version == "v1"]
    if not signatures:
        raise Unverified(f"The header {scheme.header} holds no v1 signature")
    return Claim(signatures, timestamp)


def _pandadoc_claim(scheme: Scheme, inbound: Inbound) -> Claim:
    given = inbound.headers.get(scheme.header) or inbound.query.get("signature")
    if not given:
        raise Unverified(f"Neither the header {scheme.header} nor the query signature is there")
    return Claim((given.strip(),))


# -- what is signed


def _body(scheme: Scheme, inbound: Inbound, timestamp: str) -> bytes:
    return inbound.body


def _dotted(scheme: Scheme, inbound: Inbound, timestamp: str) -> bytes:
    return timestamp.encode() + b"." + inbound.body


def _dotted_if_timed(scheme: Scheme, inbound: Inbound, timestamp: str) -> bytes:
    return _dotted(scheme, inbound, timestamp) if scheme.timed else inbound.body


def _joined(scheme: Scheme, inbound: Inbound, timestamp: str) -> bytes:
    return timestamp.encode() + inbound.body


def _slack(scheme: Scheme, inbound: Inbound, timestamp: str) -> bytes:
    return f"v0:{timestamp}:".encode() + inbound.body


def _standard(scheme: Scheme, inbound: Inbound, timestamp: str) -> bytes:
    return f"{inbound.headers.get('webhook-id', '').strip()}.{timestamp}.".encode() + inbound.body


def _hubspot(scheme: Scheme, inbound: Inbound, timestamp: str) -> bytes:
    url = _HUBSPOT_WRITTEN.sub(lambda found: _HUBSPOT_LEAVES[found[0].upper()], inbound.url)
    return f"{inbound.method}{url}".encode() + inbound.body + timestamp.encode()


# -- how a signature is written


def _stripe_written(scheme: Scheme, encoded: str, timestamp: str) -> str:
    return f"t={timestamp},v1={encoded}"


_HMAC = ("header", "encoding", "prefix", "timestampHeader")

SCHEMES: Mapping[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme(
            name="stripe",
            header="stripe-signature",
            timestamp_in_header=True,
            signed=_dotted,
            claim=_stripe_claim,
            written=_stripe_written,
            id_fields=("id",),
        ),
        Scheme(
            name="github",
            header="x-hub-signature-256",
            prefix="sha256=",
            signed=_body,
            type_header="x-github-event",
            id_header="x-github-delivery",
        ),
        Scheme(
            name="slack",
            header="x-slack-signature",
            prefix="v0=",
            timestamp_header="x-slack-request-timestamp",
            signed=_slack,
            id_fields=("event_id",),
        ),
        Scheme(
            name="hubspot",
            header="x-hubspot-signature-v3",
            encoding="base64",
            timestamp_header="x-hubspot-request-timestamp",
            unit_ms=1,
            signed=_hubspot,
            id_fields=("eventId",),
        ),
        Scheme(
            name="shopify",
            header="x-shopify-hmac-sha256",
            encoding="base64",
            signed=_body,
            type_header="x-shopify-topic",
            id_header="x-shopify-webhook-id",
        ),
        Scheme(
            name="standard-webhooks",
            header="webhook-signature",
            encoding="base64",
            prefix="v1,",
            timestamp_header="webhook-timestamp",
            signed=_standard,
            claim=_standard_claim,
            id_header="webhook-id",
        ),
        Scheme(
            name="intuit",
            header="intuit-signature",
            encoding="base64",
            signed=_body,
            id_hashed=True,
        ),
        Scheme(
            name="pandadoc",
            header="x-pandadoc-signature",
            signed=_body,
            claim=_pandadoc_claim,
            id_header="x-pandadoc-webhook-event-id",
            id_hashed=True,
        ),
        Scheme(
            name="justpaid",
            header="x-justpaid-signature",
            prefix="v1=",
            timestamp_header="x-justpaid-timestamp",
            signed=_dotted,
            id_fields=("externalEventId", "id"),
        ),
        Scheme(
            name="hmac-sha256",
            header="x-signature",
            signed=_dotted_if_timed,
            id_header="x-event-id",
            configurable=_HMAC,
        ),
        Scheme(
            name="hmac-sha1",
            header="x-signature",
            digest="sha1",
            signed=_dotted_if_timed,
            id_header="x-event-id",
            configurable=_HMAC,
        ),
        Scheme(
            name="ed25519",
            header="x-signature-ed25519",
            digest="ed25519",
            timestamp_header="x-signature-timestamp",
            signed=_joined,
            id_header="x-event-id",
            configurable=("header", "timestampHeader"),
        ),
    )
}
"""All schemes, by name."""
