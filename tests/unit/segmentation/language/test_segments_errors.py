"""Every error of a segments file is found, all at once, each with its place."""

import pytest

from resegment.documents.diagnostics import Diagnostic, InvalidSegments
from resegment.segmentation.analysis.lint import lint_broken
from resegment.segmentation.definition import read_definition

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
TRAIT = "{count: hiring, within: 60d}"
PLAY = "channels: {primary: email}"


def refusal_of(*texts: str) -> InvalidSegments:
    names = ("segments.yaml", "more.yaml", "last.yaml")
    with pytest.raises(InvalidSegments) as caught:
        read_definition(list(zip(names, texts, strict=False)))
    return caught.value


def errors_of(*texts: str) -> tuple[Diagnostic, ...]:
    return refusal_of(*texts).diagnostics


CASES = [
    # what is written (^ marks the place of the error), instead of what, the code
    ("version: ^2", "version: 1", "wrong-value"),
    ("version: ^true", "version: 1", "wrong-value"),
    ("^versoin: 1\nversion: 1", "version: 1", "unknown-key"),
    ("{employees: {^gt_e: 50}}", WHEN, "unknown-operator"),
    ("{employees: {gte: ^'50'}}", WHEN, "wrong-operand"),
    ("{employees: {contains: ^x}}", WHEN, "never-matches"),
    ("{employees: ^fifty}", WHEN, "never-matches"),
    ("{employees: 1, ^employees: 2}", WHEN, "duplicate-key"),
    ("turns: {count: hiring}\n  ^turns: {count: hiring, within: 60d}", "turns: {count: hiring, within: 60d}", "duplicate-key"),
    ("{industry: {gte: ^3}}", WHEN, "never-matches"),
    ("{industry: {matches: ^'('}}", WHEN, "wrong-operand"),
    ("{employees: {between: ^[9, 3]}}", WHEN, "wrong-operand"),
    ("{employees: {in: ^[]}}", WHEN, "wrong-operand"),
    ("{employees: ^{}}", WHEN, "empty-group"),
    ("{all: ^[]}", WHEN, "empty-group"),
    ("{any: ^[]}", WHEN, "empty-group"),
    ("^{}", WHEN, "empty-group"),
    ("^fintech", WHEN, "wrong-type"),
    ("{not: ^[a]}", WHEN, "wrong-type"),
    ("{event: ^hirng}", WHEN, "unknown-kind"),
    ("{event: hiring, within: ^0d}", WHEN, "empty-window"),
    ("{event: hiring, within: ^60}", WHEN, "wrong-duration"),
    ("{event: hiring, within: ^999999999999w}", WHEN, "wrong-duration"),
    ("{event: hiring, ago: ^[90d, 30d]}", WHEN, "empty-window"),
    ("{event: hiring, where: {remote: {gte: ^1}}}", WHEN, "never-matches"),
    ("{event: hiring, count: {gte: ^x}}", WHEN, "wrong-operand"),
    ("^{sequence: [{event: hiring}]}", WHEN, "missing-key"),
    ("{sequence: ^[], within: 3d}", WHEN, "empty-group"),
    ("{sequence: [{event: hiring, ^count: 2}], within: 3d}", WHEN, "unknown-key"),
    ("^{event: hiring, sequence: []}", WHEN, "wrong-shape"),
    ("{within: ^3d}", WHEN, "wrong-shape"),
    ("{heat: ^{eq: 3}}", WHEN, "decay-operator"),
    ("{segment: ^three}", WHEN, "unknown-segment"),
    ("{segment: ^rest}", WHEN, "unknown-segment"),
    ("^{segment: one}", WHEN, "cycle"),
    ("{any: [{segment: two}, {segment: ^nope}]}", WHEN, "unknown-segment"),
    ("{count: ^hirng}", TRAIT, "unknown-kind"),
    ("{count: hiring, ^field: x}", TRAIT, "unknown-key"),
    ("^{sum: funding}", TRAIT, "missing-key"),
    ("{sum: funding, field: ^round}", TRAIT, "never-matches"),
    ("^{count: hiring, sum: funding}", TRAIT, "wrong-shape"),
    ("{growth: ^industry, over: 3d}", TRAIT, "never-matches"),
    ("{growth: ^heat, over: 3d}", TRAIT, "wrong-type"),
    ("^{growth: employees}", TRAIT, "missing-key"),
    ("{ratio: ^[turns, employees]}", TRAIT, "cycle"),
    ("{ratio: [employees, ^heat]}", TRAIT, "decay-operator"),
    ("{ratio: [employees, ^industry]}", TRAIT, "never-matches"),
    ("^{decay: intent}", "{decay: intent, half_life: 7d}", "missing-key"),
    ("employees: ^{count", "turns: {count", "hidden-attribute"),
    ("within: ^{count", "turns: {count", "reserved-name"),
    ("name: ^one", "name: two", "duplicate-name"),
    ("name: ^one,", "name: rest,", "duplicate-name"),
    ("play: ^q\n    route: {workflow: w1", "play: p\n    route: {workflow: w1", "unknown-play"),
    ("team: ^u", "team: t", "unknown-team"),
    ("channels: {primary: email}\n    personas: [^boss]", PLAY, "unknown-persona"),
    ("teams: {t: {}}\ntests: [{name: x, expect: ^three}]", "teams: {t: {}}", "unknown-segment"),
    ("teams: {t: {}}\ntests: [{name: x, expect: one, until: {after: 3d, expect: ^four}}]", "teams: {t: {}}", "unknown-segment"),
    ("^name: two\n    when: {industry: fintech}\n", "name: two\n    when: {industry: fintech}\n    play: p\n", "missing-key"),
    ("route: ^{team: t}", "route: {workflow: w1, team: t}", "missing-key"),
    ("workflow: w2, on_exit: ^halt}", "workflow: w2}", "wrong-value"),
    ("workflow: w2}\n    hold: {min_dwell: ^a week}", "workflow: w2}", "wrong-duration"),
    ("workflow: w2}\n    hold: {cooldown: ^999999999999w}", "workflow: w2}", "wrong-duration"),
    ("workflow: w2}\n    hold: {exit_when: ^{}}", "workflow: w2}", "empty-group"),
    ("workflow: w2}\n    hold: {^dwell: 3d}", "workflow: w2}", "unknown-key"),
    ("message: ^{pain: a, proof_points: [c]}", "message: {pain: a, value_prop: b, proof_points: [c]}", "missing-key"),
    ("proof_points: ^[]", "proof_points: [c]", "wrong-type"),
    ("channels: ^{secondary: email}", PLAY, "missing-key"),
    ("channels: {primary: email}\n    personas: [^7]", PLAY, "wrong-type"),
    ("channels: {primary: email}\n    personas: [{^tilte: x}]", PLAY, "unknown-key"),
    ("^name: two\n    when: {industry: fintech}\n    play: p\n    route: {workflow: w1, team: t, on_exit: stop}", "name: two\n    when: {industry: fintech}\n    play: p\n    route: {workflow: w2}", "not-actionable"),
    ("^{name: rest}", "{name: rest, play: p}", "not-actionable"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "instead", "code"), CASES)
