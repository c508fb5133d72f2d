"""Templates in the texts of plays: what may be written, and that saying them never fails."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from resegment.console.definition.contracts import schema
from resegment.documents.diagnostics import InvalidSegments
from resegment.schemas.segments import Play
from resegment.segmentation.analysis.lint import lint
from resegment.segmentation.definition import Definition, read_definition
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import order_of_delivery, replay_account
from resegment.segmentation.plays.filters import FILTERS, MAX_TEXT
from resegment.segmentation.plays.rendering import Rendered, compile_play, render_play
from resegment.segmentation.plays.templates import EvidenceField, evidence_of, names_of
from resegment.streams.kafka.topics import Topics
from resegment.streams.message_factory import MessageFactory
from tests.events import read_fact

DOCS = Path(__file__).parents[4] / "docs" / "plays.md"
TRAITS = {
    "jobs": {"count": "hiring", "within": "60d"},
    "raised": {"sum": "funding", "field": "amount_usd"},
    "heat": {"decay": "intent", "half_life": "7d"},
    "last_round": {"latest": "funding", "field": "round"},
    "growth_1y": {"growth": "employees", "over": "365d"},
}
WHEN = {"all": [{"industry": "fintech"}, {"employees": {"gte": 5}}, {"event": "funding", "within": "90d"}]}


def file(pain: str = "a", **more: Any) -> dict[str, Any]:
    message = {"pain": pain, "value_prop": "b", "proof_points": ["c"], **more.pop("message", {})}
    play = {"message": message, "channels": {"primary": "email"}, **more.pop("play", {})}
    segment = {"name": "s", "hypothesis": "h", "when": WHEN, "play": "p", "route": {"workflow": "w"}}
    return {
        "version": 1,
        "traits": TRAITS,
        "segments": [{**segment, **more.pop("segment", {})}],
        "fallback": {"name": "z", "route": {"workflow": "n"}},
        "plays": {"p": play},
        **more,
    }


def define(given: dict[str, Any]) -> Definition:
    return read_definition([("segments.yaml", yaml.safe_dump(given, sort_keys=False, width=10_000))])


def errors(given: dict[str, Any] | str) -> list[str]:
    try:
        define(file(given) if isinstance(given, str) else given)
    except InvalidSegments as refused:
        return [one.code for one in refused.diagnostics]
    return []


def warnings(pain: str) -> list[str]:
    kept = ("unknown-attribute", "unlisted-field", "no-evidence")
    return [one.code for one in define(file(pain)).warnings if one.code in kept]


def say(text: str, values: dict[str, Any] | None = None, evidence: Any = ()) -> str:
    return say_play({"pain": text}, values, evidence).play["message"]["pain"]


def say_play(message: dict[str, Any], values: dict[str, Any] | None = None, evidence: Any = ()) -> Rendered:
    whole = {"pain": "a", "value_prop": "b", "proof_points": ["c"], **message}
    play = Play.model_validate({"message": whole, "channels": {"primary": "email"}})
    return render_play(
        compile_play(play), account="acme.com", segment="s", values=values or {}, evidence=evidence
    )


def cited(kind: str, day: str, **data: Any) -> dict[str, Any]:
    return {"id": day, "kind": kind, "time": f"{day}T00:00:00Z", "source": "crunchbase", "data": data}


# What may be missing


@pytest.mark.parametrize(
    "text",
    [
        "{{ account }} {{ segment }}",
        "{{ industry }} {{ employees + 1 }}",
        "{{ jobs }} {{ raised | money }} {{ heat | round(1) }}",
        "{{ last_round | default('a round') | title }}",
        "{{ last_round | replace('_', ' ') | title | default('a round') }}",
        "{% if last_round is defined %}{{ last_round }}{% endif %}",
        "{% if last_round is defined and last_round == 'seed' and revenue_usd is defined %}{{ revenue_usd }}{% endif %}",
        "{% if last_round is not defined %}none{% else %}{{ last_round }}{% endif %}",
        "{% if last_round is undefined %}a{% elif jobs %}{{ last_round }}{% endif %}",
        "{{ last_round if last_round is defined else 'a round' }}",
        "{{ evidence.funding.round | default('a round') }}",
        "{% if evidence.funding.amount_usd is defined %}{{ evidence.funding.amount_usd | money }}{% endif %}",
        "{{ technologies | first | default('tools') }}",
        "{% raw %}{{ not_a_name }}{% endraw %}",
    ],
)
def test_what_is_surely_known_or_has_a_default_can_be_said(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "{{ last_round }}",
        "{{ growth_1y | percent }}",
        "{{ revenue_usd | money }}",
        "{{ evidence.funding.round }}",
        "{% if last_round %}a{% endif %}",
        "{{ 1 + revenue_usd }}",
        "{{ (1 + revenue_usd) | default(2) }}",
        "{{ 'a' | default(last_round) }}",
        "{{ last_round | default(region) }}",
        "{% if last_round is defined or jobs %}{{ last_round }}{% endif %}",
        "{% if last_round is defined %}a{% else %}{{ last_round }}{% endif %}",
        "{% if last_round is defined %}a{% endif %}{{ last_round }}",
        "{{ industry if last_round == 'seed' else 'a' }}",
        "{{ technologies | default([]) | first }}",
    ],
)
def test_what_may_be_missing_needs_a_default(text: str) -> None:
    assert errors(text) == ["no-default"]


@pytest.mark.parametrize("hold", [{"min_dwell": "7d"}, {"exit_when": {"employees": {"lt": 2}}}])
def test_a_hold_that_keeps_an_account_makes_what_is_tested_missable(hold: Any) -> None:
    assert errors(file("{{ employees }}", segment={"hold": hold})) == ["no-default"]
    assert errors(file("{{ jobs }} {{ employees | default(1) }}", segment={"hold": hold})) == []
    assert errors(file("{{ employees }}", segment={"hold": {"cooldown": "7d"}})) == []


@pytest.mark.parametrize(
    "when",
    [
        {"any": [{"employees": {"gte": 5}}, {"industry": "saas"}]},
        {"not": {"employees": {"gte": 5}}},
        {"employees": {"exists": False}},
        {"event": "funding"},
    ],
)
def test_a_test_that_need_not_be_true_makes_nothing_known(when: Any) -> None:
    assert errors(file("{{ employees }}", segment={"when": when})) == ["no-default"]


@pytest.mark.parametrize(
    "when", [{"employees": {"exists": True}}, {"all": [{"all": [{"employees": 5}]}, {"industry": "saas"}]}]
)
def test_a_test_that_must_be_true_makes_its_attribute_known(when: Any) -> None:
    assert errors(file("{{ employees }}", segment={"when": when})) == []


def test_a_condition_of_another_segment_counts_where_it_is_required() -> None:
    given = file("{{ employees }}", segment={"when": {"segment": "t"}})
    given["segments"].append(
        {"name": "t", "hypothesis": "h", "when": WHEN, "play": "p", "route": {"workflow": "x"}}
    )
    assert errors(given) == []


def test_every_segment_with_the_play_must_know_it_and_the_fallback_knows_nothing() -> None:
    given = file("{{ employees }}")
    given["segments"].append(
        {"name": "t", "when": {"industry": "saas"}, "play": "p", "route": {"workflow": "x"}}
    )
    assert errors(given) == ["no-default"]
    given = file("{{ employees }}")
    given["fallback"]["play"] = "p"
    assert errors(given) == ["no-default"]


def test_a_shared_persona_may_use_what_all_its_plays_know() -> None:
    persona = {"founder": {"titles": ["CEO"], "message": "{{ employees }} {{ revenue_usd }}"}}
    assert errors(file(play={"personas": ["founder"]}, personas=persona)) == ["no-default"]
    persona = {"founder": {"titles": ["CEO of {{ account }}"], "message": "{{ employees }}"}}
    assert errors(file(play={"personas": ["founder"]}, personas=persona)) == []


# What cannot be written


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ account['__class__'] }}",
        "{{ account | attr('__class__') }}",
        "{{ evidence.funding.__class__.x | default('a') }}",
        "{{ evidence }}",
        "{{ evidence.funding }}",
        "{{ self }}",
        "{{ self.__init__ }}",
        "{{ range(10**9) }}",
        "{{ lipsum() }}",
        "{{ account.upper() }}",
        "{% for x in range(1000000000) %}{{ x }}{% endfor %}",
        "{{ 'a' * 10**9 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ '%1000000000d' % 5 }}",
        "{{ 9**9**9 }}",
        "{{ account ~ account }}",
        "{{ none }}",
        "{{ employees | default(none) }}",
        "{{ {'a': 1} }}",
        "{{ employees if jobs }}",
        "{{ employees is string }}",
        "{{ employees | truncate(length=5) }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% block x %}{% endblock %}",
        "{% macro f() %}{% endmacro %}",
        "{% set a = 1 %}",
        "{% filter upper %}a{% endfilter %}",
        "{% with %}{% endwith %}",
        "{% autoescape true %}{% endautoescape %}",
        "{{ " + "1 + " * 100 + "1 }}",
    ],
)
def test_nothing_is_called_reached_or_repeated(text: str) -> None:
    found = errors(text)
    assert set(found) & {"forbidden-in-template", "unknown-filter", "unlisted-field"}, found


@pytest.mark.parametrize(
    "text", ["{{ employees", "{% if employees %}", "{{ }}", "{% nonsense %}", "{{ " + "(" * 1900 + " }}"]
)
def test_a_template_that_does_not_parse_is_an_error(text: str) -> None:
    assert errors(text) == ["broken-template"]


def test_filters_are_a_closed_list_with_fixed_arguments() -> None:
    assert errors("{{ employees | tojson }}") == ["unknown-filter"]
    assert errors("{{ employees | default }}") == ["wrong-filter"]
    assert errors("{{ employees | money('USD', 2) }}") == ["wrong-filter"]


def test_a_kind_of_evidence_is_one_that_exists() -> None:
    assert errors("{{ evidence.party.host | default('a') }}") == ["unknown-kind"]


def test_channels_and_names_hold_no_templates() -> None:
    assert errors(file(play={"channels": {"primary": "{{ account }}"}})) == ["misplaced-template"]
    assert errors(file(play={"personas": [{"name": "{{ account }}"}]})) == ["misplaced-template"]


def test_errors_are_collected_with_all_others_each_at_its_place() -> None:
    given = file("{{ last_round }}", message={"proof_points": ["fine", "{{ x | nope }}"]})
    given["segments"][0]["play"] = "gone"
    given["fallback"]["play"] = "p"
    with pytest.raises(InvalidSegments) as refused:
        define(given)
    found = {(one.code, one.path, bool(one.remedy)) for one in refused.value.diagnostics}
    assert ("unknown-play", ("segments", 0, "play"), True) in found
    assert ("no-default", ("plays", "p", "message", "pain"), True) in found
    assert ("unknown-filter", ("plays", "p", "message", "proof_points", 1), True) in found


def test_a_broken_condition_hides_no_template_and_blames_none() -> None:
    assert errors(file("{{ employees }}", segment={"when": {"employees": {"gte": "x"}}})) == ["wrong-operand"]


def test_a_name_that_nothing_else_speaks_of_is_a_warning() -> None:
    assert warnings("{{ employes | default(1) }}") == ["unknown-attribute"]
    assert warnings("{{ industry }} {{ revenue_usd | default(1) }} {{ last_round | default('') }}") == []


def test_evidence_that_is_never_there_is_a_warning() -> None:
    assert warnings("{{ evidence.hiring.title | default('') }}") == ["no-evidence"]
    assert warnings("{{ evidence.funding.rond | default('') }}") == ["unlisted-field"]
    assert warnings("{{ evidence.funding.time | date | default('') }}") == []


def test_a_trait_that_only_a_text_uses_is_used() -> None:
    unused = [one.path[-1] for one in lint(define(file("{{ jobs }}"))) if one.code == "unused-trait"]
    assert unused == ["raised", "heat", "last_round", "growth_1y"]


# What is said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ n | money }}", "$1.2M"),
        ("{{ n | money('EUR') }}", "€1.2M"),
        (
            "{{ 999960 | money }} {{ 999940 | money }} {{ 950 | money }} {{ 2000000000 | money }}",
            "$1M $999.9K $950 $2B",
        ),
        ("{{ n | thousands }}", "1,234,567"),
        ("{{ share | percent }} {{ share | percent(1) }}", "12% 12.3%"),
        ("{{ '2026-03-03' | date }} {{ '2026-03-03T23:30:00-02:00' | date }}", "Mar 3, 2026 Mar 4, 2026"),
        ("{{ names | join }} {{ names | join('/') }} {{ names }}", "a, b a/b a, b"),
        (
            "{{ names | first | default('x') }} {{ nobody | first | default('x') }} {{ names | length }}",
            "a x 2",
        ),
        ("{{ 'series_a' | replace('_', ' ') | title }} {{ 'a' | upper }} {{ 'A' | lower }}", "Series A A a"),
        ("{{ share | round(2) }} {{ 2.6 | round }} {{ 2.6 | int }} {{ '7' | int }}", "0.12 3 2 7"),
        ("{{ 'one two three' | truncate(9) }}", "one two…"),
        ("{{ yes }} {{ 3.0 }} {{ 1234567.891 }} {{ n }}", "yes 3 1234567.89 1234567"),
        ("{{ gone | default('x') }} {{ '' | default('x', true) }}", "x x"),
        ("{{ n / 2 > 5 and 'a' in names }}", "yes"),
        ("  {% if n > 5 %} big {% else %} small {% endif %}  ", "big"),
        ("{{ account }} {{ segment }}", "acme.com s"),
    ],
)
def test_values_are_said_as_people_say_them(text: str, said: str) -> None:
    values = {
        "n": 1_234_567,
        "share": 0.123,
        "names": ["a", None, "b"],
        "nobody": [],
        "yes": True,
        "gone": None,
    }
    assert say(text, {**values, "names": ["a", "b"]}) == said


def test_a_value_is_never_taken_for_a_template() -> None:
    assert say("{{ name }}", {"name": "{{ 1 + 1 }} {% x %}"}) == "{{ 1 + 1 }} {% x %}"


def test_evidence_is_the_newest_fact_of_its_kind() -> None:
    facts = [
        cited("funding", "2026-01-01", round="seed"),
        cited("funding", "2026-03-03", round="series_a", amount_usd=None),
        cited("hiring", "2026-02-02", function="sales"),
    ]
    text = "{{ evidence.funding.round }} {{ evidence.funding.time | date }} {{ evidence.funding.source }}"
    assert say(text, evidence=facts) == "series_a Mar 3, 2026 crunchbase"
    assert say("{{ evidence.funding.amount_usd | default('?') }}", evidence=facts) == "?"
    assert (
        say(
            "{{ evidence.tech.technology | default('?') }} {{ evidence.funding.items | default('?') }}",
            evidence=facts,
        )
        == "? ?"
    )


def test_a_text_that_comes_to_nothing_is_left_out() -> None:
    only = "{% if employees is defined %}{{ employees }}{% endif %}"
    said = say_play(
        {
            "proof_points": ["a", only],
            "objections": [only, {"objection": only, "response": "r"}, {"objection": "o", "response": only}],
        }
    )
    assert said.problems == ()
    assert said.play["message"] == {
        "pain": "a",
        "value_prop": "b",
        "proof_points": ["a"],
        "objections": [{"objection": "o"}],
    }


def test_a_text_that_cannot_be_said_is_left_out_and_told() -> None:
    said = say_play({"proof_points": ["a", "{{ employees / 0 }}"]}, {"employees": 5})
    assert said.play["message"]["proof_points"] == ["a"]
    assert [one.partition(":")[0] for one in said.problems] == ["message.proof_points[1]"]


def test_of_a_required_text_that_cannot_be_said_the_plain_words_stay() -> None:
    said = say_play(
        {
            "pain": "With {{ n / 0 }} people, {% if n %}hard{% endif %} work.",
            "proof_points": ["{{ n / 0 }} all"],
        },
        {"n": 1},
    )
    assert said.play["message"]["pain"] == "With people, work."
    assert said.play["message"]["proof_points"] == ["all"]
    assert say_play({"pain": "{{ 1 / 0 }}"}).play["message"]["pain"] == "…"


def test_values_of_any_size_and_type_make_no_long_text_and_no_error() -> None:
    huge = {"text": "a" * 1_000_000, "list": ["b" * 1_000_000] * 10_000, "map": {"a": None}, "n": 10**300}
    for name in huge:
        for use in (
            "x",
            "x | upper",
            "x | join('----')",
            "x | replace('a', 'aaaaaaaa')",
            "x | money",
            "x * x",
            "x | date",
        ):
            said = say_play({"proof_points": ["c", f"{{{{ {use.replace('x', name, 1)} }}}}" * 9]}, huge)
            assert all(len(one) <= MAX_TEXT for one in said.play["message"]["proof_points"])


def test_a_play_without_templates_is_the_same_object_for_everybody() -> None:
    play = compile_play(define(file("only { braces } and # signs")).plays["p"])
    assert play.constant
    first = render_play(play, account="a.com", segment="s", values={})
    assert first.play is render_play(play, account="b.com", segment="s", values={"x": 1}).play


def test_what_a_play_asks_for_is_known_before() -> None:
    personas = {"founder": {"message": "{{ raised | money }}"}}
    definition = define(
        file(
            "{{ jobs }} {{ evidence.funding.round | default('') }} {% if region is defined %}{{ industry }}{% endif %}",
            play={"personas": ["founder"]},
            personas=personas,
        )
    )
    play = definition.plays["p"]
    assert names_of(play) == {"jobs", "region", "industry"}
    assert names_of(play, definition.personas) == {"jobs", "region", "industry", "raised"}
    assert evidence_of(play) == {EvidenceField("funding", "round")}


# Whatever is known

NAMES = ("industry", "employees", "jobs", "last_round", "region", "technologies", "account")
SURE = ("industry", "employees", "jobs")
ATOMS = (*NAMES, "evidence.funding.round", "evidence.funding.amount_usd", "evidence.hiring.title", "'x'", "3")
FILTERS_USED = (
    "", " | default('d')", " | upper", " | title | default('d')", " | first", " | first | default(1)", " | money",
    " | join | truncate(5)", " | round(1)", " | length", " | replace('a', 'b')", " | percent | default('d')", " | int",
)  # fmt: skip
expressions = st.builds("{}{}".format, st.sampled_from(ATOMS), st.sampled_from(FILTERS_USED))
conditions = st.builds(
    "{}{}".format,
    st.sampled_from(("", "not ")),
    st.one_of(
        st.builds("{} is {}defined".format, st.sampled_from(ATOMS[:-2]), st.sampled_from(("", "not "))),
        st.builds("{} == {}".format, expressions, expressions),
        expressions,
    ),
)
joined = st.builds("{} {} {}".format, conditions, st.sampled_from(("and", "or")), conditions) | conditions
outputs = st.builds(
    "{{{{ {} }}}}".format, expressions | st.builds("{} + {}".format, expressions, expressions)
)
texts = st.recursive(
    outputs | st.just("words"),
    lambda inner: (
        st.builds(
            "{{% if {} %}}{}{{% elif {} %}}{}{{% else %}}{}{{% endif %}}".format,
            joined,
            inner,
            joined,
            inner,
            inner,
        )
        | st.builds("{} {}".format, inner, inner)
    ),
    max_leaves=4,
)
scalars = (
    st.text("abc", max_size=4)
    | st.integers(-(10**6), 10**6)
    | st.floats(-1e6, 1e6, allow_nan=False)
    | st.booleans()
)
values = scalars | st.lists(scalars | st.none(), max_size=3)


@given(
    texts,
    st.fixed_dictionaries(
        dict.fromkeys(SURE, values),
        optional={name: values | st.none() for name in NAMES if name not in SURE and name != "account"},
    ),
    st.lists(
        st.builds(
            lambda kind, data: cited(kind, "2026-03-03", **data),
            st.sampled_from(("funding", "hiring")),
            st.dictionaries(st.sampled_from(("round", "amount_usd", "title")), values | st.none()),
        ),
        max_size=3,
    ),
)
def test_what_lint_takes_never_says_none_and_never_meets_what_is_missing(
    text: str, known: dict[str, Any], evidence: list[Any]
) -> None:
    if errors(text):
        return
    said = say_play({"pain": text}, known, evidence)
    assert said.play["message"]["pain"]
    assert "None" not in said.play["message"]["pain"]
    assert "ndefined" not in said.play["message"]["pain"]
    assert not [one for one in said.problems if "undefined" in one or "empty" in one], said.problems


# On the way out


def trigger(kind: str, day: str, **data: Any) -> Any:
    return read_fact(
        {
            "specversion": "1.0",
            "id": f"{kind}-{day}",
            "source": "crunchbase",
            "type": f"gtm.{kind}.v1",
            "subject": "acme.com",
            "time": f"{day}T09:00:00Z",
            "data": data,
        }
    )


def test_a_change_carries_the_play_as_it_is_said_to_its_account() -> None:
    given = file(
        "{{ employees }} people at {{ account }}",
        message={
            "proof_points": ["{% if region is defined %}near {{ region }}{% endif %}", "{{ 1 / 0 }}"],
            "objections": [{"objection": "why", "response": "{{ jobs }} jobs"}],
        },
        play={"personas": [{"titles": ["CEO"], "message": "Hi {{ name | default(account) }}"}, "other"]},
        personas={"other": {"titles": ["CFO"]}},
    )
    definition = define(given)
    engine = Engine(Program(definition))
    facts = [
        trigger("firmographic", "2026-03-01", employees=60, industry="fintech", name="Acme"),
        trigger("funding", "2026-03-03", round="series_a"),
    ]
    _, changes = replay_account(engine, "acme.com", order_of_delivery(facts), facts[-1].recorded)
    event = orjson.loads(MessageFactory(definition, Topics("t")).change(changes[-1]).value or b"")
    message = event["data"]["message"]
    assert event["data"]["to"] == "s"
    assert message["message"]["pain"] == "60 people at acme.com"
    assert message["message"]["objections"] == [{"objection": "why", "response": "0 jobs"}]
    assert message["message"]["proof_points"] == ["…"]
    assert message["personas"] == [
        {"titles": ["CEO"], "message": "Hi Acme"},
        {"name": "other", "titles": ["CFO"]},
    ]
    assert not list(Draft202012Validator(schema("change")).iter_errors(event))


# The page about it


def test_scores_open_things_and_dates_can_be_said() -> None:
    traits = {
        "open_jobs": {"open": "hiring"},
        "last_job": {"latest": "hiring", "field": "time"},
        "readiness": {"score": [{"when": {"open_jobs": {"gte": 1}}, "points": 30}]},
    }
    given = file(
        "{{ readiness }} points, {{ open_jobs }} jobs, {{ last_job }}, {{ renewal }}, {{ plan }}",
        traits=traits,
        conditions={
            "renews": {"renewal": {"within_next": "90d"}, "plan": {"ne": "free", "known_within": "9d"}}
        },
        segment={"when": {"condition": "renews", "last_job": {"exists": True}}},
        play={"cta": "Sign by {{ renewal }}"},
    )
    definition = define(given)
    facts = [
        trigger("firmographic", "2026-03-01", renewal="2026-04-01", plan="team"),
        trigger("hiring", "2026-03-03", change="opened", job="7"),
    ]

    _, changes = replay_account(
        Engine(Program(definition)), "acme.com", order_of_delivery(facts), facts[-1].recorded
    )

    event = orjson.loads(MessageFactory(definition, Topics("t")).change(changes[-1]).value or b"")
    message = event["data"]["message"]
    assert message["message"]["pain"].startswith("30 points, 1 jobs, 2026-03-03T")
    assert message["cta"] == "Sign by 2026-04-01"
    assert event["data"]["values"]["readiness"] == 30
    assert not list(Draft202012Validator(schema("change")).iter_errors(event))


@pytest.mark.parametrize(
    "when", [{"renewal": {"exists": False, "known_within": "9d"}}, {"not": {"condition": "renews"}}]
)
def test_a_condition_that_makes_nothing_known_lets_nothing_be_said(when: Any) -> None:
    conditions = {"renews": {"renewal": {"within_next": "90d"}}}

    assert errors(file("{{ renewal }}", conditions=conditions, segment={"when": when}))


def test_the_examples_of_the_page_are_said_as_it_says() -> None:
    rows = re.findall(r"^\| `(\{.*?)` \| (.*?) \|$", DOCS.read_text(), re.MULTILINE)
    assert len(rows) > 10
    known = {"employees": 1250, "raised_1y_usd": 12_000_000, "growth_1y": 0.234, "industry": "fintech"}
    facts = [cited("funding", "2026-03-03", round="series_a", amount_usd=12_000_000)]
    for text, said in rows:
        assert say(text.replace("\\|", "|"), {**known, "technologies": ["dbt", "hubspot"]}, facts) == said


def test_the_filters_of_the_page_are_those_that_exist() -> None:
    assert set(re.findall(r"^\| `(\w+)[`(]", DOCS.read_text(), re.MULTILINE)) == set(FILTERS)
