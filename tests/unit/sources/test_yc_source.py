"""What the adapter of the Y Combinator directory makes of snapshots and changes."""

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from resegment.errors import ResegmentError
from resegment.identity.domains import registrable_domain
from resegment.sources.providers.yc import Counts, Event, MalformedRow, Row, read, read_files

DIRECTORY = Path(__file__).parents[3] / "examples" / "yc"
SNAPSHOT = DIRECTORY / "snapshot-2021-12-02.jsonl.gz"
CHANGES = DIRECTORY / "changes-2022-2025.jsonl.gz"


def company(number: int, website: str | None, **more: Any) -> dict[str, Any]:
    row = {
        "id": number,
        "name": f"Company {number}",
        "website": website,
        "industry": "B2B Software and Services",
        "subindustry": "B2B Software and Services -> Marketing",
        "team_size": 10,
        "status": "Active",
        "isHiring": False,
        "batch": "W20",
        "top_company": False,
    }
    return {**row, **more}


def changed(number: int, day: str = "2022-04-02", **changes: Any) -> dict[str, Any]:
    pairs = {field: [None, new] for field, new in changes.items()}
    return {"kind": "changed", "observed_on": day, "since": "2021-12-02", "id": number, "changes": pairs}


def appeared(number: int, website: str, day: str) -> dict[str, Any]:
    after = company(number, website)
    return {"kind": "appeared", "observed_on": day, "since": "2021-12-02", "id": number, "after": after}


def disappeared(number: int, day: str) -> dict[str, Any]:
    return {"kind": "disappeared", "observed_on": day, "since": "2021-12-02", "id": number}


def taken(snapshot: Iterable[Row], changes: Iterable[Row] = ()) -> tuple[list[Event], Counts]:
    reading = read(snapshot, changes)
    events: list[Event] = []
    while True:
        try:
            events.append(next(reading))
        except StopIteration as end:
            return events, end.value


def news(events: list[Event], subject: str, day: str, kind: str = "firmographic") -> dict[str, Any] | None:
    found = [
        event["data"]
        for event in events
        if (event["subject"], event["time"][:10], event["type"]) == (subject, day, f"gtm.{kind}.v1")
    ]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.fixture(scope="module")
def directory() -> tuple[list[Event], Counts]:
    return read_files(SNAPSHOT, CHANGES)


def test_a_company_is_first_told_whole_and_then_only_what_differs() -> None:
    events, _ = taken([company(1, "https://a.com")], [changed(1, team_size=25)])
    assert news(events, "https://a.com", "2021-12-02") == {
        "name": "Company 1",
        "industry": "b2b_software",
        "industry_raw": "B2B Software and Services",
        "subindustry": "marketing",
        "employees": 10,
        "status": "active",
        "hiring": False,
        "batch": "W20",
        "top_company": False,
    }
    assert news(events, "https://a.com", "2022-04-02") == {"employees": 25, "observed_since": "2021-12-02"}


def test_a_value_that_is_gone_is_null() -> None:
    events, _ = taken([company(1, "a.com")], [changed(1, team_size=None)])
    assert news(events, "a.com", "2022-04-02") == {"employees": None, "observed_since": "2021-12-02"}


def test_a_relabelled_industry_is_no_news() -> None:
    relabel = changed(1, industry="B2B", subindustry="B2B -> Marketing")
    events, counts = taken([company(1, "a.com")], [relabel])
    assert len(events) == 1
    assert counts.relabelled == 2


def test_another_industry_is_news_with_the_directorys_own_words_beside_it() -> None:
    events, counts = taken([company(1, "a.com")], [changed(1, industry="Fintech", subindustry="Fintech")])
    told = news(events, "a.com", "2022-04-02")
    assert told is not None
    assert (told["industry"], told["industry_raw"], told["subindustry"]) == ("fintech", "Fintech", None)
    assert counts.relabelled == 0


