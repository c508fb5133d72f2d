"""Where webhooks may be sent to: nothing internal, in whatever disguise, unless it is allowed in so many words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resegment.sinks.webhook.addresses import AddressRefused, Guard, find_fault, unwrap

INTERNAL = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1"),  # noqa: S104
    *("169.254.1.1", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.1.1", "198.18.0.1"),
    *("198.51.100.1", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "100::1"),
    *("2001::1", "2001:db8::1", "3fff::1", "5f00::1", "64:ff9b:1::1", "4000::1"),
    *("::ffff:10.0.0.1", "::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::10.0.0.1"),
    *("64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::5"),
]
METADATA = [
    "169.254.169.254",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]
PUBLIC = [
    "1.1.1.1",
    "93.184.216.34",
    "100.128.0.1",
    "172.32.0.1",
    "2606:4700::1111",
    "64:ff9b::1.1.1.1",
    "::ffff:8.8.8.8",
]


@pytest.mark.parametrize("address", [*INTERNAL, *METADATA])
def test_an_internal_address_is_refused(address: str) -> None:
    assert Guard().judge("host.example", address) is not None


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_fine_with_tls_only(address: str) -> None:
    assert Guard().judge("host.example", address) is None
    assert Guard().judge("host.example", address, plain=True) is not None


@pytest.mark.parametrize("address", METADATA)
def test_the_metadata_of_a_cloud_is_refused_whatever_is_allowed(address: str) -> None:
    networks = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert Guard(networks, frozenset({"host.example"})).judge("host.example", address) is not None


def test_a_network_that_is_allowed_may_be_spoken_to_in_any_way() -> None:
    guard = Guard((ip_network("10.1.0.0/16"),))
    assert guard.judge("a", "10.1.2.3", plain=True) is None
    assert guard.judge("a", "::ffff:10.1.2.3") is None
    assert guard.judge("a", "10.2.0.1") == "private"


def test_a_host_that_is_allowed_may_be_private_but_not_anything() -> None:
    guard = Guard((), frozenset({"crm.internal"}))
    assert guard.judge("CRM.internal", "10.1.2.3", plain=True) is None
    assert guard.judge("crm.internal", "127.0.0.1") is None
    assert guard.judge("other.internal", "10.1.2.3") == "private"
    assert guard.judge("crm.internal", "169.254.1.1") == "link-local"
    assert guard.judge("crm.internal", "224.0.0.1") == "multicast"


async def test_one_internal_address_among_public_ones_spoils_all() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["1.1.1.1", "10.0.0.1"]

    with pytest.raises(AddressRefused, match=r"host\.example resolves to 10\.0\.0\.1, which is private"):
        await Guard(resolve=resolve).find("host.example", 443)


async def test_other_spellings_of_the_loopback_address_are_seen_through() -> None:
    for spelling in ("127.1", "0x7f.1", "2130706433", "0177.0.0.1"):
        with pytest.raises((AddressRefused, OSError)):
            await asyncio.wait_for(Guard().find(spelling, 443), 5)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_ipv6_clothes_is_judged_as_itself(address: IPv4Address) -> None:
    for base, shift in (("::ffff:0:0", 0), ("64:ff9b::", 0), ("2002::", 80)):
        dressed = ip_address(int(IPv6Address(base)) | int(address) << shift)
        assert unwrap(dressed) == address
        assert find_fault(dressed) == find_fault(address)


@given(st.ip_addresses())
def test_no_address_that_python_takes_for_internal_is_taken_for_public(
    address: IPv4Address | IPv6Address,
) -> None:
    inner = unwrap(address)
    if not inner.is_global or inner.is_multicast:
        assert find_fault(address) is not None
