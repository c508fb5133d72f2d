"""What was learned, on a terminal: the terms, how they do on later touches, and what to be careful of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from resegment.console.dates import spell_day
from resegment.console.outcomes.words import name_metric, spell_share
from resegment.console.tables import make_table
from resegment.outcomes.learning.checking import Estimate
from resegment.outcomes.learning.learning import Learned
from resegment.outcomes.learning.scoring import Compared
from resegment.schemas.times import parse_instant

SHOWN_LEFT_OUT: Final = 8


def render_learned(
    learned: Learned, compared: Sequence[Compared], name: str, users: Sequence[str] = ()
) -> RenderableType:
    """Render what was learned; `compared` are the terms of the score of that name, and the learned ones.

    `users` are the tests of that score in the file.
    """
    return Group(*_parts(learned, compared, name, users))


def _parts(
    learned: Learned, compared: Sequence[Compared], name: str, users: Sequence[str]
) -> Iterator[RenderableType]:
    yield Text(
        f"{learned.came:,} of {learned.touches:,} touches of {learned.accounts:,} accounts came to "
        f"{name_metric(learned.metric)} within {learned.horizon}.",
        style="bold",
    )
    yield Text(
        f"Fitted on {learned.fitted[0]:,} touches before {spell_day(parse_instant(learned.split_at))}, "
        f"checked on {learned.later[0]:,} from then on; {learned.candidates} candidates.",
        style="dim",
    )
    for warning in learned.warnings:
        yield Text("! ", style="bold yellow").append(warning, style="not bold")
    yield Text()
    if not learned.terms:
        yield Text(
            f"Nothing in the file is known to tell who comes to {name_metric(learned.metric)}.", style="bold"
        )
        yield Text("No score is proposed. With more outcomes, or other tests in the file, there may be one.")
    else:
        yield _terms(learned, compared, name)
        if users:
            yield Text()
            yield Text("! ", style="bold yellow").append(
                f"The file tests {', '.join(users)}: these thresholds were set for the points in force.",
                style="not bold",
            )
    yield Text()
    yield from _check(learned, name)
    yield from _left_out(learned)


def _terms(learned: Learned, compared: Sequence[Compared], name: str) -> RenderableType:
    table = make_table(f"Score {name}", "points in force and learned; odds where the term is true")
    table.add_column("term", overflow="fold")
    for heading in ("in force", "learned", "odds", "interval", "came", "selected"):
        table.add_column(heading, justify="right")
    terms = {one.text: one for one in learned.terms}
    for one in compared:
        term = terms.get(one.text)
        row = ("–", "–", "–", "–")
        if term is not None:
            row = (
                f"×{term.odds.value:.2f}",
                f"{term.odds.low:.2f}–{term.odds.high:.2f}",
                f"{term.came:,} of {term.touches:,}",
                spell_share(term.selected, 0),
            )
        table.add_row(one.text, _points(one.in_force), _points(one.learned), *row)
    return table


def _points(points: float | None) -> str:
    return "–" if points is None else f"{points:g}"


def _check(learned: Learned, name: str) -> Iterator[RenderableType]:
    check = learned.check
    table = make_table("On later touches", "0.5 is chance, 1 is perfect")
    table.add_column("score", overflow="fold")
    table.add_column("ranks", justify="right")
    table.add_column("interval", justify="right")
    for label, estimate in [
        (f"{name}, learned", check.points_auc),
        *((f"{one.name}, in force", one.auc) for one in check.in_force),
    ]:
        if estimate is not None:
            table.add_row(label, f"{estimate.value:.2f}", _interval(estimate))
    if table.row_count:
        yield table
    if not learned.terms:
        return
    yield Text()
    yield Text(
        f"Calibration: slope {_told(check.slope)} (1 is right), intercept {_told(check.intercept)} (0 is right)"
    )
    groups = make_table()
    for heading in ("expected", "came", "rate", "interval"):
        groups.add_column(heading, justify="right")
    for one in check.reliability:
        groups.add_row(
            spell_share(one.expected),
            f"{one.came:,} of {one.touches:,}",
            spell_share(one.came / one.touches),
            f"{100 * one.low:.1f}–{100 * one.high:.1f}%",
        )
    yield groups


def _told(estimate: Estimate | None) -> str:
    return (
        "unknown" if estimate is None else f"{_two(estimate.value)}, between {_interval(estimate, ' and ')}"
    )


def _interval(estimate: Estimate, between: str = "–") -> str:
    return f"{_two(estimate.low)}{between}{_two(estimate.high)}"


def _two(number: float) -> str:
    """Return a number with two digits; one that rounds to zero has no sign."""
    return f"{round(number, 2) + 0.0:.2f}".replace("-", "−")


def _left_out(learned: Learned) -> Iterator[RenderableType]:
    tried = [one for one in learned.left_out if one.selected]
    if tried:
        yield Text()
        told = ", ".join(f"{one.text} ({spell_share(one.selected, 0)})" for one in tried[:SHOWN_LEFT_OUT])
        yield Text(f"Left out, with how often resamples selected them: {told}", style="dim")
    rest = len(learned.left_out) - len(tried[:SHOWN_LEFT_OUT])
    if rest:
        yield Text(f"{rest} more candidates left out; --json has all.", style="dim")
