"""The egress guard: which addresses the server may connect to, decided on the address itself just before connecting."""

import asyncio
import socket
from collections.abc import Callable
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
AddrInfo: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]

SETTING = "STEPWELL_EGRESS_ALLOW_PRIVATE"

refusals: ContextVar[list["EgressRefused"] | None] = ContextVar("refusals", default=None)
"""Where the socket factory notes its refusals: of several failed addresses the HTTP client reports only one text."""


class EgressRefused(OSError):
    """The guard does not let the server connect to this address. `allowable`: the setting could allow it."""

    def __init__(self, address: str, reason: str, *, allowable: bool) -> None:
        super().__init__(f"{address} is {reason}")
        self.address = address
        self.reason = reason
        self.allowable = allowable

    def sentence(self, host: str) -> str:
        """What a user reads: host, address, reason and the setting that would help."""
        named = f"{host} ({self.address})" if host != self.address else host
        remedy = f"; the server setting {SETTING} allows it" if self.allowable else ""
        return f"Connection to {named} refused: it is {self.reason}{remedy}"


def check_address(ip: str, allow_private: bool) -> None:
    """Let a global unicast address pass. Addresses that carry an IPv4 address are judged by it. Source: LoopFour
    contract 9.5; the ranges are those of the IANA special-purpose registries.

    Raises:
        EgressRefused: link-local, metadata and special addresses always; private and loopback ones unless allowed.
    """
    address = ip_address(ip.partition("%")[0])
    for inner in (address, *_carried(address)):
        _check(ip, inner, allow_private)


def socket_factory(allow_private: bool) -> Callable[[AddrInfo], socket.socket]:
    """A factory of sockets for the address that is about to be connected, literal addresses included."""

    def create(info: AddrInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        try:
            check_address(str(address[0]), allow_private)
        except EgressRefused as refusal:
            noted = refusals.get()
            if noted is not None:
                noted.append(refusal)
            raise
        return socket.socket(family, kind, protocol)

    return create


async def open_socket(host: str, port: int, allow_private: bool) -> socket.socket:
    """Resolve a host and connect to its first address that may be and can be connected.

    Raises:
        EgressRefused: the guard refuses one of its addresses and none of the others can be connected.
        OSError: the host has no address, or none can be connected.
    """
    loop = asyncio.get_running_loop()
    create = socket_factory(allow_private)
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, name, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            return await _connect(loop, create((family, kind, protocol, name, address)), address)
        except OSError as error:
            failure = failure if isinstance(failure, EgressRefused) else error
    raise failure


async def resolve(host: str, port: int, allow_private: bool) -> list[str]:
    """The addresses of a host that may be connected, for clients that make their sockets themselves.

    Raises:
        EgressRefused: the guard refuses all of them.
        OSError: the host has no address.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    allowed: list[str] = []
    refusal: EgressRefused | None = None
    for address in dict.fromkeys(str(info[4][0]) for info in found):
        try:
            check_address(address, allow_private)
            allowed.append(address)
        except EgressRefused as refused:
            refusal = refused
    if refusal is not None and not allowed:
        raise refusal
    return allowed


async def _connect(loop: asyncio.AbstractEventLoop, sock: socket.socket, address: tuple[Any, ...]) -> socket.socket:
    sock.setblocking(False)
    try:
        await loop.sock_connect(sock, address)
    except BaseException:  # also when cancelled: the socket has no other owner yet
        sock.close()
        raise
    return sock


def _check(shown: str, address: Address, allow_private: bool) -> None:
    for network, reason in _NEVER:
        if address in network:
            raise EgressRefused(shown, reason, allowable=False)
    for network, reason in _PRIVATE:
        if address in network:
            if allow_private:
                return
            raise EgressRefused(shown, reason, allowable=True)
    if isinstance(address, IPv6Address) and not (address in _GLOBAL_V6 or _carried(address)):
        raise EgressRefused(shown, "not a global unicast address", allowable=False)


def _carried(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses in an IPv6 address that leads to them: mapped, NAT64, 6to4, Teredo (server and client)."""
    if isinstance(address, IPv4Address):
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return address.teredo or ()


def _table(rows: dict[str, str]) -> tuple[tuple[Network, str], ...]:
    return tuple((ip_network(network), reason) for text, reason in rows.items() for network in text.split())


_GLOBAL_V6 = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_NEVER = _table(
    {
        "169.254.169.254 169.254.170.2 168.63.129.16 192.0.0.192 100.100.100.200 fd00:ec2::254 fd20:ce::254": (
            "a metadata address"
        ),
        "169.254.0.0/16 fe80::/10": "a link-local address",
        "0.0.0.0/8 ::/128": "an unspecified address",
        "100.64.0.0/10": "a carrier-grade NAT address",
        "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20": "a documentation address",
        "224.0.0.0/4 ff00::/8": "a multicast address",
        "255.255.255.255": "the broadcast address",
        "192.0.0.0/24 192.88.99.0/24 198.18.0.0/15 240.0.0.0/4": "a reserved address",
        "100::/64 2001:1::/32 2001:2::/31 2001:4::/30 2001:8::/29 2001:10::/28 2001:20::/27 2001:40::/26 2001:80::/25 "
        "2001:100::/24 fec0::/10": "a reserved address",
    }
)
_PRIVATE = _table(
    {
        "127.0.0.0/8 ::1": "a loopback address",
        "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7": "a private address",
    }
)
