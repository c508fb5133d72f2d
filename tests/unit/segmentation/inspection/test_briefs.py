"""Briefs: what somebody is told before they talk to an account."""

import io
from typing import Any

import msgspec
import pytest
from rich.console import Console

from resegment.console.definition.brief import render
from resegment.schemas.logs.state_log import encode_state
from resegment.schemas.times import parse_instant
from resegment.segmentation.definition import read_definition
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import order_of_delivery, replay_account
from resegment.segmentation.inspection.briefs import Brief, Coming, Contact, describe_brief, write_brief
from resegment.segmentation.plays.phrases import tell_fact
from tests.events import read_fact

FILE = """
version: 1
traits:
  raised_1y: {sum: funding, field: amount_usd, within: 365d}
  growth_1y: {growth: employees, over: 365d}
segments:
  - name: first-sellers
    hypothesis: Money and no playbook.
    when:
      all:
        - industry: fintech
        - {event: funding, where: {round: [seed, series_a]}, within: 180d}
        - {event: hiring, where: {change: opened, function: sales}, within: 60d, count: {gte: 2}}
        - not: {event: engagement, where: {action: unsubscribe}, within: 365d}
        - any: [{raised_1y: {gte: 1000000}}, {employees: {gte: 5000}}]
    play: playbook
    route: {workflow: founder-led, team: startups, qualification: fast}
  - name: growing
    when: {growth_1y: {gte: 0.2}}
    hold: {min_dwell: 30d}
    play: playbook
    route: {workflow: scale}
fallback: {name: not-now, route: {workflow: nurture}}
suppression: [do-not-contact, open-opportunities]
teams: {startups: {}}
plays:
  playbook:
    description: Help a founder hand over selling.
    message:
      pain: With {{ raised_1y | money }}, still one seller.
      value_prop: A playbook.
      proof_points: [Live in a month., "{% if employees is defined %}For all {{ employees }}.{% endif %}", "{{ 1 / 0 }}"]
      objections: [Too early., {objection: No budget., response: "{{ industry | default('It') }} pays for it."}]
    personas:
      - founder
      - {titles: [VP Sales, CRO], cares_about: [Forecast, Ramp], message: "Hi {{ name | default('there') }}"}
    channels: {primary: email, secondary: [linkedin, phone], touches: 6, over: 21d}
    assets: ["guide-{{ account }}"]
personas:
  founder: {titles: [CEO], cares_about: Runway, message: "{{ name | default(account) }} sells itself?"}
"""


def fact(kind: str, day: str, **data: Any) -> Any:
    return read_fact(
        {
            "specversion": "1.0",
            "id": f"{kind}-{day}",
            "source": "crunchbase",
            "type": f"gtm.{kind}.v1",
            "subject": "acme.com",
            "time": f"{day}T09:00:00Z",
            "data": data,
        }
    )


HISTORY = [
    fact("firmographic", "2026-01-05", industry="fintech", employees=60, name="Acme"),
    fact("funding", "2026-03-03", round="series_a", amount_usd=12_000_000),
    fact("hiring", "2026-03-20", change="opened", function="sales"),
    fact("hiring", "2026-03-25", change="opened", function="sales"),
]


def replay(day: str, facts: list[Any] = HISTORY) -> tuple[Engine, Account, int]:
    engine = Engine(Program(read_definition([("segments.yaml", FILE)])))
    t = parse_instant(f"{day}T09:00:00Z")
    account, _ = replay_account(engine, "acme.com", order_of_delivery(facts), t)
    return engine, account, t


def brief(day: str, facts: list[Any] = HISTORY) -> Brief:
    return write_brief(*replay(day, facts))


