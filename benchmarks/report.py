"""The benchmark's figures, for people."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from rich.console import Group
from rich.table import Table
from rich.text import Text

from resegment import tell_release
from resegment.benchmarks.checking import Verdict
from resegment.benchmarks.growth import Growth
from resegment.benchmarks.latency import Point
from resegment.benchmarks.peers.comparison import Compared
from resegment.benchmarks.run import Results
from resegment.benchmarks.scaling import Scaled


def render(results: Results) -> Group:
    """Render what each participant used, and whether its result is right."""
    hand = [one.worker for one in results.rows if one.name == "by hand"]
    base = min(hand) if hand else None
    table = Table(title=f"{results.accounts:,} accounts, {results.events:,} events", title_justify="left")
    table.add_column("participant", no_wrap=True)
    for title in ("events", "per s", "worker", "ratio", "Redis", "Kafka", "MB"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in results.rows:
        table.add_row(
            one.name,
            f"{one.events:,}",
            f"{one.per_second:,.0f}",
            f"{one.worker:.1f}",
            "" if base is None else f"{one.worker / base:.2f}",
            f"{one.redis:.1f}",
            "" if one.kafka is None else f"{one.kafka:.1f}",
            f"{one.peak_mb:.0f}",
        )
    notes = [
        "worker, Redis, Kafka: CPU seconds per million events; ratio: of the worker's to by hand; MB: its peak"
    ]
    notes += [
        f"{one.name}, compared with a backtest of the same events: {_verdict(one.verdict)}"
        for one in results.rows
        if one.verdict is not None
    ]
    notes += [f"{one.verdict.changes:,} net changes" for one in results.rows if one.verdict is not None][:1]
    notes += [
        f"{one.bytes_per_account:,.0f} bytes of Redis per account, of {results.events / results.accounts:.0f} facts each"
        for one in results.rows
        if one.bytes_per_account is not None
    ][:1]
    notes += [f"left out: {one}" for one in results.skipped[:1]]
    notes.append(f"resegment {tell_release()}; load average {results.load:.1f}")
    return Group(table, *(Text(note) for note in notes))


def render_peers(compared: Compared) -> Group:
    """Render each participant's rounds. A participant whose output is wrong has no figure."""
    right = {one.name: one.worker for one in compared.peers if one.is_right}
    base = right.get("by hand")
    title = f"{compared.accounts:,} accounts, {compared.events:,} events, {_count_rounds(compared)} rounds"
    table = Table(title=title, title_justify="left")
    beside = Table()  # of its own, so that each is whole on a terminal of 80 columns
    for one in (table, beside):
        one.add_column("participant", no_wrap=True)
    for name in ("worker, each round", "mean", "ratio", "spread"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("output")
    beside.add_column("guarantee")
    for name in ("events", "per s", "Redis", "Kafka", "MB"):
        beside.add_column(name, justify="right", no_wrap=True)
    for peer in compared.peers:
        kafka = [found.kafka for found in peer.rounds if found.kafka is not None]
        cost = (
            ", ".join(f"{found.worker:.1f}" for found in peer.rounds),
            f"{peer.worker:.1f}",
            "" if base is None else f"{peer.worker / base:.2f}",
            f"{peer.spread:.0%}",
        )
        figures = (
            f"{fmean(found.per_second for found in peer.rounds):,.0f}",
            f"{fmean(found.redis for found in peer.rounds):.1f}",
            f"{fmean(kafka):.1f}" if kafka else "",
            f"{max(found.peak_mb for found in peer.rounds):.0f}",
        )
        wrong = [found.verdict for found in peer.rounds if found.verdict and not found.verdict.is_right]
        table.add_row(
            peer.name,
            *(cost if peer.is_right else ("",) * len(cost)),
            "as expected" if peer.is_right else _verdict(wrong[0] if wrong else None),
        )
        beside.add_row(
            *(peer.name, peer.guarantee, f"{peer.rounds[0].events:,}"),
            *(figures if peer.is_right else ("",) * len(figures)),
        )
    notes = [
        "worker, Redis, Kafka: CPU seconds per million events; ratio: of the worker's mean to by hand; MB: its peak",
        f"noise: rounds of one participant differ by up to {compared.noise:.0%}; smaller differences prove nothing",
        f"resegment {tell_release()}; load average before each round and at the end: "
        + ", ".join(f"{one:.1f}" for one in compared.loads),
    ]
    return Group(
        table, beside, *(Text(note) for note in [*notes, *(f"left out: {one}" for one in compared.left_out)])
    )


def _count_rounds(compared: Compared) -> int:
    return max((len(one.rounds) for one in compared.peers), default=0)


def render_latency(points: Sequence[Point]) -> Table:
    """How long changes took at each rate."""
    table = Table(title="From a signal to its segment change, ms", title_justify="left")
    for title in ("events/s", "signals", "p50", "p99", "p99.9", "max"):
        table.add_column(title, justify="right")
    for one in points:
        table.add_row(
            *(f"{one.rate:,}", f"{one.signals:,}"),
            *(f"{value:.1f}" for value in (one.p50, one.p99, one.p999, one.most)),
        )
    return table


def render_scaling(scaled: Scaled) -> Table:
    """Two workers beside one."""
    table = Table(title="Workers, each on a core of its own", title_justify="left")
    for title in ("workers", "events/s", "CPU s per million", "peak MB each"):
        table.add_column(title, justify="right")
    for one in (scaled.one, scaled.two):
        table.add_row(
            *(str(one.workers), f"{one.per_second:,.0f}", f"{one.cpu:.1f}"),
            ", ".join(f"{peak:.0f}" for peak in one.peaks),
        )
    table.caption = f"events/s: {scaled.two.per_second / scaled.one.per_second:.2f} times"
    return table


def _verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    if verdict.is_right:
        return "equal"
    return f"{verdict.missing} missing, {verdict.unexpected} unexpected, {verdict.misplaced} misplaced"


def render_growth(rows: Sequence[Growth]) -> Group:
    """Render what an event costs as accounts grow, and as they become many."""
    table = Table(title="An event of accounts that grow, and of many", title_justify="left")
    table.add_column("participant", no_wrap=True)
    for title in ("accounts", "facts", "CPU", "Redis", "sent", "written", "in memory", "in Redis"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in rows:
        table.add_row(
            one.name,
            f"{one.accounts:,}",
            f"{one.facts:,.0f}",
            f"{one.cpu:,.1f}",
            f"{one.redis:,.1f}",
            f"{one.sent:,.0f}",
            f"{one.written:,.0f}",
            "" if one.memory is None else f"{one.memory:,.0f}",
            f"{one.stored:,.0f}",
        )
    notes = (
        "CPU, Redis: microseconds of each process per event; sent, written: bytes to Redis and in its append-only file",
        "in memory, in Redis: bytes per account",
    )
    return Group(table, *(Text(note) for note in notes))