@pytest.mark.parametrize(("before", "after", "change"), [(False, True, "opened"), (True, False, "closed")])
def test_a_turn_of_the_hiring_flag_is_a_hiring_fact_without_invented_detail(
    before: bool, after: bool, change: str
) -> None:
    events, _ = taken([company(1, "a.com", isHiring=before)], [changed(1, isHiring=after)])
    assert news(events, "a.com", "2022-04-02", "hiring") == {
        "change": change,
        "function": "unspecified",
        "observed_since": "2021-12-02",
    }


def test_a_company_that_hires_when_first_seen_opened_nothing() -> None:
    events, counts = taken([company(1, "a.com", isHiring=True)], [])
    assert counts.hiring == 0
    assert events[0]["data"]["hiring"] is True


def test_a_company_that_moves_is_told_whole_at_its_new_domain_and_leaves_word_at_the_old() -> None:
    events, counts = taken(
        [company(1, "old.com")], [changed(1, website="https://www.new.com/", team_size=20)]
    )
    assert news(events, "old.com", "2022-04-02") == {
        "status": "moved",
        "moved_to": "new.com",
        "observed_since": "2021-12-02",
    }
    told = news(events, "https://www.new.com/", "2022-04-02")
    assert told is not None
    assert (told["name"], told["employees"], told["status"]) == ("Company 1", 20, "active")
    assert (counts.companies, counts.accounts, counts.moved) == (1, 2, 1)


def test_a_company_that_only_respells_its_website_does_not_move() -> None:
    events, counts = taken([company(1, "http://a.com")], [changed(1, website="https://www.a.com/")])
    assert (len(events), counts.moved) == (1, 0)


@pytest.mark.parametrize("website", ["", "http://", None, "https://github.com/one", "http://url", "b.com"])
def test_a_company_whose_new_website_is_not_its_own_keeps_its_domain(website: str | None) -> None:
    snapshot = [company(1, "a.com"), company(2, "b.com")]
    events, counts = taken(snapshot, [changed(1, website=website, team_size=11)])
    assert news(events, "a.com", "2022-04-02") == {"employees": 11, "observed_since": "2021-12-02"}
    assert (counts.moved, counts.kept_domain, counts.placed) == (0, 1, 2)


def test_a_domain_that_is_left_goes_to_the_next_company_with_one_snapshot_a_day() -> None:
    snapshot = [company(1, "a.com"), company(2, "b.com")]
    events, counts = taken(snapshot, [changed(2, website="a.com"), changed(1, website="c.com")])
    told = news(events, "a.com", "2022-04-02")
    assert told == {"name": "Company 2", "observed_since": "2021-12-02"}
    assert news(events, "b.com", "2022-04-02") == {
        "status": "moved",
        "moved_to": "a.com",
        "observed_since": "2021-12-02",
    }
    assert counts.moved == 2


def test_a_company_that_comes_back_to_its_domain_is_no_longer_moved() -> None:
    changes = [changed(1, website="b.com"), changed(1, "2023-01-31", website="a.com")]
    events, _ = taken([company(1, "a.com")], changes)
    assert news(events, "a.com", "2023-01-31") == {
        "status": "active",
        "moved_to": None,
        "observed_since": "2021-12-02",
    }


def test_a_company_that_is_dropped_is_delisted_until_it_is_listed_again() -> None:
    changes = [disappeared(1, "2022-04-02"), appeared(1, "a.com", "2023-01-31")]
    events, counts = taken([company(1, "a.com")], changes)
    assert news(events, "a.com", "2022-04-02") == {"status": "delisted", "observed_since": "2021-12-02"}
    assert news(events, "a.com", "2023-01-31") == {"status": "active", "observed_since": "2021-12-02"}
    assert counts.companies == 1


def test_companies_without_a_domain_of_their_own_are_told_apart() -> None:
    snapshot = [
        company(1, "a.com"),
        company(2, "https://www.a.com/two"),
        company(3, "http://"),
        company(4, "https://github.com/four"),
        company(5, "http://url"),
    ]
    events, counts = taken(snapshot)
    assert [event["subject"] for event in events] == ["a.com"]
    assert (counts.placed, counts.shared_with_another, counts.without_website) == (1, 1, 1)
    assert (counts.shared_host, counts.unusable_website) == (1, 1)


