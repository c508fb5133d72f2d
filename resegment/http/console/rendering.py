"""Render pages: the templates, their filters, and what every page shows around its own content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from resegment.console.counts import count
from resegment.console.dates import reader, spell_dates
from resegment.console.facts import spell_values
from resegment.console.sanitizing import sanitize
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
        "spelled": lambda ms: "" if ms is None else spell_length(int(ms)),
        "dates": spell_dates,
        "values": spell_values,
        "counted": count,
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
    return Markup('<time datetime="{}">{}</time>').format(format_instant(ms), reader().moment(ms))


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