def show(shown: Brief) -> str:
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    console.print(render(shown))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_brief_says_what_to_say_to_whom_and_where() -> None:
    found = brief("2026-04-01")
    assert (found.account, found.name, found.segment) == ("acme.com", "Acme", "first-sellers")
    assert found.since == "2026-03-25T09:00:00Z"
    assert found.hypothesis == "Money and no playbook."
    assert found.pain == "With $12M, still one seller."
    assert found.proof_points == ("Live in a month.", "For all 60.")
    assert [(one.objection, one.response) for one in found.objections] == [
        ("Too early.", None),
        ("No budget.", "fintech pays for it."),
    ]
    assert found.personas == (
        Contact(name="founder", titles=("CEO",), cares_about=("Runway",), message="Acme sells itself?"),
        Contact(titles=("VP Sales", "CRO"), cares_about=("Forecast", "Ramp"), message="Hi Acme"),
    )
    assert found.channels is not None
    assert (found.channels.secondary, found.channels.over) == (("linkedin", "phone"), "21 days")
    assert found.assets == ("guide-acme.com",)
    assert (found.workflow, found.team, found.qualification) == ("founder-led", "startups", "fast")
    assert found.next == Coming(at="2026-05-19T09:00:00Z", to="not-now", text=found.next.text)  # type: ignore[union-attr]
    assert [one.partition(":")[0] for one in found.problems] == ["message.proof_points[2]"]


def test_why_now_is_one_sentence_for_each_test_that_holds_what_happened_first() -> None:
    assert [one.text for one in brief("2026-04-01").why_now] == [
        "raised a Series A of $12M on Mar 3, 2026 (crunchbase)",
        "opened 2 sales jobs in the last 60 days, last on Mar 25, 2026 (crunchbase)",
        "industry fintech",
        "raised $12M in the last 365 days",
        "nobody unsubscribed in the last 365 days",
    ]


def test_a_sentence_names_its_test_and_its_facts() -> None:
    ground = brief("2026-04-01").why_now[0]
    assert ground.test == "funding (round in [seed, series_a]) within 180d"
    assert [one["id"] for one in ground.evidence] == ["funding-2026-03-03"]


def test_a_segment_that_only_hold_keeps_tells_what_still_holds() -> None:
    grown = [
        fact("firmographic", "2025-01-05", employees=50),
        fact("firmographic", "2026-01-05", employees=60),
    ]
    assert [one.text for one in brief("2026-01-06", grown).why_now] == ["employees grew by 20% in 365 days"]
    kept = brief("2026-01-08", [*grown, fact("firmographic", "2026-01-07", employees=None)])
    assert (kept.segment, kept.why_now) == ("growing", ())
    assert kept.proof_points == ("Live in a month.",)
    assert kept.pain == "With $0, still one seller."


def test_a_segment_without_a_play_says_nothing() -> None:
    found = brief("2026-01-06")
    assert (found.segment, found.play, found.pain, found.workflow) == ("not-now", None, None, "nurture")
    assert "No play" in show(found)


def test_who_must_not_be_contacted_is_told_first() -> None:
    found = brief("2026-04-02", [*HISTORY, fact("outcome", "2026-04-01", action="unsubscribed")])
    assert found.suppressed_by == ("do-not-contact",)
    assert "Do not contact" in show(found).splitlines()[2]


def test_who_works_an_open_deal_gets_a_brief_for_that() -> None:
    opened = [
        fact("outcome", "2026-03-20", action="opportunity_created", deal="D-1"),
        fact("outcome", "2026-03-21", action="opportunity_created", deal="D-2"),
        fact("outcome", "2026-03-22", action="lost", deal="D-2"),
    ]
    found = brief("2026-04-02", [*HISTORY, *opened])
    assert found.suppressed_by == ("open-opportunities",)
    assert [(one.deal, one.since) for one in found.open_deals] == [("D-1", "2026-03-20T09:00:00Z")]
    text = show(found)
    assert "Deal open since Mar 20, 2026 (D-1): don't prospect; here is what we know" in text
    assert "Do not contact" not in text
    assert found.why_now
    assert brief("2026-04-02", [*HISTORY, opened[1], opened[2]]).open_deals == ()


