"""A call log in memory: for tests, and for commands that keep nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from resegment.schemas.logs.call_log import AccountCalls, LoggedCall, LoggedContact, LoggedResult


class MemoryCallLog:
    """The call log of one sink, as long as the process lives."""

    def __init__(self) -> None:
        self._calls: dict[str, dict[tuple[str, str], LoggedCall]] = {}
        self._results: dict[str, dict[str, LoggedResult]] = {}
        self._chosen: dict[str, dict[str, Sequence[LoggedContact]]] = {}
        self._enrolled: dict[str, dict[str, Sequence[LoggedContact]]] = {}
        self._sequences: dict[str, int] = {}

    async def read(self, account: str) -> AccountCalls:
        return AccountCalls(
            dict(self._calls.get(account, {})),
            dict(self._results.get(account, {})),
            dict(self._chosen.get(account, {})),
            dict(self._enrolled.get(account, {})),
            self._sequences.get(account, 0),
        )

    async def write(
        self, account: str, key: str, step: str, before: LoggedCall | None, after: LoggedCall | None
    ) -> bool:
        calls = self._calls.setdefault(account, {})
        if calls.get((key, step)) != before:
            return False
        if after is None:
            calls.pop((key, step), None)
        else:
            calls[key, step] = after
        return True

    async def choose(self, account: str, key: str, contacts: Sequence[LoggedContact]) -> None:
        self._chosen.setdefault(account, {})[key] = list(contacts)

    async def enroll(self, account: str, enrolled: Mapping[str, Sequence[LoggedContact]]) -> None:
        self._enrolled.setdefault(account, {}).update(enrolled)

    async def settle(
        self,
        account: str,
        key: str,
        result: LoggedResult,
        enrolled: Mapping[str, Sequence[LoggedContact]],
    ) -> None:
        self._results.setdefault(account, {})[key] = result
        self._chosen.get(account, {}).pop(key, None)
        calls = self._calls.get(account, {})
        for place in [one for one in calls if one[0] == key]:
            del calls[place]
        self._enrolled.setdefault(account, {}).update(enrolled)
        self._sequences[account] = max(result.sequence, self._sequences.get(account, 0))
