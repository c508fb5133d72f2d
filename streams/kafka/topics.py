"""Every topic, declared once: its name, what it carries, how long it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError

from resegment.errors import FatalError, TransientError

WEEK = timedelta(days=7)


class TopicsUnavailable(TransientError):
    """The brokers could not be asked about topics or refused to create one; `cause` says why."""

    def __init__(self, bootstrap: str, cause: BaseException) -> None:
        super().__init__(
            f"topics cannot be set up at {bootstrap}: {cause}",
            remedy="Check the address, the credentials, and the right to create topics.",
        )
        self.bootstrap = bootstrap
        self.cause = cause


class PartitionsDiffer(FatalError):
    """A topic exists with another number of partitions: accounts would no longer be in the same partitions as their state."""

    def __init__(self, topic: str, found: int, wanted: int) -> None:
        super().__init__(
            f"topic {topic} has {found} partitions, not {wanted}",
            remedy=f"Set the number of partitions to {found}, or replay into a new prefix to change it.",
        )
        self.topic = topic
        self.found = found
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `name` is the full name; `retention` None keeps records forever."""

    name: str
    carries: str
    retention: timedelta | None = WEEK
    cleanup: Literal["delete", "compact"] = "delete"

    @property
    def configs(self) -> dict[str, str]:
        """Return the broker's settings of the topic."""
        if self.retention is None:
            return {"cleanup.policy": self.cleanup, **_FOR_EVER}
        return {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(int(self.retention / timedelta(milliseconds=1))),
        }


@dataclass(frozen=True)
class Topics:
    """The topics of one prefix: `{prefix}.{name}`, or the bare name without a prefix."""

    prefix: str = ""
    funding: Topic = field(init=False)
    hiring: Topic = field(init=False)
    leadership: Topic = field(init=False)
    tech: Topic = field(init=False)
    intent: Topic = field(init=False)
    strategy: Topic = field(init=False)
    engagement: Topic = field(init=False)
    accounts: Topic = field(init=False)
    outcomes: Topic = field(init=False)
    replay: Topic = field(init=False)
    signals: Topic = field(init=False)
    segment_changes: Topic = field(init=False)
    routing_events: Topic = field(init=False)
    workflow_commands: Topic = field(init=False)
    dead_letters: Topic = field(init=False)

    def __post_init__(self) -> None:
        for attribute, topic in _DECLARED.items():
            name = f"{self.prefix}.{topic.name}" if self.prefix else topic.name
            full = Topic(name, topic.carries, topic.retention, topic.cleanup)
            object.__setattr__(self, attribute, full)

    def __iter__(self) -> Iterator[Topic]:
        return (getattr(self, attribute) for attribute in _DECLARED)

    @property
    def triggers(self) -> tuple[Topic, ...]:
        """Return what intake reads: the topics that sources write to."""
        return (
            *(self.funding, self.hiring, self.leadership, self.tech, self.intent, self.strategy),
            *(self.engagement, self.accounts, self.outcomes, self.replay),
        )

    def of_kind(self, kind: str) -> Topic:
        """Return the topic of an event kind (`funding`, `firmographic`, `outcome` ...).

        Raises `KeyError` if there is no such kind.
        """
        attribute = {"firmographic": "accounts", "outcome": "outcomes"}.get(kind, kind)
        if attribute not in _KINDS:
            raise KeyError(kind)
        topic: Topic = getattr(self, attribute)
        return topic


_ANY_AGE = str(2**63 - 1)
_FOR_EVER = {
    "retention.ms": "-1",
    "retention.bytes": "-1",
    # its records bear the time of their facts in a replay, of any age or in the future: brokers refuse the latter
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
    "accounts": Topic("accounts", "firmographic facts of accounts"),
    "outcomes": Topic("outcomes", "results of outreach: replies, meetings, deals"),
    "replay": Topic("triggers.replay", "sorted history of all kinds, on the facts' own clock"),
    "signals": Topic(
        "signals", "every accepted fact and tick, by account: the source of truth", retention=None
    ),
    "segment_changes": Topic("segment-changes", "moves of accounts between segments"),
    "routing_events": Topic(
        "routing-events",
        "other input of the router: suppressions, outcomes, requests",
    ),
    "workflow_commands": Topic("workflow-commands", "instructions for sequencers and CRMs"),
    "dead_letters": Topic("dead-letters", "rejected records, with the reason"),
}
_KINDS = {
    "funding",
    "hiring",
    "leadership",
    "tech",
    "intent",
    "strategy",
    "engagement",
    "accounts",
    "outcomes",
}


def create(
    bootstrap: str,
    topics: Iterable[Topic],
    *,
    partitions: int = 8,
    replication: int = 1,
    retention: Mapping[str, timedelta | None] | None = None,
    **security: Any,
) -> list[str]:
    """Create the topics that do not exist yet and return their names; existing ones are left as they are.

    `retention` overrides it by full topic name; `security` is what kafka-python takes (`security_protocol`,
    `ssl_context`, `sasl_*`). Raises `PartitionsDiffer` if a topic exists with another number of partitions,
    `TopicsUnavailable` if the brokers do not answer or refuse. Blocks: call it in a thread from a loop.
    """
    wanted = {topic.name: topic for topic in topics}
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, client_id="resegment-admin", **security)
    except (KafkaError, OSError) as error:
        raise TopicsUnavailable(bootstrap, error) from error
    try:
        return _create_missing(admin, wanted, partitions, replication, retention or {})
    except KafkaError as error:
        raise TopicsUnavailable(bootstrap, error) from error
    finally:
        admin.close()


def _create_missing(
    admin: KafkaAdminClient,
    wanted: Mapping[str, Topic],
    partitions: int,
    replication: int,
    retention: Mapping[str, timedelta | None],
) -> list[str]:
    found = _counts(admin, wanted)
    for name, number in found.items():
        if number != partitions:
            raise PartitionsDiffer(name, number, partitions)
    created = []
    for name in wanted.keys() - found.keys():
        topic = wanted[name]
        kept = Topic(name, topic.carries, retention.get(name, topic.retention), topic.cleanup)
        request = {"num_partitions": partitions, "replication_factor": replication, "configs": kept.configs}
        try:
            admin.create_topics({name: request}, wait_for_metadata=True)
        except TopicAlreadyExistsError:  # another worker was faster
            number = _counts(admin, [name]).get(name, partitions)
            if number != partitions:
                raise PartitionsDiffer(name, number, partitions) from None
        else:
            created.append(name)
    return sorted(created)


def _counts(admin: KafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    existing = set(admin.list_topics())
    asked = [name for name in names if name in existing]
    described = admin.describe_topics(asked) if asked else []
    return {topic["name"]: len(topic["partitions"]) for topic in described}