def test_an_error_is_reported_once_with_its_code_and_place(written: str, instead: str, code: str) -> None:
    assert instead in FILE
    marked = FILE.replace(instead, written, 1)
    before = marked[: marked.index("^")]

    found = errors_of(marked.replace("^", ""))

    assert [(one.code, one.place.line, one.place.column) for one in found] == [
        (code, before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)
    ]


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
    text = FILE.replace(WHEN, "{segment: two}").replace("{industry: fintech}", "{not: {segment: one}}")

    found = errors_of(text)

    assert [(one.code, one.place.line) for one in found] == [("cycle", 7), ("cycle", 11)]


def test_references_lead_through_so_many_segments_at_the_most() -> None:
    def chain(length: int) -> str:
        links = "".join(
            f"  - {{name: s{n}, when: {{segment: s{n + 1}}}, play: p, route: {{workflow: x{n}}}}}\n"
            for n in range(length)
        )
        last = f"  - {{name: s{length}, when: {{country: DE}}, play: p, route: {{workflow: x}}}}\n"
        return FILE.replace("fallback:", f"{links}{last}fallback:")

    assert read_definition([("segments.yaml", chain(16))])
    (found,) = errors_of(chain(17))
    assert (found.code, found.path) == ("too-large", ("segments", 2, "when"))


