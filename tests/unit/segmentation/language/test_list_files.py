"""Lists in files: what their lines mean, and that their content belongs to the definition."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from resegment.documents.diagnostics import InvalidSegments
from resegment.segmentation.language.limits import MAX_LINES
from resegment.sources.segments import load_definition
from tests.builders import Json, definition_of
from tests.oracle.cases import segments

IN_FILE: Json = {"industry": {"in_file": "a.txt"}}


def version(text: str, when: Json = IN_FILE) -> str:
    return definition_of(segments(wanted=when), {"a.txt": text}).version


def test_the_content_of_a_file_belongs_to_the_version_of_the_definition() -> None:
    assert version("saas") == version("saas")
    assert version("saas") != version("fintech")
    assert version("saas", {"employees": 5}) == version("fintech", {"employees": 5})


def test_the_path_counts_from_the_folder_of_the_segments_file(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "a.txt").write_text("saas\n")

    (tmp_path / "segments.yaml").write_bytes(
        orjson.dumps(segments(wanted={"industry": {"in_file": "lists/a.txt"}}))
    )

    assert load_definition(str(tmp_path / "segments.yaml")).version == load_definition(str(tmp_path)).version


def test_lines_that_name_no_company_are_warned_of_together_and_never_quoted() -> None:
    text = "acme.com\ngmail.com\nlocalhost\nnobody\nintranet\n"

    definition = definition_of(segments(wanted={"account": {"in_file": "a.txt"}}), {"a.txt": text})

    (warning,) = [one for one in definition.warnings if one.code == "never-met"]
    assert warning.message == "a.txt: these lines name no company: 2, 3, 4 and 1 more"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "unreadable-file"),
        ("x\n" * (MAX_LINES + 1), "too-large"),
        ("x\n" * MAX_LINES + "x", "too-large"),
    ],
    ids=["missing", "too long", "too long without a last line break"],
)
def test_a_file_that_cannot_be_used_is_an_error(content: str | None, code: str) -> None:
    with pytest.raises(InvalidSegments) as refused:
        definition_of(segments(wanted=IN_FILE), {} if content is None else {"a.txt": content})

    assert [one.code for one in refused.value.diagnostics] == [code]


def test_a_file_of_as_many_lines_as_allowed_is_read() -> None:
    assert version("x\n" * MAX_LINES)


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:

    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "segments.yaml").write_bytes(orjson.dumps(segments(wanted=IN_FILE)))

    with pytest.raises(InvalidSegments) as refused:
        load_definition(str(tmp_path / "segments.yaml"))

    assert [one.code for one in refused.value.diagnostics] == ["unreadable-file"]
