"""What names a place for tables, and what is said of what does not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from resegment.cli import build
from resegment.tables.duck import Duck
from resegment.tables.exporting import ParquetFolder
from resegment.tables.opening import LibraryMissing, WrongAddress, open_store
from resegment.tables.postgres import Postgres
from resegment.tables.store import DatabaseUnreachable


def test_each_form_of_address_opens_its_store(tmp_path: Path) -> None:
    assert isinstance(open_store("postgresql://jo:secret@db:5432/warehouse", "resegment"), Postgres)
    assert isinstance(open_store(f"duckdb:{tmp_path}/a.duckdb", "resegment"), Duck)
    assert isinstance(open_store(f"parquet:{tmp_path}", "resegment"), ParquetFolder)


@pytest.mark.parametrize(
    "address",
    ["", "warehouse", "mysql://db/warehouse", "duckdb:", "postgresql:warehouse", "postgresql://db:port/x"],
)
def test_another_address_is_refused_with_the_forms_that_work(address: str) -> None:
    with pytest.raises(WrongAddress) as caught:
        open_store(address, "resegment")
    assert "duckdb:FILE" in str(caught.value.remedy)


def test_a_password_is_never_shown() -> None:
    url = "postgresql://jo:hunter2@127.0.0.1:1/warehouse?sslpassword=hunter2"
    store = open_store(url, "resegment")
    assert "hunter2" not in store.address
    with pytest.raises(DatabaseUnreachable) as caught:
        store.open("acme", 1)
    assert "hunter2" not in caught.value.message
    with pytest.raises(WrongAddress) as wrong:
        open_store("mysql://jo:hunter2@db/warehouse", "resegment")
    assert "hunter2" not in wrong.value.message


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str, *rest: Any) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find)
    with pytest.raises(LibraryMissing) as caught:
        open_store("duckdb:x", "resegment")
    assert "resegment[tables]" in str(caught.value.remedy)


def test_a_command_without_a_place_says_how_to_give_one() -> None:
    done = CliRunner().invoke(build(), ["tables", "migrate"])
    assert done.exit_code == 2
    assert "--to" in done.output


def test_a_database_that_is_away_is_a_message_and_no_traceback() -> None:
    done = CliRunner().invoke(build(), ["tables", "migrate", "--to", "postgresql://jo@127.0.0.1:1/x"])
    assert done.exit_code == 1
    assert "does not answer" in done.output
    assert "Traceback" not in done.output
