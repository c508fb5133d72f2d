"""Read the CloudEvents binding for Kafka: the attributes that a record's headers hold, as producers write them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from resegment.errors import RefusedEvent

Headers = Sequence[tuple[str, bytes | None]]

_PREFIXES: Final = ("ce_", "ce-")
"""The binding says `ce_`; Spring and others write `ce-`, as in HTTP."""

_STRUCTURED: Final = b"application/cloudevents"
_CONTENT_TYPE: Final = ("content-type", "contenttype", "content_type")
_VALUE: Final = frozenset({"data", "data_base64"})
"""Fields of an event that are no attributes: in binary mode the record's value is the data."""

_MAY_NOT_BE_EMPTY: Final = frozenset(
    {"specversion", "id", "source", "type", "subject", "time", "recordedtime", "record", "op"}
)


def is_binary(headers: Headers) -> bool:
    """Whether a record is in binary mode: it has attributes in headers, and is not declared as structured."""
    for name, _ in headers:  # twice as fast as any(), and asked of every event
        if name[:3].lower() in _PREFIXES:
            content_type = content_type_of(headers)
            return content_type is None or not content_type.startswith(_STRUCTURED)
    return False


def content_type_of(headers: Headers) -> bytes | None:
    """Return the content type of a record in lowercase, without quotes."""
    found = [raw for name, raw in headers if raw and name.lower() in _CONTENT_TYPE]
    return found[-1].strip(b'"').lower() if found else None


def read_attributes(headers: Headers) -> dict[str, Any]:
    """Return the attributes in the headers. One without a value is absent.

    Raises RefusedEvent for a value that is empty or not UTF-8, with the header as its field.
    """
    return dict(_read(headers))


def _read(headers: Headers) -> Iterator[tuple[str, str]]:
    for header, raw in headers:
        prefix, name = header[:3].lower(), header[3:].lower()
        if prefix not in _PREFIXES or name in _VALUE or raw is None:
            continue
        if not raw and name in _MAY_NOT_BE_EMPTY:
            raise RefusedEvent(
                "wrong-envelope",
                f"the header {header} is empty: give it a value, or leave the header out",
                field=header,
            )
        try:
            yield name, raw.decode()
        except UnicodeDecodeError:
            message = f"the header {header} is not UTF-8: write attributes as plain UTF-8 text"
            raise RefusedEvent("wrong-envelope", message, field=header) from None
