"""Gather everything that is known about an account, or about a person at any account, as plain JSON data."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from resegment.agents.batch import Message, Record
from resegment.agents.dead_letters import read_dead_letter
from resegment.routing.describe import describe_routing
from resegment.schemas.fact import Fact, decode_fact
from resegment.schemas.outcomes.ledger import decode_ledger
from resegment.schemas.privacy.facts import keys_of, open_fact
from resegment.schemas.privacy.opening import open_all
from resegment.schemas.times import format_instant
from resegment.state.keys.keyring import Keyring
from resegment.state.redis.reader import PrefixReader
from resegment.state.sinks.people import PeopleStore
from resegment.streams.exporting.mentions import Mentions
from resegment.streams.kafka.topic_reader import TopicUnreadable, reading
from resegment.streams.kafka.topics import Topic, Topics
from resegment.streams.sealing.letters import subject_of_letter
from resegment.streams.sealing.opener import RecordOpener

Found = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ExportedPrefix:
    """The prefix that is looked through. `keyring` is None where personal fields are not sealed."""

    bootstrap: str
    topics: Topics
    security: Mapping[str, Any]
    reader: PrefixReader
    people: PeopleStore
    keyring: Keyring | None
    opener: RecordOpener


@dataclass(slots=True)
class Wanted:
    """What to look for: accounts by all their names, or a person at them, or a person at any account."""

    accounts: frozenset[str] = frozenset()
    mentions: Mentions | None = None
    concerned: dict[str, None] = field(default_factory=dict)
    """The accounts of which something was found."""

    def has_account(self, account: str) -> bool:
        """Return whether an account is to be looked through."""
        return not self.accounts or account in self.accounts

    def takes(self, account: str, value: Any) -> bool:
        """Return whether something about an account is wanted, and note the account."""
        if not self.has_account(account) or (self.mentions is not None and not self.mentions.are_in(value)):
            return False
        self.concerned[account] = None
        return True


async def export_personal(prefix: ExportedPrefix, wanted: Wanted, now: int) -> Found:
    """Return what is known, `now` (ms). Raises TopicUnreadable, StoreUnavailable and BrokenState."""
    if wanted.mentions is not None:
        before = -1
        while before != len(
            wanted.mentions.spellings
        ):  # a spelling may be linked by a fact that was read before
            before = len(wanted.mentions.spellings)
            async for fact in read_facts(prefix, wanted):
                wanted.mentions.link(fact)
    facts = [
        told async for one in read_facts(prefix, wanted) if wanted.takes(one.account, told := _tell(one))
    ]
    changes = await _messages(prefix, prefix.topics.segment_changes, wanted)
    commands = await _messages(prefix, prefix.topics.workflow_commands, wanted)
    letters = await _letters(prefix, prefix.topics.dead_letters, wanted)
    waiting = await _letters(prefix, prefix.topics.unresolved, wanted)
    return {
        "at": format_instant(now),
        "prefix": prefix.topics.prefix,
        "accounts": sorted(wanted.accounts or wanted.concerned),
        "person": None if wanted.mentions is None else sorted(wanted.mentions.spellings),
        "facts": facts,
        "changes": changes,
        "commands": commands,
        "state": [one async for one in _states(prefix, wanted)],
        "dead_letters": letters,
        "waiting": waiting,
    }


def _tell(fact: Fact) -> Found:
    told: Found = msgspec.to_builtins(fact)
    return {**told, "time": format_instant(fact.time), "recorded": format_instant(fact.recorded)}


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


async def read_facts(prefix: ExportedPrefix, wanted: Wanted) -> AsyncIterator[Fact]:
    """Yield the facts of the accounts as they can be opened: those of forgotten persons are absent."""
    async for records in _records(prefix, prefix.topics.signals, wanted):
        facts = [one for one in _decode(records) if wanted.has_account(one.account)]
        for one in facts if prefix.keyring is None else await _open(prefix.keyring, facts):
            yield one


def _decode(records: Sequence[Record]) -> Iterator[Fact]:
    for record in records:
        if record.key is None or record.value is None:
            continue
        try:
            yield decode_fact(record.value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # a step of a merge, or no fact
            continue


async def _open(ring: Keyring, facts: Sequence[Fact]) -> Sequence[Fact]:
    keys = await ring.prepare({key for one in facts for key in keys_of(one)})
    return open_all(lambda fact: open_fact(fact, keys), facts)


async def _messages(prefix: ExportedPrefix, topic: Topic, wanted: Wanted) -> list[Found]:
    found = []
    async for records in _records(prefix, topic, wanted):
        mine = [one for one in records if one.key and wanted.has_account(one.key.decode("utf-8", "replace"))]
        for record in await prefix.opener.open(mine):
            try:
                event = orjson.loads(record.value or b"")
            except orjson.JSONDecodeError:
                continue
            if wanted.takes(record.key.decode("utf-8", "replace"), event):
                found.append(event)
    return found


async def _letters(prefix: ExportedPrefix, topic: Topic, wanted: Wanted) -> list[Found]:
    found = []
    async for records in _records(prefix, topic, wanted):
        for record in await prefix.opener.open(records):
            message = Message(topic.name, record.key, record.value, record.headers)
            about = {
                "headers": {name: (one or b"").decode("utf-8", "replace") for name, one in record.headers},
                **read_dead_letter(record.headers, record.key, record.value),
            }
            account, _ = subject_of_letter(message)
            if wanted.mentions is not None:
                if wanted.mentions.are_in(about) and (
                    not wanted.accounts or _is_of(about, account, wanted.accounts)
                ):
                    found.append(about)
            elif _is_of(about, account, wanted.accounts):
                found.append(about)
    return found


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
        mentions = wanted.mentions
        if mentions is not None:
            for name in ("do_not_contact", "touches_and_outcomes", "persons"):
                whole[name] = [one for one in whole[name] if mentions.are_in(one)]
            if not mentions.are_in(whole["routing"]):
                whole["routing"] = None
        if whole["segment"] or any(whole[name] for name in whole if name not in ("account", "segment")):
            yield whole


def _name_fields(item: Any) -> Found:
    """Return an item of a ledger with the names of its fields."""
    told = {name: msgspec.to_builtins(one) for name, one in msgspec.structs.asdict(item).items()}
    return {"what": type(item).__name__, **told}
