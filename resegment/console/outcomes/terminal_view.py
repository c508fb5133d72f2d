"""A report on outcomes on a terminal: whether groups differ, each rate with its interval, deals, lift and findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Group as Parts
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from resegment.console.definition.summary import sparkline
from resegment.console.outcomes.words import (
    CORE,
    LABELS,
    headline,
    list_differences,
    name_metric,
    nice_top,
    spell_amount,
    spell_amounts,
    spell_days,
    spell_p,
    spell_points,
    spell_points_range,
    spell_range,
    spell_share,
    tell_check,
    tell_more,
    tell_sureness,
    verdict,
)
from resegment.console.tables import make_table
from resegment.outcomes.measuring.report import Comparison, CyclePoint, Group, Ranking, Rate, Report

MAX_NAME: Final = 26
LEAST_NAME: Final = 8
GAP: Final = 3
"""What separates two columns of a table."""
MAX_PAIRS: Final = 3
NARROW: Final = 96
"""Below this width tables leave out what is shrunk and their charts."""
BESIDE: Final = 94
"""Columns that a chart leaves to the numbers beside it."""
CONTACT_METRICS: Final = ("reply", "positive_reply", "unsubscribe", "bounce")
_LABEL_STYLE: Final = {"thin": "yellow", "early": "", "solid": "green"}


def render(report: Report, columns: int, metrics: Sequence[str] = CORE) -> RenderableType:
    """Render the report for a terminal of that width, the most important first."""
    return Parts(*_parts(report, columns, metrics))


def _parts(report: Report, columns: int, metrics: Sequence[str]) -> Iterator[RenderableType]:
    yield Text(headline(report), style="bold")
    if not report.touches and not report.held_out:
        yield Text("There are no touches to measure.")
        return
    yield Text(verdict(report))
    for note in report.notes:
        yield Text("! ", style="bold yellow").append(note, style="not bold")
    if report.uncredited:
        reasons = ", ".join(f"{one.reason} {one.outcomes:,}" for one in report.uncredited)
        yield Text(f"Outcomes credited to no touch: {reasons}.", style="dim")
    for finding in report.findings:
        yield Text()
        yield Text("→ ", style="bold cyan").append(finding.message, style="not bold default")
        yield Text(f"  {finding.advice}", style="dim")
        for line in (*finding.evidence, tell_sureness(finding)):
            yield Text(f"  {line}", style="dim")
    for metric in metrics:
        yield Text()
        yield from _metric(report, metric, columns)
    for table in (*_contacts(report, columns), *_deals(report, columns), *_lifts(report, columns)):
        yield Text()
        yield table
    for check in report.holdouts:
        yield Text(f"{check.group}: {tell_check(check)}", style="dim" if check.passes else "yellow")
    yield Text()
    for words in LABELS.values():
        yield Text(words, style="dim")
    yield Text(
        "always: holds however often you look. shrunk: borrows from the other groups, for ranking. "
        f"more: touches that are missing to tell a difference of {spell_share(report.detect, 0)} of the rate of all "
        f"with a power of {spell_share(report.power, 0)}.",
        style="dim",
    )


def _metric(report: Report, metric: str, columns: int) -> Iterator[RenderableType]:
    rates = [(group.name, _rate(group, metric)) for group in report.groups if group.touches]
    ranking = next((one for one in report.rankings if one.metric == metric), None)
    compared = next((one for one in report.comparisons if one.metric == metric), None)
    window = _rate(report.total, metric).window_days
    after = "days after the win" if metric == "retention" else "days after the touch"
    yield _rate_table(
        f"{name_metric(metric)}",
        f"within {window} {after}",
        [*rates, ("all", _rate(report.total, metric))],
        ranking,
        columns,
    )
    if compared is not None:
        yield _tell_comparison(compared)
        for words in list_differences(compared, MAX_PAIRS):
            yield Text(f"  {words}")


def _tell_comparison(compared: Comparison) -> Text:
    differ = "They differ" if compared.differs else "No difference is shown"
    how = "" if compared.method == "chi-square" else ", by permutation"
    return Text(f"{differ}: {spell_p(compared.p)}{how}, Cramér's V {compared.effect:.2f}.", style="dim")


def _rate_table(
    title: str, note: str, rates: Sequence[tuple[str, Rate]], ranking: Ranking | None, columns: int
) -> Table:
    top = nice_top(max((one.interval.high for _, one in rates if one.n >= 10), default=1.0))
    wide = 0 if columns < NARROW + 10 else min(48, columns - BESIDE)
    shrunk = {} if ranking is None else {one.group: one for one in ranking.groups}
    table = make_table(title, note)
    table.add_column("", no_wrap=True, overflow="ellipsis")
    for name in ("k/n", "rate", "95%", "always"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column(f"0%{spell_share(top, 0):>{wide - 2}}", no_wrap=True)
    beside = ("shrunk", "", "more") if columns >= NARROW else ("", "more")
    for name in beside:
        table.add_column(name, justify="right", no_wrap=True)
    for name, one in rates:
        other = shrunk.get(name)
        row: list[RenderableType] = [
            Text(name, style="bold" if name == "all" else ""),
            f"{one.k:,}/{one.n:,}",
            spell_share(one.rate),
            spell_range(one.interval),
            spell_range(one.always_valid),
        ]
        if wide:
            row.append(draw_interval(one, top, wide))
        if columns >= NARROW:
            row.append("" if other is None else f"{spell_share(other.rate)} #{other.rank}")
        row += [
            Text(one.label, style=_LABEL_STYLE[one.label]),
            "" if name == "all" else tell_more(one),
        ]
        table.add_row(*row)
    return fit_names(table, columns)


def draw_interval(rate: Rate, top: float, wide: int) -> Text:
    """Draw a rate with both intervals on a line: dots for the one that is always valid, a bar for Wilson's."""
    if not rate.n or rate.rate is None:
        return Text("·" * 3, style="dim")
    cells = [" "] * wide

    def place(share: float) -> int:
        return max(0, min(wide - 1, round(share / top * (wide - 1))))

    for interval, mark in ((rate.always_valid, "·"), (rate.interval, "─")):
        for index in range(place(interval.low), place(interval.high) + 1):
            cells[index] = mark
    cells[place(rate.rate)] = "●"
    return Text("".join(cells), style="cyan", no_wrap=True)


