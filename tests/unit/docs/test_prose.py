"""The prose of the project: pages, docstrings, help and messages avoid words that readers stumble over."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from resegment.cli import build

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ]
)
FOLDERS = ("agents", "benchmarks", "docs", "resegment", "schemas", "streams")

COMMANDS: dict[str, Any] = typer.main.get_command(build()).commands  # type: ignore[attr-defined]

BANNED = {
    r"anew": "again",
    r"whoever|whomever|whom": "name the person: the owner, the account, the caller",
    r"whosoever|whereof|thereof|whereupon|whilst|amongst": "the usual word",
    r"befall(?:s|en)?|befell": "happen to",
    r"go(?:es)? on": "continues, runs, keeps",
    r"at the (?:most|least)(?! (?:recent|common|specific|important|expensive))": "at most, at least, up to",
    r"(?:is|are|was|be) told of": "is called with, receives, learns",
    r"no more than that": "say what the limit is",
    r"so that none": "so no ..., so nothing ...",
    r"lest": "so that ... not",
    r"ill": "unhealthy, failing",
    r"farewell": "say what is sent",
    r"farther": "further",
    r"too lately": "in cooldown, less than ... ago",
    r"in peace": "without affecting each other",
    r"the least of rights": "least privilege",
    r"mend(?:s|ed|ing)?": "fix",
    r"oftener": "more often",
    r"for ever": "forever",
    r"enrol(?:s|ment|ments)?": "enroll, enrollment",
    r"licence[sd]?": "license",
    r"(?:normal|organ|recogn|summar|initial|serial|author|minim|maxim|optim|capital)is(?:e[ds]?|ing|ation)": "-ize",
    r"analys(?:e[ds]?|ing)": "analyze",
    r"(?:behavi|col|fav|hon|neighb)our\w*": "-or",
    r"(?:label|travel)l(?:ed|ing)": "labeled, labeling",
    r"centres?|catalogues?": "center, catalog",
    r"(?:acknowledg|judg)ements?": "acknowledgment, judgment",
    r"misspelt|spelt|learnt": "misspelled, spelled, learned",
}
"""Patterns of whole words, each with what to write instead."""

PATTERN = re.compile(
    r"(?<![\w/.-])(?:" + "|".join(f"(?:{one})" for one in BANNED).replace(" ", r"\s+") + r")(?![\w-])",
    re.IGNORECASE,
)


class Text(NamedTuple):
    """A text, and where it begins."""

    place: str
    line: int
    text: str


def find(texts: Iterable[Text]) -> list[str]:
    """Return every banned word with its place and what to write instead."""
    return [
        f"{one.place}:{one.line + one.text.count(chr(10), 0, match.start())}: {match[0]!r}: write {advice(match[0])}"
        for one in texts
        for match in PATTERN.finditer(one.text)
    ]


def refuse_banned_words(texts: Iterable[Text]) -> None:
    found = find(texts)
    assert not found, "these words make readers stumble:\n" + "\n".join(found)


def advice(word: str) -> str:
    return next(
        instead
        for pattern, instead in BANNED.items()
        if re.fullmatch(pattern.replace(" ", r"\s+"), word, re.IGNORECASE)
    )


def page(path: Path) -> Text:
    return Text(str(path.relative_to(ROOT)), 1, path.read_text("utf-8"))


def texts_of(path: Path) -> Iterator[Text]:
    """Yield every docstring and every other text of a module: whatever string constant has a space."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield Text(str(path.relative_to(ROOT)), node.lineno, node.value)


def help_of(command: Any, name: str) -> Iterator[Text]:
    """Yield the help of a command, of its options and of the commands below it."""
    for text in (command.help, command.epilog, command.short_help):
        yield Text(f"`{name} --help`", 1, text or "")
    for one in command.params:
        yield Text(f"`{name}`, {one.name}", 1, getattr(one, "help", None) or "")
    for child, below in getattr(command, "commands", {}).items():
        yield from help_of(below, f"{name} {child}")


@pytest.mark.parametrize("path", PAGES, ids=lambda one: str(one.relative_to(ROOT)))
def test_a_page_has_no_banned_word(path: Path) -> None:
    refuse_banned_words([page(path)])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_of_a_command_has_no_banned_word(name: str) -> None:
    texts = list(help_of(COMMANDS[name], f"resegment {name}"))
    assert any(one.text for one in texts)
    refuse_banned_words(texts)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_docstrings_and_messages_of_a_folder_have_no_banned_word(folder: str) -> None:
    modules = sorted((ROOT / folder).rglob("*.py"))
    assert modules
    refuse_banned_words(text for path in modules for text in texts_of(path))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is read anew.", "anew"),
        ("Whoever asks.", "Whoever"),
        ("ten at the most", "at the most"),
        ("The worker goes on.", "goes on"),
        ("an enrolment", "enrolment"),
        ("normalised words", "normalised"),
    ],
)
def test_a_banned_word_is_found_with_its_line(text: str, found: str) -> None:
    (finding,) = find([Text("page.md", 1, f"first\n{text}")])
    assert finding.startswith(f"page.md:2: {found!r}: write ")


@pytest.mark.parametrize(
    "text",
    [
        "an amended round",
        "at the most recent one",
        "I'll still fill it",
        "an enrolled account",
        "recommend it",
    ],
)
def test_a_word_that_only_looks_like_a_banned_one_is_not_found(text: str) -> None:
    assert find([Text("page.md", 1, text)]) == []