def test_an_opt_out_says_do_not_contact_also_while_a_deal_is_open() -> None:
    both = [
        fact("outcome", "2026-03-20", action="opportunity_created"),
        fact("outcome", "2026-04-01", action="unsubscribed"),
    ]
    text = show(brief("2026-04-02", [*HISTORY, *both]))
    assert "Do not contact: suppressed by do-not-contact" in text
    assert "Deal open since Mar 20, 2026: don't prospect" in text


def test_a_brief_leaves_the_account_as_it_is() -> None:
    engine, account, t = replay("2026-04-01")
    before = encode_state(engine.close(account))
    write_brief(engine, account, t)
    assert encode_state(engine.close(account)) == before


def test_a_brief_is_shown_to_people_and_to_programs() -> None:
    found = brief("2026-04-01")
    shown = show(found)
    for text in (
        "acme.com  Acme",
        "in first-sellers since Mar 25, 2026",
        "opened 2 sales jobs",
        "With $12M, still one seller.",
        "“No budget.”",
        "fintech pays for it.",
        "VP Sales, CRO  cares about: Forecast; Ramp",
        "email, then linkedin and phone: 6 touches over 21 days",
        "leaves first-sellers on May 19, 2026",
        "left out: message.proof_points[2]",
    ):
        assert text in shown
    assert "None" not in shown
    assert msgspec.convert(describe_brief(found), Brief) == found


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("funding", {}, "raised money"),
        (
            "funding",
            {"round": "seed", "amount": 2_000_000, "currency": "EUR"},
            "raised a seed round of €2M",
        ),
        ("funding", {"round": "series_b", "lead_investors": ["A", "B"]}, "raised a Series B led by A, B"),
        ("funding", {"round": "ipo", "amount_usd": 1e9}, "went public, raising $1B"),
        ("funding", {"round": "debt"}, "raised debt"),
        ("funding", {"round": "bridge"}, "raised a bridge round"),
        ("hiring", {}, "opened a job"),
        ("hiring", {"change": "closed", "function": "sales_ops"}, "closed a sales ops job"),
        ("hiring", {"function": "engineering", "title": "SRE"}, "opened an engineering job (SRE)"),
        ("hiring", {"function": "unspecified"}, "opened a job"),
        ("leadership", {"change": "joined", "role": "vp_sales"}, "hired a new VP Sales"),
        ("leadership", {"change": "joined", "role": "cro", "person": "Ada"}, "hired Ada as CRO"),
        ("leadership", {"change": "left", "role": "cmo"}, "lost its CMO"),
        ("leadership", {"change": "promoted", "role": "cto", "person": "Ada"}, "made Ada its CTO"),
        ("leadership", {}, "hired a new leader"),
        ("tech", {"change": "added", "technology": "dbt", "category": "data"}, "started to use dbt (data)"),
        ("tech", {"change": "removed", "category": "crm"}, "stopped using a crm tool"),
        ("tech", {}, "uses a technology"),
        ("intent", {"topic": "sales_playbooks", "score": 90}, "researched sales playbooks (score 90)"),
        ("intent", {}, "researched what we offer"),
        ("strategy", {"theme": "enterprise_sales"}, "named enterprise sales a priority"),
        ("engagement", {"action": "demo_request"}, "asked for a demo"),
        ("engagement", {"action": "sent_flowers"}, "engaged with us: sent flowers"),
        ("outcome", {"action": "meeting_booked"}, "booked a meeting"),
        ("outcome", {}, "answered: something"),
        (
            "firmographic",
            {"employees": 60, "gone": None, "odd": {"a": 1}},
            "is now known to have employees 60",
        ),
        ("party", {}, "party: is known better"),
    ],
)
def test_every_kind_of_fact_has_words(kind: str, data: dict[str, Any], words: str) -> None:
    assert tell_fact(kind, data) == words
