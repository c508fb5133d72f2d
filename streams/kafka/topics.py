"""Declare every topic once: its name, what it carries, how long it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from resegment.schemas.fact import KINDS, Kind

WEEK = timedelta(days=7)
QUARTER = timedelta(days=90)
MAX_BATCH_BYTES = 1_048_588
"""The largest batch that a broker accepts for a topic, compressed: Kafka's own default, whatever the broker's is."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `name` is the full name; `retention` None keeps records forever."""

    name: str
    carries: str
    retention: timedelta | None = WEEK
    cleanup: Literal["delete", "compact"] = "delete"
    fixed: bool = False
    """Whether its partitions must be as many as those of `signals`: an account has the same number in each."""
    max_batch_bytes: int = MAX_BATCH_BYTES
    single: bool = False
    """Whether it has one partition, whose order is that of the whole prefix."""

    @property
    def configs(self) -> dict[str, str]:
        """Return the broker's settings of the topic."""
        configs = {"cleanup.policy": self.cleanup, "max.message.bytes": str(self.max_batch_bytes)}
        if self.retention is None:
            return configs | _FOREVER
        return configs | {"retention.ms": str(int(self.retention / timedelta(milliseconds=1)))}


@dataclass(frozen=True)
class Topics:
    """The topics of one prefix, named `{prefix}.{name}`, or `{name}` without a prefix."""

    prefix: str = ""
    funding: Topic = field(init=False)
    hiring: Topic = field(init=False)
    leadership: Topic = field(init=False)
    tech: Topic = field(init=False)
    intent: Topic = field(init=False)
    strategy: Topic = field(init=False)
    engagement: Topic = field(init=False)
    people: Topic = field(init=False)
    accounts: Topic = field(init=False)
    outcomes: Topic = field(init=False)
    replay: Topic = field(init=False)
    signals: Topic = field(init=False)
    segment_changes: Topic = field(init=False)
    routing_events: Topic = field(init=False)
    workflow_commands: Topic = field(init=False)
    touches: Topic = field(init=False)
    refresh_requests: Topic = field(init=False)
    dead_letters: Topic = field(init=False)
    definitions: Topic = field(init=False)
    audit_log: Topic = field(init=False)
    identities: Topic = field(init=False)
    unresolved: Topic = field(init=False)

    def __post_init__(self) -> None:
        for attribute, topic in _DECLARED.items():
            name = f"{self.prefix}.{topic.name}" if self.prefix else topic.name
            object.__setattr__(self, attribute, replace(topic, name=name))

    def __iter__(self) -> Iterator[Topic]:
        return (getattr(self, attribute) for attribute in _DECLARED)

    @property
    def triggers(self) -> tuple[Topic, ...]:
        """Return what intake reads: the topics that sources write to."""
        return (
            *(self.funding, self.hiring, self.leadership, self.tech, self.intent, self.strategy),
            *(self.engagement, self.people, self.accounts, self.outcomes, self.replay),
        )

    @property
    def kinds(self) -> dict[str, Kind]:
        """Return the kind of events that each topic carries, by the topic's name; the topic of replays carries all."""
        return {self.of_kind(kind).name: kind for kind in KINDS}

    def of_kind(self, kind: str) -> Topic:
        """Return the topic of an event kind (`funding`, `firmographic`, `outcome` ...).

        Raises `KeyError` if there is no such kind.
        """
        if kind not in KINDS:
            raise KeyError(kind)
        topic: Topic = getattr(self, {"firmographic": "accounts", "outcome": "outcomes"}.get(kind, kind))
        return topic


_ANY_AGE = str(2**63 - 1)
_FOREVER = {
    "retention.ms": "-1",
    "retention.bytes": "-1",
    # in a replay, records have the time of their facts, past or future: brokers refuse the latter by default
    "message.timestamp.type": "CreateTime",
    "message.timestamp.before.max.ms": _ANY_AGE,
    "message.timestamp.after.max.ms": _ANY_AGE,
}


_DECLARED: Mapping[str, Topic] = {
    "funding": Topic("triggers.funding", "funding rounds"),
    "hiring": Topic("triggers.hiring", "jobs opened and closed"),
    "leadership": Topic("triggers.leadership", "leaders who joined, left or were promoted"),
    "tech": Topic("triggers.tech", "technologies added and removed"),
    "intent": Topic("triggers.intent", "topics that accounts research"),
    "strategy": Topic("triggers.strategy", "public statements of a strategic priority"),
    "engagement": Topic("triggers.engagement", "how people at an account engaged with you"),
    "people": Topic("triggers.people", "persons of accounts, for sinks to contact"),
    "accounts": Topic("accounts", "firmographic facts of accounts"),
    "outcomes": Topic("outcomes", "results of outreach: replies, meetings, deals"),
    "replay": Topic("triggers.replay", "sorted history of all kinds, on the facts' own clock", fixed=True),
    "signals": Topic(
        "signals", "every accepted fact and tick, by account: the source of truth", retention=None, fixed=True
    ),
    "segment_changes": Topic("segment-changes", "moves of accounts between segments", fixed=True),
    "routing_events": Topic(
        "routing-events",
        "other input of the router: suppressions, outcomes, requests",
        fixed=True,
    ),
    "workflow_commands": Topic(
        "workflow-commands", "instructions for sequencers and CRMs", retention=None, fixed=True
    ),
    "touches": Topic(
        "touches", "every enrollment, and every draw that held an account out", retention=None, fixed=True
    ),
    "refresh_requests": Topic(
        "refresh-requests", "attributes that enrichment tools should look up again", fixed=True
    ),
    "dead_letters": Topic("dead-letters", "rejected records, with the reason"),
    "definitions": Topic(
        "definitions",
        "every version of the segments file, and each switch from one to another",
        retention=None,
        single=True,
    ),
    "audit_log": Topic(
        "audit-log", "who changed what by a command, and what came of it", retention=None, single=True
    ),
    "identities": Topic(
        "identities",
        "merges of accounts, and which account a name or a provider's id means",
        retention=None,
        single=True,
    ),
    "unresolved": Topic(
        "unresolved",
        "events whose subject is a name or id that means no account yet",
        retention=QUARTER,
        single=True,
    ),
}
