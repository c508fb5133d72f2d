"""Detect the encoding of a file, and name files that are not text."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

from resegment.schemas.cloudevents.decoding import MAX_BYTES
from resegment.schemas.cloudevents.foreign import is_utf16, name_format
from resegment.sources.files.located import WrongFile

MAX_LINE: Final = 4 * MAX_BYTES
"""How much of a line is read. A longer one cannot be an event, and may be a whole file without line breaks."""


class WrongEncoding(WrongFile):
    """A file that ends in the middle of a character, or is not text at all."""

    def __init__(self, path: str, error: UnicodeDecodeError) -> None:
        super().__init__(path, f"not text in {error.encoding}: {error.reason}", remedy="Save it as UTF-8.")


def detect_encoding(path: str, start: bytes) -> str:
    """Return the encoding of a text that begins with these bytes: UTF-8 unless it is UTF-16.

    Raises WrongFile for files that are not text, such as an Excel workbook.
    """
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if len(start) >= 2 and is_utf16(start):
        return "utf-16-be" if start[0] == 0 else "utf-16-le"
    if (format_name := name_format(start)) is not None:
        raise WrongFile(
            path,
            f"this is {format_name}, not text",
            remedy="Name it .gz or .parquet if it is one of these, or export it as CSV or JSON Lines.",
        )
    return "utf-8-sig"


def open_text(path: str, raw: io.BufferedReader) -> io.TextIOWrapper:
    """Open a file as text. Bytes that are not of its encoding become lone surrogates, which no JSON can hold."""
    encoding = detect_encoding(path, raw.peek(4)[:4])
    errors = "surrogateescape" if encoding == "utf-8-sig" else "surrogatepass"
    return io.TextIOWrapper(raw, encoding=encoding, errors=errors, newline="")


def read_byte_lines(path: str, raw: io.BufferedReader) -> Iterator[bytes]:
    """Yield the lines of a file as UTF-8, whatever its encoding. Of a line that is too long, only the start is kept."""
    if detect_encoding(path, raw.peek(4)[:4]) != "utf-8-sig":
        try:
            for text in open_text(path, raw):
                yield text.encode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise WrongEncoding(path, error) from error
        return
    while line := raw.readline(MAX_LINE):
        yield line
        while len(line) == MAX_LINE and line[-1:] != b"\n":
            line = raw.readline(MAX_LINE)
