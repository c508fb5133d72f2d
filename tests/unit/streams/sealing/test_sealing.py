"""What goes to topics names nobody, and those who read it get it whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson
import pytest

from resegment.agents.batch import Batch, Message, RecordedMessage, UnreadableRecord, require_readable
from resegment.agents.dead_letters import (
    make_proof,
    mark_retried,
    name_of_waiting,
    read_dead_letter,
    to_dead_letter,
    to_retry,
    to_waiting,
)
from resegment.errors import RefusedEvent
from resegment.identity.names import Unresolved
from resegment.schemas.outcomes.facts import Learned, OutcomeFact
from resegment.schemas.privacy.wrapping import OperatorKey
from resegment.schemas.routing import Review, encode_routing_event
from resegment.state.keys.keyring import Keyring, make_keys, open_keyring
from resegment.state.keys.memory import MemoryKeyStore
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.letters import may_be_sent_again
from resegment.streams.sealing.opener import NoKeysToOpen, RecordOpener
from resegment.streams.sealing.sealer import MOST_BYTES, MessageSealer
from tests.unit.schemas.privacy.test_messages import PERSON, change, command

TOPICS = Topics("p")
ADDRESS = "philippa@acme.com"


async def open_ring() -> tuple[MemoryKeyStore, Keyring]:
    store, operator = MemoryKeyStore(), OperatorKey(b"o" * 32)
    await make_keys(store, operator)
    return store, await open_keyring(store, operator, "p")


def given(ring: Keyring | None) -> Callable[[], Awaitable[Keyring | None]]:
    async def ask() -> Keyring | None:
        return ring

    return ask


def learned(account: str = "acme.com") -> bytes:
    fact = OutcomeFact(account=account, source="s", record="r", id="i", at=4, recorded=5, person=PERSON)
    return encode_routing_event(Learned(account=account, at=5, fact=fact))


def event(subject: str = "acme.com", **data: Any) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": f"people:{PERSON}",
            "source": "crm",
            "type": "gtm.people.v1",
            "subject": subject,
            "time": "2026-01-01T00:00:00Z",
            "data": data,
        }
    )


def letter(
    value: bytes | None, *, key: bytes | None = None, headers: Sequence[tuple[str, bytes]] = ()
) -> Message:
    record = RecordedMessage(7, 1_000, key, value, headers)
    refused = RefusedEvent("wrong-type", f"expected a number, not '{PERSON}'", field=f"data.{PERSON}")
    return to_dead_letter(TOPICS.dead_letters.name, Batch("p.triggers.people", 3, [record]), record, refused)


def waiting() -> Message:
    record = RecordedMessage(7, 1_000, None, event(f"{PERSON} Ltd", person=PERSON))
    return to_waiting(
        TOPICS.unresolved.name, Batch("p.triggers.people", 3, [record]), record, Unresolved(PERSON)
    )


LETTERS = [
    letter(event(person=PERSON, email=ADDRESS)),
    letter(event(ADDRESS, title=PERSON)),
    letter(event("no account", person=PERSON)),
    letter(
        b"{" + PERSON.encode(),
        key=ADDRESS.encode(),
        headers=[("x-" + PERSON, b"1"), ("ce_id", PERSON.encode())],
    ),
    letter(orjson.dumps({"person": PERSON}), headers=[("ce_subject", ADDRESS.encode()), ("ce_type", b"x")]),
    letter(None, key=PERSON.encode()),
    letter(change(), key=b"acme.com"),
    letter(PERSON.encode() * 40_000),
    waiting(),
]


def as_record(message: Message, offset: int = 0) -> RecordedMessage:
    return RecordedMessage(offset, 1_000, message.key, message.value, message.headers)


def names_person(message: Message | RecordedMessage) -> bool:
    """Return whether anything in a record names the person."""
    parts = [message.key or b"", message.value or b"", *(one for pair in message.headers for one in pair)]
    written = b" ".join(one.encode() if isinstance(one, str) else one or b"" for one in parts).lower()
    return b"philippa" in written or b"featherstonehaugh" in written


MESSAGES = [
    Message(TOPICS.segment_changes.name, b"acme.com", change(), [("content-type", b"x")]),
    Message(TOPICS.workflow_commands.name, b"acme.com", command()),
    Message(TOPICS.routing_events.name, b"acme.com", learned()),
]


@pytest.mark.parametrize("message", [*MESSAGES, *LETTERS])
async def test_a_sealed_record_names_nobody_and_a_reader_gets_it_whole(message: Message) -> None:
    _, ring = await open_ring()
    assert names_person(message)
    (sealed,) = await MessageSealer(given(ring), TOPICS).seal([message])
    assert not names_person(sealed)
    assert (await MessageSealer(given(ring), TOPICS).seal([sealed]))[0] == sealed
    (opened,) = await RecordOpener(given(ring)).open([as_record(sealed, 5)])
    require_readable(opened)
    assert (opened.offset, opened.timestamp) == (5, 1_000)
    if len(message.value or b"") < MOST_BYTES:
        assert (opened.key, opened.value) == (message.key, message.value)
        assert sorted(opened.headers) == sorted(message.headers)
    assert opened.value[:1_000] == message.value[:1_000] if message.value else opened.value is None


async def test_a_letter_is_listed_and_sent_again_as_it_would_be_without_keys() -> None:
    _, ring = await open_ring()
    whole = LETTERS[0]
    (sealed,) = await MessageSealer(given(ring), TOPICS).seal([whole])
    about, counted = (read_dead_letter(one.headers, None, None) for one in (whole, sealed))
    assert {name: counted[name] for name in ("id", "reason", "timestamp")} == {
        name: about[name] for name in ("id", "reason", "timestamp")
    }
    assert "message" not in counted
    (opened,) = await RecordOpener(given(ring)).open([as_record(sealed)])
    assert read_dead_letter(opened.headers, opened.key, opened.value) == read_dead_letter(
        whole.headers, whole.key, whole.value
    )
    assert to_retry(opened, TOPICS.signals.name) == to_retry(as_record(whole), TOPICS.signals.name)
    (marked,) = await MessageSealer(given(ring), TOPICS).seal(
        [mark_retried(TOPICS.dead_letters.name, opened, 2_000)]
    )
    assert not names_person(marked)
    assert "retried" in read_dead_letter(marked.headers, None, None)


async def test_a_waiting_record_keeps_the_name_that_it_waits_for_inside() -> None:
    _, ring = await open_ring()
    (sealed,) = await MessageSealer(given(ring), TOPICS).seal([waiting()])
    assert name_of_waiting(as_record(sealed)) is None
    (opened,) = await RecordOpener(given(ring)).open([as_record(sealed)])
    assert name_of_waiting(opened) == PERSON


async def test_what_names_nobody_goes_out_as_it_is() -> None:
    _, ring = await open_ring()
    plain = [
        Message(
            TOPICS.routing_events.name, b"acme.com", encode_routing_event(Review(account="acme.com", at=1))
        ),
        Message(TOPICS.signals.name, b"acme.com", change()),
        make_proof(TOPICS.dead_letters.name),
        Message(TOPICS.segment_changes.name, b"acme.com", None),
    ]
    assert await MessageSealer(given(ring), TOPICS).seal(plain) is plain
    assert ring.lookups == 0
    records = [as_record(one) for one in plain]
    assert await RecordOpener(given(ring)).open(records) is records


async def test_what_was_sealed_before_a_person_is_forgotten_loses_that_part_and_what_comes_after_is_sealed_again() -> (
    None
):
    store, ring = await open_ring()
    sealer, opener = MessageSealer(given(ring), TOPICS), RecordOpener(given(ring))
    before = await sealer.seal(MESSAGES)
    await store.destroy([ring.names.messages("acme.com")])
    ring.drop()
    after = await sealer.seal(MESSAGES)
    for one in await opener.open([as_record(one) for one in before]):
        assert not names_person(one)
        read = orjson.loads(one.value)
        assert read.get("data", read)["forgotten"] is True
    assert [one.value for one in await opener.open([as_record(one) for one in after])] == [
        one.value for one in MESSAGES
    ]


async def test_what_is_sealed_after_another_process_destroyed_the_key_is_not_lost() -> None:
    store, ring = await open_ring()
    sealer = MessageSealer(given(ring), TOPICS)
    await sealer.seal(MESSAGES)  # the key is in memory now
    await store.destroy([ring.names.messages("acme.com")])
    after = await sealer.seal(MESSAGES)
    other = await open_keyring(store, OperatorKey(b"o" * 32), "p")
    opened = await RecordOpener(given(other)).open([as_record(one) for one in after])
    assert [one.value for one in opened] == [one.value for one in MESSAGES]


async def test_a_letter_about_a_person_goes_with_the_key_of_the_person_alone() -> None:
    store, ring = await open_ring()
    other = letter(event(person="Somebody Else"))
    sealed = await MessageSealer(given(ring), TOPICS).seal([LETTERS[0], LETTERS[2], other])
    await store.destroy(
        [ring.names.person("acme.com", PERSON.lower()), ring.names.person("?", PERSON.lower())]
    )
    ring.drop()
    opened = await RecordOpener(given(ring)).open([as_record(one) for one in sealed])
    assert [may_be_sent_again(one) for one in opened] == [False, False, True]
    assert opened[2].value == other.value
    assert not any(map(names_person, opened[:2]))
    assert [one.value for one in opened[:2]] == [b"(forgotten)"] * 2


async def test_a_letter_that_has_a_forgotten_address_beside_another_name_says_nothing() -> None:
    store, ring = await open_ring()
    await store.destroy([ring.names.person("acme.com", ADDRESS)], forget=True)
    letters = [letter(event(person="P. F.", email=one)) for one in (ADDRESS.upper(), "other@acme.com")]
    sealed = await MessageSealer(given(ring), TOPICS).seal(letters)
    opened = await RecordOpener(given(ring)).open([as_record(one) for one in sealed])
    assert [may_be_sent_again(one) for one in opened] == [False, True]
    assert not names_person(sealed[0])


async def test_a_letter_that_may_quote_others_goes_with_any_person_of_its_account() -> None:
    store, ring = await open_ring()
    sealed = await MessageSealer(given(ring), TOPICS).seal([LETTERS[0]])
    await store.destroy([ring.names.messages("acme.com")])
    ring.drop()
    (opened,) = await RecordOpener(given(ring)).open([as_record(one) for one in sealed])
    assert not may_be_sent_again(opened)
    assert not names_person(opened)


async def test_of_a_forgotten_account_goes_out_what_names_nobody() -> None:
    store, ring = await open_ring()
    await store.destroy([ring.names.account("acme.com")], forget=True)
    for one in await MessageSealer(given(ring), TOPICS).seal([*MESSAGES, LETTERS[0]]):
        assert not names_person(one)
        assert b"s1." not in (one.value or b"")


async def test_what_is_moved_or_changed_does_not_open_and_others_of_the_batch_do() -> None:
    _, ring = await open_ring()
    ours, theirs = await MessageSealer(given(ring), TOPICS).seal(
        [MESSAGES[0], Message(TOPICS.segment_changes.name, b"other.com", change("other.com"))]
    )
    moved = orjson.loads(theirs.value or b"")
    moved["data"]["sealed"] = orjson.loads(ours.value or b"")["data"]["sealed"]
    spoiled = (ours.value or b"").replace(b'"sealed":"s1.', b'"sealed":"s1.x')
    unknown = (ours.value or b"").replace(ring.names.messages("acme.com").encode(), b"z" * 22)
    records = [
        RecordedMessage(place, 1, b"k", value)
        for place, value in enumerate([orjson.dumps(moved), spoiled, unknown, ours.value])
    ]
    opened = await RecordOpener(given(ring)).open(records)
    assert [isinstance(one, UnreadableRecord) for one in opened] == [True, True, True, False]
    assert opened[3].value == MESSAGES[0].value
    assert {one.reason for one in opened[:3]} == {"not-opened"}
    for one in opened[:3]:
        assert not names_person(
            RecordedMessage(0, 0, one.key, one.value, [("problem", one.problem.encode())])
        )


@pytest.mark.parametrize("spoil", ["place", "value", "none"])
async def test_a_letter_that_was_moved_or_changed_does_not_open(spoil: str) -> None:
    _, ring = await open_ring()
    (sealed,) = await MessageSealer(given(ring), TOPICS).seal([LETTERS[0]])
    headers = [
        (name, b"8" if spoil == "place" and name == "dl_offset" else one) for name, one in sealed.headers
    ]
    value = {"place": sealed.value, "value": (sealed.value or b"")[:-3] + b"AAA", "none": None}[spoil]
    (opened,) = await RecordOpener(given(ring)).open([RecordedMessage(0, 0, None, value, headers)])
    assert isinstance(opened, UnreadableRecord)


async def test_without_keys_a_viewer_sees_the_rest_and_who_decides_is_refused() -> None:
    _, ring = await open_ring()
    records = [
        as_record(one) for one in await MessageSealer(given(ring), TOPICS).seal([*MESSAGES, LETTERS[0]])
    ]
    assert await RecordOpener(given(None)).open(records) is records
    with pytest.raises(NoKeysToOpen):
        await RecordOpener(given(None), strict=True).open(records)
    plain = [as_record(one) for one in MESSAGES]
    assert await RecordOpener(given(None), strict=True).open(plain) is plain


async def test_a_batch_asks_the_key_store_once() -> None:
    _, ring = await open_ring()
    messages = [
        Message(TOPICS.segment_changes.name, name.encode(), change(name))
        for name in (f"account{number}.com" for number in range(50))
    ]
    sealed = await MessageSealer(given(ring), TOPICS).seal(messages)
    assert ring.lookups == 2  # what is there, and what was missing
    ring.drop()
    opened = await RecordOpener(given(ring)).open([as_record(one) for one in sealed])
    assert [one.value for one in opened] == [one.value for one in messages]
    assert ring.lookups == 3


async def test_a_change_that_would_not_fit_once_it_is_sealed_is_cut() -> None:
    _, ring = await open_ring()
    large = change(values={"text": PERSON * 36_000})
    assert len(large) > MOST_BYTES
    (sealed,) = await MessageSealer(given(ring), TOPICS).seal(
        [Message(TOPICS.segment_changes.name, b"acme.com", large)]
    )
    assert len(sealed.value or b"") < 1_000_000
    assert not names_person(sealed)
