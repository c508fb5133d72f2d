"""A report on outcomes as one HTML file: no script, nothing from elsewhere, dark and light, readable on a phone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from resegment.console.outcomes.charts import (
    COLORS,
    draw_flows,
    draw_forest,
    draw_funnel,
    draw_incidence,
    text,
)
from resegment.console.outcomes.style import STYLE
from resegment.console.outcomes.words import (
    CORE,
    LABELS,
    SHOWN,
    headline,
    list_differences,
    name_metric,
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
from resegment.outcomes.measuring.report import Group, Rate, Report, Shrunk

MAX_PAIRS: Final = 20
MAX_FUNNELS: Final = 24

Cell = str | int


def render_html(report: Report) -> str:
    """Return the page. Names can't become markup."""
    title = f"Outcomes by {report.by}"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{text(title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            *_body(report),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def render_part(report: Report) -> str:
    """Return what a report says as a part of another page, whose style sheet it needs. Names can't become markup."""
    return "\n".join(_body(report))


def _body(report: Report) -> Iterator[str]:
    yield f'<header><p class="eyebrow">Outcomes by {text(report.by)}</p>'
    yield f"<h1>{text(verdict(report))}</h1>"
    yield f'<p class="muted">{text(headline(report))}.</p></header>'
    for note in report.notes:
        yield f'<p class="warning" role="note"><strong>Note.</strong> {text(note)}</p>'
    yield from _findings(report)
    held = [group for group in report.groups if group.touches]
    for metric in SHOWN:
        if _rate(report.total, metric).n:
            yield from _metric(report, metric, held)
    yield from _funnels(held)
    yield from _deals(report, held)
    yield from _lifts(report)
    yield from _contacts(report)
    yield from _flows(report)
    yield from _legend(report)


def _findings(report: Report) -> Iterator[str]:
    if not report.findings:
        return
    yield '<section><h2>What this says about the file</h2><ul class="findings">'
    for one in report.findings:
        yield f"<li><strong>{text(one.message)}</strong><p>{text(one.advice)}</p>"
        yield f"<ul>{''.join(f'<li>{text(line)}</li>' for line in (*one.evidence, tell_sureness(one)))}</ul></li>"
    yield "</ul></section>"


def _metric(report: Report, metric: str, held: Sequence[Group]) -> Iterator[str]:
    rates = [(group.name, _rate(group, metric)) for group in (*held, report.total)]
    ranking = next((one for one in report.rankings if one.metric == metric), None)
    compared = next((one for one in report.comparisons if one.metric == metric), None)
    shrunk = {} if ranking is None else {one.group: one for one in ranking.groups}
    after = "the win" if metric == "retention" else "the touch"
    name = name_metric(metric)
    yield f'<section><h2>{name[:1].upper()}{name[1:]} <span class="muted">within {rates[0][1].window_days} days after {after}</span></h2>'
    if compared is not None:
        differ = "The groups differ" if compared.differs else "No difference is shown"
        how = "" if compared.method == "chi-square" else ", by permutation"
        yield f"<p>{differ}: {text(spell_p(compared.p))}{how}, Cramér's V {compared.effect:.2f}.</p>"
    yield f'<div class="wide" tabindex="0">{draw_forest(rates)}</div>'
    pairs = [] if compared is None else list(list_differences(compared, MAX_PAIRS))
    is_open = " open" if metric in CORE[:1] else ""
    yield f"<details{is_open}><summary>Figures</summary>"
    yield from _table(
        (
            "",
            "k",
            "n",
            "waiting",
            "rate",
            "95%",
            "always valid",
            "shrunk",
            "rank",
            "raw rank",
            "label",
            "more touches",
        ),
        [
            (
                who,
                *(one.k, one.n, one.waiting, spell_share(one.rate)),
                *(spell_range(one.interval), spell_range(one.always_valid)),
                *_ranked(shrunk.get(who)),
                *(one.label, "" if who == "all" else tell_more(one)),
            )
            for who, one in rates
        ],
    )
    if pairs:
        yield f"<ul>{''.join(f'<li>{text(words)}</li>' for words in pairs)}</ul>"
    yield "</details></section>"


def _ranked(one: Shrunk | None) -> tuple[Cell, Cell, Cell]:
    if one is None:
        return "", "", ""
    return spell_share(one.rate), one.rank, one.raw_rank


def _funnels(held: Sequence[Group]) -> Iterator[str]:
    drawn = [(group, chart) for group in held[:MAX_FUNNELS] if (chart := draw_funnel(group))]
    if not drawn:
        return
    yield '<section><h2>Funnels</h2><p class="muted">Each step of the touches that are old enough for it.</p><div class="grid-of">'
    for group, chart in drawn:
        yield f"<figure><figcaption>{text(group.name)}</figcaption>{chart}</figure>"
    yield "</div></section>"


def _deals(report: Report, held: Sequence[Group]) -> Iterator[str]:
    rows = [group for group in (*held, report.total) if group.cycle.deals]
    if not rows:
        return
    drawn = [group for group in rows if group.cycle.won and group is not report.total][:COLORS]
    yield '<section><h2>Deals</h2><p class="muted">The share of deals that is won by each day after they were opened (Aalen-Johansen: won and lost compete, open deals are censored), with 95% bands.</p>'
    yield f'<div class="wide" tabindex="0">{draw_incidence([(group.name, group.cycle) for group in drawn])}</div>'
    keys = "".join(f'<li class="key c{number}">{text(group.name)}</li>' for number, group in enumerate(drawn))
    yield f'<ul class="keys">{keys}</ul>'
    yield from _table(
        (
            "",
            "deals",
            "won",
            "lost",
            "open",
            "half won in",
            "won by day 90",
            "mean size",
            "95%",
            "median size",
            "95%",
            "total",
        ),
        [
            (
                group.name,
                *(group.cycle.deals, group.cycle.won, group.cycle.lost, group.cycle.open),
                spell_days(group.cycle.median_days),
                next(
                    (
                        f"{spell_share(one.won, 0)} ({spell_range(one.interval, 0)})"
                        for one in group.cycle.at
                        if one.day == 90
                    ),
                    "–",
                ),
                *(spell_amount(group.deal_size.mean), spell_amounts(group.deal_size.mean_interval)),
                *(spell_amount(group.deal_size.median), spell_amounts(group.deal_size.median_interval)),
                spell_amount(group.deal_size.total),
            )
            for group in rows
        ],
    )
    if report.deal_sizes is not None:
        differ = (
            "The mean sizes differ" if report.deal_sizes.differs else "No difference in mean size is shown"
        )
        yield f"<p>{differ}: {text(spell_p(report.deal_sizes.p))} (Welch).</p>"
    yield "</section>"


def _lifts(report: Report) -> Iterator[str]:
    if not report.holdouts:
        return
    yield '<section><h2>Lift against holdout</h2><p class="muted">By intention to treat: all accounts that were drawn, by their first touch, whatever happened to them later.</p>'
    rows = [(check.group, lift) for check in report.holdouts for lift in check.lifts]
    if rows:
        yield from _table(
            (
                "",
                "metric",
                "enrolled",
                "held out",
                "points",
                "95%",
                "always valid",
                "after Holm",
                "label",
                "extra",
            ),
            [
                (
                    name,
                    name_metric(one.metric),
                    f"{one.enrolled.k:,}/{one.enrolled.n:,}",
                    f"{one.holdout.k:,}/{one.holdout.n:,}",
                    *(spell_points(one.difference), spell_points_range(one.interval)),
                    *(spell_points_range(one.always_valid), spell_p(one.p_holm), one.label),
                    f"{one.extra:+,.0f}".replace("-", "−"),
                )
                for name, one in rows
            ],
        )
    checks = "".join(f"<li>{text(one.group)}: {text(tell_check(one))}</li>" for one in report.holdouts)
    yield f"<ul>{checks}</ul></section>"


def _contacts(report: Report) -> Iterator[str]:
    rows = [(group.name, one) for group in (*report.groups, report.total) for one in group.contacts]
    if not rows:
        return
    yield '<section><h2>Contacts</h2><p class="muted">Of those who were written to. Contacts of one account are not independent: the intervals count accounts.</p><details><summary>Figures</summary>'
    yield from _table(
        ("", "metric", "k", "n", "accounts", "rate", "95%", "always valid", "design effect"),
        [
            (
                name,
                name_metric(one.metric),
                *(one.k, one.n, one.accounts, spell_share(one.rate)),
                *(spell_range(one.interval), spell_range(one.always_valid)),
                "–" if one.design_effect is None else f"{one.design_effect:.2f}",
            )
            for name, one in rows
        ],
    )
    yield "</details></section>"


def _flows(report: Report) -> Iterator[str]:
    if not report.flows:
        return
    yield '<section><h2>How far touches have come</h2><p class="muted">The furthest step that each touch has reached so far.</p>'
    yield f'<div class="wide" tabindex="0">{draw_flows(report.flows)}</div><details><summary>Figures</summary>'
    yield from _table(
        (report.by, "furthest step", "touches"), [(one.group, one.stage, one.touches) for one in report.flows]
    )
    yield "</details></section>"


def _legend(report: Report) -> Iterator[str]:
    yield '<section class="muted"><h2>How to read this</h2><ul>'
    yield "<li>95%: Wilson's interval, for one look at a time that was chosen before. Always valid: holds however often you look.</li>"
    yield "<li>Shrunk: the rate with what the other groups suggest (empirical Bayes), for ranking small groups. Read it beside k and n.</li>"
    for words in LABELS.values():
        yield f"<li>{text(words)}</li>"
    detect, power = spell_share(report.detect, 0), spell_share(report.power, 0)
    yield f"<li>More touches: what is missing to tell a difference of {detect} of the rate of all with a power of {power}.</li>"
    if report.uncredited:
        reasons = ", ".join(f"{one.reason} {one.outcomes:,}" for one in report.uncredited)
        yield f"<li>Outcomes credited to no touch: {text(reasons)}.</li>"
    yield "<li>Segments are not drawn at random. A difference between them says where outcomes come from, not what causes them. Only a holdout or an experiment says what outreach changes.</li></ul></section>"


def _table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    yield '<div class="wide" tabindex="0"><table><thead><tr>'
    yield "".join(f"<th{_kind(index)}>{text(name)}</th>" for index, name in enumerate(columns))
    yield "</tr></thead><tbody>"
    for row in rows:
        cells = "".join(
            f"<td{_kind(index)}>{f'{cell:,}' if isinstance(cell, int) else text(cell)}</td>"
            for index, cell in enumerate(row)
        )
        yield f"<tr>{cells}</tr>"
    yield "</tbody></table></div>"


def _kind(index: int) -> str:
    return ' class="number"' if index else ""


def _rate(group: Group, metric: str) -> Rate:
    return next(one for one in group.rates if one.metric == metric)
