"""A command says why: the tests, the facts behind them and their times, who to talk to, and what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from resegment.console.definition.contracts import schema
from resegment.routing.commands import shorten_reason, tell_reason
from resegment.schemas.logs.decision_log import MOST
from resegment.schemas.routing import GatesChanged, Reassign
from resegment.schemas.shrinking import MAX_COMMAND, fit_command
from resegment.schemas.times import parse_instant
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import order_of_delivery, replay_account
from resegment.streams.kafka.topics import Topics
from resegment.streams.message_factory import MessageFactory
from tests.builders import Routing, definition_of
from tests.events import read_fact

FILE: dict[str, Any] = {
    "version": 1,
    "suppression": ["customers"],
    "segments": [
        {
            "name": "new-leader",
            "when": {
                "all": [
                    {"event": "leadership", "where": {"change": "joined"}, "within": "90d"},
                    {"employees": {"gte": 50}},
                ]
            },
            "play": "talk",
            "route": {"workflow": "exec", "team": "sales", "qualification": "fast"},
        }
    ],
    "fallback": {"name": "rest", "play": "talk"},
    "teams": {"sales": {"members": ["Ann", "Bo"]}},
    "qualifications": {"fast": {"sla": "4h"}},
    "personas": {"leader": {"titles": ["CRO", "VP Sales"], "message": "Hi, {{ name | default(account) }}"}},
    "plays": {
        "talk": {
            "message": {"pain": "p", "value_prop": "v", "proof_points": ["x"]},
            "channels": {"primary": "email"},
            "personas": ["leader"],
            "cta": "A call of 20 minutes",
        }
    },
}
JOINED, LEAVES = "2026-03-03T00:00:00Z", "2026-06-01T00:00:00Z"


def changes(*facts: Any) -> list[bytes]:
    definition = definition_of(FILE)
    found = replay_account(
        Engine(Program(definition)), "acme.com", order_of_delivery(facts), parse_instant(JOINED)
    )[1]
    factory = MessageFactory(definition, Topics())
    return [factory.change(one).value or b"" for one in found]


def trigger(kind: str, day: str, **data: Any) -> Any:
    return read_fact(
        {
            "specversion": "1.0",
            "id": f"{kind}-{day}",
            "source": "clay",
            "type": f"gtm.{kind}.v1",
            "subject": "acme.com",
            "time": f"{day}T00:00:00Z",
            "data": data,
        }
    )


def facts() -> Sequence[Any]:
    return (
        trigger("firmographic", "2026-03-01", employees=60, name="Acme"),
        trigger("leadership", "2026-03-03", change="joined", role="cro"),
    )


async def routed() -> tuple[Routing, dict[str, Any]]:
    routing = Routing(definition_of(FILE), now=parse_instant("2026-03-03T01:00:00Z"))
    await routing.take()
    made = await routing.follow(*changes(*facts()))
    (command,) = [one for one in made if one["action"] == "enroll"]
    return routing, command


async def test_an_enroll_says_which_facts_put_the_account_there_and_when() -> None:
    _, command = await routed()
    event, value = command["why"]
    assert (event["test"], event["facts"]) == ("leadership (change = joined) within 90d", 1)
    (fact,) = event["evidence"]
    assert (fact["kind"], fact["time"], fact["data"]["change"]) == ("leadership", JOINED, "joined")
    assert value == {"test": "employees >= 50", "value": 60}


async def test_an_enroll_says_who_to_talk_to_what_to_ask_for_and_what_comes_next() -> None:
    _, command = await routed()
    message = command["message"]
    assert message["personas"] == [{"name": "leader", "titles": ["CRO", "VP Sales"], "message": "Hi, Acme"}]
    assert message["cta"] == "A call of 20 minutes"
    assert command["next"]["at"] == LEAVES
    assert LEAVES in command["next"]["text"]
    assert "unless something new becomes known" in command["next"]["text"]


async def test_a_change_says_until_when_time_alone_leaves_the_account_there() -> None:
    first, second = (orjson.loads(one)["data"] for one in changes(*facts()))
    assert (first["to"], first["stays_until"]) == ("rest", None)
    assert (second["to"], second["stays_until"]) == ("new-leader", LEAVES)


async def test_the_next_owner_and_who_is_told_of_a_late_answer_get_the_why_too() -> None:
    routing, enrolled = await routed()
    (reassigned,) = await routing.tell(
        Reassign(account="acme.com", at=routing.now or 0, owner=enrolled["owner"])
    )
    (escalated,) = await routing.wait_until(parse_instant("2026-03-04T00:00:00Z"))
    assert (reassigned["action"], escalated["action"]) == ("reassign", "escalate")
    assert reassigned["why"] == escalated["why"] == enrolled["why"]
    assert reassigned["message"] == enrolled["message"]
    assert reassigned["next"] == escalated["next"] == enrolled["next"]
    assert escalated["message"] is None


async def test_a_stop_says_its_own_reason_and_no_evidence() -> None:
    routing, _ = await routed()
    gates = GatesChanged(
        account="acme.com",
        at=parse_instant("2026-03-05T00:00:00Z"),
        active_gates=("suppress:customers",),
        sequence=2,
    )
    (stop,) = await routing.tell(gates)
    assert (stop["action"], stop["reason"]) == ("stop", "suppressed: customers")
    assert (stop["why"], stop["next"], stop["message"]) == (None, None, None)


async def test_commands_are_as_their_contract_says() -> None:
    routing, _ = await routed()
    await routing.tell(Reassign(account="acme.com", at=routing.now or 0, owner="Ann"))
    values = [one.value for one in routing.published.messages if one.topic == "workflow-commands"]
    assert values
    for value in values:
        assert not list(Draft202012Validator(schema("command")).iter_errors(orjson.loads(value or b"")))


async def test_every_decision_is_logged_once_and_the_log_is_bounded() -> None:
    routing, enrolled = await routed()
    log = routing.state("acme.com").log
    assert [(one.what, one.segment) for one in log] == [("no-route", "rest"), ("enrolled", "new-leader")]
    assert (log[-1].workflow, log[-1].owner) == ("exec", enrolled["owner"])
    at = parse_instant("2026-03-05T00:00:00Z")
    for number in range(30):
        gates = ("suppress:customers",) if number % 2 == 0 else ()
        await routing.tell(GatesChanged(account="acme.com", at=at + number, active_gates=gates, sequence=2))
    log = routing.state("acme.com").log
    assert len(log) == MOST
    assert {one.what for one in log} == {"stop", "suppressed", "enrolled"}


@pytest.mark.parametrize("facts", [1, 5])
def test_a_reason_stays_short_whatever_it_is_made_of(facts: int) -> None:
    fact = {"id": "i" * 500, "kind": "hiring", "time": JOINED, "source": "s" * 900, "data": {}}
    fact["data"] = {f"field{n}": ["x" * 300] * 20 for n in range(20)}
    holds = [{"test": "t" * 900, "facts": facts, "evidence": [fact] * facts, "value": ["v" * 999] * 99}] * 9
    short = shorten_reason(orjson.dumps({"holds": holds, "no_longer": ["y"]}))
    assert short is not None
    assert len(short) < 5_000
    assert len(orjson.loads(short)) == 5
    assert len(tell_reason(short)) < 3_000


@pytest.mark.parametrize("reason", [b"null", b"{}", b"[]", b'{"holds": []}', b'{"holds": 7}'])
def test_a_reason_without_tests_says_nothing(reason: bytes) -> None:
    assert shorten_reason(reason) is None
    assert tell_reason(None) == ""


@pytest.mark.parametrize("depth", [16, 200, 100_000])
def test_a_reason_that_is_nested_deep_is_told_without_its_depth_or_not_at_all(depth: int) -> None:
    value = b'{"x":[' * depth + b"7" + b"]}" * depth
    short = shorten_reason(b'{"holds": [{"test": "t", "value": ' + value + b"}]}")
    told = b'[{"test":"t","value":{"x":[{"x":"\xe2\x80\xa6"}]}}]'
    assert short == (told if depth < 1_000 else None)


def test_a_command_stays_well_under_the_largest_record() -> None:
    texts = {"message": {"pain": "p" * 4_000, "proof_points": ["x" * 4_000] * 500}, "personas": []}
    event = {"data": {"action": "enroll", "why": [{"test": "t", "evidence": [{}]}], "message": texts}}
    small = orjson.dumps({"data": {"action": "enroll", "why": [], "message": None}})
    assert fit_command(small) is small
    fitting = fit_command(orjson.dumps(event))
    assert len(fitting) <= MAX_COMMAND
    assert orjson.loads(fitting)["data"]["message"]["message"]["pain"].startswith("ppp")
    texts["personas"] = [{"titles": ["t" * 4_000] * 100}] * 100
    assert orjson.loads(fit_command(orjson.dumps(event)))["data"]["message"] is None
