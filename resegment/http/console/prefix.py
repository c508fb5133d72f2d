"""What pages ask of a running prefix: the port that `resegment.streams.live` implements."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Protocol, TypeVar

from resegment.outcomes.dataset import Dataset
from resegment.outcomes.measuring.names import By
from resegment.outcomes.measuring.report import Report
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.live.account import AccountView
from resegment.streams.live.index import Progress
from resegment.streams.live.sampling import Sample
from resegment.streams.live.shadow import ShadowedAccount, ShadowLook
from resegment.streams.operations.overview import Overview

T = TypeVar("T")


class ConsolePrefix(Protocol):
    """A prefix that is read for pages. Methods raise TransientError where Kafka or Redis does not answer."""

    @property
    def name(self) -> str:
        """The name of the prefix."""
        ...

    async def registry(self) -> DefinitionRegistry:
        """Return the versions of the segments file, as workers have them now."""
        ...

    async def overview(self) -> Overview:
        """Return the health of the prefix; it is at most a second old."""
        ...

    async def find(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a query of `resegment.streams.live.queries` finds in the index of accounts, changes and commands."""
        ...

    @property
    def progress(self) -> Progress:
        """How much the index has read."""
        ...

    async def wait_for_changes(self, patience: float) -> None:
        """Wait until the index has new changes, for at most `patience` seconds."""
        ...

    async def identify(self, text: str) -> str | None:
        """Return the account that a domain, URL, address, alias or id means, if it is known."""
        ...

    async def aliases(self, text: str = "", account: str | None = None) -> list[tuple[str, str]]:
        """Return aliases that have a text, with their accounts; of one account or of any."""
        ...

    async def account(self, name: str, at: int | None) -> AccountView:
        """Return an account at an instant (ms), None for now. Raises UnknownAccount and HistoryLost."""
        ...

    async def shadow(self, patience: float) -> ShadowLook | None:
        """Return what is known of the shadow, None without one; wait up to so many seconds for a first comparison."""
        ...

    async def shadowed_account(self, name: str, at: int) -> ShadowedAccount | None:
        """Return an account as the shadow has it at an instant (ms), None without a shadow."""
        ...

    async def sample(self) -> Sample:
        """Return what tests say of a random sample of accounts, at most some minutes old."""
        ...

    async def outcomes(self, by: By) -> Report:
        """Return what came of touches, at most some minutes old. Raises OutcomesExtraMissing."""
        ...

    async def account_outcomes(self, name: str, until: int | None = None) -> Dataset:
        """Return the touches and outcomes of an account, as they were known at `until` (ms)."""
        ...

    async def now(self) -> int:
        """Return the prefix's own time, ms."""
        ...
