"""The keys of a process: what it seals and opens with, connected when the first message needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from resegment.agents.batch import Message
from resegment.schemas.fact import Fact
from resegment.schemas.privacy.opening import FactKeys, OpenFact
from resegment.settings import Settings
from resegment.state.keys.keyring import Keyring
from resegment.state.keys.opening import has_keys, open_keys
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.opener import RecordOpener
from resegment.streams.sealing.sealer import MessageSealer

Seal = Callable[[Sequence[Message]], Awaitable[Sequence[Message]]]


class ProcessKeys:
    """The keyring of a process. Where personal fields are not sealed, there is none, and nothing is connected."""

    def __init__(self, settings: Settings, prefix: str | None = None) -> None:
        """Take the keys of a prefix, by default that of the settings.

        Raises KeySettings where only one of the two settings is there.
        """
        self.are_set = has_keys(settings)
        self._settings = settings if prefix is None else settings.model_copy(update={"prefix": prefix})
        self._ring: Keyring | None = None
        self._opening = asyncio.Lock()

    @property
    def held(self) -> Keyring | None:
        """Return the keyring once it was opened; None before, and where personal fields are not sealed."""
        return self._ring

    async def ring(self) -> Keyring | None:
        """Return the keyring, opened at the first call. Raises as `resegment.state.keys.opening.open_keys` does."""
        if self.are_set and self._ring is None:
            async with self._opening:
                if self._ring is None:
                    self._ring = await open_keys(self._settings)
        return self._ring

    @property
    def facts(self) -> FactKeys | None:
        """Return what opens facts; None where nothing is sealed."""
        return _FactKeys(self) if self.are_set else None

    def record_opener(self, *, strict: bool = False) -> RecordOpener:
        """Return what opens records for those who read them; `strict` for those who decide by them."""
        return RecordOpener(self.ring, strict=strict)

    def seal(self, topics: Topics) -> Seal | None:
        """Return what seals messages for these topics; None where personal fields are not sealed."""
        return MessageSealer(self.ring, topics).seal if self.are_set else None

    async def aclose(self) -> None:
        """Close the connections."""
        ring, self._ring = self._ring, None
        if ring is not None:
            await ring.store.aclose()


class _FactKeys:
    """See `resegment.schemas.privacy.opening.FactKeys`."""

    def __init__(self, keys: ProcessKeys) -> None:
        self._keys = keys

    async def opener(self, facts: Iterable[Fact]) -> OpenFact:
        ring = await self._keys.ring()
        assert ring is not None
        return await ring.opener(facts)

    def drop(self) -> None:
        if self._keys.held is not None:
            self._keys.held.drop()
