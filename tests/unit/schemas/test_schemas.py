"""The contracts: what events may carry and become, and that what goes out keeps its own contract."""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resegment.errors import RefusedEvent
from resegment.schemas.events import DATA
from resegment.schemas.fact import DEEPEST, KINDS, Fact, Kind, decode_fact, encode_fact
from resegment.schemas.logs.state_log import decode_state, encode_state
from resegment.schemas.outgoing import SegmentChangeData, WorkflowCommandData
from resegment.schemas.state import AccountState, Entry, Membership
from resegment.schemas.times import parse_instant
from resegment.schemas.vocabulary import ROUNDS, normalize_term
from tests.builders import EVENT, Rig, Routing, definition_of, facts_of, raw_event, run, signals, ticking
from tests.events import fact_of_bytes, read_fact
from tests.oracle.cases import day, funding, hiring, segments
from tests.oracle.generate import generate

WHOLE: dict[str, dict[str, Any]] = {
    "funding": {"round": "series_a", "amount": 5.5, "currency": "EUR", "amount_usd": 6_000_000,
                "investors": ["A", "B"], "lead_investors": ["A"]},
    "hiring": {"change": "opened", "job": "4711", "title": "SDR", "function": "sales", "seniority": "junior", "location": "Paris",
               "remote": True, "url": "https://acme.com/jobs/1", "technologies": ["hubspot"]},
    "leadership": {"change": "joined", "role": "cro", "title": "CRO", "person": "P", "previous_company": "Q"},
    "tech": {"change": "added", "technology": "salesforce", "category": "crm", "vendor": "V", "score": 0.5},
    "intent": {"topic": "crm", "score": 70, "score_scale": 100, "level": "high", "trend": "rising",
               "stage": "decision", "vendor": "V"},
    "strategy": {"theme": "expansion", "statement": "We expand", "url": "https://acme.com/news"},
    "engagement": {"action": "page_view", "url": "https://us.com", "person": "P", "persona": "buyer"},
    "firmographic": {"name": "Acme", "industry": "saas", "subindustry": "crm", "business_model": "b2b",
                     "employees": 50, "revenue_usd": 1.5e6, "country": "FR", "region": "EU",
                     "growth_stage": "early", "technologies": ["hubspot", "dbt"]},
    "outcome": {"action": "replied", "person": "P", "channel": "email", "sequence": "S", "amount_usd": 10,
                "opened_at": "2024-01-01T00:00:00Z", "idempotency_key": "k", "deal": "D", "amount": 9,
                "currency": "EUR", "stage": "open"},
    "people": {"person": "P Q", "email": "p@acme.com", "first_name": "P", "last_name": "Q", "title": "CRO", "role": "cro",
               "phone": "1", "linkedin": "p", "opted_out": True},
}  # fmt: skip


ODD: list[Any] = ["Series A", "営業", "Маркетинг", "+", "ä_b", "angel", "VP of Sales", "Google Analytics", ["Google  Analytics"], [], [1], {}, None,
                  True, 0, -1.5, "", " ", 2**63, {"a": []}]  # fmt: skip


