"""What an inbound request says: its body as values, one or several events, each with a type and an id. Source: LoopFour
contract 11.2 and 11.3."""

import hashlib
from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec

from stepwell.triggers.signatures import SCHEMES, Inbound, Scheme
from stepwell.values import InvalidJson, Json, decode, encode

FORM = "application/x-www-form-urlencoded"
LONGEST_ID = 255
_TYPE_FIELDS = ("type", "eventType", "event_type", "event", "subscriptionType")
_GENERIC = SCHEMES["hmac-sha256"]  # whoever is not known names events as its senders do
_ALIASES = {"quickbooks": "intuit"}


class Event(msgspec.Struct, frozen=True):
    """One event of a request. `id` is None where nothing names it."""

    body: dict[str, Json]
    type: str | None
    id: str | None


def scheme_of_provider(provider: str) -> Scheme | None:
    """The scheme that a provider signs with."""
    return SCHEMES.get(_ALIASES.get(provider, provider))


def events_of(inbound: Inbound, body: Json, scheme: Scheme | None) -> tuple[Event, ...]:
    """The events of a request that is written as a scheme's are; `body` is its `body_of`. Each member of a list is one
    by itself."""
    scheme = scheme or _GENERIC
    if not isinstance(body, list):
        return (_event(inbound, scheme, body, None),)
    return tuple(_event(inbound, scheme, _object(member), index) for index, member in enumerate(body))


def body_of(headers: Mapping[str, str], body: bytes) -> Json:
    """The body as an object, or a list as it is. A form is an object of its fields; what is neither a form nor a JSON
    object or list is `{"raw": <text>}`; nothing at all is `{}`."""
    if not body.strip():
        return {}
    plain = headers.get("content-type", "").partition(";")[0].strip().lower()
    if plain == FORM and not body.lstrip().startswith((b"{", b"[")):  # `curl -d` sends JSON under this type
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        value = decode(body)
    except InvalidJson:
        value = None
    return value if isinstance(value, dict | list) else {"raw": body.decode("utf-8", "replace")}


def challenge_of(scheme: Scheme | None, body: Json) -> str | None:
    """What Slack wants to hear back when an address is entered there; None if this is no such request."""
    if scheme is None or scheme.name != "slack" or not isinstance(body, dict):
        return None
    challenge = body.get("challenge")
    return challenge if body.get("type") == "url_verification" and isinstance(challenge, str) else None


def _object(member: Json) -> dict[str, Json]:
    return member if isinstance(member, dict) else {"raw": encode(member).decode()}


def _event(inbound: Inbound, scheme: Scheme, body: dict[str, Json], index: int | None) -> Event:
    return Event(body, _type(inbound, scheme, body), _id(inbound, scheme, body, index))


def _type(inbound: Inbound, scheme: Scheme, body: dict[str, Json]) -> str | None:
    if scheme.type_header is not None:
        kind = inbound.headers.get(scheme.type_header)
        action = body.get("action") if scheme.name == "github" else None
        return f"{kind}.{action}" if kind and isinstance(action, str) and action else kind
    inner = body.get("event")
    of_event = inner.get("type") if isinstance(inner, dict) else None  # as Slack writes it, inside an event_callback
    if scheme.name == "slack" and isinstance(of_event, str):
        return of_event
    named = [body.get(field) for field in _TYPE_FIELDS]
    return next((each for each in [*named, of_event] if isinstance(each, str) and each), None)


def _id(inbound: Inbound, scheme: Scheme, body: dict[str, Json], index: int | None) -> str | None:
    """An id of a header or of the whole body stands for a request; members of a list are told apart by their place."""
    place = "" if index is None else f"#{index}"
    if scheme.id_header is not None and (given := inbound.headers.get(scheme.id_header, "").strip()):
        return _bounded(given) + place
    for field in scheme.id_fields:
        value = body.get(field)
        if (isinstance(value, str) and value) or (isinstance(value, int) and not isinstance(value, bool)):
            return _bounded(str(value))
    if scheme.id_hashed:
        return f"sha256:{hashlib.sha256(inbound.body).hexdigest()}{place}"
    return None


def _bounded(id: str) -> str:
    """An id as it is, or its hash if it is long."""
    return id if len(id) <= LONGEST_ID else f"sha256:{hashlib.sha256(id.encode()).hexdigest()}"
