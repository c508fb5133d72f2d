"""Draw what an account gets that enters a segment: which play, whether it is held out, and in which experiment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from resegment.schemas.segments import Holdout
from resegment.schemas.written import read_share
from resegment.segmentation.plays.experiments import HELD_OUT, Experiment, is_drawn


class DrawnFrom(Protocol):
    """What a draw needs of a segment."""

    @property
    def name(self) -> str: ...
    @property
    def play(self) -> str | None: ...
    @property
    def holdout(self) -> Holdout | None: ...


class Draw(NamedTuple):
    """What one account gets. `experiment` and `variant` are None if it takes part in none."""

    play: str | None
    holdout: bool = False
    experiment: str | None = None
    variant: str | None = None


class Draws:
    """The draws of one definition. A draw depends on the account's name and on when its change takes effect."""

    def __init__(self, segments: Iterable[DrawnFrom], experiments: Mapping[str, Experiment]) -> None:
        running: dict[str, tuple[Experiment, ...]] = {}
        for one in experiments.values():
            running[one.segment] = (*running.get(one.segment, ()), one)
        self._drawn = {
            one.name: (one.play, _read_holdout(one), running.get(one.name, ())) for one in segments
        }

    def draw(self, segment: str, account: str, at: int) -> Draw:
        """Return what an account gets that enters a segment at an instant (ms).

        One that the segment itself holds out takes part in no experiment.
        """
        play, holdout, experiments = self._drawn.get(segment, (None, None, ()))
        if holdout is not None and is_drawn(account, *holdout):
            return Draw(play, holdout=True)
        one = next((one for one in experiments if one.runs_at(at)), None)
        if one is None:
            return Draw(play)
        variant = one.draw(account)
        return Draw(variant if one.plays else play, variant == HELD_OUT and not one.plays, one.name, variant)


def _read_holdout(segment: DrawnFrom) -> tuple[float, str] | None:
    """Return the share and the salt of a segment's own holdout; None if it has none."""
    holdout = segment.holdout
    return None if holdout is None else (read_share(holdout.share), holdout.salt or segment.name)


def plays_of(segment: DrawnFrom, experiments: Mapping[str, Experiment]) -> tuple[str, ...]:
    """Return every play that accounts of a segment may get."""
    found = [
        segment.play,
        *(play for one in experiments.values() if one.segment == segment.name for play in one.plays),
    ]
    return tuple(dict.fromkeys(play for play in found if play is not None))
