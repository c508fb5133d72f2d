"""Files that follow one another on one stream: one to three switches, at instants at which other things happen too."""

import copy
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.oracle.naive import read_facts
from tests.oracle.naive.switching import Version, names, switching_history

from .extended_file import extended_file
from .own_words import LISTS, Sample, files
from .vocabulary import DAY, HOUR, SPANS, Draw, Json

FRESH = ["north", "south", "east", "west", "spring", "summer", "autumn", "winter"]
"""Names that no generated file has."""


class Switches(NamedTuple):
    """Versions in their order, and the stream that they judge."""

    versions: list[Version]
    events: list[dict[str, Json]]


# ---------------------------------------------------------------- other files


def mentioning(node: Json, renamed: dict[str, str]) -> Json:
    """A part of a file in which references to segments have the new names."""
    if isinstance(node, list):
        return [mentioning(one, renamed) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: renamed.get(value, value)
        if key == "segment" and isinstance(value, str)
        else mentioning(value, renamed)
        for key, value in node.items()
    }


def renaming(file: Json, renamed: dict[str, str]) -> Json:
    """The file with other names of segments, and of the fallback."""
    made = {**file, **{key: mentioning(file[key], renamed) for key in ("traits", "segments")}}
    if "conditions" in file:
        made["conditions"] = mentioning(file["conditions"], renamed)
    if "suppression" in file:
        made["suppression"] = mentioning(file["suppression"], renamed)
    made["segments"] = [{**one, "name": renamed.get(one["name"], one["name"])} for one in made["segments"]]
    fallback = file["fallback"]
    made["fallback"] = {**fallback, "name": renamed.get(fallback["name"], fallback["name"])}
    return made


def move_some(draw: Draw, file: Json, before: Json) -> Json:
    """Some segments get other names; most of them say so."""
    chosen = draw.sample(sorted(names(file)), k=draw.randint(1, 2))
    free = [name for name in FRESH if name not in names(file)]
    renamed = dict(zip(chosen, draw.sample(free, k=len(chosen)), strict=True))
    made = renaming(file, renamed)
    if draw.random() < 0.85:
        made["moved"] = {**made.get("moved", {}), **{new: old for old, new in renamed.items()}}
    return made


def exchange_some(draw: Draw, file: Json, before: Json) -> Json:
    """Two or three names go round."""
    chosen = draw.sample(sorted(names(file)), k=min(len(names(file)), draw.choice([2, 2, 3])))
    renamed = dict(zip(chosen, [*chosen[1:], chosen[0]], strict=True))
    made = renaming(file, renamed)
    if draw.random() < 0.85:
        made["moved"] = {**made.get("moved", {}), **{new: old for old, new in renamed.items()}}
    return made


def referred(file: Json) -> set[str]:
    found: set[str] = set()

    def look(node: Json) -> None:
        for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            look(one)
        if isinstance(node, dict) and isinstance(node.get("segment"), str):
            found.add(node["segment"])

    look([file["traits"], file.get("conditions", {}), file["segments"], file.get("suppression", [])])
    return found


def drop_one(draw: Draw, file: Json, before: Json) -> Json:
    """A segment is gone; another may take over its accounts."""
    gone = [one["name"] for one in file["segments"] if one["name"] not in referred(file)]
    if len(file["segments"]) < 2 or not gone:
        return file
    name = draw.choice(gone)
    made = {**file, "segments": [one for one in file["segments"] if one["name"] != name]}
    if draw.random() < 0.7:
        heir = draw.choice(sorted(names(made)))
        made["moved"] = {**file.get("moved", {}), heir: name}
    return made


def draft_some(draw: Draw, file: Json, before: Json) -> Json:
    made = copy.deepcopy(file)
    one = draw.choice(made["segments"])
    one["status"] = "active" if one.get("status") == "draft" else "draft"
    return made


