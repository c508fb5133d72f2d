"""The history of a prefix: what each version changed, and since when it was in force."""

from __future__ import annotations

from typing import Any

import orjson

from resegment.console.operations.history import describe_apply
from resegment.schemas.definitions.records import (
    Applied,
    Apply,
    DefinitionRecord,
    Discarded,
    Prepare,
    Stands,
    Version,
    Void,
    encode_definition_record,
)
from resegment.segmentation.definition import read_definition
from resegment.streams.definitions.chronicle import FIRST, NOTHING, UNREADABLE, VersionEntry, tell_history
from resegment.streams.definitions.content import to_records
from resegment.streams.definitions.history import Definitions
from tests.oracle.cases import only

START = 1_700_000_000_000


def version(number: int, within: str, **about: Any) -> list[DefinitionRecord]:
    file = only({"event": "funding", "within": within})
    definition = read_definition([("segments.yaml", orjson.dumps(file))])
    chunks, record = to_records(definition, number, at=START + number, base=number - 1, **about)
    return [*chunks, record]


def switch(name: str, to: int, at: int, **more: Any) -> list[DefinitionRecord]:
    return [
        Prepare(
            apply=name, version=to, base=more.get("base", to - 1), at=at, kind=more.get("kind", "switch")
        ),
        Apply(id=name, version=to, at=START + at, **{"base": to - 1, **more}),
    ]


def history(*records: DefinitionRecord, now: int = 1000) -> dict[int, VersionEntry]:
    definitions = Definitions(encode_definition_record(one) for one in records)
    return {one.number: one for one in tell_history(definitions, START + now)}


def test_each_version_says_what_it_changed_who_made_it_and_since_when_it_is_in_force() -> None:
    found = history(
        *version(1, "7d", author="ann"),
        *version(2, "9d", author="bob", message="longer"),
        *switch("a", 2, 50),
        Stands(apply="a"),
        Applied(apply="a"),
    )
    assert (found[1].changes, found[1].author, found[1].in_force) == (FIRST, "ann", False)
    assert found[1].since == "2023-11-14T22:13:20.001Z"
    assert found[2].changes.endswith(": funding within 7d → 9d")
    assert (found[2].author, found[2].message, found[2].in_force) == ("bob", "longer", True)
    assert found[2].since == "2023-11-14T22:13:20.050Z"
    assert [one.state for one in found[2].applies] == ["applied"]


def test_an_apply_that_did_not_happen_is_told_with_its_reason() -> None:
    found = history(
        *version(1, "7d"),
        *version(2, "9d"),
        *switch("a", 2, 50),
        Void(apply="a", reason="partition 3 was late"),
    )
    assert found[1].in_force
    assert found[2].since is None
    (one,) = found[2].applies
    assert (one.state, one.reason) == ("void", "partition 3 was late")


def test_a_switch_is_pending_until_its_instant_and_then_under_way_until_all_is_worked_off() -> None:
    records = [*version(1, "7d"), *version(2, "9d"), *switch("a", 2, 50), Stands(apply="a")]
    early, late = history(*records, now=49), history(*records, now=50)
    assert (early[2].applies[0].state, early[2].in_force) == ("pending", False)
    assert (late[2].applies[0].state, late[2].in_force) == ("switching", True)
    claimed = history(*version(1, "7d"), *version(2, "9d"), Prepare(apply="a", version=2, base=1, at=1))
    assert (claimed[2].applies[0].state, claimed[2].applies[0].at) == ("preparing", None)


def test_a_version_that_is_in_force_again_says_since_when_it_is() -> None:
    found = history(
        *version(1, "7d"), *version(2, "9d"),
        *switch("a", 2, 50), Stands(apply="a"), Applied(apply="a"),
        *switch("b", 1, 90, base=2, rollback_of=2), Stands(apply="b"),
    )  # fmt: skip
    assert found[1].in_force
    assert found[1].since == "2023-11-14T22:13:20.090Z"
    assert found[1].applies[0].rollback_of == 2


def test_a_shadow_is_never_in_force() -> None:
    records = [*version(1, "7d"), *version(2, "9d"), *switch("a", 2, 50, kind="shadow"), Stands(apply="a")]
    found = history(*records)
    assert found[1].in_force
    assert found[2].applies[0].state == "running"


def test_a_shadow_that_ended_says_whether_its_version_came_into_force() -> None:
    records = [
        *version(1, "7d"), *version(2, "9d"),
        *switch("a", 2, 50, kind="shadow"), Stands(apply="a"), Discarded(apply="a"),
    ]  # fmt: skip
    assert [one.state for one in history(*records)[2].applies] == ["discarded"]
    records += [*switch("b", 2, 60), Stands(apply="b"), Applied(apply="b")]
    assert [one.state for one in history(*records)[2].applies] == ["promoted", "applied"]


def test_a_shadow_that_was_discarded_says_when_and_one_of_an_earlier_release_does_not() -> None:
    begun = [*version(1, "7d"), *version(2, "9d"), *switch("a", 2, 50, kind="shadow"), Stands(apply="a")]
    assert history(*begun)[2].discarded is None
    ended = [Discarded(apply="a", at=START + 70), Discarded(apply="a", at=START + 90)]
    shadow = history(*begun, *ended)[2].discarded
    assert shadow is not None
    assert shadow.ended == "2023-11-14T22:13:20.070Z"
    assert describe_apply(shadow).startswith(
        "shadow since 2023-11-14T22:13:20.050Z, discarded at 2023-11-14T22:13:20.070Z, from version 1"
    )
    older = history(*begun, Discarded(apply="a"))[2].discarded
    assert older is not None
    assert describe_apply(older).startswith(
        "shadow since 2023-11-14T22:13:20.050Z, discarded, from version 1"
    )
    in_force = history(*begun, *ended, *switch("b", 2, 95), Stands(apply="b"), Applied(apply="b"))
    assert in_force[2].discarded is None


def test_a_version_that_means_the_same_or_cannot_be_read_says_so() -> None:
    same = history(*version(1, "7d"), *version(2, "7d"))
    assert same[2].changes == NOTHING
    chunks, record = version(1, "7d")
    assert isinstance(record, Version)
    lost = Version(number=2, fingerprint="x", digest="y", files=record.files, at=START, base=7)
    assert history(chunks, record, lost)[2].changes == UNREADABLE
