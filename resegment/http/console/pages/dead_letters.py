"""The records that were refused: found, looked at as they came, changed, and sent again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Response

from resegment.console.sanitizing import sanitize
from resegment.http.console.forms import WrongForm, done, operate, read_count, read_form, read_one
from resegment.http.console.pages.operations.refusals import (
    LetterFilter,
    Refusals,
    SourcedLetter,
    count_refusals,
    find_sources,
    source_of,
)
from resegment.http.console.table import Column, Table
from resegment.http.console.times import read_instant, spell_local
from resegment.http.console.viewing import View, Viewing
from resegment.http.operations.letters import AT_ONCE, NoSuchLetter
from resegment.schemas.fact import EARLIEST, LATEST
from resegment.schemas.times import format_instant, parse_instant
from resegment.streams.operations.dead_letters import DeadLetter, DeadLetters

router: Final = APIRouter()

PATH: Final = "/dead-letters"
_CHOICES: Final = {"reason": "Reason", "source": "Source", "topic": "Topic", "endpoint": "Webhook or sink"}
SHOWN: Final = 100_000
"""Characters of a value that a page shows."""
EDITED: Final = 500_000
"""Characters of a value that a form can change."""


@router.get(PATH)
async def show_dead_letters(view: View) -> Response:
    """Show the newest dead letters: by default those that were not sent again."""
    found = await view.operations.letters.look()
    wanted = LetterFilter.read(view.request.query_params)
    letters = await _find_sources(found)
    chosen = await asyncio.to_thread(wanted.choose, letters, view.zone)
    choices = await asyncio.to_thread(wanted.count_choices, letters, view.zone)
    return view.respond(
        "dead_letters.html",
        title="Dead letters",
        tables=[_make_table(view, wanted, chosen), _make_counts(view, wanted, chosen)],
        data={
            "older": found.older,
            "filter": wanted.query(),
            "reasons": choices["reason"],
            "sources": choices["source"],
        },
        wanted=wanted,
        choices=[
            (name, title, choices[name])
            for name, title in _CHOICES.items()
            if choices[name] or getattr(wanted, name)
        ],
        now=_now(),
        older=found.older,
        open=sum(one.letter.is_whole and one.letter.retried is None for one in chosen),
        most=AT_ONCE,
        sent=read_count(view, "sent"),
        refused=read_count(view, "refused"),
        left_out=read_count(view, "left_out"),
        again=_find_again(view),
        may=view.user.may("dead-letters"),
    )


async def _find_sources(found: DeadLetters) -> list[SourcedLetter]:
    """Return all letters with their sources, read beside other requests: they may be many, and large."""
    return await asyncio.to_thread(find_sources, list(found.letters.values()))


def _find_again(view: Viewing) -> str | None:
    """Return the address of what was refused since the retry that the address tells of."""
    asked = read_instant(view.tables.query.get("asked"), view.zone)
    if asked is None:
        return None
    local = spell_local(asked, view.zone)
    gone = dict.fromkeys(("asked", "sent", "refused", "left_out", "reason", "until", "letters.page"))
    return view.tables.with_query(**gone, since=local, tz=view.zone)


@router.get(f"{PATH}/show")
async def show_dead_letter(view: View, id: str = "") -> Response:  # noqa: A002  # the name in the URL
    """Show one dead letter with the bytes and headers that it came with."""
    letter = await _find(view, id)
    text, shown, headers = _read_text(letter.original), _show(letter.original), _headers(letter)
    editable = view.operations.letters.is_editable(letter) and text is not None and len(text) <= EDITED
    return view.respond(
        "dead_letter.html",
        title=f"Dead letter {letter.id}",
        data={**letter.describe(), "headers": headers},
        letter=letter,
        source=source_of(letter),
        about={name: letter.about.get(name) for name in _ABOUT if letter.about.get(name) not in (None, "")},
        headers=headers,
        retried=_retried(letter),
        shown=shown[:SHOWN],
        cut=len(shown) > SHOWN,
        text=text if editable and view.user.may("dead-letters") else None,
        may=view.user.may("dead-letters"),
    )


@router.get(f"{PATH}/raw")
async def give_dead_letter(view: View, id: str = "") -> Response:  # noqa: A002  # the name in the URL
    """Give the original bytes as a file: no browser shows them."""
    letter = await _find(view, id)
    headers = {"content-disposition": 'attachment; filename="dead-letter.bin"'}
    return Response(letter.original or b"", media_type="application/octet-stream", headers=headers)


@router.post(f"{PATH}/retry")
async def retry_dead_letters(view: View) -> Response:
    """Send dead letters again: those of the form's ids, or the newest that its filters name."""
    letters = operate(view, "dead-letters").letters
    form = await read_form(view)
    wanted = LetterFilter.read({name: values[0] for name, values in form.items()})
    if "every" in form:
        every = await _find_sources(await letters.look())
        chosen = await asyncio.to_thread(replace(wanted, again="").choose, every, view.zone)
        ids = [one.letter.id for one in chosen if one.letter.is_whole][-AT_ONCE:]
    else:
        ids = form.get("id", [])
    if not ids:
        raise WrongForm(
            "no dead letter was chosen", remedy="Choose some in the table, and send the form again."
        )
    asked = format_instant(time.time_ns() // 1_000_000_000 * 1000)
    sent = await letters.retry(view.user.name, ids, {})
    query = urlencode({**wanted.query(), "asked": asked})
    return done(view, f"{PATH}?{query}", **sent._asdict())


@router.post(f"{PATH}/edit")
async def edit_dead_letter(view: View) -> Response:
    """Send one dead letter again with another value."""
    letters = operate(view, "dead-letters").letters
    form = await read_form(view)
    letter = await _find(view, read_one(form, "id"))
    value = _read_edited(read_one(form, "value"), letter)
    sent = await letters.retry(view.user.name, [letter.id], {letter.id: value})
    return done(view, PATH, **sent._asdict())


_ABOUT: Final = (
    "reason",
    "field",
    "message",
    "topic",
    "partition",
    "offset",
    "timestamp",
    "endpoint",
    "key",
    "truncated",
)


async def _find(view: Viewing, letter: str) -> DeadLetter:
    found = (await view.operations.letters.look()).letters.get(letter)
    if found is None:
        raise NoSuchLetter(letter)
    return found


def _make_table(view: Viewing, wanted: LetterFilter, letters: list[SourcedLetter]) -> Table[SourcedLetter]:
    columns: list[Column[SourcedLetter]] = [
        Column(
            "id",
            "Id",
            lambda one: one.letter.id,
            "pick" if view.user.may("dead-letters") else "code",
            link=_link(view),
        ),
        Column("refused_at", "Refused", lambda one: one.letter.refused_at, "instant"),
        Column("reason", "Reason", lambda one: one.letter.about.get("reason")),
        Column(
            "message",
            "What is wrong",
            lambda one: one.letter.about.get("message"),
            note=lambda one: one.letter.about.get("field") or None,
            noted="Field",
        ),
        Column(
            "source",
            "Source",
            lambda one: one.source,
            note=lambda one: one.letter.about.get("topic"),
            noted="Topic",
        ),
        Column(
            "key",
            "Key",
            lambda one: one.letter.about.get("key"),
            note=lambda one: one.letter.about.get("endpoint"),
            noted="Endpoint",
        ),
        Column("times", "Times", lambda one: one.letter.times, "number"),
        Column("retried", "Sent again", lambda one: _retried(one.letter), "instant"),
    ]
    return view.tables.table(
        "letters",
        "Refused records",
        columns,
        letters,
        sort="-refused_at",
        empty="No dead letter matches this. Clear the filters to see all that wait to be sent again."
        if wanted.query()
        else "No dead letter waits to be sent again. One appears when an event or a command cannot be taken.",
    )


def _make_counts(view: Viewing, wanted: LetterFilter, letters: list[SourcedLetter]) -> Table[Refusals]:
    def narrow(row: Refusals) -> str:
        query = replace(wanted, reason=row.reason, source=row.source).query()
        return view.url(f"{PATH}?{urlencode(query)}")

    columns: list[Column[Refusals]] = [
        Column("reason", "Reason", lambda row: row.reason, link=narrow),
        Column("source", "Source", lambda row: row.source),
        Column("letters", "Records", lambda row: row.letters, "number"),
        Column("last", "Last refused", lambda row: row.last, "instant"),
    ]
    return view.tables.table(
        "refusals",
        "By reason and source",
        columns,
        count_refusals(letters),
        sort="-letters",
        empty="No dead letter matches this.",
    )


def _link(view: Viewing) -> Any:
    return lambda one: view.url(f"{PATH}/show?{urlencode({'id': one.letter.id})}")


def _retried(one: DeadLetter) -> int | None:
    """Return when the letter was sent again, ms: any producer may have written the mark."""
    if one.retried is None:
        return None
    try:
        found = parse_instant(one.retried)
    except (ValueError, OverflowError):
        return 0
    return found if EARLIEST <= found < LATEST else 0


def _now() -> int:
    return time.time_ns() // 60_000_000_000 * 60_000


def _headers(letter: DeadLetter) -> list[tuple[str, str]]:
    return [
        (name, (value or b"").decode("utf-8", "backslashreplace")) for name, value in letter.record.headers
    ]


def _read_text(value: bytes | None) -> str | None:
    """Return a value that a form can change without losing bytes; None for others."""
    try:
        text = None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
    # a form gives every line break as two characters, and pages replace what would steer a reader
    return None if text is None or "\r" in text or sanitize(text) != text else text


def _show(value: bytes | None) -> str:
    """Return a value for people: JSON indented, other text as it is, and bytes by their numbers."""
    if value is None:
        return "(the record had no value)"
    try:
        return orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return value.decode("utf-8", "backslashreplace")


def _read_edited(text: str, letter: DeadLetter) -> bytes:
    """Return the value of the form as bytes. Raises WrongForm for what would be refused again at once."""
    value = text.replace("\r\n", "\n").encode("utf-8", "replace")
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise WrongForm(
            f"the value is not JSON: {error}", remedy="Fix it, and send the form again. Nothing was sent."
        ) from None
    if value == letter.original:
        raise WrongForm(
            "the value is the same as before", remedy="Change it, or send the record again as it is."
        )
    return value