def hold_some(draw: Draw, file: Json, before: Json) -> Json:
    made = copy.deepcopy(file)
    for one in made["segments"]:
        if draw.random() < 0.6:
            hold = {
                name: draw.choice(list(SPANS)) for name in ("min_dwell", "cooldown") if draw.random() < 0.6
            }
            if draw.random() < 0.3:
                hold["exit_when"] = copy.deepcopy(draw.choice(made["segments"])["when"])
            one.pop("hold", None)
            if hold:
                one["hold"] = hold
    return made


def cool_some(draw: Draw, file: Json, before: Json) -> Json:
    """Segments take back nobody for a while, those that moved above all."""
    made = copy.deepcopy(file)
    for one in made["segments"]:
        if one["name"] in file.get("moved", {}) or draw.random() < 0.4:
            one["hold"] = {**one.get("hold", {}), "cooldown": draw.choice(["2d", "3d", "5d", "1w"])}
    return made


def order_some(draw: Draw, file: Json, before: Json) -> Json:
    return {**file, "segments": draw.sample(file["segments"], k=len(file["segments"]))}


def list_some(draw: Draw, file: Json, before: Json) -> Json:
    """Other lists under the same names."""
    if "lists" not in file:
        return file
    lists = {
        name: [values[0], *(one for one in values[1:] if draw.random() < 0.6)]
        for name, values in LISTS.items()
    }
    return {**file, "lists": lists}


def window_some(draw: Draw, file: Json, before: Json) -> Json:
    """Windows of other lengths."""
    other = dict(zip(SPANS, draw.sample(list(SPANS), k=len(SPANS)), strict=True))

    def changed(node: Json) -> Json:
        if isinstance(node, dict):
            return {
                key: other[value] if key in ("within", "known_within") and value in other else changed(value)
                for key, value in node.items()
            }
        return [changed(one) for one in node] if isinstance(node, list) else node

    return {**file, "traits": changed(file["traits"]), "segments": changed(file["segments"])}


def suppress_some(draw: Draw, file: Json, before: Json) -> Json:
    """Other gates; they decide no segment."""
    gates: list[Json] = draw.sample(["customers", "open-opportunities", "do-not-contact", "bounced"], k=2)
    gates.append({"name": "own", "when": copy.deepcopy(draw.choice(file["segments"])["when"])})
    return {**file, "suppression": gates[: draw.randint(0, 3)]}


def say_some(draw: Draw, file: Json, before: Json) -> Json:
    """Other texts only."""
    made = copy.deepcopy(file)
    for one in made["segments"]:
        one["hypothesis"] = draw.choice(["They grow.", "They hire.", "It needs us now."])
        one["route"]["workflow"] = draw.choice(["a", "b", one["route"]["workflow"]])
    return made


def fields_read(file: Json) -> list[str]:
    """The fields of facts that tests look at."""
    found: set[str] = set()

    def look(node: Json) -> None:
        if isinstance(node, dict):
            found.update(node.get("where", {}))
            found.update(set(node) & {"employees", "industry", "fit", "tier", "margin", "seats", "country"})
        for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            look(one)

    look([file["traits"], file["segments"]])
    return sorted(found - {"account"})


def drop_fields(draw: Draw, file: Json, before: Json) -> Json:
    fields = draw.sample(fields_read(file), k=min(draw.randint(0, 2), len(fields_read(file))))
    return (
        {**file, "privacy": {"drop": fields}} if fields else {k: v for k, v in file.items() if k != "privacy"}
    )


def move_nothing(draw: Draw, file: Json, before: Json) -> Json:
    """Say that a segment moved which the version before does not have."""
    heirs = sorted(names(file) - set(file.get("moved", {})))
    return {**file, "moved": {**file.get("moved", {}), draw.choice(heirs): "years-ago"}} if heirs else file


Other = Callable[[Draw, Json, Json], Json]
OTHERS: list[Other] = [
    move_some,
    move_some,
    exchange_some,
    drop_one,
    drop_one,
    draft_some,
    hold_some,
    hold_some,
    order_some,
    list_some,
    window_some,
    suppress_some,
    say_some,
    drop_fields,
    move_nothing,
]


