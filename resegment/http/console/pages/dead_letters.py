"""The records that were refused: found, looked at as they came, changed, and sent again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Response

from resegment.console.sanitizing import sanitize
from resegment.http.console.forms import WrongForm, done, operate, read_count, read_form, read_one
from resegment.http.console.pages.sources import source_of
from resegment.http.console.table import Column, Table
from resegment.http.console.viewing import View, Viewing
from resegment.http.operations.letters import AT_ONCE, NoSuchLetter
from resegment.schemas.fact import EARLIEST, LATEST
from resegment.schemas.times import parse_instant
from resegment.streams.operations.dead_letters import DeadLetter

router: Final = APIRouter()

PATH: Final = "/dead-letters"
FILTERS: Final = ("reason", "topic", "endpoint", "text", "sent-again")
SHOWN: Final = 100_000
"""Characters of a value that a page shows."""
EDITED: Final = 500_000
"""Characters of a value that a form can change."""


@router.get(PATH)
async def show_dead_letters(view: View) -> Response:
    """Show the newest dead letters: by default those that were not sent again."""
    found = await view.operations.letters.look()
    every = list(found.letters.values())
    wanted = {name: view.request.query_params.get(name, "")[:500] for name in FILTERS}
    chosen = [one for one in every if _matches(one, wanted)]
    table = _make_table(view, chosen)
    return view.respond(
        "dead_letters.html",
        title="Dead letters",
        tables=[table],
        data={"older": found.older, "reasons": _count(every, "reason")},
        wanted=wanted,
        reasons=_count(every, "reason"),
        topics=_count(every, "topic"),
        endpoints=_count(every, "endpoint"),
        older=found.older,
        open=sum(one.is_whole and one.retried is None for one in chosen),
        most=AT_ONCE,
        sent=read_count(view, "sent"),
        refused=read_count(view, "refused"),
        left_out=read_count(view, "left_out"),
        may=view.user.may("dead-letters"),
    )


@router.get(f"{PATH}/show")
async def show_dead_letter(view: View, id: str = "") -> Response:  # noqa: A002  # the name in the URL
    """Show one dead letter with the bytes and headers that it came with."""
    letter = await _find(view, id)
    text = _read_text(letter.original)
    editable = view.operations.letters.is_editable(letter) and text is not None and len(text) <= EDITED
    return view.respond(
        "dead_letter.html",
        title=f"Dead letter {letter.id}",
        data={**letter.describe(), "headers": _headers(letter)},
        letter=letter,
        about={name: letter.about.get(name) for name in _ABOUT if letter.about.get(name) not in (None, "")},
        headers=_headers(letter),
        retried=_retried(letter),
        shown=_show(letter.original)[:SHOWN],
        cut=len(_show(letter.original)) > SHOWN,
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
    wanted = {name: form.get(name, [""])[0][:500] for name in FILTERS}
    if "every" in form:
        held = (await letters.look()).letters.values()
        ids = [one.id for one in held if _matches(one, {**wanted, "sent-again": ""}) and one.is_whole][
            -AT_ONCE:
        ]
    else:
        ids = form.get("id", [])
    if not ids:
        raise WrongForm(
            "no dead letter was chosen", remedy="Choose some in the table, and send the form again."
        )
    sent = await letters.retry(view.user.name, ids, {})
    query = urlencode({name: value for name, value in wanted.items() if value})
    return done(view, f"{PATH}?{query}" if query else PATH, **sent._asdict())


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


def _matches(one: DeadLetter, wanted: Mapping[str, str]) -> bool:
    about = one.about
    if wanted["sent-again"] != "too" and one.retried is not None:
        return False
    if any(wanted[name] not in ("", str(about.get(name, ""))) for name in ("reason", "topic", "endpoint")):
        return False
    text = wanted["text"].casefold()
    fields = (
        one.id,
        about.get("message"),
        about.get("field"),
        about.get("key"),
        about.get("value"),
        source_of(one),
    )
    return not text or any(text in str(field).casefold() for field in fields if field)


def _make_table(view: Viewing, letters: list[DeadLetter]) -> Table[DeadLetter]:
    columns: list[Column[DeadLetter]] = [
        Column(
            "id",
            "Id",
            lambda one: one.id,
            "pick" if view.user.may("dead-letters") else "code",
            link=_link(view),
        ),
        Column("refused_at", "Refused", lambda one: one.refused_at, "instant"),
        Column("reason", "Reason", lambda one: one.about.get("reason")),
        Column(
            "message",
            "What is wrong",
            lambda one: one.about.get("message"),
            note=lambda one: one.about.get("field") or None,
            noted="Field",
        ),
        Column(
            "topic",
            "Topic",
            lambda one: one.about.get("topic"),
            note=lambda one: one.about.get("endpoint"),
            noted="Endpoint",
        ),
        Column("key", "Key", lambda one: one.about.get("key")),
        Column("times", "Times", lambda one: one.times, "number"),
        Column("retried", "Sent again", _retried, "instant"),
    ]
    return view.tables.table(
        "letters",
        "Refused records",
        columns,
        letters,
        sort="-refused_at",
        empty="No dead letter matches.",
    )


def _link(view: Viewing) -> Any:
    return lambda one: view.url(f"{PATH}/show?{urlencode({'id': one.id})}")


def _retried(one: DeadLetter) -> int | None:
    """Return when the letter was sent again, ms: any producer may have written the mark."""
    if one.retried is None:
        return None
    try:
        found = parse_instant(one.retried)
    except (ValueError, OverflowError):
        return 0
    return found if EARLIEST <= found < LATEST else 0


def _count(letters: list[DeadLetter], name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in letters:
        if one.about.get(name):
            found[str(one.about[name])] = found.get(str(one.about[name]), 0) + 1
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


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
