"""Know the hosts that many companies share, with the user's own additions and exceptions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from resegment.errors import UserError, explain_os_error
from resegment.identity.listed_hosts import listed_hosts

_HOST: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}")


class WrongSharedHosts(UserError):
    """A file of shared hosts that cannot be read."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}",
            remedy="Write one host per line: `jobs.example.com` adds a shared host, `!g2.com` makes an exception.",
        )
        self.path = path


@dataclass(frozen=True, slots=True)
class SharedHosts:
    """Additions to the hosts that many companies share, and exceptions from them. Each stands for all hosts beneath it."""

    added: frozenset[str] = frozenset()
    excepted: frozenset[str] = frozenset()

    def find(self, host: str, *, has_path: bool) -> str | None:
        """Return the shared host that a host is, or is beneath; None if it belongs to one company.

        An exception is for the company that runs the host. A page on it (`has_path`) is about another company.
        """
        listed = listed_hosts()
        while host:
            if host in self.excepted:
                return host if has_path else None
            if host in self.added or listed.has(host):
                return host
            parent = host.partition(".")[2]
            if listed.has_beneath(parent, host) and parent not in self.excepted:
                return parent
            host = parent
        return None


def read_shared_hosts(path: Path) -> SharedHosts:
    """Read additions and exceptions from a file. Raises WrongSharedHosts."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise WrongSharedHosts(path, explain_os_error(error)) from error
    except UnicodeDecodeError as error:
        raise WrongSharedHosts(path, "not UTF-8") from error
    added: set[str] = set()
    excepted: set[str] = set()
    for number, line in enumerate(lines, 1):
        entry = line.partition("#")[0].strip().lower()
        host = entry.removeprefix("!").strip()
        if not entry:
            continue
        if not _HOST.fullmatch(host):
            raise WrongSharedHosts(path, f"line {number} is not a host")
        (excepted if entry.startswith("!") else added).add(host)
    return SharedHosts(frozenset(added), frozenset(excepted))
