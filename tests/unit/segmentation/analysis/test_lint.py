"""What lint warns of, and that it never cries wolf."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.documents.diagnostics import Diagnostic
from resegment.schemas.times import format_instant, parse_instant
from resegment.segmentation.analysis.implication import Reasoner
from resegment.segmentation.analysis.lint import lint
from resegment.segmentation.definition import Definition, read_definition
from resegment.segmentation.evaluation.compiler import compile_logic
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import order_of_delivery, replay_account
from resegment.segmentation.language.conditions import InSegment
from tests.builders import definition_of
from tests.events import read_fact
from tests.oracle.generate import generate

EXAMPLES = Path(__file__).parents[4] / "examples"
PLAY = {
    "message": {"pain": "a", "value_prop": "b", "proof_points": ["c"]},
    "channels": {"primary": "email"},
}
NOW = parse_instant("2026-01-01T00:00:00Z")
DAY = 86_400_000


def define(whens: list[Any], **more: Any) -> Definition:
    """Segments s0, s1, ... in this order."""
    segments = []
    for index, when in enumerate(whens):
        entry = {"name": f"s{index}", "hypothesis": "h", "play": "p", "route": {"workflow": f"w{index}"}}
        segments.append({**entry, **(when if isinstance(when, dict) and "when" in when else {"when": when})})
    file = {
        "version": 1,
        "segments": segments,
        "fallback": {"name": "rest", "play": "p"},
        "plays": {"p": PLAY},
    }
    return read_definition([("segments.yaml", orjson.dumps({**file, **more}))])


def codes(definition: Definition, known: set[str] | None = None) -> set[tuple[str, str]]:
    """Code and the first two steps of the path, of all that is not about missing tests."""
    found = lint(definition, known)
    return {
        (one.code, str(one.path[1] if len(one.path) > 1 else "")) for one in found if one.code != "untested"
    }


def only(found: tuple[Diagnostic, ...], code: str) -> Diagnostic:
    (one,) = [one for one in found if one.code == code]
    return one


HIRING = {"event": "hiring", "where": {"function": "sales"}, "within": "60d"}

COVERED = [
    ({"renewal": {"after": "2026-03-01"}}, {"renewal": {"after": "2026-03-02", "before": "2026-04-01"}}),
    (HIRING, {**HIRING, "not_followed_by": {"event": "outcome"}}),
    ({"sequence": [{"event": "hiring"}, {"event": "hiring"}], "within": "3d", "order": "loose"}, {"sequence": [{"event": "hiring"}, {"event": "hiring"}], "within": "3d", "order": "strict"}),
    ({"open": "hiring"}, {"open": "hiring", "count": {"gte": 2}}),
    ({"employees": {"gte": 10}}, {"employees": {"gte": 50}}),
    ({"employees": {"gte": 10}}, {"employees": {"between": [10, 20]}}),
    ({"employees": {"gte": 10}}, {"all": [{"employees": {"gte": 12}}, {"industry": "fintech"}]}),
    ({"employees": {"gt": 9, "lt": 50}}, {"all": [{"employees": {"gt": 9}}, {"employees": {"lte": 49}}]}),
    ({"employees": {"exists": True}}, {"employees": {"ne": 3}}),
    ({"industry": ["a", "b"]}, {"industry": "a"}),
    ({"industry": {"not_in": ["a"]}}, {"industry": {"not_in": ["a", "b"]}}),
    ({"industry": {"contains": "Tech"}}, {"industry": {"contains": "fintech"}}),
    ({"industry": {"matches": "^f"}}, {"industry": ["fintech", "food"]}),
    ({"not": {"industry": "a"}}, {"industry": "b"}),
    ({"technologies": {"has_any": ["x", "y"]}}, {"technologies": {"has_all": ["y", "z"]}}),
    ({"technologies": {"has_none": ["x"]}}, {"technologies": {"has_none": ["x", "y"]}}),
    ({"any": [{"employees": {"gte": 50}}, {"industry": "a"}]}, {"industry": "a", "country": "DE"}),
    ({"event": "hiring"}, HIRING),
    ({**HIRING, "within": "90d"}, HIRING),
    (HIRING, {**HIRING, "count": {"gte": 3}}),
    ({**HIRING, "count": {"lt": 5}}, {**HIRING, "count": {"lt": 3}}),
    ({**HIRING, "where": {"function": ["sales", "marketing"]}}, HIRING),
    ({"not": HIRING}, {"not": {"event": "hiring"}}),
    (HIRING, {"sequence": [{"event": "funding"}, {"event": "hiring", "where": {"function": "sales"}}], "within": "30d"}),
    ({"segment": "s1", "employees": {"exists": True}}, {"employees": {"gte": 50}}),
    ({"turns": {"gte": 1}}, {**HIRING, "count": {"gte": 2}}),
]  # fmt: skip


@pytest.mark.parametrize(("higher", "lower"), COVERED)
def test_a_segment_is_unreachable_below_one_that_always_covers_it(higher: Any, lower: Any) -> None:
    definition = define([higher, lower], traits={"turns": {"count": "hiring", "within": "60d"}})

    assert ("unreachable", "1") in codes(definition)


FREE = [
    ({"employees": {"gte": 5, "known_within": "3d"}}, {"employees": {"gte": 5}}),
    ({"employees": {"gte": 5}}, {"employees": {"exists": False, "known_within": "3d"}}),
    ({**HIRING, "not_followed_by": {"event": "outcome"}}, HIRING),
    ({"renewal": {"within_next": "3d"}}, {"renewal": {"within_next": "9d"}}),
    ({"sequence": [{"event": "hiring"}, {"event": "hiring"}], "within": "3d", "order": "strict"}, {"sequence": [{"event": "hiring"}, {"event": "hiring"}], "within": "3d", "order": "loose"}),
    ({"open": "hiring"}, HIRING),
    ({"when": {"employees": {"gte": 10}}, "status": "draft"}, {"employees": {"gte": 50}}),
    ({"employees": {"gte": 50}}, {"employees": {"gte": 49}}),
    ({"employees": {"gte": 50}}, {"industry": "a"}),
    ({"industry": "a"}, {"industry": ["a", "b"]}),
    ({"industry": {"contains": "fintech"}}, {"industry": {"contains": "tech"}}),
    ({"not": {"industry": "a"}}, {"employees": {"gte": 50}}),
    ({"technologies": {"has_all": ["x", "y"]}}, {"technologies": {"has_any": ["x", "y"]}}),
    (HIRING, {"event": "hiring", "within": "60d"}),
    (HIRING, {**HIRING, "within": "90d"}),
    (HIRING, {**HIRING, "ago": ["0s", "90d"], "within": "61d"}),
    ({**HIRING, "count": {"gte": 3}}, HIRING),
    ({"status": {"exists": True}}, {"status": {"exists": False}}),
    ({"all": [{"employees": {"gte": 1}}, HIRING]}, {"employees": {"gte": 1}}),
    ({"when": {"employees": {"gte": 10}}, "hold": {"cooldown": "3d"}}, {"employees": {"gte": 50}}),
    ({"when": {"employees": {"gte": 10}}, "hold": {"exit_when": {"industry": "a"}}}, {"employees": {"gte": 50}}),
]  # fmt: skip


@pytest.mark.parametrize(("higher", "lower"), FREE)
def test_a_segment_that_can_be_reached_is_not_called_unreachable(higher: Any, lower: Any) -> None:
    assert not {code for code, _ in codes(define([higher, lower]))} & {"unreachable", "never-true"}


def test_two_segments_may_cover_a_third_together() -> None:
    definition = define(
        [
            {"industry": "a"},
            {"country": "DE"},
            {"any": [{"industry": "a"}, {"country": "DE"}], "employees": 9},
        ]
    )

    found = only(lint(definition), "unreachable")

    assert "'s0' and 's1' above it always take it first" in found.message


NEVER = [
    {"renewal": {"after": "2026-03-01", "before": "2026-03-01T00:00:00Z"}},
    {"all": [{"renewal": {"within_next": "3d"}}, {"not": {"renewal": {"within_next": "3d"}}}]},
    {"all": [{"open": "hiring"}, {"open": "hiring", "count": 0}]},
    {"all": [{"account": "acme.com"}, {"account": "beta.com"}]},
    {"all": [{"employees": {"gte": 5, "known_within": "3d"}}, {"employees": {"lt": 5, "known_within": "3d"}}]},
    {"employees": {"gte": 50, "lt": 50}},
    {"all": [{"employees": {"gte": 50}}, {"any": [{"employees": 3}, {"employees": {"lt": 10}}]}]},
    {"all": [{"industry": "a"}, {"not": {"industry": ["a", "b"]}}]},
    {"all": [{"industry": {"exists": False}}, {"industry": {"ne": "a"}}]},
    {"all": [{"technologies": {"has_all": ["x", "y"]}}, {"technologies": {"has_none": ["y"]}}]},
    {"all": [HIRING, {"not": {"event": "hiring"}}]},
    {**HIRING, "count": {"lt": 0}},
    {**HIRING, "count": {"gt": 1, "lt": 2}},
    {"event": "funding", "where": {"amount_usd": {"gt": 5, "lt": 3}}},
    {"all": [{"sequence": [{"event": "hiring"}, {"event": "hiring"}], "within": "3d"}, {"event": "hiring", "count": {"lt": 2}}]},
    {"all": [{"segment": "s1"}, {"not": {"segment": "s1"}}]},
]  # fmt: skip


@pytest.mark.parametrize("when", NEVER)
def test_a_condition_that_contradicts_itself_is_never_true(when: Any) -> None:
    assert ("never-true", "0") in codes(define([when, {"country": "DE"}]))


def test_a_draft_may_do_what_another_segment_does() -> None:
    route = {"workflow": "w"}
    draft = {"when": {"industry": "b"}, "status": "draft", "route": route}

    definition = define([{"when": {"industry": "a"}, "route": route}, draft])

    assert codes(definition) == set()


TOO_MANY = [
    {**HIRING, "count": {"gte": 2001}},
    {**HIRING, "count": {"gt": 2000, "lt": 9000}},
    {"any": [{"employees": 5}, {**HIRING, "count": 5000}]},
    {"open": "hiring", "count": {"between": [2500, 5000]}},
    {"open_jobs": {"gte": 2001}},
    {"jobs": [3000, 4000]},
    {"jobs": {"in": "$many"}},
    {"jobs": "$many"},
    {"roles": {"gte": 2001}},
]
ENOUGH = [
    {**HIRING, "count": {"gte": 2000}},
    {**HIRING, "count": {"gt": 1999}},
    {**HIRING, "count": {"lte": 5000}},
    {**HIRING, "count": {"ne": 5000}},
    {"jobs": [3, 4000]},
    {"open_jobs": {"between": [1, 5000]}},
    {"employees": {"gte": 5000}},
]
COUNTS = {
    "jobs": {"count": "hiring"},
    "roles": {"distinct": "hiring", "field": "function"},
    "open_jobs": {"open": "hiring"},
}


@pytest.mark.parametrize(
    ("when", "never"), [*((one, True) for one in TOO_MANY), *((one, False) for one in ENOUGH)]
)
def test_a_count_above_what_a_test_counts_is_an_error(when: Any, never: bool) -> None:
    definition = define([when], traits=COUNTS, lists={"many": [3000, 4000]})

    assert (("count-too-high", "error") in {(one.code, one.severity) for one in lint(definition)}) is never


@pytest.mark.parametrize(("limit", "found"), [(4_999, 1), (5_000, 0)])
def test_the_limit_of_facts_that_a_test_counts_is_a_setting(limit: int, found: int) -> None:
    problems = lint(define([{**HIRING, "count": {"gte": 5000}}]), facts_per_test=limit)

    assert [one.code for one in problems].count("count-too-high") == found


def test_a_segment_whose_exit_is_always_true_takes_nobody() -> None:
    definition = define(
        [{"when": {"employees": {"gte": 50}}, "hold": {"exit_when": {"employees": {"gte": 10}}}}]
    )

    assert only(lint(definition), "never-true").path == ("segments", 0, "hold", "exit_when")


def test_a_firmographic_segment_above_a_behavioral_one_that_it_overlaps() -> None:
    definition = define(
        [
            {"layer": "firmographic", "when": {"employees": {"gte": 50}}},
            {"layer": "behavioral", "when": {"all": [HIRING, {"employees": {"gte": 10}}]}},
        ]
    )

    found = only(lint(definition), "firmographic-first")

    assert found.path == ("segments", 0)
    assert "s1" in found.message


@pytest.mark.parametrize(
    ("upper", "lower"),
    [
        ({"employees": {"gte": 50}}, {"all": [HIRING, {"employees": {"lt": 50}}]}),
        (HIRING, {"all": [{"event": "intent"}, {"employees": {"lt": 50}}]}),
        ({"employees": {"gte": 50}}, {"industry": "fintech"}),
        ({"when": {"employees": {"gte": 50}}, "layer": "needs"}, HIRING),
    ],
)
def test_other_orders_are_fine(upper: Any, lower: Any) -> None:
    assert "firmographic-first" not in {code for code, _ in codes(define([upper, lower]))}


def test_more_than_eight_segments_are_many() -> None:
    nine = [{"country": str(number)} for number in range(9)]

    assert ("many-segments", "8") in codes(define(nine))
    assert codes(define(nine[:8])) == set()


def test_a_segment_says_why() -> None:
    definition = define([{"when": {"country": "DE"}, "hypothesis": None}])

    assert codes(definition) == {("no-hypothesis", "0")}


def test_a_trait_is_used_by_a_condition_or_by_a_trait_that_is() -> None:
    traits = {
        "turns": {"count": "hiring"},
        "rounds": {"count": "funding"},
        "both": {"ratio": ["turns", "rounds"]},
        "idle": {"count": "intent"},
        "over_idle": {"ratio": ["idle", "employees"]},
    }

    found = codes(define([{"both": {"gte": 1}}], traits=traits))

    assert found == {("unused-trait", "idle"), ("unused-trait", "over_idle")}


def test_an_attribute_that_no_account_has_is_not_measurable() -> None:
    definition = define(
        [{"any": [{"employes": {"gte": 3}}, {"grown": {"gte": 1}}, HIRING]}],
        traits={"grown": {"growth": "seats", "over": "3d"}},
    )

    found = [one for one in lint(definition, {"employees"}) if one.code == "not-measurable"]

    assert {(one.path, one.remedy) for one in found} == {
        (("segments", 0, "when", "any", 0, "employes"), "did you mean 'employees'?"),
        (("traits", "grown", "growth"), "add a source for it, or remove the test"),
    }
    assert "not-measurable" not in {one.code for one in lint(definition)}


def test_a_word_of_the_language_that_is_misspelt_beside_an_event() -> None:
    definition = define([{"event": "hiring", "withn": "soon"}, {"acount": "x"}])

    assert codes(definition, {"acount"}) == {("misspelt-word", "0")}


SPELLINGS = [
    ({"event": "funding", "where": {"round": "Series A"}}, "write 'series_a'"),
    ({"event": "funding", "where": {"round": {"in": ["seed", "serie_a"]}}}, "did you mean 'series_a'?"),
    ({"event": "funding", "where": {"round": "Other"}}, "write it in lower case"),
    ({"event": "hiring", "where": {"function": "Маркетинг"}}, "write 'маркетинг'"),
    ({"event": "hiring", "where": {"function": {"contains": "Vertrieb/Süd"}}}, "write 'vertrieb_süd'"),
    ({"event": "leadership", "where": {"role": "Chief Revenue Officer"}}, "write 'cro'"),
    ({"event": "leadership", "where": {"change": "hired"}}, "did you mean 'joined'?"),
    ({"event": "hiring", "where": {"change": "posted"}}, "did you mean 'opened'?"),
    ({"event": "tech", "where": {"change": "swapped"}}, "use one of added, removed"),
    ({"event": "tech", "where": {"technology": "Google Analytics"}}, "write 'google-analytics'"),
    ({"event": "funding", "where": {"round": {"contains": "Series A"}}}, "write 'series_a'"),
    ({"technologies": {"has_any": ["Google Analytics"]}}, "write 'google-analytics'"),
    ({"last_round": "Series B"}, "write 'series_b'"),
    ({"sequence": [{"event": "funding", "where": {"round": "Seed"}}], "within": "3d"}, "write 'seed'"),
]


@pytest.mark.parametrize(("when", "remedy"), SPELLINGS)
def test_a_spelling_that_no_event_has_is_never_met(when: Any, remedy: str) -> None:
    traits = {"last_round": {"latest": "funding", "field": "round"}}

    assert only(lint(define([when], traits=traits)), "never-met").remedy == remedy


@pytest.mark.parametrize("word", ["Series Z", "venture", "Wunder", "-", "Other"])
def test_a_round_that_no_event_has_is_never_answered_with_the_word_for_unknown_rounds(word: str) -> None:
    found = only(lint(define([{"event": "funding", "where": {"round": word}}])), "never-met")

    assert "other" not in (found.remedy or "")


@pytest.mark.parametrize("word", ["営業", "ฝ่ายขาย", "बिक्री", "geschäftsführer", "+", "🚀"])
def test_a_word_of_any_script_is_spelled_as_events_have_it(word: str) -> None:
    definition = define([{"event": "hiring", "where": {"function": word}}])

    assert "never-met" not in {one.code for one in lint(definition)}


@pytest.mark.parametrize(
    ("test", "found"),
    [
        ("glod", ["did you mean 'gold'?"]),
        (["gold", "tin"], ["use one of gold, silver"]),
        ("$metals", ["use one of gold, silver"]),
        ({"in": ["gold", "silver"]}, []),
        ({"contains": "ld"}, []),
    ],
)
def test_a_text_that_the_type_of_an_attribute_leaves_out_is_never_met(test: Any, found: list[str]) -> None:
    types = {"tier": {"one_of": ["gold", "silver"]}}
    definition = define([{"tier": test}], attributes=types, lists={"metals": ["silver", "lead"]})

    assert [one.remedy for one in lint(definition) if one.code == "never-met"] == found


def test_a_trait_is_checked_for_spellings_too() -> None:
    traits = {"raised": {"count": "funding", "where": {"round": "Series A"}}}

    found = only(lint(define([{"raised": {"gte": 1}}], traits=traits)), "never-met")

    assert found.path == ("traits", "raised", "where", "round")


def test_segments_want_a_test_that_expects_them_and_one_that_does_not() -> None:
    whens = [{"country": "DE"}, {"country": "FR"}]
    one = {"name": "a", "given": {"attributes": {"country": "DE"}}, "expect": "s0"}

    def untested(tests: list[Any]) -> list[str]:
        return [found.message for found in lint(define(whens, tests=tests)) if found.code == "untested"]

    assert untested([]) == ["'s0' has no test at all", "'s1' has no test at all"]
    assert untested([one]) == [
        "'s0' has no test with an account that it does not take",
        "'s1' has no test that expects it",
    ]
    assert untested([one, {"name": "b", "expect": "rest", "until": {"after": "3d", "expect": "s1"}}]) == []


def test_warnings_have_line_column_and_remedy() -> None:
    text = (
        (EXAMPLES / "quickstart.yaml")
        .read_text()
        .replace("    hypothesis: In a company", "    description: In a company")
    )

    (found,) = lint(read_definition([("segments.yaml", text)]))

    assert (found.severity, found.code, found.place.line, found.place.column) == (
        "warning",
        "no-hypothesis",
        15,
        5,
    )
    assert found.remedy


@pytest.mark.parametrize("name", ["segments.yaml", "quickstart.yaml"])
def test_the_examples_are_free_of_warnings(name: str) -> None:
    assert lint(read_definition([(name, (EXAMPLES / name).read_text())])) == ()


# Whatever lint claims to be proved holds for every account that can be made up.

NUMBERS = st.integers(0, 4)
WORDS = st.sampled_from(["a", "b", "ab"])
NUMBER_TESTS = st.one_of(
    NUMBERS,
    st.lists(NUMBERS, min_size=1, max_size=2),
    st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte", "ne"]), NUMBERS, min_size=1, max_size=2),
    st.just({"exists": True}),
    st.just({"exists": False}),
)
WORD_TESTS = st.one_of(
    WORDS,
    st.dictionaries(st.sampled_from(["ne", "contains", "matches"]), WORDS, min_size=1, max_size=2),
    st.fixed_dictionaries({"not_in": st.lists(WORDS, min_size=1, max_size=2)}),
    st.just({"exists": True}),
)
SET_TESTS = st.dictionaries(
    st.sampled_from(["has_any", "has_all", "has_none"]), st.lists(WORDS, min_size=1, max_size=2), min_size=1
)
STEPS = st.fixed_dictionaries(
    {"event": st.sampled_from(["hiring", "strategy"])},
    optional={"where": st.fixed_dictionaries({"note": WORD_TESTS})},
)
DAYS = st.sampled_from(["1d", "2d", "3d"])
EVENT_TESTS = st.builds(
    lambda step, more: {**step, **more},
    STEPS,
    st.fixed_dictionaries({}, optional={"within": DAYS, "count": NUMBER_TESTS}),
)
SEQUENCES = st.fixed_dictionaries(
    {"sequence": st.lists(STEPS, min_size=1, max_size=2), "within": DAYS}, optional={"gap": DAYS}
)
LEAVES = st.one_of(
    st.fixed_dictionaries({"employees": NUMBER_TESTS}),
    st.fixed_dictionaries({"plan": WORD_TESTS}),
    st.fixed_dictionaries({"technologies": SET_TESTS}),
    st.fixed_dictionaries({"turns": NUMBER_TESTS}),
    EVENT_TESTS,
    EVENT_TESTS,
    SEQUENCES,
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=5,
)
SNAPSHOTS = st.fixed_dictionaries(
    {},
    optional={
        "employees": NUMBERS,
        "plan": st.one_of(WORDS, NUMBERS),
        "technologies": st.lists(WORDS, max_size=3),
    },
)
HAPPENINGS = st.lists(
    st.tuples(st.sampled_from(["hiring", "strategy"]), st.integers(0, 3), st.one_of(st.none(), WORDS)),
    max_size=4,
)


ACCOUNTS = st.lists(st.tuples(SNAPSHOTS, HAPPENINGS), min_size=5, max_size=12)


def judge(engine: Engine, snapshot: Any, happenings: Any) -> list[bool]:
    """Which conditions are true of the account, in the order of the segments."""
    events = [("firmographic", 5, snapshot)] + [(kind, age, {"note": note}) for kind, age, note in happenings]
    facts = [
        read_fact(
            {
                "specversion": "1.0",
                "id": str(number),
                "source": "s",
                "type": f"gtm.{kind}.v1",
                "subject": "acme.com",
                "time": format_instant(NOW - age * DAY - number),
                "data": data,
            }
        )
        for number, (kind, age, data) in enumerate(events)
    ]
    account, _ = replay_account(engine, "acme.com", order_of_delivery(facts), NOW)
    engine.evaluate(account, NOW)
    return [when.is_true(account.values) for when in engine.program.whens]


@settings(max_examples=300, deadline=None)
@given(CONDITIONS, CONDITIONS, CONDITIONS, ACCOUNTS)
def test_what_is_proved_is_so(first: Any, second: Any, third: Any, accounts: Any) -> None:
    whens = [first, second, {"any": [first, second]}, {"all": [first, third]}, {"not": first}]
    definition = define(whens, traits={"turns": {"count": "hiring", "within": "2d"}})
    reasoner, engine = Reasoner(definition), Engine(Program(definition))
    names = [InSegment(f"s{index}") for index in range(len(whens))]
    judged = [judge(engine, *account) for account in accounts]

    for one, name in enumerate(names):
        if reasoner.is_never(name):
            assert not any(truth[one] for truth in judged)
        for other, against in enumerate(names):
            if reasoner.implies(name, against):
                assert all(truth[other] for truth in judged if truth[one])
            if reasoner.excludes(name, against):
                assert not any(truth[one] and truth[other] for truth in judged)


def test_what_is_proved_of_the_whole_language_is_so() -> None:
    for seed in range(60):
        file, events, files = generate(seed, extended=True)
        definition = definition_of(file, files)
        reasoner, program = Reasoner(definition), Program(definition)
        names = [InSegment(one.name) for one in definition.segments if one.when is not None]
        truths = [
            compile_logic(one.when, program.conditions) for one in definition.segments if one.when is not None
        ]
        facts = order_of_delivery(read_fact(event) for event in events)
        engine = Engine(program)
        judged = []
        for name in {fact.account for fact in facts}:
            own = [fact for fact in facts if fact.account == name]
            for at in {instant for fact in own for instant in (fact.recorded, fact.recorded + 2 * DAY)}:
                account, _ = replay_account(engine, name, own, at)
                engine.evaluate(account, at)
                judged.append([logic.is_true(account.values) for logic in truths])
        for one, name in enumerate(names):
            if reasoner.is_never(name):
                assert not any(truth[one] for truth in judged), seed
            for other, against in enumerate(names):
                if reasoner.implies(name, against):
                    assert all(truth[other] for truth in judged if truth[one]), seed
                if reasoner.excludes(name, against):
                    assert not any(truth[one] and truth[other] for truth in judged), seed
