"""Backtest recorded events: read and pack them, replay the accounts, and keep what comes out."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from resegment.cli.replaying.lines import LineStore
from resegment.cli.replaying.packing import Keeping, PackedAccount, split_accounts
from resegment.cli.replaying.processes import Workers
from resegment.cli.replaying.reading import Chunk, Packed, cut_chunks, pack_chunk
from resegment.cli.replaying.replay import Replayed, Wanted, replay_batch
from resegment.console.progress import Bars
from resegment.schemas.fact import KINDS, Fact, Kind
from resegment.segmentation.evaluation.retention import Retention
from resegment.segmentation.inspection.idle_facts import reads_of
from resegment.segmentation.inspection.summary import Move
from resegment.segmentation.language.privacy import drop_fields
from resegment.segmentation.versions.timeline import Timeline
from resegment.sources.files.located import Located
from resegment.sources.files.reader import Refusals

BATCH = 4_000
"""About how many facts are replayed at a time."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """What each process needs for its part of a backtest."""

    timeline: Timeline
    wanted: Wanted
    keeping: Keeping
    """The fields of data that any of the versions keeps, and the facts that tests read."""
    receive: Callable[[Fact], Fact] | None

    @classmethod
    def of(cls, timeline: Timeline, wanted: Wanted) -> Backtest:
        """Return the backtest of a timeline."""
        eras = timeline.eras
        kept = Retention(*dict.fromkeys(era.engine.program for era in eras))
        receive: Callable[[Fact], Fact] | None = None
        if len(eras) > 1:
            receive = timeline.receive
        elif dropped := eras[0].definition.dropped:

            def receive(fact: Fact) -> Fact:
                return drop_fields(fact, dropped)

        reads = reads_of(eras[0].engine.program) if len(eras) == 1 else _reads_all
        keeping = Keeping(dict(zip(KINDS, kept.fields, strict=True)), reads)
        return cls(timeline, wanted, keeping, receive)


@dataclass(slots=True)
class History:
    """What a backtest finds. `last` is the instant at which the last fact became known, 0 without any."""

    lines: LineStore = field(default_factory=LineStore)
    moves: list[Move] = field(default_factory=list)
    misfits: Counter[str] = field(default_factory=Counter)
    facts: int = 0
    last: int = 0


def run_backtest(
    workers: Workers[Backtest], files: Sequence[Iterable[Located]], refusals: Refusals, bars: Bars
) -> History:
    """Replay the events of files. Raises WrongFile, ProcessLost and NoRoomForLines."""
    history = History()
    grouped = _read(workers, files, refusals, history)
    advance = bars.count("replaying", history.facts)
    same_ids: list[tuple[int, str]] = []
    for replayed in workers.do(_replay, split_accounts(grouped, BATCH)):
        history.lines.add(replayed.lines)
        history.moves += replayed.moves
        history.misfits.update(replayed.misfits)
        same_ids += replayed.same_ids
        advance(replayed.facts)
    refusals.same_ids.update(source for _, source in sorted(same_ids))
    return history


def _read(
    workers: Workers[Backtest], files: Sequence[Iterable[Located]], refusals: Refusals, history: History
) -> dict[str, list[bytes]]:
    """Return the packed facts of each account in the order of the files."""
    grouped: dict[str, list[bytes]] = {}
    for packed in workers.do(_pack, cut_chunks(chain.from_iterable(files))):
        for account, row in packed.rows:
            rows = grouped.get(account)
            if rows is None:
                grouped[account] = [row]
            else:
                rows.append(row)
        history.facts += len(packed.rows)
        history.last = max(history.last, packed.last)
        refusals.join(packed.refusals)
    # What was read stays until it is replayed: the garbage collector need not scan it again.
    gc.freeze()
    return grouped


def _reads_all(_kind: Kind, _data: dict[str, Any]) -> bool:
    return True


def _pack(work: Backtest, chunk: Chunk) -> Packed:
    return pack_chunk(chunk, work.keeping, work.receive)


def _replay(work: Backtest, batch: Sequence[PackedAccount]) -> Replayed:
    return replay_batch(work.timeline, batch, work.wanted)