def data_of(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return read_fact({**EVENT, "type": f"gtm.{kind}.v1", "data": data}).data


def test_every_kind_has_its_model() -> None:
    assert set(DATA) == set(KINDS) == set(get_args(Kind)) == set(WHOLE)


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_with_all_fields_of_its_kind_comes_through_as_it_is(kind: str) -> None:
    assert set(WHOLE[kind]) == set(DATA[kind].model_fields)
    assert data_of(kind, WHOLE[kind]) == WHOLE[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_may_be_missing_or_null_and_unknown_ones_are_kept(kind: str) -> None:
    assert data_of(kind, {}) == {}
    nulls = dict.fromkeys(DATA[kind].model_fields)
    assert data_of(kind, nulls) == nulls
    assert data_of(kind, {"tier": {"a": [1, None]}, "terms": 1}) == {"tier": {"a": [1, None]}, "terms": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_no_field_takes_a_value_of_another_type(kind: str) -> None:
    for field, value in WHOLE[kind].items():
        for other in ({"a": 1}, 7 if isinstance(value, str | list) else "7"):
            with pytest.raises(RefusedEvent) as refused:
                data_of(kind, {field: other})
            assert refused.value.reason == "wrong-type"
            assert (refused.value.field or "").startswith(f"data.{field}")


@pytest.mark.parametrize(
    ("kind", "field", "raw", "term"),
    [
        ("funding", "round", "Series A", "series_a"),
        ("funding", "round", " SEED ", "seed"),
        ("funding", "round", "Angel", "pre_seed"),
        ("funding", "round", "Tea money", "other"),
        ("hiring", "change", "Opened", "opened"),
        ("hiring", "function", "Sales Operations", "sales_ops"),
        ("leadership", "role", "VP of Sales", "vp_sales"),
        ("leadership", "role", "Chief Revenue Officer", "cro"),
        ("tech", "technology", "Google  Analytics", "google-analytics"),
        ("intent", "trend", "Rising!", "rising"),
        ("strategy", "theme", "Enterprise Sales", "enterprise_sales"),
        ("engagement", "action", "Demo-Request", "demo_request"),
        ("outcome", "action", "Positive Reply", "positive_reply"),
        ("hiring", "function", "Маркетинг", "маркетинг"),
        ("hiring", "function", "Geschäftsführer", "geschäftsführer"),
        ("hiring", "function", "営業\u3000企画", "営業_企画"),
        ("hiring", "function", "बिक्री टीम", "बिक्री_टीम"),
        ("leadership", "role", "Directeur général / Ventes", "directeur_général_ventes"),
    ],
)
def test_words_are_normalized_with_the_raw_value_kept_beside(
    kind: str, field: str, raw: str, term: str
) -> None:
    assert data_of(kind, {field: raw}) == {field: term, f"{field}_raw": raw.strip()}
    assert data_of(kind, {field: term}) == {field: term}
    assert data_of(kind, {field: raw, f"{field}_raw": "given"})[f"{field}_raw"] == "given"


@pytest.mark.parametrize("kind", KINDS)
def test_texts_lose_the_space_around_them_and_empty_ones_are_null(kind: str) -> None:
    given = {"tier": " gold\u00a0", "note": "  ", "list": [" a "]}

    assert data_of(kind, given) == {"tier": "gold", "note": None, "list": [" a "]}


def test_an_empty_text_is_null_where_another_type_is_expected() -> None:
    assert data_of("firmographic", {"employees": " "}) == {"employees": None}
    assert data_of("hiring", {"change": ""}) == {"change": None}


@given(st.text())
def test_a_normal_word_stays_as_it_is_and_is_empty_only_where_the_text_is_blank(text: str) -> None:
    term = normalize_term(text)
    assert normalize_term(term) == term
    assert bool(term) is bool(text.strip())


@given(st.text(st.characters(max_codepoint=127)))
def test_a_word_in_ascii_is_spelled_as_before(text: str) -> None:
    earlier = re.sub(r"[^0-9a-z]+", "_", text.strip().lower()).strip("_")
    assert not earlier or normalize_term(text) == earlier


def test_technologies_of_a_snapshot_are_spelled_as_those_of_tech_events() -> None:
    assert data_of("firmographic", {"technologies": ["Google Analytics"]})["technologies"] == [
        "google-analytics"
    ]


def test_other_rounds_are_one_of_the_vocabulary() -> None:
    assert data_of("funding", {"round": "!!!"})["round"] in ROUNDS


def test_a_retraction_needs_no_data() -> None:
    fact = fact_of_bytes(raw_event(op="retract", record="r", data=...))
    assert (fact.op, fact.record, fact.data) == ("retract", "r", {})


def test_a_fact_is_its_record_by_default_and_known_when_it_happened() -> None:
    fact = fact_of_bytes(raw_event(time="2024-01-01T01:00:00.1239+01:00"))
    assert (fact.record, fact.time, fact.recorded) == ("1", 1_704_067_200_123, 1_704_067_200_123)
    assert fact_of_bytes(raw_event(), received=5).recorded == 5
    assert fact_of_bytes(raw_event(recordedtime="1970-01-01T00:00:07Z"), received=5).recorded == 7_000


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@given(data=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), json, max_size=5))
def test_a_fact_stays_the_same_on_its_way_through_signals(data: dict[str, Any]) -> None:
    fact = Fact(
        account="a.com", kind="intent", id="ü\0", source="s", record="r", time=0, recorded=2**41, data=data
    )
    once = encode_fact(fact)
    assert decode_fact(once) == fact
    assert encode_fact(decode_fact(once)) == once


@pytest.mark.parametrize("kind", KINDS)
@given(draw=st.data())
def test_events_that_are_plainly_good_become_what_the_models_make_of_them(
    kind: str, draw: st.DataObject
) -> None:
    values = st.sampled_from([one for data in WHOLE.values() for one in data.values()] + ODD)
    data = draw.draw(st.dictionaries(st.sampled_from([*DATA[kind].model_fields, "tier"]), values))
    event = {**EVENT, "type": f"gtm.{kind}.v1", "data": data}
    by_models = {**event, "recordedtime": None}  # which the models alone know to be as good as none

    def outcome(given: dict[str, Any]) -> Fact | str:
        try:
            return read_fact(given)
        except RefusedEvent as refused:
            return f"{refused.reason} {refused.field} {refused.message}"

    assert outcome(event) == outcome(by_models)


@pytest.mark.parametrize("seed", range(20))
def test_generated_events_become_the_same_facts_whether_read_or_decoded(seed: int) -> None:
    for event in generate(seed)[1]:
        fact = fact_of_bytes(orjson.dumps(event))
        assert fact == read_fact(event) == decode_fact(encode_fact(fact))


def test_a_state_of_an_earlier_version_is_read() -> None:
    entry = [0, 1, 2, 3, "s", "i", None, {"round": "seed"}, False, None, 0]
    stored = msgspec.msgpack.encode([[entry], ["a", 5, {}], 1])

    state = decode_state(stored)

    assert state.entries == [Entry(0, 1, 2, 3, "s", "i", None, {"round": "seed"})]
    assert decode_state(encode_state(state)) == state


def test_a_state_stays_the_same_on_its_way_through_the_store() -> None:
    entry = Entry(0, 1, 2, 3, "s", "i", "r", {"round": "seed", "x": [1.5, None, "ü"]}, True, ["old"])
    bare = Entry(8, 1, 2, 3, "s", "i")
    state = AccountState([entry, bare], Membership("hot", 5, {"cold": 4}), 3, 5, Membership(), "c", 9, 1, 2)
    assert decode_state(encode_state(state)) == state
    assert decode_state(encode_state(AccountState())) == AccountState()


SEALED = {"sealed", "forgotten"}
"""Fields that messages have only where personal fields are sealed."""


async def test_every_change_and_command_keeps_its_contract() -> None:
    file = segments(first={"when": {"event": "funding", "within": "3d"}, "hold": {"cooldown": "1d"}},
                    second={"event": "hiring", "within": "5d"})  # fmt: skip
    del file["fallback"]["play"]
    events = [hiring(day(0)), funding(day(0)), hiring(day(4)), funding(day(5), id="late")]
    rig = await run(Rig(file), [*([one] for one in signals(facts_of(events))), [ticking(4, day(30))]])
    await rig.deliver()
    assert len(rig.published.messages) == len(rig.changes) > 5
    for message, change in zip(rig.published.messages, rig.changes, strict=True):
        event = orjson.loads(message.value or b"")
        data = SegmentChangeData.model_validate(event["data"])
        assert (
            set(event["data"]) == {f.alias or n for n, f in SegmentChangeData.model_fields.items()} - SEALED
        )
        assert (event["id"], event["subject"], event["type"]) == (
            change.id,
            "acme.com",
            "gtm.segment-change.v1",
        )
        assert parse_instant(data.effective_at) == parse_instant(event["time"]) == change.effective_at
        assert (data.from_, data.to, data.supersedes) == (change.from_, change.to, change.supersedes)
        assert ((data.play is None), (data.message is None)) == ((data.to == "out"),) * 2
    assert rig.changes[1].supersedes
    routing = Routing(definition_of(file), now=None)
    await routing.take()
    made = await routing.follow(*(message.value or b"" for message in rig.published.messages))
    assert {one["action"] for one in made} >= {"enroll", "stop"}
    for one in made:
        assert WorkflowCommandData.model_validate(one).model_dump(exclude_defaults=True).keys() <= one.keys()
        assert set(one) == set(WorkflowCommandData.model_fields) - SEALED


@pytest.mark.parametrize("depth", [DEEPEST, DEEPEST + 1, 500, 5_000])
def test_a_signal_that_nests_deeper_than_any_event_is_refused(depth: int) -> None:
    fact = Fact(
        account="acme.com", kind="funding", id="i", source="s", record="i", time=0, recorded=0, data={"x": 0}
    )
    nested = b"[" * (depth - 1) + b"]" * (depth - 1)
    value = encode_fact(fact).replace(b'{"x":0}', b'{"x":' + nested + b"}")
    if depth <= DEEPEST:
        assert decode_fact(value).account == "acme.com"
    else:
        with pytest.raises(msgspec.DecodeError):
            decode_fact(value)


def test_a_signal_may_be_as_wide_as_an_event_may_be() -> None:
    wide = {f"list{number}": [{"a": [number]}] for number in range(1_000)}
    fact = Fact(
        account="acme.com", kind="funding", id="i", source="s", record="i", time=0, recorded=0, data=wide
    )
    assert decode_fact(encode_fact(fact)) == fact
