"""Gather everything that is known about an account, or about a person at any account, as plain JSON data."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import orjson

from resegment.agents.batch import Message, Record
from resegment.agents.dead_letters import read_dead_letter
from resegment.routing.describe import describe_routing
from resegment.schemas.cloudevents.decoding import MAX_DEPTH
from resegment.schemas.fact import Fact, decode_fact
from resegment.schemas.logs.decoding import is_deeper
from resegment.schemas.outcomes.ledger import decode_ledger
from resegment.schemas.privacy.facts import subject_of
from resegment.schemas.privacy.fields import normalize_person, person_of
from resegment.schemas.privacy.messages import take_apart
from resegment.schemas.privacy.opening import open_all
from resegment.schemas.times import NEVER, format_instant
from resegment.state.keys.keyring import Keyring
from resegment.state.redis.reader import PrefixReader
from resegment.state.sinks.people import PeopleStore
from resegment.streams.exporting.calling import is_full_name, spell_address
from resegment.streams.exporting.lifts import Counted, find_lifts
from resegment.streams.exporting.parts import NOTHING, OwnParts, prune
from resegment.streams.exporting.person import Person
from resegment.streams.kafka.topic_reader import TopicUnreadable, reading
from resegment.streams.kafka.topics import Topic, Topics
from resegment.streams.sealing.letters import subject_of_letter
from resegment.streams.sealing.opener import RecordOpener

Found = dict[str, Any]

_PLACE: Final = ("id", "reason", "topic", "partition", "offset", "timestamp", "bytes")
"""What an export of a person has of every dead letter: it names nobody."""
DEEPEST: Final = 100
"""No worker writes a fact or a message that nests deeper: those have parts of events, and little around them."""


@dataclass(frozen=True, slots=True)
class ExportedPrefix:
    """The prefix that is looked through. `keyring` is None where personal fields are not sealed.

    `absent` has the accounts that are or were forgotten, each with the time (ms) of the host that lifted that, `NEVER` where
    nobody did.
    """

    bootstrap: str
    topics: Topics
    security: Mapping[str, Any]
    reader: PrefixReader
    people: PeopleStore
    keyring: Keyring | None
    opener: RecordOpener
    absent: Mapping[str, int] = field(default_factory=dict)

    def is_absent(self, account: str, written: int) -> bool:
        """Return whether nothing counts that a host wrote about an account at a time (ms)."""
        return written <= self.absent.get(account, -1)

    def without_forgotten(self, account: str, value: Any) -> Any:
        """Return a value without what calls persons of the account who are forgotten."""
        ring = self.keyring
        if ring is None or not ring.forgets:
            return value

        def is_forgotten(one: Any) -> bool:
            if isinstance(one, str):
                identifies = is_full_name(one) or spell_address(one) is not None
                return identifies and ring.forgets_person(account, normalize_person(one), {})
            return ring.forgets_person(account, person_of(one), one)

        return prune(value, is_forgotten)


@dataclass(slots=True)
class Wanted:
    """What to look for: accounts by all their names, or a person at them, or a person at any account."""

    accounts: frozenset[str] = frozenset()
    person: Person | None = None
    concerned: dict[str, None] = field(default_factory=dict)
    """The accounts of which something was found."""
    parts: OwnParts | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.parts = None if self.person is None else OwnParts(self.person)

    def has_account(self, account: str) -> bool:
        """Return whether an account is to be looked through."""
        return not self.accounts or account in self.accounts

    def note(self, account: str) -> None:
        """Note that something of an account was found."""
        self.concerned[account] = None


async def export_personal(prefix: ExportedPrefix, wanted: Wanted, now: int) -> Found:
    """Return what is known, `now` (ms). Raises TopicUnreadable, StoreUnavailable and BrokenState."""
    if prefix.keyring is not None:
        await prefix.keyring.refresh_forgotten()
    person, parts = wanted.person, wanted.parts
    counted = await _find_counted(prefix, wanted)
    if person is not None:
        unsettled = True
        while unsettled:  # what is linked now may be linked further by a fact that was read before
            async for fact in read_facts(prefix, wanted, counted):
                person.learn(fact.account, called_in(fact))
            unsettled = person.settle()
    found = {
        "facts": [
            told
            async for one in read_facts(prefix, wanted, counted)
            if (told := _tell(one, wanted)) is not None
        ],
        "changes": await _messages(prefix, prefix.topics.segment_changes, wanted, counted),
        "commands": await _messages(prefix, prefix.topics.workflow_commands, wanted, counted),
        "state": [one async for one in _states(prefix, wanted)],
        "dead_letters": await _letters(prefix, prefix.topics.dead_letters, wanted),
        "waiting": await _letters(prefix, prefix.topics.unresolved, wanted),
    }
    return {
        "at": format_instant(now),
        "prefix": prefix.topics.prefix,
        "accounts": sorted(wanted.accounts or wanted.concerned),
        "person": None if person is None else person.spellings,
        **found,
        "may_also_concern": None if parts is None else dict(sorted(parts.doubts.items())),
    }


def called_in(fact: Fact) -> Mapping[str, Any]:
    """Return the fields of a fact that call its person; the address in its ids where its data call nobody."""
    data = fact.data
    if fact.kind == "people" and "name" in data and "full_name" not in data:
        data = {**data, "full_name": data["name"]}
    if person_of(data) is None and (address := subject_of(fact)) is not None:
        data = {**data, "email": address}
    return data


def _tell(fact: Fact, wanted: Wanted) -> Found | None:
    """Return a fact as the export has it, None if it has nothing of it."""
    told: Found = msgspec.to_builtins(fact)
    told |= {"time": format_instant(fact.time), "recorded": format_instant(fact.recorded)}
    parts, account = wanted.parts, fact.account
    if parts is not None:
        data, called = told.pop("data"), called_in(fact)
        if parts.person.is_own(account, called):
            told = {**parts.without_others(account, told), "data": parts.without_others(account, data)}
        elif (kept := parts.of(account, {**told, "data": called})) is not NOTHING:
            told = {name: told[name] for name in ("account", "kind", "time", "recorded")} | kept
        else:
            return None
    wanted.note(account)
    return told


async def _records(prefix: ExportedPrefix, topic: Topic, wanted: Wanted) -> Any:
    """Yield batches of records of the partitions that the accounts are in, or of all; none where there is no topic."""
    numbers = None
    if wanted.accounts and topic.fixed:
        numbers = sorted({prefix.reader.partition_of(one) for one in wanted.accounts})
    try:
        async with reading(prefix.bootstrap, topic.name, numbers, security=prefix.security) as reader:
            async for records in reader.to_end():
                yield records
    except TopicUnreadable as error:
        if not error.is_missing:
            raise


async def _find_counted(prefix: ExportedPrefix, wanted: Wanted) -> Counted:
    lifted = frozenset(one for one, at in prefix.absent.items() if at != NEVER and wanted.has_account(one))
    if not lifted:
        return Counted(prefix.absent)
    signals = _records(prefix, prefix.topics.signals, Wanted(lifted))
    return Counted(prefix.absent, await find_lifts(signals, lifted))


async def read_facts(
    prefix: ExportedPrefix, wanted: Wanted, counted: Counted | None = None
) -> AsyncIterator[Fact]:
    """Yield the facts of the accounts as they can be opened: those of forgotten accounts and persons are absent.

    Without `counted`, nothing counts of an account that was ever forgotten.
    """
    counted = counted or Counted(prefix.absent)
    async for records in _records(prefix, prefix.topics.signals, wanted):
        facts = [
            one
            for offset, one in _decode(records)
            if wanted.has_account(one.account) and counted.has_fact(one.account, offset)
        ]
        ring = prefix.keyring
        for one in facts if ring is None else open_all(await ring.opener(facts), facts):
            yield one


def _decode(records: Sequence[Record]) -> Iterator[tuple[int, Fact]]:
    for record in records:
        if record.key is None or record.value is None:
            continue
        try:
            fact = decode_fact(record.value)
        except msgspec.DecodeError:  # a step of a merge, or no fact
            continue
        yield record.offset, fact


async def _messages(prefix: ExportedPrefix, topic: Topic, wanted: Wanted, counted: Counted) -> list[Found]:
    found = []
    async for records in _records(prefix, topic, wanted):
        mine = [
            (account, one)
            for one in records
            if one.key
            and wanted.has_account(account := one.key.decode("utf-8", "replace"))
            and counted.has_message(account, one.value)
        ]
        opened = await prefix.opener.open([one for _, one in mine])
        for (account, _), record in zip(mine, opened, strict=True):
            told = _tell_message(account, record.value or b"", wanted.parts, prefix.without_forgotten)
            if told is not None:
                wanted.note(account)
                found.append(told)
    return found


def _tell_message(
    account: str, value: bytes, parts: OwnParts | None, without: Callable[[str, Any], Any]
) -> Found | None:
    """Return a change or a command without what it has of forgotten persons.

    Of a person, it is the message without all that may name somebody, and beside that what names the person.
    """
    event = _read(value, DEEPEST)
    if event is None:
        return None
    event = without(account, event)
    if parts is None:
        return event if isinstance(event, dict) else None
    apart = take_apart(orjson.dumps(event))
    kept = NOTHING if apart is None else parts.of(account, apart.taken)
    if apart is None or kept is NOTHING:
        return None
    return {**apart.event, "about_the_person": kept}


async def _letters(prefix: ExportedPrefix, topic: Topic, wanted: Wanted) -> list[Found]:
    found = []
    async for records in _records(prefix, topic, wanted):
        for record in await prefix.opener.open(records):
            account, _ = subject_of_letter(Message(topic.name, record.key, record.value, record.headers))
            about: Found = {
                "headers": {name: (one or b"").decode("utf-8", "replace") for name, one in record.headers},
                **read_dead_letter(record.headers, record.key, record.value),
            }
            if prefix.is_absent(account, record.timestamp):
                continue
            if wanted.accounts and not _is_of(about, account, wanted.accounts):
                continue
            told = about if wanted.parts is None else _tell_letter(account, about, wanted.parts)
            if told is not None and _is_known(prefix, account, about):
                found.append(told)
    return found


def _is_known(prefix: ExportedPrefix, account: str, about: Found) -> bool:
    """Return whether a letter has nothing of a person who is forgotten at its account."""
    event = _read(about["value"])
    return bool(prefix.without_forgotten(account, event) == event)


def _read(text: str | bytes | None, most: int = MAX_DEPTH) -> Any:
    """Return the JSON of a text; None where it is none, or is nested deeper than so many levels, those of an event."""
    try:
        value = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return None
    return None if isinstance(value, dict | list) and is_deeper(value, most) else value


def _tell_letter(account: str, about: Found, parts: OwnParts) -> Found | None:
    """Return the place of a dead letter that names a person, with what its record says of them.

    A record that cannot be read as JSON may be about several, so nothing but its place is told.
    """
    event = _read(about["value"])
    kept = parts.of(account, event)
    if kept is NOTHING:
        texts = [about["headers"], about["key"], about["value"] if event is None else None]
        if parts.of(account, texts) is NOTHING:
            return None
        parts.doubts["several_persons"] += 1
    return {
        **{name: about[name] for name in _PLACE if name in about},
        "value": None if kept is NOTHING else kept,
    }


def _is_of(about: Found, account: str, accounts: Collection[str]) -> bool:
    """Return whether a letter is about one of the accounts, or has its name in it."""
    if account in accounts:
        return True
    text = f"{about['key']} {about['value']}".lower()
    return any(one in text for one in accounts)


async def _states(prefix: ExportedPrefix, wanted: Wanted) -> Any:
    """Yield what Redis has of each account: segment, routing, touches and outcomes, persons."""
    for account in sorted(wanted.accounts or wanted.concerned):
        ((state,), (routed,), (ledger,)) = (
            await prefix.reader.states([account]),
            await prefix.reader.routed([account]),
            await prefix.reader.ledgers_of([account]),
        )
        persons = [msgspec.to_builtins(one) for one in await prefix.people.read(account)]
        items = [] if ledger is None else [_name_fields(one) for one in decode_ledger(ledger)]
        whole: Found = {
            "account": account,
            "segment": None if state is None else state.membership.segment,
            "routing": None if routed is None else describe_routing(routed),
            "do_not_contact": [] if routed is None else list(routed.do_not_contact),
            "touches_and_outcomes": items,
            "persons": persons,
        }
        for name in ("do_not_contact", "touches_and_outcomes", "persons"):
            whole[name] = prefix.without_forgotten(account, whole[name])
        if wanted.parts is not None:
            for name in ("do_not_contact", "touches_and_outcomes", "persons"):
                kept = wanted.parts.of(account, whole[name])
                whole[name] = [] if kept is NOTHING else kept
            kept = wanted.parts.of(account, whole["routing"])
            whole["routing"] = None if kept is NOTHING else kept
        if whole["segment"] or any(whole[name] for name in whole if name not in ("account", "segment")):
            yield whole


def _name_fields(item: Any) -> Found:
    """Return an item of a ledger with the names of its fields."""
    told = {name: msgspec.to_builtins(one) for name, one in msgspec.structs.asdict(item).items()}
    return {"what": type(item).__name__, **told}
