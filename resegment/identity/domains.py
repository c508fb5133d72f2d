"""Find the registrable domain of any spelling of a company's address.

An account is a registrable domain by the Public Suffix List that is pinned beside this module (private section
included), so `https://www.Acme.com/x`, `careers.acme.com` and `jo@acme.com` are all `acme.com`. There are no DNS
lookups.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources

import idna
from publicsuffixlist import PublicSuffixList

from resegment.errors import RefusedEvent
from resegment.identity.listed_hosts import listed_hosts
from resegment.identity.shared_hosts import SharedHosts

LONGEST_SUBJECT = 2_048
LONGEST_DOMAIN = 253
REMEMBERED_SUBJECTS = 65_536
LONGEST_REMEMBERED = 128
"""Subjects of more characters are resolved each time, so that long ones do not fill the memory."""

_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.\-]*:)?//", re.IGNORECASE)
_END_OF_HOST = re.compile(r"[/?#\\]")
_PORT = re.compile(r":\d*\Z")
_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST = re.compile(rf"(?:(?:[a-z0-9_-]{{1,63}})\.)*{_LABEL}\.{_LABEL}")
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")
_NUMERIC = re.compile(r"\d+|0x[0-9a-f]*")

_shared_hosts = SharedHosts()


class SharedHost(RefusedEvent):
    """The subject is on a host that many companies share, so it names no company. `host` is that host."""

    def __init__(self, host: str) -> None:
        super().__init__(
            "not-a-company",
            f"{host} {listed_hosts().explain(host)}: use the company's own domain "
            "(RESEGMENT_SHARED_HOSTS can make an exception)",
            field="subject",
        )
        self.host = host


def registrable_domain(subject: str) -> str:
    """Return the account that a subject means: its registrable domain, lower-case, in ASCII (IDNA) form.

    `subject` is a domain, host, URL or email address in any spelling. The result is its own registrable domain.

    Raises `RefusedEvent` (reason `not-a-company`, field `subject`) for texts that are not domain names, IP
    addresses, single labels and public suffixes, and its subclass `SharedHost` for hosts that many companies share.
    """
    if len(subject) > LONGEST_SUBJECT:
        raise _refusal(subject, f"it is longer than {LONGEST_SUBJECT} characters")
    return _remembered(subject) if len(subject) <= LONGEST_REMEMBERED else _resolve(subject)


def use_shared_hosts(hosts: SharedHosts) -> None:
    """Add to the shared hosts, and make exceptions, in the whole process. Call this before anything is resolved."""
    global _shared_hosts  # noqa: PLW0603  # one table for the process: the same subject has one account
    _shared_hosts = hosts
    _remembered.cache_clear()


def _resolve(subject: str) -> str:
    host, has_path = _split(subject)
    if len(host) > LONGEST_DOMAIN:
        raise _refusal(subject, f"its host is longer than {LONGEST_DOMAIN} characters")
    if _NUMERIC.fullmatch(host.rpartition(".")[2]):
        raise _refusal(subject, "it is an IP address or a number")
    if "." not in host:
        raise _refusal(subject, "it has no dot" if host else "it is empty")
    if not _HOST.fullmatch(host):
        raise _refusal(subject, "its host has characters that are not allowed in a domain name")
    shared = _shared_hosts.find(host, has_path=has_path)
    if shared is not None:
        raise SharedHost(shared)
    domain: str | None = _suffixes().privatesuffix(host)
    if domain is None:
        raise _refusal(subject, "it is a public suffix, under which companies register their names")
    if not _DOMAIN.fullmatch(domain):
        raise _refusal(subject, "its domain has characters that are not allowed in a registered name")
    return domain


_remembered = lru_cache(maxsize=REMEMBERED_SUBJECTS)(_resolve)


def _split(subject: str) -> tuple[str, bool]:
    """Return the host of a subject, and whether the subject is a URL of a page, not only of a host."""
    rest = subject.strip()
    scheme = _SCHEME.match(rest)
    if scheme:
        rest = rest[scheme.end() :]
    authority, *path = _END_OF_HOST.split(rest, maxsplit=1)
    host = _PORT.sub("", authority.rpartition("@")[2]).removesuffix(".").lower()
    if not host.isascii() or "xn--" in host:
        try:
            host = idna.encode(host, uts46=True).decode("ascii").removesuffix(".").lower()
        except (idna.IDNAError, UnicodeError) as error:
            raise _refusal(subject, f"its host is not a valid international domain name ({error})") from error
    return host, any(path)


def _refusal(subject: str, why: str) -> RefusedEvent:
    shown = subject if len(subject) <= 80 else subject[:79] + "…"
    return RefusedEvent(
        "not-a-company", f"the subject {shown!r} is not the domain of a company: {why}", field="subject"
    )


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    # A pinned copy: with the one inside the package, an upgrade would silently move facts to other accounts.
    text = (
        resources.files("resegment.identity").joinpath("public_suffix_list.dat").read_text(encoding="utf-8")
    )
    return PublicSuffixList(text)
