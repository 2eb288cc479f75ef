"""Requests as they come in, as they are stored, and as they are read again."""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import parse_qsl, unquote

import msgspec

from stepwell.core.listening import CUSTOM, Address, Listener
from stepwell.store import Delivery
from stepwell.triggers import Event, Inbound
from stepwell.values import decode, encode

HIDDEN = "[secret]"
KEPT_OF_REJECTED = 16 * 1024  # bytes of a body that nobody vouches for

_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})


class InboundRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came in: names of headers in lower case, the query as it was written."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def read(request: InboundRequest, url: str) -> Inbound:
    """A request as it is verified; `url` is the address that its sender called."""
    return Inbound(
        method=request.method,
        url=url,
        headers=_joined(request.headers),
        query=_query(request.query),
        body=request.body,
    )


def read_again(row: Delivery, url: str) -> Inbound:
    """A stored request."""
    return Inbound(
        method=row.method, url=url, headers=_joined(decode(row.headers)), query=_query(row.query), body=row.body
    )


def masked(inbound: Inbound, listeners: Iterable[Listener]) -> Inbound:
    """The request as it is kept and shown: headers that hold credentials are not; those are that hold the signature
    that a listener asks for."""
    hidden = [name for name in _hidden(listeners) if name in inbound.headers]
    if not hidden:
        return inbound
    return msgspec.structs.replace(inbound, headers={**inbound.headers, **dict.fromkeys(hidden, HIDDEN)})


def stored(id: str, address: Address, request: InboundRequest, listeners: Iterable[Listener]) -> Delivery:
    """The row of a request that starts runs; its headers are masked."""
    hidden = _hidden(listeners)
    return Delivery(
        workspace=address.workspace,
        id=id,
        status="processed",
        pending=True,
        provider=address.provider,
        trigger=address.trigger,
        method=request.method,
        path=request.path,
        query=request.query,
        headers=encode([[name, HIDDEN if name in hidden else value] for name, value in request.headers]),
        body=request.body,
    )


def rejected(row: Delivery, why: str) -> Delivery:
    """The row of a request that nobody vouches for, with the beginning of its body only."""
    if len(row.body) > KEPT_OF_REJECTED:
        why = f"{why} (the body is cut to {KEPT_OF_REJECTED} bytes)"
    return msgspec.structs.replace(row, status="rejected", reason=why, pending=False, body=row.body[:KEPT_OF_REJECTED])


def address_of(row: Delivery) -> Address:
    """Where a stored request arrived."""
    path = unquote(row.path.rpartition("/")[2]) if row.provider == CUSTOM and row.trigger is None else None
    return Address(workspace=row.workspace, provider=row.provider, path=path, trigger=row.trigger)


def keys_of(delivery: str, events: Sequence[Event]) -> tuple[str, ...]:
    """What tells the events of a delivery from all others: what names them, or the delivery and their place."""
    return tuple(event.id or f"{delivery}#{place}" for place, event in enumerate(events))


def _hidden(listeners: Iterable[Listener]) -> frozenset[str]:
    return _SECRET_HEADERS - {each.hook.scheme.header for each in listeners if each.hook.scheme is not None}


def _joined(headers: Iterable[Sequence[str]]) -> Mapping[str, str]:
    """One value a name; several are joined as HTTP says."""
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _query(text: str) -> Mapping[str, str]:
    return dict(parse_qsl(text, keep_blank_values=True)) if text else {}
