"""Random segments files with every construct of the language, none of them with a lint error."""

from tests.oracle.naive import dates

from .conditions import holds_words
from .extended_conditions import Names, extended_condition, extended_trait, is_date
from .own_words import LISTS, TYPES
from .vocabulary import SPANS, Draw, Json


def extended_traits(draw: Draw, names: Names) -> None:
    """Traits over facts and attributes."""
    operands = ["employees", "revenue_usd", "fit", "seats"]
    for index in range(draw.randint(1, 5)):
        name = f"trait_{index}"
        made = extended_trait(draw, names, operands)
        names.traits[name] = made
        if not ("decay" in made or is_date(made) or holds_words(made)):
            operands.append(name)


def score(draw: Draw, names: Names) -> dict[str, Json]:
    points = [5, 5, 10, 10, 2.5, -5, 0]
    return {
        "score": [
            {"when": extended_condition(draw, names, draw.choice([0, 0, 1])), "points": draw.choice(points)}
            for _ in range(draw.randint(1, 4))
        ]
    }


def conditions_and_scores(draw: Draw, names: Names) -> dict[str, Json]:
    """Named conditions and scores, each of which refers only to those made before it: no cycles."""
    conditions: dict[str, Json] = {}
    for index in range(draw.randint(1, 4)):
        if draw.random() < 0.5:
            conditions[f"condition_{index}"] = extended_condition(draw, names, 1)
            names.conditions.append(f"condition_{index}")
        else:
            names.traits[f"score_{index}"] = score(draw, names)
    scores = [name for name, made in names.traits.items() if "score" in made]
    if scores and draw.random() < 0.3:
        names.traits["score_per_head"] = {"ratio": [draw.choice(scores), draw.choice(["employees", "fit"])]}
    return conditions


def extended_hold(draw: Draw, names: Names) -> dict[str, Json]:
    made: dict[str, Json] = {}
    if draw.random() < 0.5:
        made["min_dwell"] = draw.choice(list(SPANS))
    if draw.random() < 0.5:
        made["cooldown"] = draw.choice(list(SPANS))
    if draw.random() < 0.4 or not made:
        made["exit_when"] = extended_condition(draw, names, 1)
    return made


def extended_segments(draw: Draw, names: Names, conditions: dict[str, Json]) -> list[Json]:
    """Segments in the order of the file; each refers only to segments and conditions made before it."""
    order = [f"segment-{index}" for index in range(draw.randint(2, 6))]
    holding, made = draw.random() < 0.6, {}
    for number, name in enumerate(draw.sample(order, k=len(order))):
        segment: dict[str, Json] = {
            "name": name,
            "hypothesis": "It needs us now.",
            "when": extended_condition(draw, names, draw.choice([0, 1, 2])),
            "play": f"play-{name}",
            "route": {"workflow": f"workflow-{name}"},
        }
        if holding and draw.random() < 0.5:
            segment["hold"] = extended_hold(draw, names)
        if number and draw.random() < 0.2:
            segment["status"] = "draft"
        if draw.random() < 0.2:
            segment |= {"tags": ["outbound"], "target": 50}
        made[name] = segment
        names.segments.append(name)
        if number == 1 and draw.random() < 0.5:
            conditions["late"] = extended_condition(draw, names, 1)
            names.conditions.append("late")
    return [made[name] for name in order]


def dates_of(stream: list[dict[str, Json]]) -> list[str]:
    """The dates that events carry."""
    values = [value for event in stream for value in event["data"].values()]
    return [value for value in values if dates.instant(value) is not None]


def extended_file(draw: Draw, stream: list[dict[str, Json]]) -> dict[str, Json]:
    """A file without lint errors, as YAML would load it, whose tests of dates are beside those of the stream."""
    names = Names(
        types={name: made for name, made in TYPES.items() if draw.random() < 0.6},
        dates=dates_of(stream),
        theme=draw.randrange(12) if draw.random() < 0.7 else None,
    )
    extended_traits(draw, names)
    conditions = conditions_and_scores(draw, names)
    segments = extended_segments(draw, names, conditions)
    plays = {
        f"play-{name}": {
            "message": {"pain": "A pain", "value_prop": "A gain", "proof_points": ["A proof"]},
            "channels": {"primary": "email"},
            **({"cta": "Book a call"} if draw.random() < 0.2 else {}),
        }
        for name in [*(one["name"] for one in segments), "none"]
    }
    return {
        "version": 1,
        **({"attributes": names.types} if names.types else {}),
        "lists": LISTS,
        **({"conditions": conditions} if conditions else {}),
        "traits": names.traits,
        "segments": segments,
        "fallback": {"name": "none", "play": "play-none", "route": {"workflow": "workflow-none"}},
        "plays": plays,
    }
