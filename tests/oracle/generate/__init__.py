"""Seeded pairs of a valid segments file and a stream of events, made so that edges fall together and segments change.

Times of facts and lengths of windows are drawn from one small set of durations, so that windows close
exactly when facts happen, facts collide, and now and then miss each other by a millisecond.
"""

import random
from typing import Literal, overload

from hypothesis import strategies as st

from tests.oracle.naive import history

from .conditions import condition, hold, traits
from .extended_file import extended_file
from .extended_stream import extended_events
from .own_words import Sample, files
from .stream import events
from .vocabulary import Draw, Json


def segments_file(draw: Draw) -> dict[str, Json]:
    """A file without lint errors, as YAML would load it."""
    named = traits(draw)
    names = [f"segment-{index}" for index in range(draw.randint(2, 6))]
    rank = draw.sample(names, k=len(names))  # a segment refers only to segments of lower rank: no cycles
    holding = draw.random() < 0.7
    segments: list[Json] = []
    for name in names:
        others = rank[: rank.index(name)]
        segment = {
            "name": name,
            "layer": draw.choice(["firmographic", "technographic", "behavioral", "needs"]),
            "hypothesis": "It needs us now.",
            "when": condition(draw, named, others, 2),
            "play": f"play-{name}",
            "route": {"workflow": f"workflow-{name}"},
        }
        if holding and draw.random() < 0.5:
            segment["hold"] = hold(draw, named, others)
        segments.append(segment)
    plays = {
        f"play-{name}": {
            "message": {"pain": "A pain", "value_prop": "A gain", "proof_points": ["A proof"]},
            "channels": {"primary": "email"},
        }
        for name in [*names, "none"]
    }
    fallback = {"name": "none", "play": "play-none", "route": {"workflow": "workflow-none"}}
    return {"version": 1, "traits": named, "segments": segments, "fallback": fallback, "plays": plays}


@overload
def generate(
    seed: int, *, extended: Literal[False] = False
) -> tuple[dict[str, Json], list[dict[str, Json]]]: ...


@overload
def generate(seed: int, *, extended: Literal[True]) -> Sample: ...


def generate(seed: int, *, extended: bool = False) -> tuple[dict[str, Json], list[dict[str, Json]]] | Sample:
    """The pair of a segments file and its events that belongs to a seed.

    With `extended` files use every construct of the language, and the files that their tests name come third.
    """
    draw = random.Random(seed)
    if extended:
        return sample(draw)
    stream = events(draw)
    files = [segments_file(draw) for _ in range(draw.choice([1, 4, 4, 4]))]
    # Most files drawn at random seldom move an account, so of four the liveliest is taken.
    return max(files, key=lambda file: len(history(file, stream, None))), stream


def sample(draw: Draw) -> Sample:
    stream, lists = extended_events(draw), files(draw)
    drawn = [extended_file(draw, stream) for _ in range(draw.choice([1, 6, 6, 6]))]
    return Sample(max(drawn, key=lambda file: len(history(file, stream, None, lists))), stream, lists)


def pairs() -> st.SearchStrategy[tuple[dict[str, Json], list[dict[str, Json]]]]:
    """Generated pairs as a hypothesis strategy; it shrinks to a small seed, not to a small pair."""
    return st.integers(min_value=0, max_value=2**32 - 1).map(generate)


def samples() -> st.SearchStrategy[Sample]:
    """Generated samples of the whole language as a hypothesis strategy."""
    return st.integers(min_value=0, max_value=2**32 - 1).map(lambda seed: generate(seed, extended=True))
