"""Read the payloads of a file of any format: rows of CSV and Parquet, JSON in any layout, JSON lines, and XML."""

from __future__ import annotations

import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from xml.etree import ElementTree as ET

import orjson

from resegment.errors import RefusedEvent, explain_os_error
from resegment.schemas.cloudevents.foreign import is_utf16, name_format
from resegment.sources.files.csv_rows import CsvRows
from resegment.sources.files.located import MissingFile, WrongFile
from resegment.sources.files.parquet import read_table, to_json_values

STDIN: Final = "-"
MAX_XML: Final = 16 * 1024 * 1024
Form = Literal["csv", "json", "xml", "parquet"]


class Payload(NamedTuple):
    """One document, object or row, and the line where it starts (for Parquet, its row). `refused` says what is wrong."""

    line: int
    value: Any
    refused: RefusedEvent | None = None


class Payloads(NamedTuple):
    """The payloads of a file. `columns` are those of its header, `encoding` what its text is assumed to be."""

    form: Form
    rows: Iterable[Payload]
    columns: list[str]
    encoding: str = "utf-8"


def read_payloads(path: str, *, encoding: str | None = None) -> Payloads:
    """Read a file, or standard input for `-`. Raises WrongFile, also MissingFile."""
    data = _read_bytes(path)
    if data[:4] == b"PAR1":
        columns, rows = read_table(path)
        return Payloads("parquet", _parquet_rows(rows), columns)
    kind = name_format(data)
    if kind is not None:
        raise WrongFile(
            path, f"this is {kind}", remedy="Export it as CSV, JSON or Parquet, or compress it with gzip."
        )
    text, used = _decode(path, data, encoding)
    start = text[:4096].lstrip("\ufeff \t\r\n")
    if start[:1] in ("{", "["):
        return Payloads("json", _json_rows(text), [], used)
    if start[:1] == "<":
        return Payloads("xml", _xml_rows(text), [], used)
    return _csv(path, text, used)


def _read_bytes(path: str) -> bytes:
    try:
        data = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        elif data[:6] == b"\xfd7zXZ\0":
            data = lzma.decompress(data)
    except FileNotFoundError:
        raise MissingFile(path) from None
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise WrongFile(path, f"broken compression: {error}", remedy="Compress the file again.") from error
    except OSError as error:
        raise WrongFile(
            path, f"cannot be read: {explain_os_error(error)}", remedy="Check the file."
        ) from error
    return data


def _decode(path: str, data: bytes, encoding: str | None) -> tuple[str, str]:
    """Return the text and its encoding: UTF-8 or UTF-16 if it is that, else Mac Roman for CR line ends or Windows-1252."""
    if encoding is not None:
        try:
            return data.decode(encoding), encoding
        except (LookupError, UnicodeError) as error:
            raise WrongFile(
                path, f"not text in {encoding[:40]}: {error}", remedy="Pass another --encoding."
            ) from error
    if is_utf16(data[:4]):
        used = (
            "utf-16"
            if data[:2] in (b"\xff\xfe", b"\xfe\xff")
            else "utf-16-be"
            if data[0] == 0
            else "utf-16-le"
        )
        try:
            return data.decode(used), used
        except UnicodeDecodeError as error:
            raise WrongFile(
                path, f"not text in UTF-16: {error.reason}", remedy="Save it as UTF-8."
            ) from error
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        # Exports of old Macs end lines with CR alone.
        used = "mac-roman" if b"\r" in data and b"\n" not in data else "cp1252"
        return data.decode(used, "replace"), used


def _csv(path: str, text: str, used: str) -> Payloads:
    rows = iter(CsvRows(io.StringIO(text, newline=""), ()))
    header: list[str] = []
    for row in rows:
        if row.refused is not None:
            raise WrongFile(path, row.refused.message, line=row.line, remedy="Correct the header.")
        header = [name.strip() for name in row.cells]
        if any(header):
            break
    return Payloads("csv", _csv_rows(header, rows), header, used)