def _contacts(report: Report, columns: int) -> Iterator[Table]:
    rows = [
        (group.name, one)
        for group in (*report.groups, report.total)
        for one in group.contacts
        if one.metric in CONTACT_METRICS
    ]
    if not rows:
        return
    table = make_table("Contacts", "of those who were written to; contacts of one account count together")
    wide = columns >= NARROW
    for name in ("", "metric"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("k/n", *(["accounts"] if wide else []), "rate", "95%", "always"):
        table.add_column(name, justify="right", no_wrap=True)
    last = None
    for name, one in rows:
        table.add_row(
            Text("" if name == last else name),
            name_metric(one.metric),
            f"{one.k:,}/{one.n:,}",
            *([f"{one.accounts:,}"] if wide else []),
            spell_share(one.rate),
            spell_range(one.interval),
            spell_range(one.always_valid),
        )
        last = name
    yield fit_names(table, columns)


def _deals(report: Report, columns: int) -> Iterator[Table]:
    rows = [group for group in (*report.groups, report.total) if group.cycle.deals]
    if not rows:
        return
    table = make_table("Deals", "won and lost compete, open ones are censored")
    table.add_column("", no_wrap=True, overflow="ellipsis")
    for name in ("won", "lost", "open", "half won in", "won by day 90"):
        table.add_column(name, justify="right", no_wrap=True)
    if columns >= NARROW:
        table.add_column("won over time", no_wrap=True)
    for group in rows:
        cycle = group.cycle
        by_90 = next((one for one in cycle.at if one.day == 90), None)
        table.add_row(
            Text(group.name),
            *(f"{one:,}" for one in (cycle.won, cycle.lost, cycle.open)),
            spell_days(cycle.median_days),
            "–" if by_90 is None else _tell_incidence(by_90),
            *([_curve(group)] if columns >= NARROW else []),
        )
    yield fit_names(table, columns)
    yield _deal_sizes(rows, columns)


def _tell_incidence(point: CyclePoint) -> str:
    """Return the share of deals that are won, with its interval; where none or all are won there is none."""
    if point.interval.low == point.interval.high:
        return spell_share(point.won, 0)
    return f"{spell_share(point.won, 0)} ({spell_range(point.interval, 0)})"


def _deal_sizes(rows: Sequence[Group], columns: int) -> Table:
    table = make_table("Size of won deals", "in US dollars")
    table.add_column("", no_wrap=True, overflow="ellipsis")
    for name in ("deals", "mean", "95%", "median", "95%"):
        table.add_column(name, justify="right", no_wrap=True)
    for size, name in ((group.deal_size, group.name) for group in rows):
        table.add_row(
            Text(name),
            f"{size.n:,}",
            spell_amount(size.mean),
            spell_amounts(size.mean_interval),
            spell_amount(size.median),
            spell_amounts(size.median_interval),
        )
    return fit_names(table, columns)


def fit_names(table: Table, columns: int) -> Table:
    """Give names in the first column what the figures beside them leave, so that no figure is cut."""
    beside = sum(
        GAP + max(cell_len(str(text)) for text in (one.header, *one.cells)) for one in table.columns[1:]
    )
    table.columns[0].max_width = max(LEAST_NAME, min(MAX_NAME, columns - beside))
    return table


def _curve(group: Group, points: int = 12) -> Text:
    curve = group.cycle.curve
    if not curve:
        return Text()
    last = curve[-1].day
    sizes = []
    for number in range(1, points + 1):
        won = [one.won for one in curve if one.day <= last * number / points]
        sizes.append(round(1000 * won[-1]) if won else 0)
    return sparkline(sizes).append(f" {last:.0f} d", style="dim")


def _lifts(report: Report, columns: int) -> Iterator[Table]:
    rows = [(check.group, lift) for check in report.holdouts for lift in check.lifts]
    if not rows:
        return
    table = make_table("Lift against holdout", "all accounts that were drawn, whatever happened later")
    wide = columns >= NARROW
    for name in ("", "metric"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("enrolled", "held out", "points", "95%", *(["always"] if wide else []), "Holm", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for name, one in rows:
        table.add_row(
            Text(name),
            name_metric(one.metric),
            f"{one.enrolled.k:,}/{one.enrolled.n:,}",
            f"{one.holdout.k:,}/{one.holdout.n:,}",
            spell_points(one.difference),
            spell_points_range(one.interval),
            *([spell_points_range(one.always_valid)] if wide else []),
            spell_p(one.p_holm),
            Text(one.label, style=_LABEL_STYLE[one.label]),
        )
    yield fit_names(table, columns)


def _rate(group: Group, metric: str) -> Rate:
    return next(one for one in group.rates if one.metric == metric)
