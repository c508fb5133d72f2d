"""One style for segments files: comments stay, what a file says stays, and a second run changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.documents.diagnostics import InvalidSegments
from resegment.documents.formatter import WIDTH, format_document
from resegment.documents.syntax_tree import SyntaxTree
from resegment.documents.yaml import parse_document
from resegment.segmentation.definition import read_definition
from tests.oracle.generate import generate
from tests.written_yaml import Writer

ROOT = Path(__file__).parents[3]
WHOLE = [
    ROOT / "examples" / "quickstart.yaml",
    ROOT / "examples" / "segments.yaml",
    ROOT / "tests" / "data" / "go-to-market.yaml",
]


def formatted(text: str | bytes) -> str:
    content = text.encode() if isinstance(text, str) else text
    result = format_document(content, "segments.yaml")
    assert format_document(result, "segments.yaml") == result
    return result.decode()


def comments_of(content: bytes) -> list[str]:
    text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    return [one.text for one in SyntaxTree(text).comments]


def documents() -> list[dict[str, Any]]:
    written = [parse_document(file.read_bytes(), file.name).data for file in WHOLE]
    made = [generate(seed)[0] for seed in range(37)]
    return [*written, *made]


@pytest.mark.full
def test_two_hundred_unlike_files_mean_what_they_meant() -> None:
    files = documents()
    changed = 0
    for seed in range(200):
        content = Writer(seed).write(files[seed % len(files)])
        before = read_definition([("segments.yaml", content)])

        result = format_document(content, "segments.yaml")

        changed += result != content
        after = read_definition([("segments.yaml", result)])
        assert (after.version, after.digest) == (before.version, before.digest), seed
        assert comments_of(result) == comments_of(content), seed
        assert format_document(result, "segments.yaml") == result, seed
    assert changed >= 150


HARD = {
    "numbers": [1, 1.0, -0.0, True, False, None, 10**17],
    "like numbers": ["1e3", "0o7", "1_000", "0x1f", "1.0", "12:30:00", "2020-01-01", "10%", "1,000"],
    "words": ["yes", "no", "on", "off", "NO", "y", "null", "~", "true", "", " ", "="],
    "signs": ["x: y", "- z", "# no", "a #b", "&a", "*a", "!t", "%d", "@at", "`b`", "? q", "[", "}", ",", "'", '"'],
    "lines": ["multi\nline\n", "keep\n\n\n", "  spaced\n two\n", "no end\nx", "\n\nlate\n", "a\n\n  b\nc", "\n"],
    "spaces": [" lead", "trail ", "tab\there", "\u2028sep", "\x85", "\u00a0", "a\\b", "back\\"],
    "empty": [{}, [], {"": {}}, [[[]], [[1, [2]], {}]]],
    "nested": [{"a": {"b": [{"c": 1}]}}, ["y", ["z", {"q": [1]}]]],
    "prose": "word " * 40 + "end",
    "営業": {"É": "☕", "a b": "naïve", "true": 1, "'": 2, "no": 3},
}  # fmt: skip


def test_what_is_hard_to_write_in_yaml_means_what_it_meant() -> None:
    for seed in range(60):
        content = Writer(seed).write(HARD)
        result = format_document(content, "x.yaml")
        assert repr(parse_document(result, "x.yaml").data) == repr(parse_document(content, "x.yaml").data)
        assert format_document(result, "x.yaml") == result, seed


ALPHABET = st.sampled_from(
    ["a", "b", " ", "  ", "\n", "\n  ", ": ", "- ", "? ", "#", " # c", "{", "}", "[", "]", ", ", "|", ">", "+", "-", "2",
     "&x ", "*x", "'", '"', "\\", "\t", "\r\n", "\r", "---", "%", "key: 1\n", "- v\n"]
)  # fmt: skip


@given(st.lists(ALPHABET, max_size=40).map("".join))
@settings(max_examples=400, deadline=None)
def test_any_text_is_formatted_or_refused_with_a_place(text: str) -> None:
    try:
        result = format_document(f"k: {text}".encode(), "x.yaml")
    except InvalidSegments as error:
        refused = error
    else:
        assert format_document(result, "x.yaml") == result
        return
    assert [one.place.line for one in refused.diagnostics if one.place.line < 1] == []
    if "? " not in text:  # a block scalar as a key is not worth a style
        assert [one for one in refused.diagnostics if one.code == "not-formatted"] == []


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("a:    1\n\n\n\nb: 2", "a: 1\n\nb: 2\n"),
        ("a:\n- 1\n- 2\n", "a:\n  - 1\n  - 2\n"),
        ("a:\n      b:\n       - c:   1\n         d: 2\n", "a:\n  b:\n    - c: 1\n      d: 2\n"),
        ("a: { b : 1,c: [x ,y] }\n", "a: {b: 1, c: [x, y]}\n"),
        ("\"a\": 'x'\n'no': 'say \"x\"'\n", "a: \"x\"\n'no': 'say \"x\"'\n".replace("'no'", '"no"')),
        ("a: 1   # why\n", "a: 1  # why\n"),
        ("a:\n    # above\n    b: 1\n    # below\nc: 2\n", "a:\n  # above\n  b: 1\n  # below\nc: 2\n"),
        ("a: [1, # one\n 2]\n", "a:\n  - 1  # one\n  - 2\n"),
        ("- {a: 1, # one\n   b: 2}\n", "- a: 1  # one\n  b: 2\n"),
        ("a: [x, # c\n -]\n", 'a:\n  - x  # c\n  - "-"\n'),
        ("a: &x {b: 1}\nc: *x\n", "a: &x {b: 1}\nc: *x\n"),
        ("a:   &x\n     b: 1\n", "a: &x\n  b: 1\n"),
        ("a: |\n      x\n       y\n", "a: |\n  x\n   y\n"),
        ("a: >-   # folded\n      x\n\n      y\n", "a: >-  # folded\n  x\n\n  y\n"),
        ("a: |1\n  x\n", "a: |2\n   x\n"),
        ("a: |+\n  x\n\n\nb: 1\n", "a: |+\n  x\n\n\nb: 1\n"),
        ("a: one\n       two # why\n", "a: one\n  two  # why\n"),
        ("? a\n: 1\n", "a: 1\n"),
        ("---\na: 1\n...\n", "a: 1\n"),
        ("%YAML 1.2\n---\na: 1\n", "%YAML 1.2\n---\na: 1\n"),
        ("a:\nb: # nothing\n", "a:\nb:  # nothing\n"),
        ("# only a remark", "# only a remark\n"),
        ("", ""),
        ("a: 1\r\nb:  2\r\n", "a: 1\r\nb: 2\r\n"),
        ("\ufeffa: 1\n", "a: 1\n"),
        ("a:\n  -   - 1\n      - 2\n", "a:\n  - - 1\n    - 2\n"),
        ("a:\n  - # first\n    b: 1\n", "a:\n  -  # first\n    b: 1\n"),
    ],
)  # fmt: skip
def test_each_construct_has_one_style(written: str, expected: str) -> None:
    assert formatted(written) == expected


def test_a_collection_that_does_not_fit_on_its_line_is_written_in_block_style() -> None:
    fits = f"a: {{b: {'x' * (WIDTH - 8)}}}\n"
    assert formatted(fits) == fits
    assert formatted(f"a: {{b: {'x' * (WIDTH - 7)}}}\n") == f"a:\n  b: {'x' * (WIDTH - 7)}\n"


@pytest.mark.parametrize(
    ("written", "place"),
    [("a: 1\na: 2\n", "x.yaml:2:1"), ("a: [1\nb: 2\n", "x.yaml:"), ("a: !!int 1\n", "x.yaml:1:4")],
)
def test_a_file_with_errors_is_refused_with_their_places(written: str, place: str) -> None:
    with pytest.raises(InvalidSegments, match=place):
        format_document(written.encode(), "x.yaml")


def test_a_file_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(InvalidSegments, match="not UTF-8"):
        format_document("a: é\n".encode("latin-1"), "x.yaml")
