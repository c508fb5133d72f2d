"""Experiments: what a file may say, what each account gets, and how many touches are needed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

from resegment.documents.diagnostics import Diagnostic, InvalidSegments
from resegment.documents.formatter import format_document
from resegment.routing.policy import Policy
from resegment.schemas.routing import Target
from resegment.schemas.times import format_instant, parse_instant
from resegment.segmentation.analysis.lint import lint
from resegment.segmentation.definition import Definition, read_definition
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import replay_account
from resegment.segmentation.inspection.briefs import write_brief
from resegment.segmentation.plays.experiments import is_drawn, read_day
from resegment.segmentation.plays.sample_size import plan_touches
from resegment.segmentation.versions.differences import compare
from resegment.segmentation.versions.wording import tell_differences
from tests.builders import Rig, data_of, facts_of, run, signals
from tests.oracle.cases import day, event, hiring, segments
from tests.unit.segmentation.language.test_language_docs import examples_of, tables_of

FILE = """
version: 1
segments:
  - name: hiring-now
    hypothesis: Who hires sellers needs to ramp them.
    when: {event: hiring, within: 90d}
    play: ramp
    route: {workflow: outbound}
  - name: funded
    hypothesis: A round pays for a sales team.
    when: {event: funding, within: 90d}
    play: grow
    route: {workflow: funded}
fallback: {name: rest, play: grow}
plays:
  ramp: {message: {pain: a, value_prop: b, proof_points: [c]}, channels: {primary: email}}
  proof: {message: {pain: a, value_prop: b, proof_points: [d]}, channels: {primary: phone}}
  grow: {message: {pain: e, value_prop: f, proof_points: [g]}, channels: {primary: email}}
tests:
  - {name: hiring, given: {events: [{event: hiring, ago: 1d}]}, expect: hiring-now}
  - {name: funded, given: {events: [{event: funding, ago: 1d}]}, expect: funded}
  - {name: nothing, expect: rest}
