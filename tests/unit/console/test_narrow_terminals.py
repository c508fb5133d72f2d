"""At 80 columns no column that matters is lost."""

import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from resegment.agents.batch import RecordedMessage
from resegment.console.definition.summary import chart_width
from resegment.console.definition.summary import render as render_summary
from resegment.console.operations.accounts import render as render_accounts
from resegment.console.operations.changes import render as render_change
from resegment.console.operations.dead_letters import render_list
from resegment.console.operations.owners import MemberRow, TeamRow, render_owners, render_waits
from resegment.console.operations.routing import render_accounts as render_routing
from resegment.console.operations.routing import render_history, render_received
from resegment.console.operations.status import render as render_status
from resegment.routing.policy import Policy
from resegment.routing.staffing.past import PastDecision
from resegment.routing.staffing.waiting import WaitCounts
from resegment.schemas.routing import Enrollment, RoutedState, RouteSnapshot, Target
from resegment.schemas.times import parse_instant
from resegment.segmentation.inspection.entry_time import EntryTime
from resegment.segmentation.inspection.summary import Move, summarise
from resegment.state.partition_store import Position
from resegment.state.redis.reader import PartitionLook, PlacedAccount
from resegment.streams.heartbeat import WorkerLook
from resegment.streams.operations.dead_letters import DeadLetter, DeadLetterCount
from resegment.streams.operations.overview import Overview
from tests.builders import definition_of
from tests.oracle.cases import segments

WIDTH = 80
NOON = parse_instant("2026-11-24T12:00:00Z")
ACCOUNT = "a-company-with-a-long-name.example.com"
SEGMENT = "enterprise-accounts-in-market-now"


def shown(what: RenderableType) -> str:
    output = io.StringIO()
    Console(file=output, width=WIDTH, color_system=None).print(what)
    return output.getvalue()


def joined(text: str) -> str:
    """The text without what wrapping puts in."""
    return "".join(text.split())


def test_a_routed_account_keeps_its_reason() -> None:
    state = RoutedState(
        decision="suppressed", why="do-not-contact: list of partners and resellers", since=NOON, attempt=NOON
    )
    text = shown(render_routing([(ACCOUNT, state)]))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "Nov 24, 2026" in text
    for word in ("partners", "resellers", "contact"):
        assert word in text


def test_a_history_and_what_an_owner_got_keep_their_reasons() -> None:
    why = "leadership (change = joined, role in cro, vp_sales) within 90d on Nov 20, 2026 (clay)"
    one = PastDecision(NOON, "never-again", SEGMENT, "outbound-" + SEGMENT, "Bartholomew Featherstone", why)
    state = RoutedState(decision="enrolled")
    for table in (render_history([one, one]), render_received("Ann", [(ACCOUNT, one, state)])):
        text = shown(table)
        assert max(map(len, text.splitlines())) <= WIDTH
        for word in ("leadership", "joined", "vp_sales", "clay"):
            assert word in text


def test_an_enrolled_account_says_by_which_tests() -> None:
    tests = b'[{"test": "employees >= 50", "value": 60}]'
    target = Target("1", 1, NOON, SEGMENT, True, None, None, False, evidence=tests)
    running = Enrollment(
        "1", "outbound-" + SEGMENT, SEGMENT, 1, NOON, "stop", owner="Bartholomew Featherstone"
    )
    state = RoutedState(decision="enrolled", why="x", since=NOON, target=target, enrollment=running)
    text = shown(render_routing([(ACCOUNT, state)]))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "employees" in text
    assert ">=" in text


def test_a_summary_keeps_the_numbers_of_moves() -> None:
    names = (SEGMENT, "another-" + SEGMENT)
    moves = [
        Move(NOON + day * 86_400_000, f"{day % 7}.com", day, names[day % 2], names[1 - day % 2])
        for day in range(1_001)
    ]
    text = shown(render_summary(summarise(moves, names, buckets=chart_width(WIDTH, names))))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "501" in text
    assert "500" in text


def change(**given: Any) -> dict[str, Any]:
    return {
        "account": ACCOUNT,
        "from": SEGMENT,
        "to": "customers-of-a-competitor",
        "effective_at": "2026-11-24T12:00:00Z",
        "cause": {"events": ["e1"]},
        "reason": {"holds": [{"test": "funding (round in [series_a, series_b]) within 180d", "value": True}]},
        "supersedes": None,
        **given,
    }


def test_a_change_keeps_its_target_and_its_reason_on_lines_of_their_own() -> None:
    text = shown(render_change(change(), width=WIDTH))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "→ customers-of-a-competitor" in " ".join(text.split())
    assert "funding (round in [series_a, series_b]) within 180d: true" in text


