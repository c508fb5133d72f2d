"""`resegment fmt`."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resegment.cli import build

EXAMPLES = Path(__file__).parents[3] / "examples"
UGLY = 'version:   1\nsegments:\n- {"name": a}  # the first\n'
NEAT = "version: 1\nsegments:\n  - {name: a}  # the first\n"


def run(*arguments: str, given: str | bytes | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(build(), ["fmt", *arguments], input=given)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "segments.yaml"
    path.write_text(UGLY)
    return path


def test_a_file_is_rewritten_in_place_and_keeps_its_mode(file: Path) -> None:
    file.chmod(0o640)
    code, output, note = run(str(file))
    assert (code, output) == (0, "")
    assert note == f"{file}: formatted\n1 file formatted\n"
    assert file.read_text() == NEAT
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [one.name for one in file.parent.iterdir()] == ["segments.yaml"]
    assert run(str(file)) == (0, "", "1 file unchanged\n")


def test_a_link_keeps_pointing_to_its_file(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    assert run(str(link))[0] == 0
    assert link.is_symlink()
    assert file.read_text() == NEAT


def test_check_writes_nothing_and_exits_with_1_if_a_file_would_change(file: Path) -> None:
    assert run("--check", str(file)) == (1, "", f"{file}: would be formatted\n1 file would be formatted\n")
    assert file.read_text() == UGLY
    file.write_text(NEAT)
    assert run("--check", str(file)) == (0, "", "1 file unchanged\n")


def test_diff_prints_what_would_change_and_writes_nothing(file: Path) -> None:
    code, output, _ = run("--diff", str(file))
    assert code == 1
    assert "-version:   1\n+version: 1\n" in output
    assert file.read_text() == UGLY


def test_diff_shows_line_breaks_that_change(file: Path) -> None:
    file.write_bytes(b"a: 1\r\nb: 2\n")
    assert "-b: 2\n+b: 2\\r\n" in run("--diff", str(file))[1]


def test_a_dash_reads_standard_input_and_writes_standard_output() -> None:
    assert run("-", given=UGLY) == (0, NEAT, "")
    assert run("--check", "-", given=UGLY)[:2] == (1, "")


def test_a_folder_is_formatted_file_by_file(file: Path, tmp_path: Path) -> None:
    (tmp_path / "more.yml").write_text("a:  1\n")
    (tmp_path / "README.md").write_text("a:  1\n")
    assert run(str(tmp_path))[2].endswith("2 files formatted\n")
    assert (tmp_path / "README.md").read_text() == "a:  1\n"


def test_a_file_with_errors_is_left_as_it_is_and_the_others_are_formatted(file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("a:  1\na: 2\n")
    code, _, note = run(str(broken), str(file))
    assert code == 2
    assert f"{broken}:2:1: error: a: 'a' is given twice here" in note
    assert note.endswith("1 file formatted, 1 file with errors\n")
    assert broken.read_text() == "a:  1\na: 2\n"
    assert file.read_text() == NEAT


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    code, _, note = run(str(tmp_path / "none.yaml"))
    assert code == 2
    assert "no such file" in note


def test_a_file_that_may_not_be_written_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # the superuser may write to any file
    code, _, note = run(str(file))
    assert code == 2
    assert f"{file}: not written: permission denied" in note
    assert file.read_text() == UGLY


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.name)
def test_the_examples_have_the_style(file: Path) -> None:
    assert run("--check", str(file))[0] == 0