experiments:
"""
GOOD = "hypothesis: x, metric: reply, horizon: 21d, baseline: 6%, difference: 3%"
ACCOUNTS = [f"company{number}.com" for number in range(20_000)]


def read(*experiments: str) -> Definition:
    return read_definition([("segments.yaml", FILE + "".join(f"  {one}\n" for one in experiments))])


def errors_of(*experiments: str) -> list[Diagnostic]:
    with pytest.raises(InvalidSegments) as refused:
        read(*experiments)
    return [one for one in refused.value.diagnostics if one.severity == "error"]


def warnings_of(*experiments: str) -> list[str]:
    return [one.code for one in lint(read(*experiments)) if one.severity == "warning"]


def test_an_experiment_says_which_accounts_get_what() -> None:
    definition = read(f"proof-first: {{segment: hiring-now, plays: [ramp, proof], share: 30%, {GOOD}}}")
    experiment = definition.experiments["proof-first"]

    drawn = Counter(definition.draws.draw("hiring-now", account, day(1)).play for account in ACCOUNTS)

    assert experiment.variants == ("ramp", "proof")
    assert experiment.shares == (0.7, 0.3)
    assert abs(drawn["proof"] / len(ACCOUNTS) - 0.3) < 0.01
    assert drawn.keys() == {"ramp", "proof"}
    assert warnings_of(f"proof-first: {{segment: hiring-now, plays: [ramp, proof], {GOOD}}}") == []


def test_a_draw_names_the_experiment_and_never_changes() -> None:
    line = f"proof-first: {{segment: hiring-now, plays: [ramp, proof], {GOOD}}}"
    first, second = (read(line).draws.draw("hiring-now", "acme.com", day(at)) for at in (1, 400))

    assert first == second
    assert (first.experiment, first.holdout) == ("proof-first", False)
    assert first.variant == first.play


def test_segments_without_an_experiment_draw_nothing() -> None:
    draws = read(f"proof-first: {{segment: hiring-now, plays: [ramp, proof], {GOOD}}}").draws

    assert draws.draw("funded", "acme.com", day(1)) == ("grow", False, None, None)
    assert draws.draw("no-such-segment", "acme.com", day(1)) == (None, False, None, None)


def test_an_experiment_with_a_holdout_enrolls_the_rest() -> None:
    draws = read(f"lift: {{segment: funded, holdout: 20%, {GOOD}}}").draws
    drawn = [draws.draw("funded", account, day(1)) for account in ACCOUNTS]

    assert {(one.variant, one.holdout, one.play) for one in drawn} == {
        ("holdout", True, "grow"),
        ("enrolled", False, "grow"),
    }
    assert abs(sum(one.holdout for one in drawn) / len(ACCOUNTS) - 0.2) < 0.01


def test_the_segments_own_holdout_takes_part_in_no_experiment_and_the_rest_is_drawn_evenly() -> None:
    text = FILE.replace("    play: ramp\n", "    play: ramp\n    holdout: {share: 10%, salt: same}\n")
    line = f"  ab: {{segment: hiring-now, plays: [ramp, proof], salt: same, {GOOD}}}\n"
    draws = read_definition([("segments.yaml", text + line)]).draws
    drawn = Counter(draws.draw("hiring-now", account, day(1)).variant for account in ACCOUNTS)

    assert abs(drawn[None] / len(ACCOUNTS) - 0.1) < 0.01
    assert abs(drawn["proof"] / (drawn["proof"] + drawn["ramp"]) - 0.5) < 0.015


def test_another_salt_draws_other_accounts() -> None:
    lines = [
        f"ab: {{segment: hiring-now, plays: [ramp, proof], salt: {salt}, {GOOD}}}" for salt in ("a", "b")
    ]
    first, second = (
        {one for one in ACCOUNTS if read_draws.draw("hiring-now", one, day(1)).variant == "proof"}
        for read_draws in (read(line).draws for line in lines)
    )

    assert abs(len(first & second) / len(first) - 0.5) < 0.03


def test_accounts_are_drawn_from_the_first_day_to_the_last() -> None:
    draws = read(
        f"ab: {{segment: hiring-now, plays: [ramp, proof], starts: 2026-03-01, ends: 2026-03-31, {GOOD}}}"
    ).draws
    instants = (
        "2026-02-28T23:59:59.999Z",
        "2026-03-01T00:00:00Z",
        "2026-03-31T23:59:59.999Z",
        "2026-04-01T00:00:00Z",
    )
    drawn = [draws.draw("hiring-now", "acme.com", parse_instant(one)).experiment for one in instants]

    assert drawn == [None, "ab", "ab", None]


def test_every_error_of_an_experiment_is_reported_at_once_with_its_place() -> None:
    found = errors_of(
        f"a: {{segment: hiring-nwo, plays: [ramp, prof], {GOOD}}}",
        f"b: {{segment: funded, plays: [grow, grow], {GOOD}}}",
        "c: {segment: funded, holdout: 20%, metric: replies, horizon: 0d, baseline: 6, difference: 95%, starts: x}",
        f"d: {{segment: hiring-now, {GOOD}, sahre: 10%}}",
        "e: {segment: hiring-now, holdout: 50%, share: 50%, metric: win, horizon: 1d, baseline: 60%, difference: 40%}",
    )
    told = {(one.code, ".".join(map(str, one.path))) for one in found}

    assert told == {
        ("unknown-segment", "experiments.a.segment"),
        ("unknown-play", "experiments.a.plays.1"),
        ("duplicate-name", "experiments.b.plays.1"),
        ("overlapping-experiments", "experiments.c.segment"),
        ("overlapping-experiments", "experiments.e.segment"),
        ("wrong-value", "experiments.c.metric"),
        ("wrong-duration", "experiments.c.horizon"),
        ("wrong-type", "experiments.c.baseline"),
        ("wrong-value", "experiments.c.starts"),
        ("unknown-key", "experiments.d.sahre"),
        ("wrong-value", "experiments.e"),
        ("wrong-value", "experiments.e.difference"),
    }
    assert all(one.place is not None for one in found)


@pytest.mark.parametrize(
    ("first", "second", "meet"),
    [
        ("", "", True),
        ("ends: 2026-03-31, ", "starts: 2026-04-01, ", False),
        ("ends: 2026-03-31, ", "starts: 2026-03-31, ", True),
        ("starts: 2026-04-01, ", "ends: 2026-03-31, ", False),
        ("starts: 2026-04-01, ", "starts: 2026-06-01, ends: 2026-06-02, ", True),
    ],
)
def test_two_experiments_may_not_draw_the_accounts_of_a_segment_on_one_day(
    first: str, second: str, *, meet: bool
) -> None:
    lines = [
        f"a: {{segment: hiring-now, plays: [ramp, proof], {first}{GOOD}}}",
        f"b: {{segment: hiring-now, holdout: 50%, {second}{GOOD}}}",
    ]
    if meet:
        assert [one.code for one in errors_of(*lines)] == ["overlapping-experiments"]
    else:
        assert set(read(*lines).experiments) == {"a", "b"}


def test_a_holdout_of_the_segment_and_one_of_an_experiment_are_too_much() -> None:
    text = FILE.replace("    play: ramp\n", "    play: ramp\n    holdout: 10%\n")
    with pytest.raises(InvalidSegments) as refused:
        read_definition([("s", text + f"  a: {{segment: hiring-now, holdout: 20%, {GOOD}}}\n")])
    assert [one.code for one in refused.value.diagnostics] == ["overlapping-experiments"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("horizon: 21d", "horizon: 7d"), "short-horizon"),
        (("metric: reply", "metric: win"), "short-horizon"),
        (("hypothesis: x, ", ""), "no-hypothesis"),
        (("hypothesis: x", "hypothesis: x, power: 30%"), "weak-experiment"),
        (("hypothesis: x", "hypothesis: x, confidence: 70%"), "weak-experiment"),
        (("[ramp, proof]", "[grow, proof]"), "other-play"),
        (("hiring-now", "rest"), "idle-experiment"),
    ],
)
def test_lint_warns_of_experiments_that_will_say_nothing(change: tuple[str, str], code: str) -> None:
    line = f"ab: {{segment: hiring-now, plays: [ramp, proof], {GOOD}}}"
    assert code not in warnings_of(line)
    assert code in warnings_of(line.replace(*change))


def test_lint_warns_of_a_segment_that_is_too_small() -> None:
    text = FILE.replace("    play: ramp\n", "    play: ramp\n    target: 200\n")
    found = lint(
        read_definition([("s", text + f"  ab: {{segment: hiring-now, plays: [ramp, proof], {GOOD}}}\n")])
    )
    assert [one.message for one in found] == [
        "it needs 2,418 touches, and 'hiring-now' should have 200 accounts"
    ]


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0.2)])
@pytest.mark.parametrize(("baseline", "difference"), [(0.06, 0.03), (0.3, 0.1), (0.02, 0.01)])
def test_the_planned_size_is_near_what_another_formula_gives(
    baseline: float, difference: float, shares: tuple[float, float]
) -> None:
    """Compare with statsmodels, which uses the arcsine of the shares: both are approximations."""
    effect = proportion_effectsize(baseline + difference, baseline)
    first = NormalIndPower().solve_power(effect, power=0.8, alpha=0.05, ratio=shares[1] / shares[0])
    planned = plan_touches(baseline, difference, shares, power=0.8, confidence=0.95)
    assert planned == pytest.approx(first / shares[0], rel=0.12)


def test_texts_of_both_plays_are_checked_and_rendered_for_the_segment() -> None:
    text = FILE.replace("proof_points: [d]", "proof_points: ['{{ employees }} people']")
    line = f"  ab: {{segment: hiring-now, plays: [ramp, proof], {GOOD}}}\n"
    with pytest.raises(InvalidSegments) as refused:
        read_definition([("s", text + line)])
    assert [one.code for one in refused.value.diagnostics] == ["no-default"]


def test_a_changed_experiment_differs_and_judges_no_account() -> None:
    old = read(f"ab: {{segment: hiring-now, plays: [ramp, proof], {GOOD}}}")
    new = read(f"ab: {{segment: hiring-now, plays: [ramp, proof], salt: b, {GOOD}}}")
    differences = compare(old, new)
    told = tell_differences(old, new, differences)

    assert [(one.part, one.name, one.what) for one in told] == [("experiments", "ab", ("changed",))]
    assert ["salt" in one for one in told[0].words] == [True, False]
    assert told[0].words[1].startswith("another draw: its touches so far no longer count")
    assert differences.texts_only
    assert old.version != new.version


def changes_file() -> dict[str, Any]:
    file = segments(hot={"event": "hiring"})
    file["plays"]["other"] = {
        **file["plays"]["any"],
        "description": "{{ account }}: {{ employees | default(0) }}",
    }
    play = file["segments"][0]["play"]
    file["experiments"] = {
        "ab": {
            "segment": "hot",
            "plays": [play, "other"],
            "metric": "reply",
            "horizon": "21d",
            "baseline": "6%",
            "difference": "3%",
        }
    }
    return file


async def test_a_change_carries_the_experiment_the_variant_and_its_play() -> None:
    file = changes_file()
    events = [
        one
        for account in ACCOUNTS[:60]
        for one in (
            event("firmographic", day(0), account=account, id=f"f{account}", employees=7),
            hiring(day(1), account=account, id=account),
        )
    ]
    rig = await run(Rig(file), [signals(facts_of(events))])
    await rig.deliver()
    entered = [one for one in map(data_of, rig.published.to("segment-changes")) if one["to"] == "hot"]

    assert len(entered) == 60
    assert {one["experiment"] for one in entered} == {"ab"}
    assert all(one["variant"] == one["play"] for one in entered)
    assert all(
        one["message"].get("description") == (f"{one['account']}: 7" if one["play"] == "other" else None)
        for one in entered
    )
    assert 10 < sum(is_drawn(one["account"], 0.5, "experiment\0ab") for one in entered) < 50
    others = {one["account"] for one in entered if one["variant"] == "other"}
    assert others == {one["account"] for one in entered if is_drawn(one["account"], 0.5, "experiment\0ab")}


def test_days_are_those_of_utc() -> None:
    experiment = read(f"ab: {{segment: funded, holdout: 5%, starts: 2026-03-01, {GOOD}}}").experiments["ab"]
    assert format_instant(experiment.starts) == "2026-03-01T00:00:00Z"


def test_the_reference_says_what_accounts_get() -> None:
    (file,) = [
        one for one in examples_of("language.md") if "experiments" in one.data and "version" in one.data
    ]
    draws = read_definition([("segments.yaml", file.text)]).draws
    ((heading, *rows),) = tables_of("language.md", "Account")
    found = [
        [
            row[0],
            *(
                str(draws.draw("new-sales-leader", row[0].strip("`"), read_day(one)).play)
                for one in heading[1:]
            ),
        ]
        for row in rows
    ]

    assert len(rows) == 3
    assert found == [[row[0], *(cell.strip("`") for cell in row[1:])] for row in rows]


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ((), "stopped: it has a result only if it was over"),
        ((("21d", "28d"),), "it is read in another way than was declared when it began"),
        ((("hypothesis: x", "hypothesis: y"),), None),
    ],
)
def test_a_difference_says_what_becomes_of_an_experiment(
    new: tuple[tuple[str, str], ...], told: str | None
) -> None:
    line = f"ab: {{segment: hiring-now, plays: [ramp, proof], {GOOD}}}"
    changed = line
    for change in new:
        changed = changed.replace(*change)
    before = read(line)
    after = read(changed) if new else read_definition([("s", FILE.replace("experiments:\n", ""))])
    (found,) = tell_differences(before, after, compare(before, after))
    assert (found.words[-1] == told) if told else ("way" not in found.words[-1])


def test_a_waiting_account_gets_the_draw_of_the_version_in_force() -> None:
    text = FILE.replace("experiments:\n", "")
    old = Policy(read_definition([("s", text)]))
    new = Policy(read(f"ab: {{segment: hiring-now, plays: [ramp, proof], {GOOD}}}"))
    drawn = {}
    for account in ACCOUNTS[:50]:
        target = Target("c", 1, day(1), "hiring-now", is_first=False, route=None, play="ramp", holdout=False)
        caught = new.catch_up(account, target, old)
        drawn[account] = (caught.experiment, caught.variant, caught.play)
    draws = new.definition.draws

    assert {one[0] for one in drawn.values()} == {"ab"}
    assert all(one[1] == one[2] for one in drawn.values())
    assert drawn == {
        account: (one.experiment, one.variant, one.play)
        for account in drawn
        for one in [draws.draw("hiring-now", account, day(1))]
    }


def test_experiments_of_several_files_are_one_list_and_a_name_is_used_once() -> None:
    parts = [
        f"experiments:\n  {name}: {{segment: {segment}, holdout: 20%, {GOOD}}}\n"
        for name, segment in (("a", "funded"), ("b", "hiring-now"))
    ]
    files = [("base.yaml", FILE.replace("experiments:\n", "")), ("a.yaml", parts[0]), ("b.yaml", parts[1])]
    assert set(read_definition(files).experiments) == {"a", "b"}

    with pytest.raises(InvalidSegments) as refused:
        read_definition([*files, ("c.yaml", parts[0])])
    assert any("a" in one.path and one.place.file == "c.yaml" for one in refused.value.diagnostics)


def test_one_style_keeps_what_an_experiment_says() -> None:
    text = FILE + f"  ab:   {{segment: hiring-now,   plays: [ramp,proof], {GOOD}}}\n"
    styled = format_document(text.encode(), "segments.yaml")
    assert b"plays: [ramp, proof]" in styled
    assert read_definition([("s", styled)]).version == read_definition([("s", text)]).version


def test_a_brief_has_the_play_that_the_account_was_drawn_for() -> None:
    engine = Engine(Program(read(f"ab: {{segment: hiring-now, plays: [ramp, proof], {GOOD}}}")))
    draws = engine.program.definition.draws
    said = {}
    for name in ACCOUNTS[:20]:
        account, _ = replay_account(engine, name, facts_of([hiring(day(1), account=name)]), day(2))
        said[name] = write_brief(engine, account, day(2)).play

    assert set(said.values()) == {"ramp", "proof"}
    assert said == {name: draws.draw("hiring-now", name, day(1)).play for name in said}
