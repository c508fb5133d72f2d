"""What a generated file must keep to, so that lint finds no error in it."""

from collections.abc import Iterator
from typing import Any

from .own_words import Sample

DATES = {"before", "after", "within_next", "within_last"}
NAMERS = {"condition": "conditions", "segment": "segments"}


def maps(node: Any) -> Iterator[dict[str, Any]]:
    """Every map in a node, itself included."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from maps(inner)


def conditions(file: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Everything with a name that speaks of others: segments, conditions, and traits."""
    return {
        **{("segments", one["name"]): [one["when"], one.get("hold", {})] for one in file["segments"]},
        **{("conditions", name): made for name, made in file.get("conditions", {}).items()},
        **{("traits", name): made for name, made in file["traits"].items()},
    }


def named_by(file: dict[str, Any], node: Any) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for one in maps(node):
        found |= {(kind, one[word]) for word, kind in NAMERS.items() if isinstance(one.get(word), str)}
        found |= {("traits", name) for name in one if name in file["traits"]}
        found |= {("traits", name) for name in one.get("ratio", []) if name in file["traits"]}
    return found


def cycles(file: dict[str, Any]) -> list[tuple[str, str]]:
    """What names itself, over others too."""
    named = {name: named_by(file, node) for name, node in conditions(file).items()}
    reached = {name: set(direct) for name, direct in named.items()}
    for _ in named:
        for name in named:
            reached[name] |= {far for near in reached[name] for far in named[near]}
    return [name for name in named if name in reached[name]]


def tests_of_facts(file: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return maps([file["traits"], file.get("conditions", {}), file["segments"]])


def wrong_windows(file: dict[str, Any]) -> Iterator[str]:
    """What has a window, or a follower, that it must not have."""
    for one in tests_of_facts(file):
        for inner in maps(one.get("where", {})):
            if {"within_next", "within_last", "known_within"} & set(inner):
                yield f"where depends on the instant: {inner}"
        if set(one.get("not_followed_by", {})) - {"event", "where"}:
            yield f"a follower has more than its kind and where: {one}"
        if "open" in one and {"within", "ago", "not_followed_by"} & set(one):
            yield f"what is open has a window: {one}"
        if "open" in one and "by" not in one and one["open"] not in {"hiring", "tech"}:
            yield f"nothing says by what it is open: {one}"


def wrong_freshness(file: dict[str, Any]) -> Iterator[str]:
    for one in tests_of_facts(file):
        if set(one) == {"known_within"}:
            yield "known_within stands alone"
        for name in [*file["traits"], "account", "technologies"]:
            if isinstance(one.get(name), dict) and "known_within" in one[name]:
                yield f"{name} is never stale"


def wrong_times(file: dict[str, Any]) -> Iterator[str]:
    """Traits that are the time of an event, tested as something else."""
    times = [
        name
        for name, trait in file["traits"].items()
        if trait.get("field") == "time" and {"latest", "earliest"} & set(trait)
    ]
    for one in maps([file.get("conditions", {}), file["segments"]]):
        for name in times:
            if set(one.get(name, {})) - DATES - {"exists"}:
                yield f"a time is tested as something else: {one}"


def missing_files(sample: Sample) -> Iterator[str]:
    for one in maps(sample.file):
        for path in {one.get("in_file"), one.get("not_in_file")} - {None, *sample.files}:
            yield f"no file {path}"


def breaches(sample: Sample) -> list[str]:
    """The rules that a sample breaks."""
    file = sample.file
    drafts = [segment for segment in file["segments"] if segment.get("status") == "draft"]
    return [
        *(f"{name} names itself" for name in cycles(file)),
        *wrong_windows(file),
        *wrong_freshness(file),
        *wrong_times(file),
        *missing_files(sample),
        *(["all segments are drafts"] if len(drafts) == len(file["segments"]) else []),
    ]


def words(node: Any) -> set[str]:
    """Every key, and every list named, in a node."""
    return {key for one in maps(node) for key in one} | {
        "$" for one in maps(node) for value in one.values() if isinstance(value, str) and value[:1] == "$"
    }
