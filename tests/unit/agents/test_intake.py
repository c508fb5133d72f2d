"""Intake: a signal for each good event, a dead letter with its reason for each bad one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resegment.agents.batch import Batch, PublishFailed, RecordedMessage
from resegment.agents.dead_letters import name_of_waiting, read_dead_letter, to_retry
from resegment.agents.intake import REPLAYED, Ingested, IntakeRules, ingest
from resegment.agents.segmenter import TICK
from resegment.identity.aliases import use_aliases
from resegment.schemas.fact import LATEST, decode_fact
from resegment.schemas.times import format_instant, parse_instant
from tests.builders import EVENT, Published, raw_event, trigger
from tests.malformed import BAD

NOW = 1_750_000_000_000
SENT = 1_740_000_000_000


async def take(batch: Batch, published: Published, clock: Any = "wall", **given: Any) -> Ingested:
    rules = IntakeRules(clock, lambda: NOW, **given)
    return await ingest(batch, rules, publisher=published, signals="signals", dead_letters="dead-letters")


@pytest.mark.parametrize(("value", "reason", "field"), BAD.values(), ids=BAD)
async def test_a_bad_event_becomes_a_dead_letter_that_says_why(
    value: bytes | None, reason: str, field: str
) -> None:
    published = Published()
    headers = [("content-type", b"text/plain"), ("dl_reason", b"forged")]
    taken = await take(trigger(value, offset=42, timestamp=SENT, key=b"\xffkey", headers=headers), published)
    (letter,) = published.messages
    assert (letter.topic, letter.key, letter.value) == ("dead-letters", b"\xffkey", value)
    assert ("content-type", b"text/plain") in letter.headers
    about = read_dead_letter(letter.headers, letter.key, letter.value)
    assert about["reason"] == reason == taken.refused[0].reason
    assert about["field"] == field
    assert (about["topic"], about["partition"], about["offset"]) == ("triggers.funding", 3, 42)
    assert about["message"]
    assert taken.accepted == 0
    assert [name for name, _ in letter.headers].count("dl_reason") == 1


@pytest.mark.parametrize("timestamp", [-1, 2**62], ids=["none", "absurd"])
async def test_a_record_with_a_senseless_timestamp_stops_nothing(timestamp: int) -> None:
    published = Published()
    await take(trigger(b"bad", timestamp=timestamp), published)
    await take(trigger(raw_event(), timestamp=timestamp), published)
    letter, signal = published.messages
    assert letter.topic == "dead-letters"
    assert decode_fact(signal.value or b"").recorded == NOW


async def test_good_events_among_bad_ones_come_through_in_order() -> None:
    published = Published()
    values = [
        raw_event(id="a"),
        b"{",
        raw_event(id="b", subject="https://www.Zeta.io/x"),
        None,
        raw_event(id="c"),
    ]
    records = [RecordedMessage(number, SENT, None, value) for number, value in enumerate(values)]
    taken = await take(Batch("triggers.funding", 0, records), published)
    assert (taken.accepted, len(taken.refused)) == (3, 2)
    sent = published.to("signals")
    assert [one.key for one in sent] == [b"acme.com", b"zeta.io", b"acme.com"]
    assert [decode_fact(one.value or b"").id for one in sent] == ["a", "b", "c"]
    assert len(published.to("dead-letters")) == 2


async def test_on_the_wall_clock_a_fact_is_known_from_its_receipt_on() -> None:
    published = Published()
    await take(trigger(raw_event(recordedtime="2024-05-05T00:00:00Z"), timestamp=SENT), published)
    await take(trigger(raw_event(), timestamp=SENT), published)
    with_one, without = published.messages
    assert with_one.timestamp == without.timestamp == NOW
    assert decode_fact(with_one.value or b"").recorded == parse_instant("2024-05-05T00:00:00Z")
    assert (
        decode_fact(without.value or b"").recorded == SENT
    )  # so that a retry of the record is the same fact


async def test_on_the_clock_of_the_facts_a_fact_is_known_from_its_recordedtime_on() -> None:
    published = Published()
    event = raw_event(recordedtime="2024-05-05T00:00:00Z")
    await take(trigger(event, timestamp=SENT), published, clock="facts")
    await take(trigger(raw_event(), timestamp=SENT), published, clock="facts")
    with_one, without = published.messages
    assert with_one.timestamp == parse_instant("2024-05-05T00:00:00Z")
    assert without.timestamp == parse_instant("2024-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("header", "instant"),
    [(b"1234567", 1_234_567), (b"", SENT), (b"soon", SENT), (b"9" * 5000, SENT), (b"%d" % (LATEST + 1), 0)],
    ids=["an instant", "none", "no number", "a huge number", "an absurd instant"],
)
async def test_a_tick_of_a_replay_moves_its_own_partition(header: bytes, instant: int) -> None:
    published = Published()
    taken = await take(
        trigger(None, timestamp=SENT, headers=[(TICK, header), (REPLAYED, b"")]), published, clock="facts"
    )
    (tick,) = published.messages
    assert (tick.topic, tick.partition, tick.timestamp, tick.value) == ("signals", 3, instant, None)
    assert [name for name, _ in tick.headers] == [TICK]
    assert taken == Ingested(0, [])


async def test_only_ingest_lets_time_pass_in_a_replay() -> None:
    published = Published()
    future = raw_event(time="2062-01-01T00:00:00Z")
    for value, headers in ((None, [(TICK, b"1234567")]), (future, [])):
        taken = await take(trigger(value, headers=headers), published, clock="facts")
        assert [one.reason for one in taken.refused] == ["clock-ahead"]
    assert [one.topic for one in published.messages] == ["dead-letters"] * 2
    await take(trigger(future, headers=[(REPLAYED, b"")]), published, clock="facts")
    past = await take(trigger(raw_event()), published, clock="facts")
    assert past.accepted == 1
    assert len(published.to("signals")) == 2


async def test_no_one_can_tick_the_wall_clock() -> None:
    published = Published()
    await take(trigger(None, headers=[(TICK, b"1234567")]), published)
    assert [one.topic for one in published.messages] == ["dead-letters"]


async def test_aliases_lead_to_the_account_that_they_stand_for() -> None:
    published = Published()
    use_aliases({"old-acme.com": "acme.com"})
    try:
        await take(trigger(raw_event(subject="old-acme.com")), published)
    finally:
        use_aliases({})
    assert published.messages[0].key == b"acme.com"


async def test_a_batch_that_is_not_published_is_not_done() -> None:
    published = Published()
    published.failures = 1
    with pytest.raises(PublishFailed):
        await take(trigger(raw_event()), published)
    await take(trigger(raw_event()), published)
    assert len(published.messages) == 1


async def test_the_last_of_keys_that_come_twice_counts() -> None:
    published = Published()
    await take(trigger(b'{"id": "first", ' + raw_event(id="last")[1:]), published)
    assert decode_fact(published.messages[0].value or b"").id == "last"


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
attributes = st.sampled_from([*EVENT, "op", "record", "recordedtime", "datacontenttype", "ce"])


@given(value=st.binary(max_size=60) | st.dictionaries(attributes, json).map(lambda given: raw_event(**given)))
async def test_whatever_comes_each_record_gives_one_message(value: bytes) -> None:
    published = Published()
    taken = await take(trigger(value), published)
    assert len(published.messages) == 1
    assert taken.accepted + len(taken.refused) == 1
    for one in published.to("signals"):
        decode_fact(one.value or b"")


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "ce_type",
                    "ce-id",
                    "CE_SUBJECT",
                    "ce_",
                    "ce_data",
                    "content-type",
                    "contentType",
                    "dl_x",
                    "tick",
                ]
            ),
            st.binary() | st.none(),
        )
    )
)
async def test_whatever_headers_come_each_record_gives_one_message(headers: Any) -> None:
    published = Published()
    await take(trigger(raw_event(), headers=headers), published)
    await take(trigger(None, headers=headers), published, clock="facts")
    assert len(published.messages) == 2


KINDS = {"triggers.funding": "funding", "outcomes": "outcome"}


async def test_a_kind_on_the_topic_of_another_is_refused_with_its_own_topic() -> None:
    published = Published()
    event = raw_event(type="gtm.outcome.v1", data={"action": "won"})
    taken = await take(trigger(event), published, kinds=KINDS)
    (letter,) = published.messages
    assert letter.topic == "dead-letters"
    about = read_dead_letter(letter.headers, letter.key, letter.value)
    assert (about["reason"], about["field"]) == ("wrong-topic", "type")
    assert about["message"] == "this topic carries funding events, not outcome: send the event to outcomes"
    assert taken.accepted == 0
    assert (await take(trigger(raw_event()), published, kinds=KINDS)).accepted == 1
    mixed = Batch("triggers.replay", 0, trigger(event).records)
    assert (await take(mixed, published, kinds=KINDS)).accepted == 1


YEAR_2099 = "2099-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("given", "timestamp", "recorded", "ahead"),
    [
        ({}, NOW + 300_000, NOW + 300_000, 0),
        ({}, NOW + 300_001, NOW, 1),
        ({}, parse_instant(YEAR_2099), NOW, 1),
        ({"recordedtime": YEAR_2099}, SENT, SENT, 1),
        ({"recordedtime": YEAR_2099}, parse_instant(YEAR_2099), NOW, 1),
        ({"recordedtime": format_instant(NOW + 300_000)}, SENT, NOW + 300_000, 0),
    ],
)
async def test_a_producer_with_a_clock_ahead_pins_no_fact_against_correction(
    given: dict[str, str], timestamp: int, recorded: int, ahead: int
) -> None:
    published = Published()
    taken = await take(trigger(raw_event(**given), timestamp=timestamp), published)
    (sent,) = published.messages
    assert sent.timestamp == NOW
    assert decode_fact(sent.value or b"").recorded == recorded
    assert taken.ahead == ahead


async def test_an_event_about_the_future_is_accepted_and_moves_no_clock() -> None:
    published = Published()
    taken = await take(trigger(raw_event(time=YEAR_2099), timestamp=SENT), published)
    (sent,) = published.messages
    assert (sent.timestamp, taken.ahead) == (NOW, 0)
    fact = decode_fact(sent.value or b"")
    assert (fact.time, fact.recorded) == (parse_instant(YEAR_2099), SENT)


async def test_fields_that_the_file_drops_never_enter_signals() -> None:
    published = Published()
    event = raw_event(
        data={"round": "seed", "email": "jo@acme.com", "people": [{"email": "x", "role": "cro"}]}
    )
    await take(trigger(event, timestamp=SENT), published, dropped=lambda _: {"email"})
    (signal,) = published.messages
    assert decode_fact(signal.value or b"").data == {"round": "seed", "people": [{"role": "cro"}]}


async def test_an_event_about_a_name_waits_with_its_original_bytes_and_is_sent_again_as_it_was() -> None:
    published, raw = Published(), raw_event(subject="Acme Inc")
    batch = trigger(raw, timestamp=NOW, headers=[("content-type", b"application/cloudevents+json")])
    done = await ingest(
        batch,
        IntakeRules("wall", lambda: NOW),
        publisher=published,
        signals="signals",
        dead_letters="dead-letters",
        unresolved="unresolved",
    )
    assert (done.accepted, done.waiting, done.refused) == (0, 1, [])
    (kept,) = published.messages
    record = RecordedMessage(0, 0, kept.key, kept.value, kept.headers)
    assert (kept.topic, name_of_waiting(record)) == ("unresolved", "name:acme inc")
    sent = to_retry(record, "signals")
    assert (sent.topic, sent.value, list(sent.headers)) == (
        "triggers.funding",
        raw,
        list(batch.records[0].headers),
    )