def test_an_error_says_file_line_path_and_what_to_do() -> None:
    (found,) = errors_of(FILE.replace("team: t}", "team: u}"))

    assert str(found) == (
        "segments.yaml:9:33: error: segments[0].route.team: no team is named 'u' (use one of t) [unknown-team]"
    )


def test_a_key_given_twice_hides_no_other_error() -> None:
    text = FILE.replace("team: t}", "team: t, team: u}").replace("{gte: 50}", "{gt_e: 50}")

    found = errors_of(text)

    assert [(one.code, one.path) for one in found] == [
        ("unknown-operator", ("segments", 0, "when", "employees", "gt_e")),
        ("duplicate-key", ("segments", 0, "route", "team")),
        ("unknown-team", ("segments", 0, "route", "team")),
    ]


def test_a_part_given_twice_makes_no_name_of_it_unknown() -> None:
    text = f"{FILE}plays: {{}}\nowner: me\n"

    assert [one.code for one in errors_of(text)] == ["duplicate-key", "unknown-key"]


def test_a_broken_file_of_a_folder_hides_no_error_of_the_others_and_makes_none() -> None:
    head, plays = FILE.split("plays:\n")
    wrong = head.replace("gte: 50", "gt_e: 50") + "tests: [{name: x, expect: elsewhere}]\n"

    found = errors_of("plays: [", wrong, "segments: [{name: two, name: three}]")

    assert [(one.code, one.place.file, one.path) for one in found if one.code != "missing-key"] == [
        ("duplicate-key", "last.yaml", ("segments", 2, "name")),
        ("unknown-operator", "more.yaml", ("segments", 0, "when", "employees", "gt_e")),
        ("not-yaml", "segments.yaml", ()),
    ]
    assert {one.path for one in found if one.code == "missing-key"} == {("segments", 2)}
    assert [one.code for one in errors_of(head, "plays:\n" + plays.replace("pain: a", "pain: 7"))] == [
        "wrong-type"
    ]


def test_a_name_in_two_files_hides_no_other_error() -> None:
    more = "version: 1\nfallback: {name: other}\nplays: {p: {}}\nsegments: [{name: one, wen: {}}]\n"

    found = errors_of(FILE.replace("gte: 50", "gt_e: 50"), more)

    assert {(one.code, one.place.file, one.path) for one in found} >= {
        ("duplicate-key", "more.yaml", ("fallback",)),
        ("duplicate-name", "more.yaml", ("plays", "p")),
        ("duplicate-name", "more.yaml", ("segments", 2, "name")),
        ("unknown-key", "more.yaml", ("segments", 2, "wen")),
        ("unknown-operator", "segments.yaml", ("segments", 0, "when", "employees", "gt_e")),
    }


def test_errors_hide_no_warning_that_does_not_depend_on_them() -> None:
    text = (
        FILE.replace("team: t}", "team: u}")
        .replace("{industry: fintech}", "{event: funding, where: {round: Series A, lead: x}, witin: 3}")
        .replace("turns: {count: hiring", "turns: {sum: hiring, field: points")
    )

    refused = refusal_of(text)

    assert {one.code for one in refused.diagnostics} == {"unknown-team"}
    found = lint_broken(refused)
    assert [one.place for one in found] == sorted(
        (one.place for one in found), key=lambda one: (one.line, one.column)
    )
    assert {one.code for one in found} == {
        "unknown-team",
        "unlisted-field",
        "no-hypothesis",
        "never-met",
        "misspelt-word",
    }