def breaks_moves(file: Json) -> bool:
    """Whether what a file says of moved segments is an error."""
    moved, have = file.get("moved", {}), names(file)
    olds = list(moved.values())
    return (
        any(new not in have or new == old for new, old in moved.items())
        or len(olds) != len(set(olds))
        or any(old in have and old not in moved for old in olds)
    )


def next_file(draw: Draw, before: Json, stream: list[dict[str, Json]]) -> Json:
    """A file that follows another one: it differs in one thing, in several, or in most."""
    kept = {key: value for key, value in before.items() if key != "moved" or draw.random() < 0.15}
    for _ in range(20):
        if draw.random() < 0.35:
            file = extended_file(draw, stream)
            file["fallback"]["name"] = before["fallback"]["name"]
            if file["fallback"]["name"] in {one["name"] for one in file["segments"]}:
                continue
        else:
            file = copy.deepcopy(kept)
        for other in draw.sample(OTHERS, k=draw.choice([0, 1, 1, 2, 3])):
            file = other(draw, file, before)
        actors = [one for one in file["segments"] if one.get("status") != "draft"]
        if file.get("moved") and draw.random() < 0.5:
            file = cool_some(draw, file, before)
        if not breaks_moves(file) and actors:
            return copy.deepcopy(file)  # no part is shared between two files
    return copy.deepcopy({key: value for key, value in before.items() if key != "moved"})


# ---------------------------------------------------------------- instants


def instants(draw: Draw, stream: list[dict[str, Json]], count: int) -> list[int]:
    """Instants of facts, of ends of windows, or beside them."""
    facts = read_facts(stream)
    first, last = min(one.recorded for one in facts), max(one.recorded for one in facts)
    found: set[int] = set()
    while len(found) < count:
        fact = draw.choice(facts)
        if draw.random() < 0.4:
            found.add(fact.recorded)
            continue
        at = draw.choice([fact.recorded, fact.recorded, fact.time])
        at += draw.choice([0, 0, 0, *SPANS.values()]) + draw.choice([0, 0, 0, 0, -1, 1, HOUR])
        if draw.random() < 0.1:
            at = draw.randint(first - DAY, last + 5 * DAY)
        if first - DAY <= at <= last + 20 * DAY and at > 0:
            found.add(at)
    return sorted(found)


def switches(sample: Sample, draw: Draw) -> Switches:
    """Versions that follow the file of a sample."""
    versions = [Version(sample.file, sample.files)]
    for at in instants(draw, sample.events, draw.choice([1, 1, 2, 3])):
        before = versions[-1]
        drawn = [next_file(draw, before.file, sample.events) for _ in range(draw.choice([1, 3]))]
        lists = before.files if draw.random() < 0.7 else files(draw)
        candidates = [Version(file, lists, at) for file in drawn]
        # Of some files the one that moves accounts most is taken.
        versions.append(
            max(candidates, key=lambda one: len(switching_history([*versions, one], sample.events, None)))
            if len(candidates) > 1
            else candidates[0]
        )
    return Switches(versions, sample.events)


def words_of(switched: Switches) -> Iterator[str]:
    """What a chain of versions has in it, for a count of what is covered."""
    for before, after in zip(switched.versions, switched.versions[1:], strict=False):
        moved = after.file.get("moved", {})
        olds = {old for old in moved.values() if old in names(before.file)}
        yield "switch"
        if olds:
            yield "moved"
        if olds & set(moved):
            yield "exchanged"
        if before.file["fallback"]["name"] in olds:
            yield "fallback moved"
        if names(before.file) - names(after.file) - olds:
            yield "gone"
        if any(not re.match("segment|none", name) for name in names(after.file)):
            yield "fresh name"
        if any(one.get("status") == "draft" for one in after.file["segments"]):
            yield "draft"
        if any("hold" in one for one in after.file["segments"]):
            yield "hold"
        if after.file.get("suppression") != before.file.get("suppression"):
            yield "gates"
        if after.file.get("privacy"):
            yield "privacy"
