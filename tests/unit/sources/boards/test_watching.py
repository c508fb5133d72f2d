"""Which changes come out of looks at a board, compared with a naive reading of all looks at once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.errors import RefusedEvent
from resegment.schemas.times import format_instant
from resegment.sources.adapters.port import Context
from resegment.sources.boards.watching import BoardState, observe
from resegment.sources.conversion import Source, convert_files
from resegment.sources.registry import find_adapter
from resegment.sources.state import SourceState
from tests.unit.sources.adapting import convert, sort_out

DAY = 86_400_000
START = 1_767_225_600_000


def job(number: int, role: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "internal_job_id": number if role is None else role,
        "title": f"Account Executive {number}",
        **more,
    }


def look(*looks: Any, confirm: int = 2, first_day: int = 0) -> list[tuple[str, str, str, str]]:
    """Return change, role, time and recorded time of the changes that one look a day gives."""
    adapter = find_adapter("greenhouse")
    assert adapter.snapshots is not None
    state: BoardState | None = None
    found = []
    for day, answer in enumerate(looks, first_day):
        at = START + day * DAY
        for snapshot in adapter.snapshots(answer, Context(at=at)):
            if isinstance(snapshot, RefusedEvent):
                continue
            try:
                state, changes = observe(state, snapshot, at, confirm)
            except RefusedEvent:
                continue
            found += [
                (
                    one.change,
                    str(one.data["job"]),
                    format_instant(one.time)[:10],
                    format_instant(one.recorded)[:10],
                )
                for one in changes
            ]
    return found


def board(*jobs: dict[str, Any]) -> dict[str, Any]:
    return {"jobs": list(jobs), "meta": {"total": len(jobs)}}


def test_a_job_is_opened_when_it_was_published_and_known_when_it_was_seen() -> None:
    published = job(1, first_published="2025-12-24T09:00:00-05:00", updated_at="2026-01-01T00:00:00Z")
    assert look(board(published)) == [("opened", "1", "2025-12-24", "2026-01-01")]


def test_a_job_is_closed_by_the_second_look_that_lacks_it_at_the_time_of_the_first() -> None:
    both, one = board(job(1), job(2)), board(job(2))
    changes = look(both, one, one)
    assert changes[-1] == ("closed", "1", "2026-01-02", "2026-01-03")


def test_a_job_that_one_look_lacks_never_left() -> None:
    both, one = board(job(1), job(2)), board(job(2))
    assert len(look(both, one, both, one, both)) == 2


def test_a_job_that_comes_back_after_it_was_closed_is_reopened() -> None:
    both, one = board(job(1), job(2)), board(job(2))
    assert look(both, one, one, both)[-1] == ("reopened", "1", "2026-01-04", "2026-01-04")


def test_postings_of_one_role_count_once() -> None:
    assert len(look(board(job(1, role=7), job(2, role=7)))) == 1
    assert look(board(job(1, role=7)), board(job(2, role=7))) == [("opened", "7", "2026-01-01", "2026-01-01")]


@pytest.mark.parametrize(
    "failure",
    [
        {"status": 404, "error": "Job not found"},
        {"ok": False, "error": "gone"},
        [],
        {"jobs": []},
        {"jobs": ["x"]},
        "broken",
        None,
    ],
)
def test_a_failed_or_empty_answer_is_no_news(failure: Any) -> None:
    one, other = board(job(1), job(2)), board(job(2))
    assert look(one, failure, failure, failure, one) == look(one)
    assert [change[0] for change in look(one, other, failure, other)][-1] == "closed"


def test_a_sudden_halving_is_confirmed_by_the_next_look() -> None:
    many, few = board(*(job(one) for one in range(10))), board(*(job(one) for one in range(4)))
    assert Counter(change[0] for change in look(many, few)) == {"opened": 10}
    assert Counter(change[0] for change in look(many, few, few)) == {"opened": 10, "closed": 6}


def test_a_page_of_a_longer_list_closes_nothing() -> None:
    page = {"jobs": [job(2)], "meta": {"total": 9}}
    assert len(look(board(job(1), job(2)), page, page, page)) == 2


def test_a_look_that_is_not_later_than_the_last_one_is_no_news() -> None:
    adapter = find_adapter("greenhouse")
    assert adapter.snapshots is not None
    (snapshot,) = adapter.snapshots(board(job(1)), Context())
    assert not isinstance(snapshot, RefusedEvent)
    state, _ = observe(None, snapshot, START)
    with pytest.raises(RefusedEvent) as error:
        observe(state, snapshot, START)
    assert error.value.reason == "no-news"


def test_an_empty_first_look_may_be_a_failure_and_two_in_a_row_are_an_empty_board() -> None:
    adapter = find_adapter("greenhouse")

    def first_seen(*looks: Any) -> list[bool]:
        source, found = Source(adapter, Context(account="acme.com"), state=SourceState()), []
        assert adapter.snapshots is not None
        state: BoardState | None = None
        for day, answer in enumerate(looks):
            (snapshot,) = adapter.snapshots(answer, source.context)
            assert not isinstance(snapshot, RefusedEvent)
            state, changes = observe(state, snapshot, START + day * DAY)
            found += [one.first_seen for one in changes]
        return found

    assert first_seen(board(), board(job(1))) == [True]
    assert first_seen(board(), board(), board(job(1))) == [False]
    assert first_seen(board(), board(job(1)), board(job(1), job(2))) == [True, False]


LOOKS = st.lists(
    st.one_of(
        st.sets(st.integers(1, 6), min_size=1),
        st.sampled_from(["failed", "empty"]),
    ),
    min_size=1,
    max_size=14,
)


@given(LOOKS, st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_the_changes_are_those_of_a_naive_reading(looks: list[Any], confirm: int) -> None:
    answers = [
        {"error": "x"}
        if one == "failed"
        else board()
        if one == "empty"
        else board(*(job(n) for n in sorted(one)))
        for one in looks
    ]
    found = {(change, role, recorded) for change, role, _, recorded in look(*answers, confirm=confirm)}
    assert found == naive(looks, confirm)


def naive(looks: list[Any], confirm: int) -> set[tuple[str, str, str]]:
    """Judge each role alone, by the row of looks that are news."""
    shown: dict[int, Any] = {}
    for day, one in enumerate(looks):
        is_open = any(_open_after(shown, role, confirm) for role in range(1, 7))
        if one == "failed" or (one == "empty" and is_open):
            continue
        shown[day] = set() if one == "empty" else one
    changes = set()
    for role in range(1, 7):
        for change, day in _course(shown, role, confirm):
            changes.add((change, str(role), format_instant(START + day * DAY)[:10]))
    return changes


def _course(shown: dict[int, Any], role: int, confirm: int) -> list[tuple[str, int]]:
    course: list[tuple[str, int]] = []
    missing = 0
    for day in sorted(shown):
        here = role in shown[day]
        missing = 0 if here else missing + 1
        last = course[-1][0] if course else None
        if here and last in (None, "closed"):
            course.append(("opened" if last is None else "reopened", day))
        elif not here and last in ("opened", "reopened") and missing == confirm:
            course.append(("closed", day))
    return course


def _open_after(shown: dict[int, Any], role: int, confirm: int) -> bool:
    course = _course(shown, role, confirm)
    return bool(course) and course[-1][0] != "closed"


@pytest.mark.parametrize("system", ["greenhouse", "lever", "ashby", "workable", "smartrecruiters"])
def test_random_failures_close_nothing_that_is_open(system: str, tmp_path: Any) -> None:
    answers = {
        "greenhouse": {"jobs": [job(1)]},
        "lever": [{"id": "1", "text": "AE", "createdAt": START}],
        "ashby": {"jobs": [{"id": "1", "title": "AE"}]},
        "workable": {"jobs": [{"shortcode": "1", "title": "AE"}]},
        "smartrecruiters": {"content": [{"id": "1", "name": "AE"}]},
    }
    source = Source(find_adapter(system), Context(account="acme.com"), state=SourceState())
    changes = []
    for day, answer in enumerate(
        [
            answers[system],
            {"error": 404},
            [],
            {},
            "<html>",
            answers[system],
            None,
            {"ok": False},
            answers[system],
        ]
    ):
        file = tmp_path / f"{day}.json"
        file.write_text(str(answer) if isinstance(answer, str) else orjson.dumps(answer).decode())
        at = Source(source.adapter, Context(account="acme.com", at=START + day * DAY), state=source.state)
        changes += sort_out(item for _, _, item in convert_files([str(file)], at)).facts
    assert [one.data["change"] for one in changes] == ["opened"]
    assert changes[0].data["first_seen"] is True


def test_a_board_is_that_of_the_domain_of_its_name_or_of_its_own_job_pages() -> None:
    boards = {"acme": {"jobs": [job(1, first_published="2026-01-01T00:00:00Z")]}, "other": {"jobs": [job(2)]}}
    found = convert("greenhouse", boards, accounts={"acme": "acme.com"})
    assert [(one.account, one.data["job"]) for one in found.facts] == [("acme.com", "1")]
    assert found.refused == [("no-account", "board")]
    own = board(
        job(1, absolute_url="https://www.acme.io/careers?gh_jid=1", first_published="2026-01-01T00:00:00Z")
    )
    assert convert("greenhouse", own).only().account == "acme.io"


def test_what_updated_at_says_is_never_the_time_of_an_opening() -> None:
    found = convert("greenhouse", board(job(1, updated_at="2026-01-01T00:00:00Z")), account="acme.com")
    assert found.refused == [("no-time", "at")]