MISTAKES = [
    ("name: one\n", "name: one\n    hypotheses: h\n", "unknown-key", "did you mean 'hypothesis'?", 4),
    ("name: one\n", "name: one\n    holdout: 10\n", "wrong-type", "expected a share like 10%, not 10", 4),
    ("name: one\n", "name: one\n\t  layer: needs\n", "not-yaml", "a tab: YAML is indented with spaces", 4),
    ("{employees: {gte: 50}}", "{employees: {gte: 50}", "not-yaml", "no '}' closes this '{'", None),
    ("{employees: {gte: 50}}", "{employees: 1,000+}", "wrong-operand", "write numbers without commas", None),
    (
        "{employees: {gte: 50}}",
        "{event: funding, withing: 120d}",
        "misspelt-word",
        "did you mean 'within'?",
        None,
    ),
    ("version: 1", "version: 1\nsuppression: [customer]", "wrong-value", "did you mean 'customers'?", 2),
    ("name: one\n", "name: one\n    target: many\n", "wrong-type", "expected a number like 50", 4),
    ("version: 1", "version: 1\ncooldown_after_lost: 90", "wrong-type", "a duration like 90d, not 90", 2),
]
HELPFUL = """version: 1
segments:
  - name: one
    when: {employees: {gte: 50}}
    play: p
    route: {workflow: w}
fallback: {name: out, play: p}
plays: {p: {message: {pain: a, value_prop: b, proof_points: [c]}, channels: {primary: email}}}
tests: [{name: t, expect: out}, {name: u, expect: one}]
"""


@pytest.mark.parametrize(("good", "written", "code", "says", "line"), MISTAKES)
def test_a_mistake_is_one_error_that_says_what_was_meant(
    good: str, written: str, code: str, says: str, line: int | None
) -> None:
    assert HELPFUL.count(good) == 1
    found = [
        one for one in lint_broken(refusal_of(HELPFUL.replace(good, written))) if one.severity == "error"
    ]

    assert [one.code for one in found] == [code]
    assert says in str(found[0])
    assert found[0].place.line == (line or 4)


def test_a_text_for_a_number_draws_no_advice_on_spelling() -> None:
    found = lint_broken(refusal_of(HELPFUL.replace("{employees: {gte: 50}}", "{employees: '50+'}")))

    assert [one.code for one in found if one.code in ("never-matches", "never-met")] == ["never-matches"]


def test_a_word_of_the_language_in_the_wrong_place_draws_no_advice_on_spelling() -> None:
    found = lint_broken(refusal_of(HELPFUL.replace("{employees: {gte: 50}}", "{open: hiring, within: 3d}")))

    assert [one.code for one in found if one.code in ("wrong-shape", "misspelt-word")] == ["wrong-shape"]


def test_a_follower_without_a_kind_is_told_so() -> None:
    when = "{event: hiring, not_followed_by: {where: {change: closed}}}"

    (found,) = errors_of(HELPFUL.replace("{employees: {gte: 50}}", when))

    assert (found.code, found.message) == ("unknown-kind", "it names no kind of event")


def test_a_missing_fallback_is_one_error_though_tests_expect_it() -> None:
    text = "".join(line for line in HELPFUL.splitlines(True) if not line.startswith("fallback"))

    assert [(one.code, one.message) for one in refusal_of(text).diagnostics] == [
        ("missing-key", "fallback is required")
    ]


UNREADABLE = [
    ("a: [b, c\nd: 1\n", 1, "no ']' closes this '['"),
    ("a: {b: 1 c: 2}\n", 1, "expected ',' or '}' here"),
    ("a: {b: 1,\n    c: 2 d: 3}\n", 2, "expected ',' or '}' here"),
    ('a: 1\nb: "c\nd: e\n', 2, "no quote closes this one"),
    ("a: @b\n", 1, "a value cannot start with '@'"),
    ("a:\n  b: 1\n\tc: 2\n", 3, "a tab"),
    ("a:\n  - b\n c\n", 3, "indentation"),
    ("a: - b\n", 1, "a list cannot start on this line"),
]


@pytest.mark.parametrize(("text", "line", "says"), UNREADABLE)
def test_what_is_not_yaml_is_said_in_plain_words_at_its_line(text: str, line: int, says: str) -> None:
    (found,) = refusal_of(text).diagnostics

    assert (found.code, found.place.line) == ("not-yaml", line)
    assert says in found.message
