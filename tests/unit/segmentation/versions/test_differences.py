"""What differs between two definitions, by meaning."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import pytest
import yaml

from resegment.documents.diagnostics import InvalidSegments
from resegment.documents.formatter import format_document
from resegment.segmentation.definition import Definition, read_definition
from resegment.segmentation.versions.differences import Differences, compare
from tests.builders import definition_of
from tests.oracle.cases import segments
from tests.oracle.generate import generate
from tests.oracle.naive import history

Json = Any
FUNDED, SELLING = {"event": "funding"}, {"event": "hiring"}


def differ(old: Json, new: Json) -> Differences:
    return compare(definition_of(old), definition_of(new))


def what(differences: Differences) -> dict[str, tuple[str, ...]]:
    return {one.name: one.what for one in differences.segments if one.what != ("unchanged",)}


BASE = segments(
    {"rounds": {"count": "funding", "within": "30d"}},
    one={"when": {"all": [{"rounds": {"gte": 2}}, {"employees": {"gte": 5}}]}, "hold": {"cooldown": "2d"}},
    two={"any": [FUNDED, {"not": SELLING}]},
    three=SELLING,
)


def changed(**given: Json) -> Json:
    """`BASE` with other values at paths like `segments__0__name`."""
    file = copy.deepcopy(BASE)
    for path, value in given.items():
        *steps, last = [int(step) if step.isdigit() else step for step in path.split("__")]
        node = file
        for step in steps:
            node = node[step]
        node[last] = value
    return file


SAME = {
    "parts in another order": changed(segments__0__when={"employees": {"gte": 5}, "rounds": {"gte": 2}}),
    "a group in a group": changed(segments__1__when={"any": [{"any": [{"not": SELLING}]}, FUNDED, FUNDED]}),
    "not of not": changed(segments__2__when={"not": {"not": SELLING}}),
    "a condition with a name": changed(
        conditions={"sells": SELLING}, segments__2__when={"condition": "sells"}
    ),
    "a condition of another segment": changed(segments__1__when={"any": [FUNDED, {"not": {"segment": "three"}}]}),
    "the default count": changed(segments__2__when={**SELLING, "count": {"gte": 1}}),
    "another unit": changed(segments__0__hold={"cooldown": "48h"}),
    "an unused list": changed(lists={"eu": ["DE"]}),
}  # fmt: skip


@pytest.mark.parametrize("file", SAME.values(), ids=list(SAME))
def test_another_way_to_write_the_same_is_no_difference(file: Json) -> None:
    assert differ(BASE, file).is_empty
    assert not differ(BASE, file).judges


TEXTS: dict[str, tuple[Json, dict[str, tuple[str, ...]]]] = {
    "a hypothesis": (changed(segments__0__hypothesis="They grow."), {"one": ("reworded",)}),
    "a route": (changed(segments__0__route={"workflow": "other"}), {"one": ("route-changed",)}),
    "a holdout": (changed(segments__0__holdout="10%"), {"one": ("holdout-changed",)}),
    "a play": (changed(plays__any__message__pain="Another pain"), {}),
    "a team": (changed(teams={"sales": {"members": ["ann"]}}), {}),
    "a trait that nothing tests": (changed(traits__more={"count": "hiring"}), {}),
    "a suppression by a file": (changed(suppression=[{"name": "ours", "file": "ours.txt"}]), {}),
}


@pytest.mark.parametrize(("file", "found"), TEXTS.values(), ids=list(TEXTS))
def test_texts_plays_and_routes_judge_nobody(file: Json, found: dict[str, tuple[str, ...]]) -> None:
    differences = differ(BASE, file)

    assert differences.texts_only
    assert not differences.judges
    assert what(differences) == found


JUDGED: dict[str, tuple[Json, dict[str, tuple[str, ...]]]] = {
    "a condition": (changed(segments__2__when=FUNDED), {"three": ("condition-changed",)}),
    "a number that is another type": (
        changed(segments__2__when={"employees": 1}), {"three": ("condition-changed",)}
    ),
    "a trait": (changed(traits__rounds={"count": "funding", "within": "31d"}), {"one": ("condition-changed",)}),
    "a hold": (changed(segments__0__hold={"cooldown": "3d"}), {"one": ("hold-changed",)}),
    "the order": (
        changed(segments=[BASE["segments"][1], BASE["segments"][0], BASE["segments"][2]]),
        {"two": ("reordered",)},
    ),
    "another name": (changed(segments__2__name="selling", moved={"selling": "three"}), {"selling": ("renamed",)}),
    "another name, not said": (
        changed(segments__2__name="selling"), {"selling": ("added",), "three": ("removed",)}
    ),
    "a draft": (changed(segments__2__status="draft"), {"three": ("drafted",)}),
    "the fallback's name": (
        changed(fallback__name="rest", moved={"rest": "out"}), {"rest": ("renamed",)}
    ),
    "a suppression": (changed(suppression=["customers"]), {}),
    "a deal's cooldown": (changed(cooldown_after_lost="0d"), {}),
    "a territory": (
        changed(teams={"sales": {"members": [{"name": "ann", "territory": {"country": "DE"}}]}}), {}
    ),
}  # fmt: skip


@pytest.mark.parametrize(("file", "found"), JUDGED.values(), ids=list(JUDGED))
def test_whatever_decides_an_accounts_segment_or_gates_is_judged_again(
    file: Json, found: dict[str, tuple[str, ...]]
) -> None:
    differences = differ(BASE, file)

    assert differences.judges
    assert not differences.texts_only
    assert what(differences) == found
    assert differences.gates == (not found)


def test_a_draft_can_change_without_a_judgment() -> None:
    old, new = changed(segments__2__status="draft"), changed(segments__2__status="draft")
    new["segments"][2]["when"] = FUNDED

    assert what(differ(old, new)) == {"three": ("condition-changed",)}
    assert differ(old, new).texts_only


def test_true_is_not_one() -> None:
    assert differ(segments(a={"fit": 1}), segments(a={"fit": True})).judges
    assert differ(segments(a={"fit": 1}), segments(a={"fit": 1.0})).is_empty


def test_types_matter_where_a_test_reads_the_attribute() -> None:
    typed = {**segments(a={"seats": 1}), "attributes": {"seats": "number"}}
    other = {**segments(a=FUNDED), "attributes": {"seats": "number"}}

    assert differ(segments(a={"seats": 1}), typed).judges
    assert differ(segments(a=FUNDED), other).texts_only


def test_a_move_that_does_not_apply_is_no_difference() -> None:
    assert differ(BASE, changed(moved={"three": "two-years-ago"})).is_empty


@pytest.mark.parametrize(
    ("old", "new", "needs"),
    [
        ({**FUNDED, "within": "30d"}, {**FUNDED, "within": "30d", "where": {"round": "seed"}}, ["round of funding"]),
        ({**FUNDED, "within": "30d"}, {**FUNDED, "within": "90d"}, ["funding of the last 90d"]),
        ({**FUNDED, "within": "30d"}, FUNDED, ["funding of any age"]),
        (FUNDED, {**FUNDED, "within": "30d"}, ["facts of the last 30d"]),
        ({**FUNDED, "within": "30d"}, {**FUNDED, "within": "20d"}, []),
        ({"employees": 5}, {"country": "DE"}, ["country of firmographic"]),
        (SELLING, {"technologies": {"has_any": ["dbt"]}}, ["technologies of firmographic"]),
    ],
)  # fmt: skip
def test_what_the_new_version_needs_is_said(old: Json, new: Json, needs: list[str]) -> None:
    found = differ(segments(a=old), segments(a=new)).needs_facts

    assert set(needs) <= set(found)
    assert bool(needs) == bool(found)


# Files at random, written in another way


def rewritten(draw: random.Random, node: Json) -> Json:
    """The same file, with keys and the parts of groups in another order."""
    if isinstance(node, list):
        return [rewritten(draw, one) for one in node]
    if not isinstance(node, dict):
        return node
    keys = list(node)
    draw.shuffle(keys)
    made = {key: rewritten(draw, node[key]) for key in keys}
    for key in ("all", "any"):
        if isinstance(made.get(key), list):
            draw.shuffle(made[key])
    return made


def naming(draw: random.Random, file: Json) -> Json:
    """The same file, with the conditions of some segments under a name."""
    named = dict(file.get("conditions", {}))
    for one in file["segments"]:
        if draw.random() < 0.5:
            named[f"named-{one['name']}"] = one["when"]
            one["when"] = {"condition": f"named-{one['name']}"}
    return {**file, "conditions": named} if named else file


def texts(draw: random.Random, file: Json) -> Iterator[str]:
    """The file as texts of different styles."""

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return draw.random() < 0.5

    for flow in (True, False, None):
        text = yaml.dump(file, Dumper=Dumper, default_flow_style=flow, allow_unicode=True, sort_keys=False)
        yield f"# {draw.random()}\n{text}\n# the end\n"


@pytest.mark.parametrize("seed", range(10))
def test_how_a_file_is_written_makes_no_difference(seed: int) -> None:
    file, _, lists = generate(seed, extended=True)
    draw = random.Random(seed)
    old = definition_of(file, lists)
    for text in texts(draw, naming(draw, rewritten(draw, json_of(old)))):
        new = read_definition([("segments.yaml", text)], lambda path: lists[path].encode())
        assert compare(old, new).is_empty
        assert not compare(old, new).judges


FORMATTED = int(os.environ.get("RESEGMENT_FORMATTED", "12"))


def test_formatting_a_file_makes_no_difference() -> None:
    changed = 0
    for seed in range(FORMATTED):
        file, _, lists = generate(seed, extended=True)
        draw = random.Random(seed)
        old = definition_of(file, lists)
        text = draw.choice(list(texts(draw, naming(draw, rewritten(draw, json_of(old))))))
        formatted = format_document(text.encode(), "segments.yaml")
        changed += formatted != text.encode()
        new = read_definition([("segments.yaml", formatted)], lambda path, lists=lists: lists[path].encode())
        assert compare(old, new).is_empty
    assert changed >= 0.75 * FORMATTED


def json_of(definition: Definition) -> Json:
    return copy.deepcopy(definition.document.data)


def leaves(node: Json) -> Iterator[tuple[Json, Json]]:
    """Each map or list with the key of a value in it that is neither."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list):
            yield from leaves(value)
        else:
            yield node, key


