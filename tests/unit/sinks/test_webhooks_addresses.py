"""Where webhooks may be sent to: nothing internal, in whatever disguise, unless it is allowed in so many words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resegment.sinks.webhook.addresses import NEVER as NEVER_FAULTS
from resegment.sinks.webhook.addresses import AddressRefused, Guard, find_fault, find_forbidden, unwrap

INTERNAL = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1"),  # noqa: S104
    *("169.254.1.1", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.1.1", "198.18.0.1"),
    *("198.51.100.1", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "100::1"),
    *("2001::1", "2001:db8::1", "3fff::1", "5f00::1", "64:ff9b:1::1", "4000::1"),
    *("::ffff:10.0.0.1", "::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::10.0.0.1"),
    *("64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::5"),
]
NEVER = [
    *("169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.0.1", "169.254.255.254"),
    *("100.100.100.200", "168.63.129.16", "192.0.0.192", "192.80.8.124"),
    *("fd00:ec2::254", "fd00:ec2::23", "fd00:ec2::1", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42"),
    *("fe80::1", "fe80::a9fe:a9fe", "fe80::1%eth0", "febf:ffff::1%2", "fd00:ec2::254%lo"),
]
"""Link-local addresses, and those at which clouds serve credentials."""
PUBLIC = [
    "1.1.1.1",
    "93.184.216.34",
    "100.128.0.1",
    "172.32.0.1",
    "2606:4700::1111",
    "64:ff9b::1.1.1.1",
    "::ffff:8.8.8.8",
]


@pytest.mark.parametrize("address", [*INTERNAL, *NEVER])
def test_an_internal_address_is_refused(address: str) -> None:
    assert Guard().find_fault("host.example", address) is not None


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_fine_with_tls_only(address: str) -> None:
    assert Guard().find_fault("host.example", address) is None
    assert Guard().find_fault("host.example", address, plain=True) is not None


EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))


def guards_that_allow(address: str) -> list[Guard]:
    """Guards that allow an address in every way there is: by its host, by all networks, by its own network."""
    own = ip_network(address.partition("%")[0])
    hosts = frozenset({"host.example"})
    return [Guard((), hosts), Guard(EVERYTHING, hosts), Guard((own,), hosts), Guard((*EVERYTHING, own))]


def disguises(address: IPv4Address) -> list[str]:
    """Return the IPv6 addresses that some machine on the way may turn into an IPv4 address."""
    low = int(address)
    inverted = ~low & 0xFFFFFFFF
    whole = [
        *(f"::ffff:{address}", f"::ffff:0:{address}", f"::{address}", f"64:ff9b::{address}"),
        *(f"64:ff9b:1::{address}", f"64:ff9b:1:aaaa:bb:cccc:{low >> 16:x}:{low & 0xFFFF:x}"),
        *(f"2002:{low >> 16:x}:{low & 0xFFFF:x}::1", f"2002:{low >> 16:x}:{low & 0xFFFF:x}:ffff::"),
        f"2001:0:{low >> 16:x}:{low & 0xFFFF:x}:0:ffff:101:101",
        f"2001:0:101:101:0:ffff:{inverted >> 16:x}:{inverted & 0xFFFF:x}",
        *(f"2606:4700::5efe:{address}", f"fe80::200:5efe:{address}", f"fd12:3456::5efe:{address}"),
    ]
    # RFC 6052, 2.2: the address follows a prefix of 48, 56 or 64 bits and goes around bits 64 to 71
    for length in (48, 56):
        kept = 64 - length
        number = int(IPv6Address("64:ff9b:1::")) | low >> (32 - kept) << 64
        number |= (low & (1 << (32 - kept)) - 1) << (56 - (32 - kept))
        whole.append(str(IPv6Address(number)))
    whole.append(str(IPv6Address(int(IPv6Address("64:ff9b:1::")) | low << 24)))
    return whole


FORBIDDEN4 = st.one_of(
    st.ip_addresses(v=4, network="169.254.0.0/16"),
    st.sampled_from(["100.100.100.200", "168.63.129.16", "192.0.0.192", "192.80.8.124"]).map(IPv4Address),
)
FORBIDDEN6 = st.one_of(
    st.ip_addresses(v=6, network="fe80::/10"),
    st.ip_addresses(v=6, network="fd00:ec2::/32"),
    st.ip_addresses(v=6, network="fd20:ce::/48"),
)


@pytest.mark.parametrize("address", NEVER)
def test_link_local_and_metadata_addresses_are_refused_whatever_is_allowed(address: str) -> None:
    for guard in guards_that_allow(address):
        for plain in (False, True):
            assert guard.find_fault("host.example", address, plain=plain) is not None


@given(FORBIDDEN4, st.booleans())
def test_no_disguise_of_such_an_ipv4_address_passes_whatever_is_allowed(
    address: IPv4Address, plain: bool
) -> None:
    for disguise in (str(address), *disguises(address)):
        for guard in guards_that_allow(disguise):
            assert guard.find_fault("host.example", disguise, plain=plain) is not None, disguise


@given(FORBIDDEN6, st.sampled_from(["", "%1", "%eth0", "%25eth0"]))
def test_no_such_ipv6_address_passes_whatever_is_allowed_and_whatever_its_scope(
    address: IPv6Address, scope: str
) -> None:
    for guard in guards_that_allow(str(address)):
        assert guard.find_fault("host.example", f"{address}{scope}") is not None


@given(
    st.sampled_from(["169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192"]).map(IPv4Address),
    st.ip_addresses(v=6),
    st.sampled_from([32, 40, 48, 56, 64, 96]),
)
def test_no_translator_with_a_prefix_of_its_own_leads_to_a_metadata_service(
    address: IPv4Address, prefix: IPv6Address, length: int
) -> None:
    bits = f"{int(prefix):0128b}"
    inner = f"{int(address):032b}"
    if length == 96:
        built = bits[:96] + inner
    else:
        flat = bits[:length] + inner + bits[length + 32 : 120]
        built = flat[:64] + bits[120:] + flat[64:]
    disguise = str(IPv6Address(int(built, 2)))
    for guard in guards_that_allow(disguise):
        assert guard.find_fault("host.example", disguise) is not None


@given(st.ip_addresses(), st.booleans())
def test_allowing_all_networks_allows_every_other_address(
    address: IPv4Address | IPv6Address, plain: bool
) -> None:
    fault = Guard(EVERYTHING).find_fault("host.example", str(address), plain=plain)
    assert fault in {None, *NEVER_FAULTS}
    assert (fault is None) == (find_forbidden(address) is None)


async def test_the_remedy_does_not_advise_to_allow_what_cannot_be_allowed() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["fd00:ec2::254"]

    with pytest.raises(AddressRefused) as caught:
        await Guard(EVERYTHING, resolve=resolve).find("host.example", 443)
    assert "allow_hosts" not in (caught.value.remedy or "")


def test_a_network_that_is_allowed_may_be_spoken_to_in_any_way() -> None:
    guard = Guard((ip_network("10.1.0.0/16"),))
    assert guard.find_fault("a", "10.1.2.3", plain=True) is None
    assert guard.find_fault("a", "::ffff:10.1.2.3") is None
    assert guard.find_fault("a", "10.2.0.1") == "private"


def test_a_host_that_is_allowed_may_be_private_but_not_anything() -> None:
    guard = Guard((), frozenset({"crm.internal"}))
    assert guard.find_fault("CRM.internal", "10.1.2.3", plain=True) is None
    assert guard.find_fault("crm.internal", "127.0.0.1") is None
    assert guard.find_fault("other.internal", "10.1.2.3") == "private"
    assert guard.find_fault("crm.internal", "169.254.1.1") == "link-local"
    assert guard.find_fault("crm.internal", "224.0.0.1") == "multicast"


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