def test_a_change_that_fits_is_one_line() -> None:
    short = change(**{"account": "a.com", "from": "cold", "to": "hot", "reason": {"holds": []}})
    assert len(render_change(short, width=WIDTH).plain.splitlines()) == 1
    assert len(render_change(change()).plain.splitlines()) == 1


def test_a_list_of_accounts_keeps_names_and_times() -> None:
    entry = EntryTime(NOON - 86_400_000, limited=True)
    text = shown(render_accounts([PlacedAccount(NOON, ACCOUNT, SEGMENT)], {ACCOUNT: entry}, NOON))
    assert "Nov 23, 2026, 12:00 PM" in text
    assert "≥ 24 h" in text
    text = shown(render_accounts([PlacedAccount(NOON, ACCOUNT, SEGMENT)], {}, NOON + 86_400_000 * 3))
    assert "Nov 24, 2026, 12:00 PM" in text
    assert "3 d" in text
    for part in (ACCOUNT, SEGMENT):
        assert joined(part)[-4:] in joined(text)


@pytest.mark.parametrize("reason", ["not-a-company", "wrong-envelope"])
def test_a_dead_letter_keeps_its_id_and_what_is_wrong(reason: str) -> None:
    letter = DeadLetter(
        id="a-long-prefix.triggers.firmographic:11:1207000",
        about={
            "reason": reason,
            "field": "subject",
            "message": "the subject 'x' is not the domain of a company: it has no dot",
        },
        original=b"{}",
        refused_at=NOON,
        record=RecordedMessage(0, NOON, None, b"{}"),
    )
    text = shown(render_list([letter]))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert letter.id in text
    assert reason in text
    assert "subject: the subject 'x' is not the domain of a company: it has no dot" in text


def test_the_status_keeps_its_figures() -> None:
    looks = [
        PartitionLook(
            number=number,
            position=Position(offset=5, clock=NOON, commit=3),
            accounts=1_234_567,
            sizes={SEGMENT: 400_000},
            outbox=1_200,
            waiting_since=NOON - 42_000,
            deadlines=2,
            due=1_234,
            next_deadline=NOON - 70_000,
        )
        for number in range(2)
    ]
    worker = WorkerLook(
        "resegment-worker-7f9c6d5b4-x2k9q:1:ab12cd", (0, 1), {"p.triggers.firmographic": 30_000}, 1_000
    )
    seen = Overview("p", "wall", "da656922ae38", NOON, [worker], looks, DeadLetterCount())
    text = shown(render_status(seen))
    assert max(map(len, text.splitlines())) <= WIDTH
    for figure in ("1,234,567", "1,200 (42 s)", "1,234", "70 s ago", "0 s ago", "30,000"):
        assert figure in text
    assert "…" not in text


@pytest.mark.parametrize(
    ("letters", "told"),
    [
        (DeadLetterCount(), "No dead letters."),
        (DeadLetterCount(retried=3), "No dead letters wait; 3 were sent again."),
        (
            DeadLetterCount(retried=1, older=1_200),
            "No dead letters wait; 1 was sent again; 1,200 older records of their topic not counted.",
        ),
        (
            DeadLetterCount({"not-a-company": 2}, retried=1),
            "Dead letters: 2 (not-a-company 2); 1 was sent again",
        ),
    ],
)
def test_the_status_says_whether_dead_letters_wait_or_were_sent_again(
    letters: DeadLetterCount, told: str
) -> None:
    text = shown(render_status(Overview("p", "wall", "da656922ae38", NOON, [], [], letters)))
    assert told in " ".join(text.split())


def test_why_accounts_wait_fits() -> None:
    waits = WaitCounts(Policy(definition_of(segments(hot={"event": "funding"}))))
    for number, decision in enumerate(["suppressed", "capped", "cooldown", "held", "waiting", "quiet"]):
        route = RouteSnapshot(f"a-workflow-with-a-long-name-{number}", team="enterprise")
        target = Target("c", 1, NOON, "hot", True, route, None, False)
        for _ in range(number + 1):
            waits.take(RoutedState(target=target, decision=decision, since=NOON))  # type: ignore[arg-type]
    text = shown(render_waits(waits))
    assert max(map(len, text.splitlines())) <= WIDTH
    for part in ("15 accounts", "limit of the day", "suppressed", "a suppression applies", "quiet"):
        assert part in " ".join(text.split())


def test_a_table_of_owners_keeps_names_and_figures() -> None:
    member = MemberRow("Alexandra Papadopoulou-Smith", 2, 1_200, 1_500, away_today=True, gone=False)
    text = shown(render_owners([TeamRow("outbound-sales-emea-enterprise", [member], 7, 4, 5)]))
    assert max(map(len, text.splitlines())) <= WIDTH
    for part in (
        "1,200",
        "1,500",
        "away today",
        "weight",
        "capacity",
        "4 of 5 today, wait: limit of the day 7",
    ):
        assert part in " ".join(text.split())
    assert "…" not in text
