"""Keep persons out of logs and traces: accounts are named there, people never.

What is written there outlives every `forget`. So a text loses what tells who somebody is, a field that holds a person
loses its value, and an error loses a message that may quote data.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.errors import RefusedEvent

HIDDEN: Final = "(hidden)"

PERSONS: Final = frozenset(
    {
        *("person", "persons", "people", "contact", "contacts", "do_not_contact", "recipient", "recipients"),
        *("email", "e_mail", "email_address", "mail", "phone", "phone_number", "mobile", "linkedin"),
        *("first_name", "last_name", "full_name", "firstname", "lastname", "fullname"),
        *("title", "statement", "previous_company", "body", "data", "values", "evidence"),
    }
)
"""The fields of a log line that may hold a person, or what was said about one."""

_ADDRESS: Final = re.compile(
    r"[^\s@<>()\[\]{}\"'`,;:=/\\|]{1,256}(?:@|%40|＠)[^\s@<>()\[\]{}\"'`,;:=/\\|]{1,255}", re.IGNORECASE
)
_PROFILE: Final = re.compile(r"linkedin\.[a-z.]{2,6}/(?:in|pub)/[^\s\"'<>]+", re.IGNORECASE)
_PHONE: Final = re.compile(r"(?<![\w.+-])(?:\+|00)[1-9](?:[\s()./-]{0,2}\d){6,14}(?![\w-])")
_QUOTED: Final = re.compile(r"(?<!\w)([\"'`])(?:\\.|(?!\1).)*(?:\1(?!\w)|$)|[“„«].*?[”“»]", re.DOTALL)
_CREDENTIALS: Final = re.compile(r"(?<=://)[^\s/@]*(?:@)")
"""User and password of a URL look like the address of a person, and are to be hidden no less."""

_QUOTING: Final = (RefusedEvent, ValueError, LookupError, TypeError, AssertionError, AttributeError)
"""Errors whose message may quote what a producer sent: decoders, look-ups and conversions put values into it."""


def hide_persons(text: str) -> str:
    """Return the text without addresses, phone numbers and profiles of people."""
    if "@" in text or "%40" in text or "＠" in text:
        text = _ADDRESS.sub(HIDDEN, _CREDENTIALS.sub(f"{HIDDEN}:", text))
    if "linkedin" in text.lower():
        text = _PROFILE.sub(HIDDEN, text)
    if any(one.isdigit() for one in text):
        text = _PHONE.sub(HIDDEN, text)
    return text


def hide_quotes(text: str) -> str:
    """Return the text with nothing between quotes: for messages that quote what somebody sent."""
    return hide_persons(_QUOTED.sub(HIDDEN, text))


def outline(value: Any) -> Any:
    """Return JSON with the names of its fields, its numbers and its flags, and every text in it hidden."""
    if isinstance(value, Mapping):
        return {name: outline(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [outline(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float) else HIDDEN


def hide_fields(value: Any) -> Any:
    """Return a value, with the fields that may hold a person hidden at any depth, and its texts as `hide_persons` says."""
    if isinstance(value, str):
        return hide_persons(value)
    if isinstance(value, bytes):
        return hide_persons(value.decode("utf-8", "replace"))
    if isinstance(value, BaseException):
        return tell_error(value)
    if isinstance(value, Mapping):
        return {
            hide_persons(name) if isinstance(name, str) else name: hide_field(name, one)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [hide_fields(one) for one in value]
    return value


def hide_field(name: Any, value: Any) -> Any:
    """Return the value of one field: hidden if the name says that it may hold a person."""
    plain = name.casefold().replace("-", "_").removesuffix("_raw") if isinstance(name, str) else ""
    is_told = value is None or isinstance(value, bool | int | float)
    return HIDDEN if plain in PERSONS and not is_told else hide_fields(value)


def tell_error(error: BaseException) -> str:
    """Return the type of an error, with its message where that cannot quote data."""
    name = type(error).__name__
    if isinstance(error, RefusedEvent):
        return f"{name}: {error.reason}"
    if isinstance(error, _QUOTING):
        return f"{name}: the message is left out, because it may quote data"
    if isinstance(error, BaseExceptionGroup):
        return f"{name}: {len(error.exceptions)} errors"
    return f"{name}: {hide_persons(str(error))}" if str(error) else name


def write_traceback(error: BaseException) -> str:
    """Return the traceback of an error and of those that led to it, each told as `tell_error` does."""
    return "".join(_chapters(error, set())).rstrip("\n")


def _chapters(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None and id(earlier) not in seen:
        yield from _chapters(earlier, seen)
        yield (
            "\nThe above exception was the direct cause of the following exception:\n\n"
            if error.__cause__ is not None
            else "\nDuring handling of the above exception, another exception occurred:\n\n"
        )
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(error.__traceback__)
    yield tell_error(error) + "\n"
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            if id(one) not in seen:
                yield "".join(f"  | {line}\n" for line in "".join(_chapters(one, seen)).splitlines())
