"""Keep what producers write from steering a terminal: escape sequences, C1 bytes and bidirectional overrides."""

from __future__ import annotations

import re
from typing import Any, Final

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

_CONTROLS: Final = (
    "\x00-\x08\x0b-\x1f"  # C0 without tab and newline: ESC begins CSI and OSC sequences
    "\x7f-\x9f"  # DEL and C1: \x9b is CSI, \x9d is OSC
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional marks, embeddings, overrides and isolates
    "\u2028\u2029\ufeff"  # separators that some terminals break lines at, and the byte order mark
    "\ud800-\udfff"  # lone surrogates, which no terminal can print
)
_UNSAFE: Final = re.compile(f"[{_CONTROLS}]")
_UNSAFE_IN_A_LINE: Final = re.compile(f"[\t\n{_CONTROLS}]")
_NAMES: Final = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def sanitize(text: str) -> str:
    """Return the text with a replacement character for each control; line breaks and tabs stay."""
    return _UNSAFE.sub(REPLACEMENT, text)


def escape_line(text: str) -> str:
    """Return the text on one line, each control written as its Python escape."""
    return _UNSAFE_IN_A_LINE.sub(_escape, text)


def escape_json(encoded: bytes) -> bytes:
    """Return the same JSON with every control that a terminal obeys written as its JSON escape."""
    if encoded.isascii() and b"\x7f" not in encoded:  # JSON escapes C0 itself
        return encoded
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", encoded.decode()).encode()


_UNSAFE_IN_JSON: Final = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff]"
)


def escape_values(value: Any) -> Any:
    """Return a value with all its texts as `escape_line` gives them."""
    if isinstance(value, str):
        return escape_line(value)
    if isinstance(value, dict):
        return {escape_values(name): escape_values(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [escape_values(one) for one in value]
    return value


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    return _NAMES.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
