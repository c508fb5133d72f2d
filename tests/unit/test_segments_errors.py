"""Every error of a segments file is found, all at once, each with its place."""

import pytest

from resegment.segmentation.definition import read_definition
from resegment.segmentation.diagnostics import Diagnostic, InvalidSegments

FILE = """\
version: 1
traits:
  turns: {count: hiring, within: 60d}
  heat: {decay: intent, half_life: 7d}
segments:
  - name: one
    when: {employees: {gte: 50}}
    play: p
    route: {workflow: w1, team: t}
  - name: two
    when: {industry: fintech}
    play: p
    route: {workflow: w2}
fallback: {name: rest, play: p}
plays:
  p:
    message: {pain: a, value_prop: b, proof_points: [c]}
    channels: {primary: email}
teams: {t: {}}
"""

WHEN = "{employees: {gte: 50}}"
TWO = "{industry: fintech}"
TRAIT = "{count: hiring, within: 60d}"
PLAY = "channels: {primary: email}"


def errors_of(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(InvalidSegments) as caught:
        read_definition([("segments.yaml", text)])
    return caught.value.diagnostics


CASES = [
    # what is written, instead of what, code, line, column
    ("version: 2", "version: 1", "wrong-value", 1, 10),
    ("version: true", "version: 1", "wrong-value", 1, 10),
    ("versoin: 1\nversion: 1", "version: 1", "unknown-key", 1, 10),
    # conditions
    ("{employees: {gt_e: 50}}", WHEN, "unknown-operator", 7, 25),
    ("{employees: {gte: '50'}}", WHEN, "wrong-operand", 7, 23),
    ("{employees: {contains: x}}", WHEN, "never-matches", 7, 28),
    ("{employees: fifty}", WHEN, "never-matches", 7, 23),
    ("{industry: {gte: 3}}", WHEN, "never-matches", 7, 22),
    ("{industry: {matches: '('}}", WHEN, "wrong-operand", 7, 26),
    ("{employees: {between: [9, 3]}}", WHEN, "wrong-operand", 7, 27),
    ("{employees: {in: []}}", WHEN, "wrong-operand", 7, 22),
    ("{employees: {}}", WHEN, "empty-group", 7, 23),
    ("{all: []}", WHEN, "empty-group", 7, 16),
    ("{any: []}", WHEN, "empty-group", 7, 16),
    ("{}", WHEN, "empty-group", 7, 11),
    ("fintech", WHEN, "wrong-type", 7, 11),
    ("{not: [a]}", WHEN, "wrong-type", 7, 16),
    ("{event: hirng}", WHEN, "unknown-kind", 7, 19),
    ("{event: hiring, within: 0d}", WHEN, "empty-window", 7, 33),
    ("{event: hiring, within: 60}", WHEN, "wrong-duration", 7, 33),
    ("{event: hiring, within: 999999999999w}", WHEN, "wrong-duration", 7, 33),
    ("{event: hiring, ago: [90d, 30d]}", WHEN, "empty-window", 7, 30),
    ("{event: hiring, where: {remote: {gte: 1}}}", WHEN, "never-matches", 7, 47),
    ("{event: hiring, count: {gte: x}}", WHEN, "wrong-operand", 7, 38),
    ("{sequence: [{event: hiring}]}", WHEN, "missing-key", 7, 11),
    ("{sequence: [], within: 3d}", WHEN, "empty-group", 7, 21),
    ("{sequence: [{event: hiring, count: 2}], within: 3d}", WHEN, "unknown-key", 7, 46),
    ("{event: hiring, sequence: []}", WHEN, "wrong-shape", 7, 11),
    ("{within: 3d}", WHEN, "wrong-shape", 7, 20),
    ("{heat: {eq: 3}}", WHEN, "decay-operator", 7, 18),
    ("{segment: three}", WHEN, "unknown-segment", 7, 21),
    ("{segment: rest}", WHEN, "unknown-segment", 7, 21),
    ("{segment: one}", WHEN, "cycle", 7, 11),
    ("{any: [{segment: two}, {segment: nope}]}", WHEN, "unknown-segment", 7, 43),
    # traits
    ("{count: hirng}", TRAIT, "unknown-kind", 3, 18),
    ("{count: hiring, field: x}", TRAIT, "unknown-key", 3, 33),
    ("{sum: funding}", TRAIT, "missing-key", 3, 10),
    ("{sum: funding, field: round}", TRAIT, "never-matches", 3, 32),
    ("{count: hiring, sum: funding}", TRAIT, "wrong-shape", 3, 10),
    ("{growth: industry, over: 3d}", TRAIT, "never-matches", 3, 19),
    ("{growth: heat, over: 3d}", TRAIT, "wrong-type", 3, 19),
    ("{growth: employees}", TRAIT, "missing-key", 3, 10),
    ("{ratio: [turns, employees]}", TRAIT, "cycle", 3, 18),
    ("{ratio: [employees, heat]}", TRAIT, "decay-operator", 3, 30),
    ("{ratio: [employees, industry]}", TRAIT, "never-matches", 3, 30),
    ("{decay: intent}", "{decay: intent, half_life: 7d}", "missing-key", 4, 9),
    ("employees: {count", "turns: {count", "hidden-attribute", 3, 14),
    ("within: {count", "turns: {count", "reserved-name", 3, 11),
    # names
    ("name: one", "name: two", "duplicate-name", 10, 11),
    ("name: one,", "name: rest,", "duplicate-name", 14, 18),
    ("play: q\n    route: {workflow: w1", "play: p\n    route: {workflow: w1", "unknown-play", 8, 11),
    ("team: u", "team: t", "unknown-team", 9, 34),
    (f"{PLAY}\n    personas: [boss]", PLAY, "unknown-persona", 19, 16),
    ("teams: {t: {}}\ntests: [{name: x, expect: three}]", "teams: {t: {}}", "unknown-segment", 20, 27),
    (
        "teams: {t: {}}\ntests: [{name: x, expect: one, until: {after: 3d, expect: four}}]",
        "teams: {t: {}}",
        "unknown-segment",
        20,
        59,
    ),
    # shape
    ("", "    play: p\n    route: {workflow: w2}\n", "missing-key", 10, 5),
    ("route: {team: t}", "route: {workflow: w1, team: t}", "missing-key", 9, 12),
    ("workflow: w2, on_exit: halt}", "workflow: w2}", "wrong-value", 13, 36),
    ("workflow: w2}\n    hold: {min_dwell: a week}", "workflow: w2}", "wrong-duration", 14, 23),
    ("workflow: w2}\n    hold: {cooldown: 999999999999w}", "workflow: w2}", "wrong-duration", 14, 22),
    ("workflow: w2}\n    hold: {exit_when: {}}", "workflow: w2}", "empty-group", 14, 23),
    ("workflow: w2}\n    hold: {dwell: 3d}", "workflow: w2}", "unknown-key", 14, 19),
    ("message: {pain: a, proof_points: [c]}", "message: {pain: a, value_prop: b, proof_points: [c]}", "missing-key", 17, 14),
    ("proof_points: []", "proof_points: [c]", "wrong-type", 17, 53),
    ("channels: {secondary: email}", PLAY, "missing-key", 18, 15),
    (f"{PLAY}\n    personas: [7]", PLAY, "wrong-type", 19, 16),
    (f"{PLAY}\n    personas: [{{tilte: x}}]", PLAY, "unknown-key", 19, 24),
    # actionable
    ("workflow: w1, team: t, on_exit: stop}", "workflow: w2}", "not-actionable", 10, 5),
    ("{name: rest}", "{name: rest, play: p}", "not-actionable", 14, 11),
]  # fmt: skip


@pytest.mark.parametrize(("written", "instead", "code", "line", "column"), CASES)
def test_an_error_is_reported_once_with_its_code_and_place(
    written: str, instead: str, code: str, line: int, column: int
) -> None:
    assert FILE.count(instead) >= 1

    found = errors_of(FILE.replace(instead, written, 1))

    at = [(one.code, one.place.line, one.place.column) for one in found]
    assert at.count((code, line, column)) == 1


def test_the_file_without_errors_is_accepted() -> None:
    definition = read_definition([("segments.yaml", FILE)])

    assert [one.name for one in definition.segments] == ["one", "two", "rest"]


def test_an_error_of_shape_hides_no_error_of_names() -> None:
    text = (
        FILE.replace("version: 1", "version: 1\nowner: me")
        .replace("name: two", "name: one")
        .replace("play: p\n    route: {workflow: w2}", "play: q\n    route: {worklow: w2}")
        .replace("team: t}", "team: u}")
        .replace("{name: rest, play: p}", "{name: rest}")
        .replace("employees: {gte: 50}", "segment: two")
    )

    codes = [one.code for one in errors_of(text)]

    assert codes == [
        "unknown-key",
        "unknown-segment",
        "unknown-team",
        "duplicate-name",
        "unknown-play",
        "missing-key",
        "unknown-key",
        "not-actionable",
    ]


def test_a_circle_is_reported_at_each_segment_of_it() -> None:
    text = FILE.replace(WHEN, "{segment: two}").replace(TWO, "{not: {segment: one}}")

    found = errors_of(text)

    assert [(one.code, one.place.line) for one in found] == [("cycle", 7), ("cycle", 11)]


def test_an_error_says_file_line_path_and_what_to_do() -> None:
    (found,) = errors_of(FILE.replace("team: t}", "team: u}"))

    assert str(found) == (
        "segments.yaml:9:34: error: segments[0].route.team: no team is named 'u' (there is t) [unknown-team]"
    )
