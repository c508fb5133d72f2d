"""Convert files with an adapter: read payloads, make events, and say what was refused and where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from resegment.errors import RefusedEvent
from resegment.sources.adapters.port import NOTHING, Adapter, Context, Event, Item, Remark
from resegment.sources.adapters.records import normalize_name
from resegment.sources.boards.adapter import find_account, make_job_event
from resegment.sources.boards.snapshot import Snapshot
from resegment.sources.boards.watching import CONFIRM, BoardState, observe, observe_again
from resegment.sources.files.located import Located, MissingFile, WrongFile
from resegment.sources.files.payloads import Payloads, read_payloads
from resegment.sources.state import SourceState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resegment.sources.boards.scraping import Scraper


@dataclass(frozen=True, slots=True)
class Source:
    """An adapter with what its files do not say."""

    adapter: Adapter
    context: Context = NOTHING
    encoding: str | None = None
    state: SourceState | None = None
    """What was learned before; it is brought up to date."""
    confirm: int = CONFIRM
    """How many looks in a row must lack a job until it is closed."""
    columns: tuple[str, ...] = ()
    """The columns that a mapping file names."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A remark about an event, and its place."""

    file: str
    line: int
    remark: Remark

    def __str__(self) -> str:
        where = f"{self.remark.field}: " if self.remark.field else ""
        return f"{self.file}:{self.line}: {self.remark.reason}: {where}{self.remark.message}"


Found = tuple[str, int, "Event | RefusedEvent | Remark"]
"""A file, a line, and what is there."""


def convert_files(paths: Sequence[str], source: Source) -> Iterator[Found]:
    """Yield what an adapter makes of the files, in their order. A folder stands for its files.

    The domains that some records tell are known for all. The same remark about a file's zone is made once. Raises
    WrongFile for a file that cannot be read.
    """
    files = [file for path in paths for file in _files(path)]
    if not source.adapter.learns():
        for file in files:
            yield from _convert_file(file, _read(file, source), source)
        return
    read = [(file, _keep(_read(file, source))) for file in files]
    learned = {} if source.state is None else source.state.accounts.get(source.adapter.name, {})
    known = replace(source.context, accounts={**learned, **source.context.accounts})
    values = [row.value for _, payloads in read for row in payloads.rows if row.refused is None]
    context = learn_accounts(values, replace(source, context=known))
    if source.state is not None:
        source.state.accounts[source.adapter.name] = dict(context.accounts)
    for file, payloads in read:
        yield from _convert_file(
            file, payloads._replace(rows=iter(payloads.rows)), replace(source, context=context)
        )


def learn_accounts(payloads: Sequence[Any], source: Source) -> Context:
    """Return the context with the domains of the ids that payloads tell. What was said before counts first."""
    context = source.context
    for _ in range(3):  # a round is known by its organization, and a deletion by its round
        known = dict(context.accounts)
        for payload in payloads:
            for name, domain in source.adapter.learn(payload, context).items():
                known.setdefault(name, domain)
        if len(known) == len(context.accounts):
            break
        context = replace(context, accounts=known)
    return context


def _read(file: str, source: Source) -> Payloads:
    if file != "-" and not Path(file).exists():
        raise MissingFile(file)
    return read_payloads(file, encoding=source.encoding)


def _keep(payloads: Payloads) -> Payloads:
    return payloads._replace(rows=list(payloads.rows))


def _files(path: str) -> list[str]:
    place = Path(path)
    if path == "-" or not place.is_dir():
        return [path]
    found = [str(one) for one in sorted(place.iterdir()) if one.is_file() and not one.name.startswith(".")]
    if not found:
        raise WrongFile(path, "the folder has no file", remedy="Give a file, or a folder with files.")
    return found