def _csv_rows(header: list[str], rows: Iterator[Any]) -> Iterator[Payload]:
    for row in rows:
        if row.refused is not None:
            yield Payload(row.line, None, row.refused)
        elif not any(cell.strip() for cell in row.cells):
            continue
        elif len(row.cells) > len(header) and any(cell.strip() for cell in row.cells[len(header) :]):
            message = f"{len(row.cells)} cells where the header has {len(header)}"
            yield Payload(row.line, None, RefusedEvent("wrong-row", message))
        else:
            cells: dict[str, str] = {}
            for name, cell in zip(header, row.cells, strict=False):
                if name and not cells.get(name, "").strip():
                    cells[name] = cell
            yield Payload(row.line, cells)


def _parquet_rows(rows: Iterator[Any]) -> Iterator[Payload]:
    for number, row in enumerate(rows, 1):
        try:
            if isinstance(row, RefusedEvent):
                raise row
            # Through JSON, so that a payload has the same types whatever the file.
            value = orjson.loads(
                orjson.dumps(to_json_values(row), option=orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS)
            )
        except RefusedEvent as error:
            yield Payload(number, None, error)
        except orjson.JSONEncodeError as error:
            yield Payload(number, None, RefusedEvent("wrong-row", f"JSON cannot hold the row: {error}"))
        else:
            yield Payload(number, value)


def _json_rows(text: str) -> Iterator[Payload]:
    """Yield a document, or one value of each line. Lines of a document that is broken are refused one by one."""
    text = text.lstrip("\ufeff")
    lines = text.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if (
        _loads(first) is _BROKEN
        or len(lines) < 2
        or not any(line.strip() for line in lines[lines.index(first) + 1 :])
    ):
        whole = _loads(text)
        if whole is not _BROKEN:
            yield Payload(1, whole)
            return
    held: list[str] = []
    start = 1
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if held and line[:1] in "{[":
            yield _broken(start, "\n".join(held))
            held = []
        if not held:
            value = _loads(line)
            if value is not _BROKEN:
                yield Payload(number, value)
                continue
            if line.strip() not in ("{", "["):
                yield _broken(number, line)
                continue
            start = number
        held.append(line)
        if line[:1] in "}]":
            value = _loads("\n".join(held))
            yield _broken(start, "\n".join(held)) if value is _BROKEN else Payload(start, value)
            held = []
    if held:
        yield _broken(start, "\n".join(held))


_BROKEN: Final = object()


def _loads(text: str) -> Any:
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return _BROKEN


def _broken(line: int, text: str) -> Payload:
    try:
        orjson.loads(text)
        problem = "not JSON"
    except (orjson.JSONDecodeError, UnicodeEncodeError) as error:
        problem = f"not JSON: {error}"
    return Payload(line, None, RefusedEvent("not-json", problem[:300]))


def _xml_rows(text: str) -> Iterator[Payload]:
    """Yield a document as objects: an element with children is an object, one without is its text."""
    if len(text) > MAX_XML:
        yield Payload(
            1, None, RefusedEvent("too-large", f"an XML document has at most {MAX_XML:,} characters")
        )
        return
    if "<!DOCTYPE" in text[:10_000].upper() or "<!ENTITY" in text.upper():
        yield Payload(1, None, RefusedEvent("not-xml", "a document type or entities are not read"))
        return
    try:
        root = ET.fromstring(text.strip())  # noqa: S314  # no entities: see above
    except (ET.ParseError, ValueError) as error:
        yield Payload(1, None, RefusedEvent("not-xml", f"not XML: {error}"))
        return
    yield Payload(1, {_local(root.tag): _element(root)})


def _element(node: ET.Element, depth: int = 0) -> Any:
    if not len(node) or depth > 32:
        return (node.text or "").strip()
    found: dict[str, Any] = {}
    for child in node:
        name, value = _local(child.tag), _element(child, depth + 1)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def _local(tag: Any) -> str:
    return str(tag).rpartition("}")[2]
