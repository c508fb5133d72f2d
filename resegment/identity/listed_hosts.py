"""Know the hosts that are listed beside this module: which are shared by many companies, and what for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Final

SHARED: Final = "is a host that many companies share"
_MAILBOXES: Final = "is a mailbox provider"

_FREE_MAIL: Final = "free_mail.txt"
_COMPANIES: Final = "companies.txt"
"""The hosts of the list of free mail that are companies all the same."""
_LISTS: Final = (
    ("mailboxes.txt", _MAILBOXES),
    ("hiring_hosts.txt", "hosts job boards of many companies"),
    ("help_desks.txt", "hosts help desks and workspaces of many companies"),
    ("site_builders.txt", "hosts websites of many companies"),
    ("shared_hosts.txt", SHARED),
)
"""Each other list, and what is said of its hosts. The last list that has a host decides."""


@dataclass(frozen=True, slots=True)
class ListedHosts:
    """What each shared host is used for: `whole` with all hosts beneath it, `beneath` without itself and its `www`."""

    whole: dict[str, str]
    beneath: dict[str, str]

    def has(self, host: str) -> bool:
        """Tell whether a host is listed itself, with all hosts beneath it."""
        return host in self.whole

    def has_beneath(self, parent: str, host: str) -> bool:
        """Tell whether the hosts beneath `parent` are listed, `host` among them."""
        return parent in self.beneath and host != f"www.{parent}"

    def explain(self, host: str) -> str:
        """Say what a shared host is used for."""
        return self.whole.get(host) or self.beneath.get(host) or SHARED


@lru_cache(maxsize=1)
def listed_hosts() -> ListedHosts:
    """Return the listed hosts. The files are read at the first call."""
    whole = dict.fromkeys(set(_read(_FREE_MAIL)).difference(_read(_COMPANIES)), _MAILBOXES)
    beneath: dict[str, str] = {}
    for name, use in _LISTS:
        for entry in _read(name):
            if entry.startswith("*."):
                beneath[entry.removeprefix("*.")] = use
            else:
                whole[entry] = use
    return ListedHosts(whole, beneath)


def _read(name: str) -> Iterator[str]:
    text = resources.files("resegment.identity").joinpath(name).read_text(encoding="utf-8")
    for line in text.splitlines():
        entry = line.partition("#")[0].strip()
        if entry:
            yield entry
