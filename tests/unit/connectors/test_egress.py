import asyncio
import socket

import pytest

from stepwell.connectors.egress import EgressRefused, check_address, open_socket, socket_factory


@pytest.mark.parametrize("ip", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::8a", "8.8.8.8"])
def test_global_unicast_passes(ip: str) -> None:
    check_address(ip, allow_private=False)


@pytest.mark.parametrize(
    "ip",
    ["::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2001:0:808:808:0:0:f7f7:f7f7"],
    ids=["mapped", "nat64", "6to4", "teredo"],
)
def test_an_address_that_carries_a_global_one_passes(ip: str) -> None:
    check_address(ip, allow_private=False)


@pytest.mark.parametrize(
    "ip",
    [
        "169.254.169.254",
        "169.254.1.1",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "2001:0:808:808:0:0:5601:5601",
        "2001:0:a9fe:a9fe:0:0:f7f7:f7f7",
    ],
)
def test_link_local_and_metadata_are_refused_even_if_private_is_allowed(ip: str) -> None:
    with pytest.raises(EgressRefused) as refusal:
        check_address(ip, allow_private=True)
    assert not refusal.value.allowable


@pytest.mark.parametrize(
    "ip",
    [
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "100.64.0.1",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "192.0.2.1",
        "198.51.100.7",
        "203.0.113.9",
        "2001:db8::1",
        "3fff::1",
        "240.0.0.1",
        "198.18.0.1",
        "192.0.0.8",
        "::7f00:1",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001:2::1",
        "2001:20::1",
        "2001:1ff::1",
        "5f00::1",
        "fec0::1",
        "4000::1",
    ],
)
def test_special_addresses_are_refused_even_if_private_is_allowed(ip: str) -> None:
    with pytest.raises(EgressRefused):
        check_address(ip, allow_private=True)


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "fd12:3456::1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "2001:0:808:808:0:0:80ff:fffe",
    ],
)
def test_private_and_loopback_are_refused_unless_allowed(ip: str) -> None:
    with pytest.raises(EgressRefused) as refusal:
        check_address(ip, allow_private=False)
    assert refusal.value.allowable
    check_address(ip, allow_private=True)


@pytest.mark.parametrize("ip", ["172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "2001:200::1"])
def test_neighbours_of_special_ranges_pass(ip: str) -> None:
    check_address(ip, allow_private=False)


def test_a_refusal_names_host_address_and_the_setting_that_helps() -> None:
    refusal = EgressRefused("10.0.0.1", "a private address", allowable=True)
    assert refusal.sentence("db.test") == (
        "Connection to db.test (10.0.0.1) refused: it is a private address; "
        "the server setting STEPWELL_EGRESS_ALLOW_PRIVATE allows it"
    )


def test_a_refusal_that_no_setting_lifts_names_none() -> None:
    refusal = EgressRefused("169.254.169.254", "a metadata address", allowable=False)
    assert refusal.sentence("169.254.169.254") == "Connection to 169.254.169.254 refused: it is a metadata address"


def test_the_socket_factory_refuses_before_a_socket_exists() -> None:
    create = socket_factory(allow_private=False)
    with pytest.raises(EgressRefused):
        create((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80)))


async def test_open_socket_connects_to_an_allowed_address() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        sock = await open_socket("127.0.0.1", port, allow_private=True)
        assert sock.getpeername() == ("127.0.0.1", port)
        sock.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1"])
async def test_open_socket_refuses_every_spelling_of_loopback(host: str) -> None:
    with pytest.raises(EgressRefused):
        await open_socket(host, 9, allow_private=False)
