"""Render pages: the templates, their filters, and what every page shows around its own content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from resegment.console.counts import count
from resegment.console.dates import reader, spell_dates
from resegment.console.facts import spell_values
from resegment.console.sanitizing import sanitize
from resegment.http.console.commands import find_page
from resegment.localization import Locale
from resegment.schemas.times import format_instant, spell_length
from resegment.segmentation.inspection.descriptions import show_value

FOLDER: Final = Path(__file__).parent
STATIC: Final = FOLDER / "static"


@dataclass(frozen=True, slots=True)
class Theme:
    """How pages write: the locale and its time zone."""

    locale: Locale


@cache
def environment() -> Environment:
    """Return the templates. Whatever they show is escaped, and has no controls that turn text around."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "moment": spell_moment,
        "day": lambda ms: reader().day(ms),
        "number": spell_number,
        "share": lambda value: "" if value is None else f"{value:.1%}",
        "spelled": spell_span,
        "dates": spell_dates,
        "told": spell_told,
        "values": spell_values,
        "counted": count,
        "sentence": lambda text: text[:1].upper() + text[1:],
    }
    made.globals |= {"asset": asset, "show": show_value}
    return made


def _finalize(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        return sanitize(value)
    return value


def spell_moment(ms: int | None) -> Markup:
    """Return an instant for people, in the reader's zone, as an element that also has it in RFC 3339."""
    if ms is None:
        return Markup("")
    exact = format_instant(ms)
    # digits and letters of a fixed form need no escape
    return Markup(f'<time datetime="{exact}" title="{exact}">{escape(reader().moment(ms))}</time>')  # noqa: S704


def spell_told(text: str) -> Markup:
    """Return a sentence of this project with dates as the reader writes them, and what is between backticks as it is, as code.

    A command that the console has a page for becomes a link to that page.
    """
    parts = sanitize(text).split("`")
    if len(parts) % 2 == 0:  # a backtick without its other
        return Markup.escape(spell_dates("`".join(parts)))
    return Markup("").join(
        _write_code(part, parts[place - 1]) if place % 2 else Markup.escape(spell_dates(part))
        for place, part in enumerate(parts)
    )


def _write_code(text: str, before: str) -> Markup:
    """Return what stands between backticks, `before` what comes before them."""
    page = find_page(text)
    if page is None:
        return Markup("<code>{}</code>").format(text)
    begins = not before.strip() or before.rstrip().endswith(".")
    words = page.words[:1].upper() + page.words[1:] if begins else page.words
    return Markup('<a href="{}">{}</a>').format(page.url, words)


def spell_span(ms: float | None) -> str:
    """Return about how long something takes, short lengths exactly enough to compare them; nothing for None.

    >>> spell_span(56), spell_span(9505), spell_span(61_000)
    ('56 ms', '9.5 s', '61 s')
    """
    if ms is None:
        return ""
    if 0 < abs(ms) < 1_000:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s" if ms % 1_000 and ms < 10_000 else spell_length(int(ms))


def spell_number(value: float | None) -> str:
    """Return a number with separators; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.4g}"


@cache
def asset(name: str) -> str:
    """Return the path of a file of `static`, with the hash of its content: it may be cached for good."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
