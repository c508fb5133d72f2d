"""Which version a rollback goes back to, what it undoes, and when a saved plan was used."""

from __future__ import annotations

import time
from typing import Any

import pytest

from resegment.cli.versions.applying import name_author
from resegment.schemas.definitions.records import Apply, Prepare, Stands, Void, encode_definition_record
from resegment.segmentation.definition import Content
from resegment.segmentation.planning.refusals import InForce, NeverInForce, NothingBefore, PlanUsed
from resegment.segmentation.planning.saved import SavedPlan
from resegment.settings import Settings
from resegment.streams.definitions.content import to_records
from resegment.streams.definitions.history import Definitions, NoSuchVersion
from resegment.streams.operations.planning import Wish
from resegment.streams.operations.switching import carrying
from resegment.streams.operations.switching.carrying import DriftCheck
from resegment.streams.operations.switching.intents import Intent, check_unused
from resegment.streams.operations.switching.rollback import first_undone, invert_switches, version_before
from tests.builders import definition_of
from tests.unit.segmentation.planning.test_drift import plan_of
from tests.unit.segmentation.planning.test_planner import file_of


class History:
    """The versions of a prefix, made one after the other."""

    def __init__(self, *names: str) -> None:
        self.definitions = Definitions()
        self._take(*self._records(1, names))

    def _records(self, number: int, names: tuple[str, ...]) -> list[Any]:
        definition = definition_of(file_of(*((name, {"employees": {"gte": number}}) for name in names)))
        chunks, version = to_records(definition, number, at=number)
        return [*chunks, version]

    def _take(self, *records: Any) -> None:
        for one in records:
            self.definitions.take(encode_definition_record(one))

    def switch(self, number: int, *names: str, stands: bool = True, plan: str = "", **moved: str) -> None:
        base, name = self.definitions.current, f"apply-{number}"
        self._take(
            *self._records(number, names),
            Prepare(apply=name, version=number, base=base, at=number, plan=plan),
            Apply(id=name, version=number, base=base, at=number, moved=moved, plan=plan),
            Stands(apply=name) if stands else Void(apply=name, reason="late"),
        )
        if stands:
            self.definitions.applies[name].applied = True


def saved(name: str) -> SavedPlan:
    return SavedPlan(id=name, plan=plan_of(), content=Content(()))


def test_a_rollback_without_a_number_goes_back_to_the_versionversion_before() -> None:
    history = History("hot")
    history.switch(2, "hot")
    history.switch(3, "hot", stands=False)
    history.switch(4, "hot")
    assert version_before(history.definitions) == 2
    assert first_undone(history.definitions, 2) == 4
    assert first_undone(history.definitions, 1) == 2


def test_names_are_taken_back_over_all_versions_that_are_undone() -> None:
    history = History("hot", "warm")
    history.switch(2, "boiling", "warm", boiling="hot")
    history.switch(3, "blazing", "tepid", blazing="boiling", tepid="warm")
    assert invert_switches(history.definitions, 3) == {"boiling": "blazing", "warm": "tepid"}
    assert invert_switches(history.definitions, 2) == {"hot": "blazing", "warm": "tepid"}


def test_the_only_version_has_nothing_before_it() -> None:
    with pytest.raises(NothingBefore, match="version 1 is the only one"):
        version_before(History("hot").definitions)


def test_going_back_to_the_version_in_force_names_the_oneversion_before() -> None:
    history = History("hot")
    history.switch(2, "hot")
    with pytest.raises(InForce) as refused:
        first_undone(history.definitions, 2)
    assert refused.value.remedy == "To undo it, go back to the one before: `resegment rollback 1`."


def test_there_is_no_going_back_to_a_version_that_never_was_in_force() -> None:
    history = History("hot")
    history.switch(2, "hot", stands=False)
    with pytest.raises(NeverInForce):
        first_undone(history.definitions, 2)
    with pytest.raises(NoSuchVersion):
        first_undone(history.definitions, 9)


def test_a_plan_is_used_once_it_was_applied_and_not_by_a_switch_that_did_not_happen() -> None:
    history = History("hot")
    history.switch(2, "hot", stands=False, plan="p1")
    check_unused(history.definitions, saved("p1"))
    history.switch(3, "hot", plan="p1")
    check_unused(history.definitions, saved("p2"))
    with pytest.raises(PlanUsed, match="applied already, as version 3"):
        check_unused(history.definitions, saved("p1"))


def test_the_author_is_that_of_git_or_a_user_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMAIL", raising=False)
    monkeypatch.delenv("GIT_AUTHOR_EMAIL", raising=False)
    assert "@" in name_author(Settings())
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "ann@example.com")
    assert name_author(Settings()) == "ann@example.com"
    assert name_author(Settings(actor="bo")) == "bo"


@pytest.mark.parametrize(("age", "at", "again"), [(0.0, None, False), (61.0, None, True), (0.0, 1_000, True)])
async def test_a_plan_is_made_again_right_before_the_switch_unless_it_is_fresh(
    age: float, at: int | None, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[SavedPlan] = []

    async def check(session: Any, plan: SavedPlan, wish: Any) -> Any:
        made.append(plan)
        return plan.plan

    monkeypatch.setattr(carrying, "check_drift", check)
    wish = Wish(definition_of(file_of(("hot", {"employees": {"gte": 1}}))), at=at)
    checker = DriftCheck(None, Intent(saved("p1"), wish, seen=time.monotonic() - age))  # type: ignore[arg-type]
    await checker.check()
    assert bool(made) is again
