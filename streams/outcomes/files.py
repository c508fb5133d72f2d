"""Read touches and outcomes from files: recorded events, and published commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from resegment.errors import RefusedEvent
from resegment.outcomes.dataset import WINDOW, Dataset
from resegment.outcomes.frames import Ledgers
from resegment.outcomes.published import read_published
from resegment.schemas.fact import Fact
from resegment.schemas.outcomes.facts import to_outcome
from resegment.sources.files.located import Located, WrongFile
from resegment.sources.files.reader import Refusals, Refused, read_events
from resegment.streams.outcomes.plain import OutcomeReader

_OUTCOME = b"gtm.outcome.v1"


def read_dataset_files(
    events: Iterable[Located],
    commands: Iterable[str],
    refusals: Refusals,
    *,
    window: timedelta = WINDOW,
    accounts: Mapping[str, str] | None = None,
) -> Dataset:
    """Return the data set of recorded events, and of files with workflow commands, touches or segment changes.

    Events that break the contract are added to `refusals`. Raises WrongFile for a file that cannot be read, or whose lines are
    no messages.
    """
    ledgers = Ledgers()
    for path in commands:
        _read_commands(path, ledgers)
    _read_outcomes(events, ledgers, refusals)
    return Dataset.of(ledgers, window=window, accounts=accounts)


def read_dataset_facts(
    facts: Iterable[Fact],
    commands: Iterable[str],
    *,
    window: timedelta = WINDOW,
    accounts: Mapping[str, str] | None = None,
) -> Dataset:
    """Return the data set of facts that were read already, and of files as `read_dataset_files` takes them.

    Raises WrongFile.
    """
    ledgers = Ledgers()
    for path in commands:
        _read_commands(path, ledgers)
    ledgers.facts.extend(to_outcome(fact) for fact in facts if fact.kind == "outcome")
    return Dataset.of(ledgers, window=window, accounts=accounts)


def _read_commands(path: str, ledgers: Ledgers) -> None:
    found = False
    for one in read_events(path, "jsonl"):
        try:
            items = read_published(one.value)
        except ValueError as error:
            raise WrongFile(
                path,
                f"the line is no message of Resegment: {error}",
                line=one.line,
                remedy="Give workflow commands, touches or segment changes as JSON lines, as the topics have them.",
            ) from None
        if items:
            found = True
            ledgers.take(items)
    if not found:
        raise WrongFile(
            path,
            "it has no touch",
            remedy="Give workflow commands, touches, or segment changes with a holdout, as JSON lines.",
        )


def _read_outcomes(events: Iterable[Located], ledgers: Ledgers, refusals: Refusals) -> None:
    """Take the outcomes among events. Others are passed over without a look at their contents."""
    add, read = ledgers.facts.append, OutcomeReader().read
    for event in events:
        if _OUTCOME not in event.value and event.refused is None:
            continue
        try:
            if event.refused is not None:
                raise event.refused
            outcome = read(event.value)
        except RefusedEvent as error:
            refusals.add(Refused(event.file, event.line, error.reason, error.message, error.field))
        else:
            if outcome is not None:
                add(outcome)
