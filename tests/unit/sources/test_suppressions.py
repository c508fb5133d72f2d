"""Lists of accounts that are never enrolled, as people and mailers write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from resegment.sources.suppressions import ListFiles, WrongList, read_list


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "accounts", "skipped"),
    [
        ("acme.com\nWww.Zeta.io  # since 2020\n\n# a comment\n", {"acme.com", "zeta.io"}, ()),
        ("domain\nacme.com\n", {"acme.com"}, ()),
        ("Email\njo@acme.com\n", {"acme.com"}, ()),
        ('"acme.com"\n"zeta.io",\n', {"acme.com", "zeta.io"}, ()),
        ("acme.com,\nzeta.io,,\n", {"acme.com", "zeta.io"}, ()),
        ("acme.com\njo@gmail.com\nzeta.io\n", {"acme.com", "zeta.io"}, (2,)),
        ("First Name,Email Address,Opt-out Time\nJo,jo@acme.com,2026-01-02\nBo,,\n", {"acme.com"}, (3,)),
        ("Company;Domain;Email\nAcme;;jo@acme.com\nZeta;zeta.io;bo@gmail.com\n", {"acme.com", "zeta.io"}, ()),
        ("Acme, Inc.\tacme.com\n", {"acme.com"}, ()),
        ("unknown header\nacme.com\n", {"acme.com"}, (1,)),
        ("\ufeffacme.com\n", {"acme.com"}, ()),
        ("acme.com\nzeta.io\n".encode("utf-16"), {"acme.com", "zeta.io"}, ()),
        (b"acme.com\nM\xfcller GmbH\nzeta.io\n", {"acme.com", "zeta.io"}, (2,)),
        ('"open\nacme.com\n', {"acme.com"}, (1,)),
        ("", set(), ()),
        ("Jo Doe <jo@acme.com>\nmailto:jo@zeta.io\n", {"acme.com", "zeta.io"}, ()),
        ("*@acme.com\n*.zeta.io\n@b.com\n'c.com';\n", {"acme.com", "zeta.io", "b.com", "c.com"}, ()),
    ],
)
def test_a_line_that_names_no_company_is_skipped_and_never_the_file(
    tmp_path: Path, content: bytes | str, accounts: set[str], skipped: tuple[int, ...]
) -> None:
    found = read_list(write(tmp_path / "list.txt", content))
    assert (found.accounts, found.skipped) == (accounts, skipped)


def test_skipped_lines_are_counted_and_named_by_their_numbers_alone(tmp_path: Path) -> None:
    write(tmp_path / "secret.txt", "acme.com\n" + "password: hunter2\n" * 7)
    noted: list[dict[str, int]] = []
    files = ListFiles(tmp_path, lambda lines: noted.append(dict(lines)))
    with capture_logs() as lines:
        assert files.load({"partners": "secret.txt"}) == {"partners": frozenset({"acme.com"})}
        files.load({"partners": "secret.txt"})
    assert noted == [{"partners": 7}]
    (line,) = lines
    assert (line["log_level"], line["list"]) == ("warning", "partners")
    assert line["reason"] == "7 lines name no company and are skipped: 2, 3, 4, 5, 6, ..."
    assert "hunter2" not in str(lines)


def test_a_list_that_changes_is_read_again(tmp_path: Path) -> None:
    file = write(tmp_path / "list.txt", "acme.com\njo@gmail.com\n")
    noted: list[dict[str, int]] = []
    files = ListFiles(tmp_path / "segments.yaml", lambda lines: noted.append(dict(lines)))
    files.load({"a": "list.txt"})
    write(file, "zeta.io\n")
    assert files.load({"a": "list.txt"}) == {"a": frozenset({"zeta.io"})}
    assert noted == [{"a": 1}, {"a": 0}]


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "huge"])
def test_a_file_that_is_no_list_is_an_error_without_any_of_its_text(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "list.txt"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "huge":
            with path.open("wb") as file:
                file.truncate(65 * 1024 * 1024)
    with pytest.raises(WrongList, match=r"no such file|not a regular file|larger than 64 MB"):
        read_list(path)


@given(st.binary(max_size=200).filter(lambda one: one[:2] not in (b"\xff\xfe", b"\xfe\xff")))
def test_whatever_else_is_in_a_list_its_companies_are_read(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    found = read_list(write(tmp_path_factory.getbasetemp() / "fuzz.txt", content + b"\nacme.com\n"))
    assert "acme.com" in found.accounts