def _convert_file(path: str, payloads: Payloads, source: Source) -> Iterator[Found]:
    if payloads.encoding in ("mac-roman", "cp1252") and source.encoding is None:
        message = (
            f"the text is not UTF-8 and is read as {payloads.encoding}: pass --encoding if it is another"
        )
        yield path, 1, Remark("no-encoding", message)
    yield from ((path, 1, one) for one in _find_missing(payloads.columns, source.columns))
    said: set[tuple[str, str | None]] = set()
    empty = True
    for payload in payloads.rows:
        empty = empty and source.adapter.snapshots is None  # a board on which nothing changed gives nothing
        if payload.refused is not None:
            empty = False
            yield path, payload.line, payload.refused
            continue
        for item in _convert(payload.value, source):
            empty = False
            if isinstance(item, Remark) and item.reason == "no-zone":
                if (item.reason, item.field) in said:
                    continue
                said.add((item.reason, item.field))
            yield path, payload.line, item
    if empty:
        yield path, 1, Remark("empty", "the file has no records")


def _find_missing(given: Sequence[str], wanted: Sequence[str]) -> Iterator[Remark]:
    """Yield a remark for each column of the mapping that a file with a header lacks."""
    known = {normalize_name(name) for name in given}
    for column in wanted:
        if known and known.isdisjoint((normalize_name(column), normalize_name(column.partition(".")[0]))):
            close = get_close_matches(column, given, 1)
            hint = f": did you mean {close[0]!r}?" if close else ""
            yield Remark("no-column", f"the mapping file names a column that the file lacks{hint}", column)


def _convert(payload: Any, source: Source) -> Iterator[Item]:
    adapter, state = source.adapter, source.state
    if adapter.snapshots is None or state is None:
        yield from adapter.convert(payload, source.context)
        return
    for found in adapter.snapshots(payload, source.context):
        if isinstance(found, RefusedEvent):
            yield found
            continue
        try:
            yield from _watch(found, source, state)
        except RefusedEvent as error:
            yield error


def scrape_boards(slugs: Sequence[str], source: Source, scraper: Scraper, at: int) -> Iterator[Found]:
    """Yield what changed on boards since the last look, with the name of the board in place of a file.

    Without a state, each look is the first one.
    """
    system = source.adapter.name
    for slug in slugs:
        key = f"{system}/{slug}"
        state = SourceState() if source.state is None else source.state
        known = state.boards.get(key)
        try:
            fetched = scraper.fetch(system, slug, None if known is None else state.etags.get(key))
        except RefusedEvent as error:
            yield slug, 1, error
            continue
        looking = replace(source, context=replace(source.context, at=at), state=state)
        if fetched.payload is None and known is not None:
            items = _look_again(slug, known, looking)
        else:
            items = _convert({"board": slug, "response": fetched.payload}, looking)
        for item in items:
            yield slug, 1, item
        if fetched.etag is not None:
            state.etags[key] = fetched.etag


def _look_again(slug: str, known: BoardState, source: Source) -> Iterator[Item]:
    """Yield what follows from an answer that did not change."""
    assert source.state is not None
    assert source.context.at is not None
    snapshot = Snapshot(slug, source.context.at, ())
    try:
        account = find_account(snapshot, source.context)
        state, changes = observe_again(known, source.context.at, source.confirm)
    except RefusedEvent as error:
        yield error
        return
    source.state.boards[f"{source.adapter.name}/{slug}"] = state
    for change in changes:
        yield make_job_event(source.adapter.name, snapshot, account, change)


def _watch(found: Snapshot, source: Source, state: SourceState) -> Iterator[Event]:
    """Yield what changed on a board since the last look, and remember the look."""
    if found.at is None:
        raise RefusedEvent(
            "no-time", "the snapshot does not say when it was taken: pass --at TIME", field="at"
        )
    account = find_account(found, source.context)
    system = source.adapter.name
    key = f"{system}/{found.board or account}"
    state.boards[key], changes = observe(state.boards.get(key), found, found.at, source.confirm)
    for change in changes:
        yield make_job_event(system, found, account, change)


def locate_events(
    path: str, source: Source, note: Callable[[Noted], None] = lambda _: None
) -> Iterator[Located]:
    """Yield the events of a file as `read_events` does, with the refused ones. Remarks are given to `note`."""
    for file, line, item in convert_files([path], source):
        if isinstance(item, Remark):
            note(Noted(file, line, item))
        elif isinstance(item, RefusedEvent):
            yield Located(file, line, b"", item)
        else:
            yield Located(file, line, orjson.dumps(item))
