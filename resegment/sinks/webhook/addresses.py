"""Which addresses a webhook may be sent to: public ones, and internal ones that are allowed in so many words."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from resegment.errors import ResegmentError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

INTERNAL: Final = frozenset({"private", "loopback", "shared"})
"""What a host that is allowed by its name may resolve to."""

# Kept here, not asked of `ipaddress`: its answers differ between patch releases of Python.
_SPECIAL: Final = {
    ip_network(network): meaning
    for meaning, networks in {
        "unspecified": ("0.0.0.0/8", "::/128"),
        "loopback": ("127.0.0.0/8", "::1/128"),
        "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
        "shared": ("100.64.0.0/10",),
        "link-local": ("169.254.0.0/16", "fe80::/10"),
        "multicast": ("224.0.0.0/4", "ff00::/8"),
        "reserved": (
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24"),
            *("203.0.113.0/24", "240.0.0.0/4", "64:ff9b:1::/48", "2001::/23", "2001:db8::/32", "3fff::/20"),
        ),
    }.items()
    for network in networks
}
_PUBLIC6: Final = IPv6Network("2000::/3")
_METADATA: Final = frozenset(
    map(ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"))
)
_EMBEDDING: Final = {
    IPv6Network("::ffff:0:0/96"): 0,  # IPv4-mapped
    IPv6Network("::ffff:0:0:0/96"): 0,  # IPv4-translated
    IPv6Network("64:ff9b::/96"): 0,  # NAT64
    IPv6Network("::/96"): 0,  # IPv4-compatible
    IPv6Network("2002::/16"): 80,  # 6to4
}
"""Where an IPv4 address hides in an IPv6 one: by how many bits it is shifted."""


class AddressRefused(ResegmentError):
    """A host must not be connected to: `address` is what it resolves to, `fault` says what that is."""

    def __init__(self, host: str, address: str, fault: str) -> None:
        super().__init__(
            f"{host} resolves to {address}, which is {fault}",
            remedy="Webhooks go to public addresses. Where an internal one is meant, name the host in the "
            "endpoint's allow_hosts or its network in allow_networks.",
        )
        self.host, self.address, self.fault = host, address, fault


@dataclass(frozen=True, slots=True)
class Guard:
    """Resolves host names and refuses what must not be connected to.

    `networks` may be connected to in any way, `hosts` where they are private; the addresses at which clouds
    tell credentials never.
    """

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    resolve: Resolve | None = None

    async def find(self, host: str, port: int, *, plain: bool = False) -> Sequence[str]:
        """Where to connect to, first choice first. `plain`: without TLS. Raises AddressRefused or OSError."""
        found = await (self.resolve or resolve)(host, port)
        for (
            address
        ) in found:  # one bad one spoils all: who controls the name may try again until it is chosen
            if (fault := self.judge(host, address, plain=plain)) is not None:
                raise AddressRefused(host, address, fault)
        return found

    def judge(self, host: str, text: str, *, plain: bool = False) -> str | None:
        """Why the address must not be connected to; None where it may."""
        address = ip_address(text.partition("%")[0])
        inner = unwrap(address)
        if address in _METADATA or inner in _METADATA:
            return "a cloud's metadata service"
        if any(one in network for one in (address, inner) for network in self.networks):
            return None
        fault = find_fault(address)
        if host.lower() in self.hosts and (fault is None or fault in INTERNAL):
            return None
        if fault is None and plain:
            return "not one that may be spoken to without TLS"
        return fault


def find_fault(address: Address) -> str | None:
    """What keeps an address from being a public one: `private`, `loopback` ...; None for a public one."""
    inner = unwrap(address)
    for network, meaning in _SPECIAL.items():
        if inner in network:
            return meaning
    return "reserved" if isinstance(inner, IPv6Address) and inner not in _PUBLIC6 else None


def unwrap(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, else the address itself."""
    if isinstance(address, IPv6Address) and int(address) > 1:
        for network, shift in _EMBEDDING.items():
            if address in network:
                return IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return address


async def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a host, as the system orders them. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))
