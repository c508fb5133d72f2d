"""Prepare the owned partitions for the version of an apply, one after another, and say so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog
from msgspec.structs import replace as with_changes

from resegment.agents.batch import PublishFailed
from resegment.agents.deciding.decided import Owned
from resegment.agents.deciding.folding import changeover_of
from resegment.errors import PartitionLost, ResegmentError, TransientError
from resegment.schemas.definitions.marks import Mark, encode_changeover
from resegment.schemas.definitions.records import Prepared, Refused
from resegment.segmentation.definition import Definition
from resegment.segmentation.evaluation.account import Account
from resegment.streams.definitions.log import DefinitionWriter
from resegment.streams.definitions.preparing import SignalLog, prepare_partition
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.worker.partitions import PartitionManager

log = structlog.get_logger(__name__)

LOOKED_AT: Final = 0.1
"""Seconds between two looks for partitions that read the mark of an apply."""
AGAIN_AFTER: Final = 1.0
"""Seconds until something that a server refused is tried again."""


class Preparer:
    """Works on the partitions that have read a prepare mark and have not answered it."""

    def __init__(
        self,
        registry: DefinitionRegistry,
        partitions: PartitionManager[Account],
        writer: DefinitionWriter,
        source: SignalLog,
        check: Callable[[Definition], None],
    ) -> None:
        """`check` raises if this machine does not have what a version needs: a list that it cannot read."""
        self._registry, self._partitions, self._writer = registry, partitions, writer
        self._source, self._check = source, check

    async def run(self) -> None:
        """Look for partitions to prepare until cancelled."""
        while True:
            for owned in list(self._partitions):
                mark = self._find_mark(owned)
                if mark is None:
                    continue
                try:
                    await self._prepare(owned, mark)
                except (TransientError, PublishFailed, PartitionLost) as error:
                    log.warning(
                        "a partition is not prepared yet", partition=owned.number, reason=error.message
                    )
                    await asyncio.sleep(AGAIN_AFTER)
            await asyncio.sleep(LOOKED_AT)

    def _find_mark(self, owned: Owned) -> Mark | None:
        """Return the prepare mark that the partition has to answer."""
        if owned.fence is None:
            return None
        changeover = changeover_of(owned.position)
        mark = changeover.preparing
        one = None if mark is None else self._registry.definitions.applies.get(mark.apply)
        if one is None or one.verdict == "void" or owned.number in one.refused:
            return None
        return None if changeover.ready and owned.number in one.prepared else mark

    async def _prepare(self, owned: Owned, mark: Mark) -> None:
        fence, upto = owned.fence, changeover_of(owned.position).offset
        try:
            records = await prepare_partition(
                owned, mark, upto, self._registry, self._source, check=self._check
            )
        except (TransientError, PartitionLost):
            raise
        except ResegmentError as error:
            log.warning("a version cannot be carried out", version=mark.version, reason=error.message)
            await self._writer.write(Refused(apply=mark.apply, partition=owned.number, reason=error.message))
        else:
            if not await self._note_ready(owned, mark, fence):
                return  # another owner answers, or the apply is over
            log.info("a partition is prepared", partition=owned.number, version=mark.version, records=records)
            await self._writer.write(Prepared(apply=mark.apply, partition=owned.number))
        await self._registry.wait_for(lambda: self._is_answered(owned.number, mark.apply), 5.0)

    async def _note_ready(self, owned: Owned, mark: Mark, fence: int | None) -> bool:
        """Commit that all is folded in. After what was folded in is lost with a server, so is this."""
        async with owned.lock:
            changeover = changeover_of(owned.position)
            if owned.fence != fence or changeover.preparing != mark:
                return False
            ready = encode_changeover(with_changes(changeover, ready=True))
            await owned.commit(replace(owned.position, definition=ready), owned.collect())
            return True

    def _is_answered(self, partition: int, apply: str) -> bool:
        one = self._registry.definitions.applies.get(apply)
        return one is None or partition in one.prepared or partition in one.refused
