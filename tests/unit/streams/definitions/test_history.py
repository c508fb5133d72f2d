"""What the records of `definitions` come to, in their order."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from resegment.schemas.definitions.records import (
    Applied,
    Apply,
    DefinitionRecord,
    Prepare,
    Prepared,
    Refused,
    Stands,
    Void,
    encode_definition_record,
)
from resegment.segmentation.definition import read_definition
from resegment.streams.definitions.content import VersionIncomplete, compile_content, to_records
from resegment.streams.definitions.history import Definitions, NoSuchVersion
from tests.oracle.cases import only

FILE: dict[str, Any] = only({"event": "funding", "within": "7d"})
FALLBACK = FILE["fallback"]


def told(*records: DefinitionRecord) -> Definitions:
    return Definitions(encode_definition_record(one) for one in records)


def version(number: int, **changed: Any) -> list[DefinitionRecord]:
    file = {**FILE, **changed}
    chunks, record = to_records(
        read_definition([("/here/segments.yaml", orjson.dumps(file))]), number, at=number
    )
    return [*chunks, record]


def switch(name: str, number: int, at: int) -> list[DefinitionRecord]:
    return [
        Prepare(apply=name, version=number, base=number - 1, at=1),
        Apply(id=name, version=number, base=number - 1, at=at),
    ]


def test_a_version_comes_back_as_it_was_written_without_the_folder_it_lay_in() -> None:
    definitions = told(*version(1))
    assert definitions.current == definitions.newest == 1
    assert definitions.content_of(1).segments == (("segments.yaml", orjson.dumps(FILE)),)
    assert definitions.definition_of(1).digest == definitions.version(1).digest


def test_of_two_versions_with_one_number_the_first_counts() -> None:
    definitions = told(*version(1), *version(1, fallback={**FALLBACK, "name": "other"}))
    assert definitions.definition_of(1).fallback.name == FALLBACK["name"]


def test_lists_are_part_of_a_version_and_large_ones_come_in_pieces_below_500_kb() -> None:
    draw = random.Random(1)
    text = "\n".join(f"{draw.randbytes(8).hex()}.com" for _ in range(100_000)).encode()
    file = only({"event": "intent", "where": {"topic": {"in_file": "topics.txt"}}, "within": "7d"})
    definition = read_definition([("s.yaml", orjson.dumps(file))], lambda _: text)
    chunks, record = to_records(definition, 1, at=1)
    assert len(chunks) > 3
    assert max(len(encode_definition_record(one)) for one in chunks) < 500_000
    content = told(*chunks, record).content_of(1)
    assert content.lists == (("topics.txt", text),)
    assert compile_content(content).version == definition.version
    with pytest.raises(VersionIncomplete, match=r"topics\.txt"):
        told(*chunks[:-1], record).content_of(1)


def test_a_switch_is_in_force_from_its_instant_once_it_stands() -> None:
    records = [*version(1), *version(2), *switch("a", 2, 100)]
    assert told(*records).current == 1
    standing = told(*records, Stands(apply="a"))
    assert (standing.current, standing.in_force(99), standing.in_force(100)) == (2, 1, 2)


def test_of_stands_and_void_the_first_counts() -> None:
    records = [*version(1), *version(2), *switch("a", 2, 100)]
    assert told(*records, Stands(apply="a"), Void(apply="a", reason="late")).verdict("a") == "stands"
    void = told(*records, Void(apply="a", reason="late"), Stands(apply="a"))
    assert (void.verdict("a"), void.current) == ("void", 1)


def test_while_one_apply_is_open_another_claim_does_not_count() -> None:
    records = [*version(1), *version(2), *version(3), *switch("a", 2, 100), *switch("b", 3, 200)]
    assert told(*records).applies.keys() == {"a"}
    assert told(*records, Void(apply="a", reason="late")).open is None
    again = told(*records, Stands(apply="a"), Applied(apply="a"), *switch("b", 3, 200))
    assert again.open is not None
    assert again.open.id == "b"


def test_a_claim_of_a_version_that_is_not_whole_does_not_count() -> None:
    [chunk, record] = version(2, fallback={**FALLBACK, "name": "other"})
    for lacking in ([], [record], [chunk]):
        definitions = told(*version(1), *lacking, *switch("a", 2, 100), Stands(apply="a"))
        assert (definitions.applies, definitions.standing, definitions.open) == ({}, [], None)


def test_a_switch_of_another_version_than_was_claimed_or_of_an_earlier_instant_does_not_stand() -> None:
    files = [*version(1), *version(2), *version(3)]
    other = Apply(id="a", version=3, base=1, at=100)
    mixed = told(*files, Prepare(apply="a", version=2, base=1, at=1), other, Stands(apply="a"))
    assert mixed.standing == []
    done = [*switch("a", 2, 100), Stands(apply="a"), Applied(apply="a")]
    early = told(*files, *done, *switch("b", 3, 100), Stands(apply="b"))
    assert [one.id for one in early.standing] == ["a"]


def test_the_plan_of_an_apply_is_the_one_that_is_carried_out_not_the_one_that_began_it() -> None:
    claim = Prepare(apply="a", version=2, base=1, at=1, plan="interrupted")
    begun = [*version(1), *version(2), claim]
    assert told(*begun).applies["a"].plan == "interrupted"
    apply = Apply(id="a", version=2, base=1, at=100, plan="carried out")
    assert told(*begun, apply).applies["a"].plan == "carried out"


def test_a_partition_that_refuses_may_be_prepared_later() -> None:
    records = [
        *version(1),
        *version(2),
        *switch("a", 2, 100),
        Refused(apply="a", partition=1, reason="no file"),
    ]
    assert told(*records).applies["a"].refused == {1: "no file"}
    later = told(*records, Prepared(apply="a", partition=1)).applies["a"]
    assert (later.refused, later.prepared) == ({}, {1})


def test_what_is_no_record_is_counted_and_changes_nothing() -> None:
    definitions = Definitions([b"{", None, b'{"type": "of a later release"}'])
    assert (definitions.unreadable, definitions.versions, definitions.current) == (3, {}, 0)
    with pytest.raises(NoSuchVersion):
        definitions.version(1)
