"""What a plan says, in sentences that the terminal, Markdown and HTML share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from resegment.console.counts import count
from resegment.console.dates import spell_dates
from resegment.segmentation.planning.plan import (
    Difference,
    EnrollmentForecast,
    Plan,
    SegmentSize,
    Span,
    VersionName,
)

CHANGES: Final = {
    "nothing": "Nothing changes: the file means the same as the version in force.",
    "texts": "Only texts, plays or routes differ: no account is judged again.",
    "gates": "Only suppressions, territories or teams differ: no account moves.",
    "segments": "Segments differ: every account is judged again, once.",
}

WHAT: Final = {
    "unchanged": "unchanged",
    "reworded": "other texts",
    "reordered": "other priority",
    "condition-changed": "other condition",
    "hold-changed": "other hold",
    "renamed": "renamed",
    "added": "new",
    "removed": "removed",
    "drafted": "now a draft",
    "activated": "no longer a draft",
    "route-changed": "other route",
    "play-changed": "other play",
    "holdout-changed": "other holdout",
    "changed": "changed",
}

ROUTE: Final = {
    "none": "no account that moves is enrolled",
    "new-only": "accounts that move are enrolled, unless that workflow or play has touched them before",
    "all": "all accounts that move are enrolled, as by any other change",
}


def name_version(version: VersionName) -> str:
    """Return `version 3`, or a file by its fingerprint if it has no number yet."""
    return f"version {version.number}" if version.number is not None else f"file {version.fingerprint}"


def headline(plan: Plan) -> str:
    """Return the most important in one sentence."""
    if plan.changes != "segments":
        return CHANGES[plan.changes]
    if not plan.moved and not plan.renamed:
        return f"No account moves ({count(plan.accounts, 'account')} judged)."
    parts = []
    if plan.moved:
        share = f" ({plan.moved / plan.accounts:.1%})" if plan.accounts else ""
        parts.append(
            f"{plan.moved:,} of {count(plan.accounts, 'account')} {_verb(plan.moved, 'move')}{share}"
        )
    if plan.renamed:
        parts.append(
            f"{count(plan.renamed, 'account')} {_verb(plan.renamed, 'stay')} in a segment that is renamed"
        )
    return "; ".join(parts) + "."


def _verb(number: int, verb: str) -> str:
    return f"{verb}s" if number == 1 else verb


def subtitle(plan: Plan) -> str:
    """Return which versions the plan is about, and when its counts hold."""
    versions = f"from {name_version(plan.base)} to {name_version(plan.target)}"
    told = versions if plan.rollback_of is None else f"rollback {versions}{_tell_undone(plan)}"
    return spell_dates(f"{told}, counted at {plan.at}")


def _tell_undone(plan: Plan) -> str:
    """Return which versions a rollback takes back, where that is more than the one in force."""
    first, last = plan.rollback_of, plan.base.number
    return "" if first == last or last is None else f", which takes back versions {first} to {last}"


def describe_difference(one: Difference) -> str:
    """Return how a part differs: `other condition, other hold`. `words` of the difference say to what."""
    return ", ".join(WHAT.get(what, what) for what in one.what)


def name_size(one: SegmentSize) -> str:
    """Return the name of a segment, with its old one if it gets another."""
    return one.name if one.old_name is None else f"{one.name} (was {one.old_name})"


def tell_route(route: str | tuple[str, ...]) -> str:
    """Return what a route means for accounts that move."""
    if isinstance(route, str) and route in ROUTE:
        return ROUTE[route]
    names = route if isinstance(route, tuple) else (route,)
    return f"accounts that move into {' or '.join(names)} are enrolled, others are not"


def name_route(route: str | tuple[str, ...]) -> str:
    """Return the value of `--route` as it is typed."""
    return route if isinstance(route, str) else " ".join(route)


def tell_commands(one: EnrollmentForecast) -> dict[str, str]:
    """Return the commands of a forecast: a number each, with the largest workflows."""
    return {
        name: _by_workflow(found)
        for name, found in {
            "start": one.enroll,
            "stop": one.stop,
            "finish": one.finish,
            "pause": one.pause,
        }.items()
        if found
    }


def _by_workflow(found: Mapping[str, int]) -> str:
    ordered = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    shown = ", ".join(f"{name} {number:,}" for name, number in ordered[:4])
    more = f" and {len(ordered) - 4} more" if len(ordered) > 4 else ""
    return f"{sum(found.values()):,} ({shown}{more})"


def notes(plan: Plan) -> Iterator[str]:
    """Yield what else has to be known: facts to fold in, exits that are due."""
    if plan.folding is not None:
        text = f"Facts to fold in from the log before the switch: {', '.join(plan.folding.needs)}"
        if plan.folding.records is not None:
            text += f"; {count(plan.folding.records, 'record')} to read"
        if plan.folding.seconds is not None:
            text += f", about {spell_seconds(plan.folding.seconds)}"
        yield f"{text}."
    soon = [one for one in plan.due if one.accounts]
    if soon:
        text = ", ".join(f"{one.accounts:,} within {one.within}" for one in soon)
        yield (
            f"Moves that are due by time alone, without the switch: {text}. They are foreseen: they make no saved "
            "plan stale."
        )


def spell_seconds(seconds: float) -> str:
    """Return `8 s` or `3 min`."""
    return f"{max(1, round(seconds))} s" if seconds < 100 else f"{round(seconds / 60)} min"


@dataclass(frozen=True, slots=True)
class Finding:
    """A table of what stands out in a plan; `note` says what its rows mean."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int]]
    note: str = ""


def list_findings(plan: Plan) -> list[Finding]:
    """Return the tables of what stands out in a plan, in their order; a table without rows says nothing."""
    return [
        Finding(
            "Accounts that qualify for two segments",
            ("first", "also", "accounts"),
            [(one.segment, one.also, one.accounts) for one in plan.overlaps],
            "The first one takes them.",
        ),
        Finding(
            "Segments that are never reached",
            ("segment", "qualify", "are in"),
            [(one.segment, one.qualify, count_by_name(one.taken_by)) for one in plan.shadowed],
        ),
        Finding(
            "Accounts that a test can't judge",
            ("segment", "test", "accounts"),
            [(one.segment, one.test, one.accounts) for one in plan.unjudged],
            "A value that the test reads is unknown.",
        ),
        Finding(
            "Outcomes to expect of the accounts that move",
            ("from", "to", "accounts", "outcome", "at the old rate", "at the new rate"),
            [
                (one.from_, one.to, one.accounts, one.metric, tell_span(one.before), tell_span(one.after))
                for one in plan.expected
            ],
            "If each is touched once, at the rates of past touches. They don't say what the move causes.",
        ),
    ]


def tell_span(span: Span | None) -> str:
    """Return a number to expect with its interval."""
    return "unknown" if span is None else f"{span.expected:,.1f} ({span.low:,.1f} to {span.high:,.1f})"


def count_by_name(counts: Mapping[str, int]) -> str:
    """Return counts, each after its name."""
    return ", ".join(f"{name} {number:,}" for name, number in counts.items())
