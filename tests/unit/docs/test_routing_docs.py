"""The page about routing, held against the code: its file, its tables, and what it shows of commands and answers."""

from __future__ import annotations

import re
from typing import Any, get_args

import orjson
import pytest

from resegment.agents.router import handle_events
from resegment.routing.describe import DECISIONS, MODES
from resegment.schemas.outgoing import Action, WorkflowCommandData
from resegment.schemas.routing import ROUTED_OUTCOMES
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import order_of_delivery, replay_account
from resegment.segmentation.language.gates import BUILT_IN, suppression_gate
from resegment.streams.kafka.topics import Topics
from resegment.streams.message_factory import MessageFactory
from tests.builders import Routing, definition_of
from tests.events import read_fact
from tests.unit.segmentation.language.test_language_docs import (
    DOCS,
    check_file,
    define,
    examples_of,
    facts_of,
    instants,
    spans,
    tables_of,
)

PAGE = "routing.md"
TEXT = (DOCS / PAGE).read_text(encoding="utf-8")
SHOWN = [orjson.loads(one) for one in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]
COMMAND, ANSWER = SHOWN


def rows_of(heading: str) -> list[list[str]]:
    """The rows of all tables with that first heading, their headings left out."""
    return [row for table in tables_of(PAGE, heading) for row in table[1:]]


def words_of(heading: str) -> list[str]:
    return [word for row in rows_of(heading) for word in spans(row[0])]


def test_the_file_of_the_page_has_no_warning_and_its_tests_pass() -> None:
    (example,) = examples_of(PAGE)
    check_file([("segments.yaml", example.text)])


@pytest.mark.parametrize(("name", "given", "holds"), rows_of("Suppression"))
def test_a_built_in_suppression_holds_where_the_page_says(name: str, given: str, holds: str) -> None:
    (suppression,) = spans(name)
    facts = facts_of(given)
    engine = Engine(Program(define({"suppression": [suppression]})))
    account, _ = replay_account(engine, "acme.com", order_of_delivery(facts), instants("Value", facts))
    assert account.state.active_gates == ((suppression_gate(suppression),) if holds == "yes" else ())


def test_the_page_has_every_built_in_suppression() -> None:
    assert [spans(row[0])[0] for row in rows_of("Built-in")] == list(BUILT_IN)
    assert {spans(row[0])[0] for row in rows_of("Suppression")} == BUILT_IN.keys()


def test_the_page_has_every_action_every_mode_and_every_outcome_that_is_routed() -> None:
    assert words_of("action") == list(get_args(Action))
    assert words_of("mode") == list(MODES)
    assert set(words_of("`action`")) == ROUTED_OUTCOMES


def test_the_page_has_the_decisions_in_their_order() -> None:
    assert words_of("Decision") == list(DECISIONS)


def test_the_command_of_the_page_is_one() -> None:
    data = WorkflowCommandData.model_validate(COMMAND["data"])
    assert COMMAND["data"].keys() == WorkflowCommandData.model_fields.keys() - {"sealed", "forgotten"}
    assert COMMAND["id"] == data.idempotency_key


async def test_the_answer_of_the_page_accepts_its_command() -> None:
    (example,) = examples_of(PAGE)
    definition = definition_of(example.data)
    routing = Routing(definition, now=0)
    await routing.take()
    change: dict[str, Any] = {
        "account": "acme.com",
        "sequence_number": 3,
        "from": None,
        "to": "new-sales-leader",
        "effective_at": "2026-01-30T16:45:00Z",
        "play": None,
        "route": {"workflow": "exec-first-90", "team": "enterprise", "qualification": "fast-track"},
    }
    (command,) = await routing.follow(orjson.dumps({"id": "c", "data": change}))
    assert ANSWER["data"]["idempotency_key"] == COMMAND["id"]
    answer = {**ANSWER, "data": {**ANSWER["data"], "idempotency_key": command["idempotency_key"]}}
    told = MessageFactory(definition, Topics()).outcome(read_fact(answer))
    assert told is not None
    assert told.value is not None
    before = routing.state("acme.com").enrollment
    assert before is not None
    assert before.answer is None

    await handle_events(routing.batch("routing-events", [told.value]), routing.owned, routing.router)

    after = routing.state("acme.com").enrollment
    assert after is not None
    assert after.answer == "accepted"
