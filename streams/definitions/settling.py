"""Wait until it is known how an apply ends, where a partition may not read on before."""

from __future__ import annotations

import asyncio
from typing import Final

from resegment.errors import TransientError
from resegment.schemas.definitions.records import Foreign, Void
from resegment.streams.definitions.log import DefinitionWriter
from resegment.streams.definitions.registry import DefinitionRegistry

PATIENCE: Final = 10.0
"""Seconds after which a partition that has reached the instant of a switch ends it, if the applier has not settled it."""

AGAIN_AFTER: Final = 0.2
"""Seconds until a partition that is not ready looks again."""


CLAIM_READ_WITHIN: Final = 1.0
"""Seconds until a partition asks `definitions` whether the apply of a mark was ever claimed."""


class SwitchUndecided(TransientError):
    """A partition has reached the instant of a switch, and the topic `definitions` does not say how it ends."""

    def __init__(self, apply: str) -> None:
        super().__init__(
            f"it is not known yet whether the switch {apply} happens",
            remedy="Check that the topic `definitions` can be read and written. Nothing is lost meanwhile.",
        )
        self.apply = apply


class Settler:
    """Waits for the end of applies, and ends those that nobody else does."""

    def __init__(
        self, registry: DefinitionRegistry, writer: DefinitionWriter, *, patience: float = PATIENCE
    ) -> None:
        self._registry, self._writer, self._patience = registry, writer, patience

    async def settle(self, apply: str, *, is_marked: bool) -> None:
        """Return once the apply has been read; `is_marked`: once it is known whether it stands, ended here if need be.

        Raises SwitchUndecided and PublishFailed.
        """
        registry, patience = self._registry, self._patience
        if not registry.knows(apply):
            await self._look_up(apply)
            return
        if not is_marked:
            return
        if registry.verdict(apply) is not None:
            await asyncio.sleep(AGAIN_AFTER)  # the partition is not ready: what it needs is folded in again
            return
        if await registry.wait_for(lambda: registry.verdict(apply) is not None, patience):
            return
        reason = f"it was not settled within {patience:.0f} s after its instant"
        await self._writer.write(Void(apply=apply, reason=reason))
        if not await registry.wait_for(lambda: registry.verdict(apply) is not None, patience):
            raise SwitchUndecided(apply)

    async def _look_up(self, apply: str) -> None:
        """Return once the apply is known. Claims are written before marks: a mark without one is passed over."""
        registry = self._registry
        if await registry.wait_for(lambda: registry.knows(apply), min(self._patience, CLAIM_READ_WITHIN)):
            return
        await self._writer.write(Foreign(apply=apply))
        if not await registry.wait_for(lambda: registry.knows(apply), self._patience):
            raise SwitchUndecided(apply)
