"""The routing policies of a prefix's versions, and the list files that they need."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from resegment.errors import RefusedEvent, ResegmentError, TransientError
from resegment.routing.policy import Policy, list_files
from resegment.schemas.routing import DefinitionSwitched
from resegment.streams.definitions.registry import DefinitionRegistry

UNREAD_FOR: Final = 10.0
"""Seconds within which the record of a version must come. A change of a foreign program may name one that never comes."""


MOST_UNREAD: Final = 100
"""How many versions a process can be behind. A number beyond that is of a foreign program."""


class VersionUnread(TransientError):
    """A record names a version that is not read from `definitions` yet."""

    def __init__(self, version: str) -> None:
        super().__init__(
            f"version {version} of the segments file is not read yet",
            remedy="If this does not end: check that the broker with the topic `definitions` answers.",
        )
        self.version = version


class VersionPolicies:
    """See `resegment.routing.policy.Policies`."""

    def __init__(
        self,
        registry: DefinitionRegistry,
        now: Callable[[], float] = time.monotonic,
        *,
        unread_for: float = UNREAD_FOR,
    ) -> None:
        """`unread_for` is how many seconds a version may still come; 0 where `definitions` is not followed."""
        self._registry, self._now, self._unread_for = registry, now, unread_for
        self._numbers: dict[str, int] = {}
        self._missed: dict[str, float] = {}

    def of(self, fingerprint: str) -> Policy:
        """Return the policy of the version with this fingerprint. Raises VersionUnread, for up to `unread_for` seconds.

        A version that this release no longer compiles has the policy of the one in force.
        """
        found = self._find(fingerprint)
        if found is not None:
            with suppress(ResegmentError):
                return self._registry.runtime(found).policy
            return self._registry.current.policy
        since = self._missed.setdefault(fingerprint, self._now())
        if self._now() - since < self._unread_for:
            raise VersionUnread(fingerprint)
        return self._registry.current.policy

    def at(self, number: int) -> Policy:
        """Return the policy of a version; 0 is the first. Raises VersionUnread, and RefusedEvent if it cannot come."""
        versions = self._registry.definitions.versions
        wanted, newest = number or min(versions, default=0), max(versions, default=0)
        if wanted not in versions:
            if newest < wanted <= newest + MOST_UNREAD:
                raise VersionUnread(str(wanted))
            raise RefusedEvent("not-a-routing-event", f"the prefix has no version {wanted}")
        return self._registry.runtime(wanted).policy

    def _find(self, fingerprint: str) -> int | None:
        if fingerprint not in self._numbers:
            versions = self._registry.definitions.versions.values()
            self._numbers.update((one.fingerprint, one.number) for one in versions)
        return self._numbers.get(fingerprint)


def files_of_lists(registry: DefinitionRegistry) -> dict[str, str]:
    """Return the suppressions that are lists, name to path: of the version in force, and of an apply under way.

    Until the apply is worked off, those are the lists of both of its versions: a switch stands before its instant comes,
    and until then the version before keeps out the accounts of its lists.
    """
    definitions = registry.definitions
    underway, found = definitions.open, dict[str, str]()
    for number in () if underway is None else (underway.version, underway.base):
        with suppress(ResegmentError):  # a new version is refused then
            found |= list_files(definitions.definition_of(number))
    return {**found, **list_files(registry.current.definition)}


def latest_switch(registry: DefinitionRegistry) -> DefinitionSwitched | None:
    """Return the event by which the router learns of the version in force; None before the first switch."""
    standing = registry.definitions.standing
    if not standing:
        return None
    apply = standing[-1]
    return DefinitionSwitched(
        at=apply.at,
        version=apply.version,
        fingerprint=registry.definitions.version(apply.version).fingerprint,
        apply=apply.id,
        route=apply.route,
        rollback_of=apply.rollback_of,
    )
