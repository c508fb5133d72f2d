"""Read facts from the files of a command, and report the refused events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from resegment.cli.options import Format
from resegment.console.counts import count
from resegment.console.progress import Bars, show_progress
from resegment.console.terminal import print_note
from resegment.schemas.fact import Fact
from resegment.segmentation.definition import Definition
from resegment.segmentation.language.privacy import drop_fields
from resegment.sources.conversion import Source, locate_events
from resegment.sources.files.located import Located
from resegment.sources.files.reader import Refusals, decode_events, read_events

MAX_SHOWN: Final = 5
"""How many unlisted actions or attributes are named."""


def read_facts(
    paths: Sequence[str],
    form: Format | None,
    bars: Bars,
    keep: Callable[[Fact], bool] | None = None,
    *,
    definition: Definition | None = None,
    receive: Callable[[Fact], Fact] | None = None,
    source: Source | None = None,
) -> tuple[list[Fact], Refusals]:
    """Return the facts of all the files that `keep` chooses, in the order given. Raises WrongFile.

    Cells of CSV files are read by the types that the definition gives to attributes. Fields that it never keeps are left
    out; or `receive`, if given, returns each fact as it is kept. With `source`, the files are those of a
    provider.
    """
    refusals = Refusals()
    dropped = frozenset() if definition is None else definition.dropped
    files = open_files(paths, form, bars, refusals, definition=definition, source=source)
    facts: list[Fact] = []
    for events in files:
        decoded: Iterable[Fact] = decode_events(events, refusals)
        if receive is not None:
            decoded = map(receive, decoded)
        elif dropped:
            decoded = (drop_fields(fact, dropped) for fact in decoded)
        facts.extend(decoded if keep is None else filter(keep, decoded))
    return facts, refusals


def open_files(
    paths: Sequence[str],
    form: Format | None,
    bars: Bars,
    refusals: Refusals,
    *,
    definition: Definition | None = None,
    source: Source | None = None,
) -> list[Iterator[Located]]:
    """Return the events of each file. With `source`, the files are those of a provider. Raises WrongFile."""
    if source is not None:
        return [locate_events(path, source, refusals.remark) for path in paths]
    types = {} if definition is None else definition.attribute_kinds
    name = None if form is None else form.value
    return [read_events(path, name, bars.watch, types) for path in paths]


def take_facts(
    paths: Sequence[str],
    form: Format | None,
    keep: Callable[[Fact], bool],
    definition: Definition | None = None,
) -> list[Fact]:
    """Return the facts of all the files that `keep` chooses; show progress, then report refused events.

    Raises WrongFile.
    """
    used = 0

    def count(fact: Fact) -> bool:
        nonlocal used
        used += 1
        return keep(fact)

    with show_progress() as bars:
        facts, refusals = read_facts(paths, form, bars, count, definition=definition)
    report(refusals, used)
    return facts


def report(refusals: Refusals, used: int) -> None:
    """Print the first refused events, the count of each reason, and unlisted actions on standard error."""
    for remark in refusals.remarks[:MAX_SHOWN]:
        print_note(remark)
    if refusals.remarked > MAX_SHOWN:
        print_note(
            f"... and {refusals.remarked - MAX_SHOWN:,} more remarks: `resegment sources test` counts them"
        )
    for source, number in refusals.same_ids.most_common(MAX_SHOWN):
        print_note(
            f"{source[:80]}: {count(number, 'event')} with the id of an earlier one and other data, which change nothing: give each "
            "revision an id of its own, and the same record"
        )
    if refusals.unlisted:
        found = ", ".join(
            f"{kind} {action[:40]!r} ({number:,})"
            for (kind, action), number in refusals.unlisted.most_common(MAX_SHOWN)
        )
        more = len(refusals.unlisted) - MAX_SHOWN
        print_note(
            f"actions that the contract does not list, so no suppression counts them: {found}"
            + (f" and {more:,} more" if more > 0 else "")
        )
    if not refusals.total:
        return
    for example in refusals.examples:
        print_note(str(example))
    hidden = refusals.total - len(refusals.examples)
    if hidden:
        print_note(f"... and {hidden:,} more")
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in refusals.counts.most_common())
    print_note(f"{refusals.total:,} of {refusals.total + used:,} events refused: {reasons}")


def report_misfits(misfits: Counter[str]) -> None:
    """Print on standard error how many values had another type than the segments file gives their attribute."""
    if misfits:
        found = ", ".join(f"{name} {number:,}" for name, number in misfits.most_common(MAX_SHOWN))
        more = len(misfits) - MAX_SHOWN
        print_note(
            f"values that do not fit the type of their attribute, and count as absent: {found}"
            + (f" and {more:,} more attributes" if more > 0 else "")
        )
