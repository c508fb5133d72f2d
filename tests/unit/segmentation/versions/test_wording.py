"""What differs between two versions, in words: rules and values, not lines of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resegment.documents.formatter import format_document
from resegment.documents.yaml import parse_document
from resegment.segmentation.definition import read_definition
from resegment.segmentation.versions.differences import compare
from resegment.segmentation.versions.wording import ToldDifference, tell_differences
from tests.builders import definition_of
from tests.written_yaml import Writer

Json = Any
EXAMPLE = Path(__file__).parents[4] / "examples" / "segments.yaml"
PLAY = {"message": {"pain": "a", "value_prop": "b", "proof_points": ["c"]}, "channels": {"primary": "email"}}


def file_with(when: Json, **more: Json) -> Json:
    segment = {
        "name": "one",
        "when": when,
        "play": "p",
        "route": {"workflow": "w"},
        **more.pop("segment", {}),
    }
    other = {"name": "two", "when": {"fit": 9}, "play": "p", "route": {"workflow": "w-2"}}
    return {
        "version": 1,
        "segments": [segment, other],
        "fallback": {"name": "none", "play": "p"},
        "plays": {"p": PLAY},
        **more,
    }


def tell(old: Json, new: Json) -> dict[str, tuple[str, ...]]:
    return {f"{one.part} {one.name}": one.words for one in differences(old, new)}


def differences(old: Json, new: Json) -> list[ToldDifference]:
    before, after = definition_of(old), definition_of(new)
    return tell_differences(before, after, compare(before, after))


def yaml(text: str) -> Json:
    return parse_document(text, "part.yaml").data


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{employees: {gte: 50}}", "{employees: {gte: 100}}", ["employees at least 50 → 100"]),
        ("{employees: {lt: 50}}", "{employees: {lte: 50}}", ["employees less than 50 → at most 50"]),
        ("{employees: {between: [1, 5]}}", "{employees: {between: [1, 9]}}", ["employees from 1 to 5 → 1 to 9"]),
        ("{industry: a}", "{industry: b}", ["industry is a → b"]),
        ("{industry: [a, b]}", "{industry: [b, c]}", ["industry: + c, − a"]),
        ("{industry: a}", "{industry: [a, b]}", ["industry is a → is one of [a, b]"]),
        ("{industry: {exists: true}}", "{industry: {exists: false}}", ["industry is known → is unknown"]),
        ("{event: funding, within: 90d}", "{event: funding, within: 60d}", ["funding within 90d → 60d"]),
        ("{event: funding}", "{event: funding, within: 60d}", ["funding at any time → within 60d"]),
        (
            "{event: hiring, count: {gte: 2}}",
            "{event: hiring, count: {gte: 3}}",
            ["hiring count at least 2 → 3"],
        ),
        (
            "{event: leadership, where: {role: [cro, cmo]}}",
            "{event: leadership, where: {role: [cro, cto], change: joined}}",
            ["leadership role: + cto, − cmo", "leadership only with change = joined"],
        ),
        (
            "{event: tech, where: {change: added}}",
            "{event: tech}",
            ["tech no longer with change = added"],
        ),
        (
            "{all: [{employees: {gte: 5}}, {industry: a}, {event: funding, within: 3d}]}",
            "{all: [{event: funding, within: 9d}, {employees: {gte: 7}}, {fit: 2}]}",
            [
                "employees at least 5 → 7",
                "funding within 3d → 9d",
                "no longer requires industry = a",
                "now requires fit = 2",
            ],
        ),
        (
            "{any: [{employees: {gte: 5}}, {industry: a}]}",
            "{any: [{employees: {gte: 5}}, {fit: 1}, {fit: 2}]}",
            ["no longer takes industry = a", "now also takes fit = 1", "now also takes fit = 2"],
        ),
        ("{not: {event: hiring, within: 9d}}", "{not: {event: hiring, within: 5d}}", ["not hiring within 9d → 5d"]),
        ("{employees: 5}", "{all: [{employees: 5}, {industry: a}]}", ["now requires industry = a"]),
        ("{all: [{employees: 5}, {fit: 1}]}", "{any: [{employees: 5}, {fit: 1}]}",
         ["employees = 5 and fit = 1 → employees = 5 or fit = 1"]),
        ("{segment: two}", "{employees: 1}", ["segment two → employees = 1"]),
        (
            "{sequence: [{event: funding}, {event: hiring}], within: 9d}",
            "{sequence: [{event: funding}, {event: hiring}], within: 5d, gap: 2d, order: loose}",
            [
                "funding then hiring within 9d → 5d",
                "funding then hiring gap none → 2d",
                "funding then hiring order strict → loose",
            ],
        ),
    ],
)  # fmt: skip
def test_a_condition_that_changed_is_told_test_by_test(old: str, new: str, words: list[str]) -> None:
    assert tell(file_with(yaml(old)), file_with(yaml(new))) == {"segments one": tuple(words)}


def test_what_a_condition_refers_to_is_told_with_its_name() -> None:
    def file(window: str, least: int) -> Json:
        when = {"all": [{"condition": "grown"}, {"openings": {"gte": 1}}, {"segment": "two"}]}
        return file_with(
            when,
            traits={"openings": {"count": "hiring", "within": window}},
            conditions={"grown": {"employees": {"gte": least}}},
        )

    assert tell(file("90d", 5), file("60d", 9)) == {
        "segments one": ("condition grown: employees at least 5 → 9", "trait openings: within 90d → 60d"),
        "traits openings": ("within 90d → 60d",),
    }


def test_settings_and_texts_of_a_segment_are_told_with_their_path() -> None:
    old = file_with({"fit": 1}, segment={"hold": {"min_dwell": "7d"}, "hypothesis": "It is so."})
    new = file_with(
        {"fit": 1},
        segment={
            "route": {"workflow": "v", "on_exit": "finish"},
            "hold": {"min_dwell": "9d", "exit_when": {"fit": 2}},
            "hypothesis": "It is not so.",
            "tags": ["x"],
        },
    )
    assert tell(old, new)["segments one"] == (
        "hold.min_dwell 7d → 9d",
        "hold.exit_when: nothing → fit = 2",
        "route.workflow w → v",
        "route.on_exit is new: finish",
        'hypothesis "It is so." → "It is not so."',
        "tags is new: [x]",
    )


def test_segments_that_come_go_move_and_get_another_name_are_told_once() -> None:
    old = file_with({"fit": 1})
    new = file_with({"fit": 1})
    new["segments"] = [{**new["segments"][1], "name": "zwei"}, new["segments"][0]]
    new["segments"].append({"name": "three", "when": {"fit": 3}, "play": "p", "route": {"workflow": "w-3"}})
    new["moved"] = {"zwei": "two"}
    told = {one.name: (set(one.what), one.words) for one in differences(old, new)}
    assert told["three"] == ({"added"}, ("fit = 3",))
    assert told["zwei"][0] >= {"renamed"}
    assert "renamed from two" in told["zwei"][1]
    assert [words for _, words in told.values() if any("priority" in one for one in words)]


def test_other_parts_are_told_by_their_names_and_values() -> None:
    old = file_with({"fit": 1}, teams={"a": {"members": [{"name": "Ann", "weight": 1}, {"name": "Bob"}]}})
    new = file_with(
        {"fit": 1},
        teams={"a": {"members": [{"name": "Ann", "weight": 2}, {"name": "Cy"}]}},
        retain="99d",
        plays={"p": {**PLAY, "channels": {"primary": "phone", "touches": 3}}},
    )
    assert tell(old, new) == {
        "plays p": ("channels.primary email → phone", "channels.touches is new: 3"),
        "teams a": ("members: + Cy, − Bob", "members.Ann.weight 1 → 2"),
        "file retain": ("nothing → 99d",),
    }


def test_a_list_file_that_changed_is_told_by_its_lines() -> None:
    file = file_with({"industry": {"in_file": "list.txt"}})
    before = definition_of(file, {"list.txt": "a\nb\n"})
    after = definition_of(file, {"list.txt": "b\nc\nd\n"})
    (one,) = tell_differences(before, after, compare(before, after))
    assert one.words == ("industry in file list.txt: 2 lines more, 1 fewer",)


def test_how_a_file_is_written_makes_no_difference() -> None:
    data = parse_document(EXAMPLE.read_bytes(), "segments.yaml").data
    for seed in range(20):
        content = Writer(seed).write(data)
        before = read_definition([("a.yaml", content)])
        after = read_definition([("b.yaml", format_document(content, "b.yaml"))])
        found = compare(before, after)
        assert found.is_empty
        assert tell_differences(before, after, found) == []
