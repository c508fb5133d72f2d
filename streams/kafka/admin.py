"""Create topics, and tell one incarnation of a topic from another: a topic that is re-created is another log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError

from resegment.errors import FatalError, TransientError
from resegment.streams.kafka.topics import Topic

NO_TOPIC: Final = str(UUID(int=0))
"""The id that a broker gives for a topic that does not exist."""


class TopicsUnavailable(TransientError):
    """The brokers did not answer a question about topics, or refused to create one; `cause` says why."""

    def __init__(self, bootstrap: str, cause: BaseException) -> None:
        super().__init__(
            f"topics cannot be set up at {bootstrap}: {cause}",
            remedy="Check the address, the credentials, and the right to create topics.",
        )
        self.bootstrap = bootstrap
        self.cause = cause


class PartitionsDiffer(FatalError):
    """A topic has another number of partitions: accounts would no longer be in the partitions of their state."""

    def __init__(self, topic: str, found: int, wanted: int) -> None:
        super().__init__(
            f"topic {topic} has {found} partitions, not {wanted}",
            remedy=f"Set the number of partitions to {found}, or replay into a new prefix to change it.",
        )
        self.topic = topic
        self.found = found
        self.wanted = wanted


class LogReplaced(FatalError):
    """The topic was deleted and created again while a worker read it."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"{topic} is a new topic under its old name",
            remedy="Start the worker again: it reads the new log from its beginning. Events of the old log that were "
            "not decided yet are gone: have the sources send them again.",
        )
        self.topic = topic


def create_topics(
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
    `ssl_context`, `sasl_*`). Raises PartitionsDiffer if a topic exists with another number of partitions, and
    TopicsUnavailable if the brokers do not answer or refuse. Blocks: call it in a thread from a loop.
    """
    kept = retention or {}
    wanted = {one.name: replace(one, retention=kept.get(one.name, one.retention)) for one in topics}
    with _connected(bootstrap, security) as admin:
        return _create_missing(admin, wanted, partitions, replication)


def read_topic_id(bootstrap: str, topic: str, **security: Any) -> str:
    """Return the topic's own id, which Kafka assigns once and never again. Blocks. Raises TopicsUnavailable.

    `security` is what kafka-python takes.
    """
    with _connected(bootstrap, security) as admin:
        (described,) = admin.describe_topics([topic])
        return str(described["topic_id"])


def join_topic_ids(*ids: str) -> str:
    """Return one id for several topics that are read as one: it differs as soon as one of theirs does."""
    return "+".join(ids)


@contextmanager
def _connected(bootstrap: str, security: Mapping[str, Any]) -> Iterator[KafkaAdminClient]:
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, client_id="resegment-admin", **security)
        try:
            yield admin
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise TopicsUnavailable(bootstrap, error) from error


def _create_missing(
    admin: KafkaAdminClient, wanted: Mapping[str, Topic], partitions: int, replication: int
) -> list[str]:
    found = _count_partitions(admin, wanted)
    for name, number in found.items():
        if number != partitions:
            raise PartitionsDiffer(name, number, partitions)
    created = []
    for name in wanted.keys() - found.keys():
        request = {
            "num_partitions": partitions,
            "replication_factor": replication,
            "configs": wanted[name].configs,
        }
        try:
            admin.create_topics({name: request}, wait_for_metadata=True)
        except TopicAlreadyExistsError:  # another worker was faster
            number = _count_partitions(admin, [name]).get(name, partitions)
            if number != partitions:
                raise PartitionsDiffer(name, number, partitions) from None
        else:
            created.append(name)
    return sorted(created)


def _count_partitions(admin: KafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    existing = set(admin.list_topics())
    asked = [name for name in names if name in existing]
    described = admin.describe_topics(asked) if asked else []
    return {topic["name"]: len(topic["partitions"]) for topic in described}