def test_of_several_websites_the_first_counts() -> None:
    events, _ = taken([company(1, "https://a.com, https://b.com")])
    assert events[0]["subject"] == "https://a.com"


MALFORMED: list[tuple[Row, str]] = [
    ({**changed(1), "observed_on": "soon"}, "observed_on"),
    ({**changed(1), "since": None}, "since"),
    ({**changed(1), "kind": "renamed"}, "kind"),
    ({**changed(1), "id": "1"}, "id"),
    (changed(99, team_size=1), "id"),
    (disappeared(99, "2022-04-02"), "id"),
    ({**changed(1), "changes": None}, "changes"),
    ({**changed(1), "changes": {"team_size": 5}}, "changes.team_size"),
    (changed(1, team_size="5"), "team_size"),
    (changed(1, team_size=True), "team_size"),
    (changed(1, team_size=-1), "team_size"),
    (changed(1, isHiring=None), "isHiring"),
    ({**appeared(2, "b.com", "2022-04-02"), "after": None}, "after"),
    (changed(1, day="2021-01-01", team_size=1), "observed_on"),
]


@pytest.mark.parametrize(("row", "field"), MALFORMED)
def test_a_malformed_change_names_its_row_and_field(row: Row, field: str) -> None:
    with pytest.raises(MalformedRow) as refused:
        taken([company(1, "a.com")], [changed(1, team_size=11), row])
    assert (refused.value.file, refused.value.row, refused.value.field) == ("changes", 2, field)
    assert isinstance(refused.value, ResegmentError)
    assert refused.value.remedy


def test_a_malformed_company_of_the_snapshot_names_its_row_and_field() -> None:
    with pytest.raises(MalformedRow) as refused:
        taken([company(1, "a.com"), {"id": 2}])
    assert (refused.value.file, refused.value.row, refused.value.field) == ("snapshot", 2, "name")


@pytest.mark.parametrize("line", ["{", "[1]"])
def test_a_line_that_is_no_object_names_its_row(tmp_path: Path, line: str) -> None:
    broken = tmp_path / "changes.jsonl.gz"
    broken.write_bytes(gzip.compress(line.encode()))
    with pytest.raises(MalformedRow) as refused:
        read_files(SNAPSHOT, broken)
    assert (refused.value.file, refused.value.row) == ("changes", 1)


def test_nothing_is_told_before_it_was_observed(directory: tuple[list[Event], Counts]) -> None:
    events, _ = directory
    instants = [event["recordedtime"] for event in events]
    assert instants == sorted(instants)
    assert all(event["time"] == event["recordedtime"] for event in events)
    assert all(event["data"].get("observed_since", "") < event["time"] for event in events)


def test_what_is_told_until_a_day_does_not_depend_on_what_follows() -> None:
    snapshot = [company(1, "a.com"), company(2, "b.com")]
    changes = [
        changed(1, "2022-04-02", website="c.com", isHiring=True),
        changed(2, "2023-01-31", website="a.com"),
        disappeared(1, "2023-03-13"),
    ]
    whole, _ = taken(snapshot, changes)
    for known in range(len(changes) + 1):
        events, _ = taken(snapshot, changes[:known])
        assert events == whole[: len(events)]


def test_every_company_and_event_of_the_real_directory_is_accounted_for(
    directory: tuple[list[Event], Counts],
) -> None:
    events, counts = directory
    never = counts.without_website + counts.unusable_website + counts.shared_host + counts.shared_with_another
    assert counts.companies == counts.placed + never
    assert counts.events == counts.firmographic + counts.hiring == len(events)
    assert counts.accounts == len({registrable_domain(event["subject"]) for event in events})
    assert counts.companies == 5_238
    assert counts.relabelled > 4_800


def test_events_have_ids_of_their_own_that_are_the_same_each_time(
    directory: tuple[list[Event], Counts],
) -> None:
    events, counts = directory
    assert len({event["id"] for event in events}) == len(events)
    assert read_files(SNAPSHOT, CHANGES) == (events, counts)