def edited(draw: random.Random, file: Json) -> Json:
    """The file with one value in place of another one of the same type, or one part less."""
    made = copy.deepcopy(file)
    rules = [made["traits"], made.get("conditions", {}), made.get("lists", {}), made.get("attributes", {})]
    rules += [{"when": one["when"], "hold": one.get("hold", {})} for one in made["segments"]]
    places = list(leaves(rules))
    node, key = draw.choice(places)
    others = [other[at] for other, at in places if at == key and type(other[at]) is type(node[key])]
    if isinstance(node, list) and len(node) > 1 and draw.random() < 0.3:
        del node[key]
    else:
        node[key] = draw.choice(others)
    return made


sample = cache(partial(generate, extended=True))
EDITED = int(os.environ.get("RESEGMENT_EDITED", "60"))


def test_where_nobody_is_judged_no_account_would_have_moved() -> None:
    judged = unjudged = 0
    for seed in range(EDITED):
        draw = random.Random(seed)
        file, events, lists = sample(seed % 10)
        other = edited(draw, file)
        try:
            differences = compare(definition_of(file, lists), definition_of(other, lists))
        except InvalidSegments:
            continue
        judged += differences.judges
        if not differences.judges:
            unjudged += 1
            assert history(other, events, None, lists) == history(file, events, None, lists), seed
    assert judged > EDITED / 8
    assert unjudged > EDITED / 20
