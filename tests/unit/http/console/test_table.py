"""The one table of the console."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.http.console.table import PHONE_SIZE, Column, Slice, Table, TableRequest, TableState

ROWS = [(f"account-{number:03}.com", number % 7 or None) for number in range(120)]
COLUMNS: list[Column[tuple[str, int | None]]] = [
    Column("account", "Account", lambda row: row[0]),
    Column("seats", "Seats", lambda row: row[1], "number"),
    Column("since", "Since", lambda row: (row[1] or 0) * 1_000, "instant", sortable=False),
]


def table(query: dict[str, str]) -> Table[tuple[str, int | None]]:
    return TableRequest("/console/accounts", query).table(
        "rows", "Rows", COLUMNS, ROWS, sort="account", empty="No row."
    )


def test_a_page_has_twenty_five_rows_and_says_which_of_how_many() -> None:
    shown = table({"rows.page": "5"})
    assert (shown.first, shown.last, shown.total, shown.pages) == (101, 120, 120, 5)
    assert shown.rows[0][0] == "account-100.com"


def test_sizes_are_offered_up_to_the_one_that_takes_all() -> None:
    assert table({}).sizes == [25, 50, 100, 500]
    few = TableRequest("/").table("rows", "Rows", COLUMNS, ROWS[:40], sort="account", empty="No row.")
    assert few.sizes == [25, 50]


def test_numbers_sort_as_numbers_and_missing_ones_come_last_from_the_top() -> None:
    shown = table({"rows.sort": "-seats", "rows.size": "500"})
    assert shown.rows[0][1] == 6
    assert [row[1] for row in shown.rows[-18:]] == [None] * 18


@pytest.mark.parametrize(
    "query",
    [
        {"rows.page": "99999999999999999999"},
        {"rows.page": "-3"},
        {"rows.page": "٣"},
        {"rows.size": "0"},
        {"rows.sort": "password"},
        {"rows.sort": "since"},
    ],
)
def test_what_the_address_says_wrong_is_as_by_default(query: dict[str, str]) -> None:
    shown = table(query)
    assert shown.rows
    assert shown.state.sort == "account"


def test_files_have_the_second_line_of_a_cell_as_a_column_of_its_own() -> None:
    columns: list[Column[tuple[str, int | None]]] = [
        Column("account", "Account", lambda row: row[0], note=lambda row: f"={row[1]}", noted="Seats left")
    ]
    shown = TableRequest("/x", {"rows.size": "1"}).table(
        "rows", "Rows", columns, ROWS[1:], sort="account", empty="No row."
    )
    assert shown.csv() == "Account,Seats left\r\naccount-001.com,'=1\r\n"
    assert shown.records() == [{"account": "account-001.com", "seats_left": "=1"}]


def test_a_page_behind_the_last_is_the_last() -> None:
    assert table({"rows.page": "8"}).first == 101


def test_links_keep_the_state_of_other_tables_and_filters() -> None:
    shown = table({"q": "acme", "rows.page": "2", "others.sort": "-size"})
    assert shown.url(page=3) == "/console/accounts?q=acme&rows.page=3&others.sort=-size"
    assert shown.sort_url(COLUMNS[1]) == "/console/accounts?q=acme&others.sort=-size&rows.sort=-seats"


def test_csv_has_exactly_the_rows_that_are_shown() -> None:
    lines = table({"rows.sort": "-account", "rows.size": "25", "rows.page": "2"}).csv().split("\r\n")
    assert lines[0] == "Account,Seats,Since"
    assert len(lines) == 27
    assert lines[1] == "account-094.com,3,1970-01-01T00:00:03Z"


def test_csv_of_all_has_every_row_in_the_same_order() -> None:
    query = {"rows.sort": "-account", "rows.page": "2", "format": "csv", "table": "rows", "rows": "all"}
    assert table(query).csv().count("account-") == 120


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_a_spreadsheet_runs_no_formula_that_a_producer_wrote(name: str) -> None:
    column: Column[str] = Column("name", "Name", lambda row: row)
    made = TableRequest("/").table("names", "Names", [column], [name], sort="name", empty="No row.")
    assert made.csv().split("\r\n", 1)[1].strip('"').startswith("'")


def test_a_phone_has_ten_rows_and_its_addresses_say_so() -> None:
    shown = TableRequest("/x", {"rows.page": "2"}, PHONE_SIZE).table(
        "rows", "Rows", COLUMNS, ROWS, sort="account", empty="No row."
    )
    assert (shown.first, shown.last, shown.pages) == (11, 20, 12)
    assert shown.url(page=3) == "/x?rows.page=3&rows.size=10"
    assert shown.url(size=50, page=None) == "/x?rows.size=50"
    assert shown.file_url("csv").startswith("/x?rows.page=2&rows.size=10")
    assert shown.sizes == [10, 25, 50, 100, 500]


async def test_of_rows_in_a_database_only_those_of_the_page_are_read() -> None:
    asked: list[TableState] = []

    async def read(state: TableState) -> Slice[Any]:
        asked.append(state)
        return Slice(ROWS[state.start : state.start + state.size], len(ROWS))

    request = TableRequest("/", {"rows.page": "9"})
    shown = await request.paged("rows", "Rows", COLUMNS, read, sort="account", empty="No row.")
    assert [one.page for one in asked] == [9, 5]
    assert shown.last == 120
