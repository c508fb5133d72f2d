"""Whether a saved plan still holds: what time alone moved was foreseen, the rest counts."""

from __future__ import annotations

from resegment.segmentation.planning.drift import News, find_drift, tolerate
from resegment.segmentation.planning.judging import Judgment
from resegment.segmentation.planning.plan import Move, PartitionInstant, Plan, VersionName

CLOCK = 1_000


def plan_of(*moves: tuple[str, str, str], accounts: int = 100) -> Plan:
    return Plan(
        hash="h-1",
        at="2026-01-01T00:00:00Z",
        base=VersionName(number=1, fingerprint="a"),
        target=VersionName(number=None, fingerprint="b"),
        changes="segments",
        accounts=accounts,
        moves=tuple(Move(*one) for one in moves),
    )


def seen(
    account: str,
    *,
    news: int,
    latest: int = 1,
    before: str = "hot",
    entered: int = 0,
    came_from: str | None = None,
) -> Judgment:
    return Judgment(
        account=account,
        before=before,
        after=before,
        renamed=False,
        change=None,
        gate_change=None,
        gates=((), ()),
        values=[],
        news=news,
        latest=latest,
        entered=entered,
        came_from=came_from,
        due=(),
    )


def news_of(*judgments: Judgment) -> News:
    news = News([PartitionInstant(number=0, offset=1, clock=CLOCK, digest="", latest={"at.com": 1})])
    for one in judgments:
        news.note(one, 0)
    return news


def test_the_same_moves_are_no_drift() -> None:
    plan = plan_of(("a.com", "hot", "warm"))
    drift = find_drift(plan, plan, news_of(seen("a.com", news=CLOCK + 1)))
    assert (drift.foreseen, drift.unforeseen) == (0, ())


def test_a_move_that_time_alone_took_away_was_foreseen() -> None:
    drift = find_drift(plan_of(("a.com", "hot", "warm")), plan_of(), news_of(seen("a.com", news=CLOCK - 1)))
    assert (drift.foreseen, drift.unforeseen) == (1, ())


def test_a_move_that_a_fact_took_away_counts() -> None:
    drift = find_drift(plan_of(("a.com", "hot", "warm")), plan_of(), news_of(seen("a.com", news=CLOCK + 1)))
    (one,) = drift.unforeseen
    assert (one.account, one.how) == ("a.com", "was planned to move from hot to warm, and would not move now")


def test_a_move_that_a_fact_brought_counts() -> None:
    drift = find_drift(plan_of(), plan_of(("a.com", "hot", "warm")), news_of(seen("a.com", news=CLOCK + 1)))
    (one,) = drift.unforeseen
    assert one.how == "was not planned to move, and would move from hot to warm now"


def test_an_account_that_a_fact_moved_meanwhile_counts_though_no_plan_moves_it() -> None:
    moved = seen("a.com", news=CLOCK + 1, before="warm", entered=CLOCK + 1, came_from="hot")
    (one,) = find_drift(plan_of(), plan_of(), news_of(moved)).unforeseen
    assert one.how == "moved from hot to warm since the plan"


def test_an_account_seen_for_the_first_time_since_is_no_drift() -> None:
    new = seen("a.com", news=CLOCK + 1, entered=CLOCK + 1)
    assert find_drift(plan_of(), plan_of(), news_of(new)).unforeseen == ()


def test_twenty_accounts_or_one_percent_may_depart() -> None:
    assert [tolerate(accounts) for accounts in (0, 100, 2_000, 2_100, 50_000)] == [20, 20, 20, 21, 500]


def test_one_departure_more_than_tolerated_is_too_much() -> None:
    names = [f"a{number}.com" for number in range(21)]
    moves = [(name, "hot", "warm") for name in names]
    news = news_of(*(seen(name, news=CLOCK + 1) for name in names))
    assert not find_drift(plan_of(*moves[:20]), plan_of(), news).is_too_much
    drift = find_drift(plan_of(*moves), plan_of(), news)
    assert drift.is_too_much
    assert drift.flows() == [("was planned to move from hot to warm, and would not move now", 21)]


def test_a_fact_at_the_very_instant_of_the_plan_counts_only_if_the_plan_did_not_know_it() -> None:
    known, more = seen("at.com", news=CLOCK), seen("at.com", news=CLOCK, latest=2)
    other = seen("other.com", news=CLOCK)
    assert [news_of(one).known for one in (known, more, other)] == [set(), {"at.com"}, {"other.com"}]
