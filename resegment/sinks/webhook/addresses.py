"""Decide which addresses a webhook may be sent to: public ones, and internal ones that are allowed explicitly."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from resegment.errors import ResegmentError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

INTERNAL: Final = frozenset({"private", "loopback", "shared"})
"""What a host that is allowed by its name may resolve to."""
LINK_LOCAL: Final = "link-local"
METADATA: Final = "a cloud's metadata service"
NEVER: Final = frozenset({LINK_LOCAL, METADATA})
"""What is refused even if its host or network is allowed."""
NEVER_ALLOWED: Final = "No setting allows this address: link-local and metadata addresses are always refused."

# Kept here, not asked of `ipaddress`: its answers differ between patch releases of Python.
_SPECIAL: Final = {
    ip_network(network): meaning
    for meaning, networks in {
        "unspecified": ("0.0.0.0/8", "::/128"),
        "loopback": ("127.0.0.0/8", "::1/128"),
        "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
        "shared": ("100.64.0.0/10",),
        LINK_LOCAL: ("169.254.0.0/16", "fe80::/10"),
        "multicast": ("224.0.0.0/4", "ff00::/8"),
        "reserved": (
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24"),
            *("203.0.113.0/24", "240.0.0.0/4", "64:ff9b:1::/48", "2001::/23", "2001:db8::/32", "3fff::/20"),
        ),
    }.items()
    for network in networks
}
_PUBLIC6: Final = IPv6Network("2000::/3")

_METADATA4: Final = frozenset(
    map(
        IPv4Address,
        (
            "100.100.100.200",  # Alibaba Cloud
            "168.63.129.16",  # Azure
            "169.254.169.254",  # most clouds
            "169.254.170.2",  # AWS: containers
            "169.254.170.23",  # AWS: pods
            "192.0.0.192",  # Oracle Cloud
            "192.80.8.124",  # Equinix Metal
        ),
    )
)
_METADATA6: Final = tuple(
    map(
        IPv6Network,
        (
            "fd00:42::42/128",  # Scaleway
            "fd00:c1::a9fe:a9fe/128",  # Oracle Cloud
            "fd00:ec2::/32",  # AWS
            "fd20:ce::/48",  # Google Cloud
        ),
    )
)

_EMBEDDING: Final = {
    IPv6Network("::ffff:0:0/96"): 0,  # IPv4-mapped
    IPv6Network("::ffff:0:0:0/96"): 0,  # IPv4-translated
    IPv6Network("64:ff9b::/96"): 0,  # NAT64
    IPv6Network("::/96"): 0,  # IPv4-compatible
    IPv6Network("2002::/16"): 80,  # 6to4
}
"""Networks whose addresses stand for one IPv4 address, and by how many bits it is shifted."""
_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")
_TEREDO: Final = IPv6Network("2001::/32")
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE, 0x0100_5EFE, 0x0300_5EFE})


class AddressRefused(ResegmentError):
    """A host must not be connected to. `address` is what it resolves to, `fault` says what that is."""

    def __init__(self, host: str, address: str, fault: str) -> None:
        super().__init__(
            f"{host} resolves to {address}, which is {fault}",
            remedy=NEVER_ALLOWED
            if fault in NEVER
            else "Webhooks go to public addresses. To allow an internal one, name its host in the endpoint's "
            "allow_hosts or its network in allow_networks.",
        )
        self.host, self.address, self.fault = host, address, fault


@dataclass(frozen=True, slots=True)
class Guard:
    """Resolves host names and refuses what must not be connected to.

    `networks` are allowed in any way, `hosts` if they are private. Link-local addresses and the metadata services of
    clouds are refused, whatever is allowed.
    """

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    resolve: Resolve | None = None

    async def find(self, host: str, port: int, *, plain: bool = False) -> Sequence[str]:
        """Return the addresses to connect to, first choice first. `plain`: without TLS.

        Raises AddressRefused if any address is bad: the owner of the name could try again until it is chosen. Raises
        OSError or ValueError if the name cannot be resolved.
        """
        found = await (self.resolve or resolve)(host, port)
        for address in found:
            if (fault := self.find_fault(host, address, plain=plain)) is not None:
                raise AddressRefused(host, address, fault)
        return found

    def find_fault(self, host: str, text: str, *, plain: bool = False) -> str | None:
        """Return why the address must not be connected to, or None if it may be."""
        address = ip_address(text.partition("%")[0])
        if (never := find_forbidden(address)) is not None:
            return never
        if any(one in network for one in (address, unwrap(address)) for network in self.networks):
            return None
        fault = find_fault(address)
        if host.lower() in self.hosts and (fault is None or fault in INTERNAL):
            return None
        if fault is None and plain:
            return "not one that may be sent to without TLS"
        return fault


def find_forbidden(address: Address) -> str | None:
    """Return `link-local` or that the address is a cloud's metadata service, in any IPv6 form; None for all others."""
    forms = [address, *embedded_addresses(address)]
    if any(is_metadata(one) for one in forms) or any(one in _METADATA4 for one in translated(address)):
        return METADATA
    return LINK_LOCAL if any(find_fault(one) == LINK_LOCAL for one in forms) else None


def is_metadata(address: Address) -> bool:
    """Return whether a cloud serves credentials at the address."""
    return address in _METADATA4 or any(address in network for network in _METADATA6)


def find_fault(address: Address) -> str | None:
    """Return why an address is not a public one (`private`, `loopback` ...), or None if it is."""
    inner = unwrap(address)
    for network, meaning in _SPECIAL.items():
        if inner in network:
            return meaning
    return "reserved" if isinstance(inner, IPv6Address) and inner not in _PUBLIC6 else None


def unwrap(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv6Address) and int(address) > 1:
        for network, shift in _EMBEDDING.items():
            if address in network:
                return IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return address


def embedded_addresses(address: Address) -> Iterator[IPv4Address]:
    """Yield each IPv4 address that a packet to an IPv6 address may be turned into, by the address's own format."""
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    if isinstance(inner := unwrap(address), IPv4Address):
        yield inner
    if address in _LOCAL_NAT64:
        yield from translated(address)
    if address in _TEREDO:
        yield IPv4Address(number >> 64 & 0xFFFFFFFF)  # the server
        yield IPv4Address(~number & 0xFFFFFFFF)  # the client, with every bit inverted
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(number & 0xFFFFFFFF)


def translated(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 address at each place where a translator with a prefix of its own may look for it (RFC 6052).

    Bits 64 to 71 are skipped. The prefix lengths are 32, 40, 48, 56, 64 and 96 bits.
    """
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    joined = number >> 64 << 56 | number & 0xFF_FFFF_FFFF_FFFF  # 120 bits, without those that are skipped
    for length in (32, 40, 48, 56, 64):
        yield IPv4Address(joined >> (88 - length) & 0xFFFFFFFF)
    yield IPv4Address(number & 0xFFFFFFFF)


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return every address of a host, as the system orders them. Raises OSError or UnicodeError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
