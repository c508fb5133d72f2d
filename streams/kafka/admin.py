"""Create topics, and tell one incarnation of a topic from another: a topic that is re-created is another log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.net.compat import KafkaNetClient

from resegment.errors import FatalError, TransientError
from resegment.streams.kafka.topics import Topic, Topics

T = TypeVar("T")

NO_TOPIC: Final = str(UUID(int=0))
"""The id that a broker gives for a topic that does not exist."""


class TopicIdentity(NamedTuple):
    """Which topic it is. Kafka assigns an id once and never again."""

    id: str
    partitions: int


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

    def __init__(self, topic: str, found: int, wanted: int, *, in_use: bool) -> None:
        remedy = (
            f"The topic was altered. Kafka can't remove partitions, so move to a new prefix: "
            f"`resegment repartition NEW_PREFIX --partitions {found}`, then start workers with the new prefix."
            if in_use
            else f"Somebody else created the topic. Delete it (`kafka-topics --delete --topic {topic}`), so that the "
            f"worker creates it with {wanted}; or choose another prefix."
        )
        super().__init__(f"topic {topic} has {found} partitions, not {wanted}", remedy=remedy)
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
    in_use: bool = False,
    **security: Any,
) -> list[str]:
    """Create the topics that do not exist yet and return their names; existing ones are left as they are.

    `retention` overrides it by full topic name; `in_use` says that the prefix has state; `security` is what
    kafka-python takes (`security_protocol`, `ssl_context`, `sasl_*`). Raises PartitionsDiffer if a topic whose
    number of partitions is fixed exists with another one, and TopicsUnavailable if the brokers do not answer or
    refuse. Blocks: call it in a thread from a loop.
    """
    kept = retention or {}
    wanted = {one.name: replace(one, retention=kept.get(one.name, one.retention)) for one in topics}
    with _connected(bootstrap, security) as admin:
        found = _count_partitions(admin, wanted)
        check_partitions(found, wanted.values(), partitions, in_use=in_use)
        missing = {name: topic for name, topic in wanted.items() if name not in found}
        created = _create_missing(admin, missing, partitions, replication)
        if len(created) < len(missing):  # another worker was faster
            check_partitions(_count_partitions(admin, missing), wanted.values(), partitions, in_use=in_use)
        return created


def check_partitions(
    found: Mapping[str, int], topics: Iterable[Topic], partitions: int, *, in_use: bool
) -> None:
    """Raise PartitionsDiffer if one of the topics that exist must have another number of partitions."""
    for topic in topics:
        number = found.get(topic.name, partitions)
        if topic.fixed and number != partitions:
            raise PartitionsDiffer(topic.name, number, partitions, in_use=in_use)


def find_grown(bootstrap: str, topics: Iterable[Topic], partitions: int, **security: Any) -> dict[str, int]:
    """Return the topics that must have `partitions` and have another number, with that number. Blocks.

    Raises TopicsUnavailable.
    """
    names = [one.name for one in topics if one.fixed]
    with _connected(bootstrap, security) as admin:
        found = _count_partitions(admin, names)
    return {name: number for name, number in found.items() if number != partitions}


def count_partitions(bootstrap: str, topics: Iterable[Topic], **security: Any) -> dict[str, int]:
    """Return the number of partitions of each topic that exists, by its name. Blocks. Raises TopicsUnavailable."""
    with _connected(bootstrap, security) as admin:
        return _count_partitions(admin, [one.name for one in topics])


def delete_records(bootstrap: str, topic: str, upto: Mapping[int, int], **security: Any) -> None:
    """Delete the records of partitions before these offsets. Raises TopicsUnavailable. Blocks, as `create_topics` does."""
    with _connected(bootstrap, security) as admin:
        admin.delete_records({TopicPartition(topic, number): offset for number, offset in upto.items()})


def identify_topics(bootstrap: str, topics: Sequence[str], **security: Any) -> dict[str, TopicIdentity]:
    """Return the id and the number of partitions of each topic, by its name. Blocks. Raises TopicsUnavailable.

    `security` is what kafka-python takes.
    """
    with _connected(bootstrap, security) as admin:
        return _identify(admin, topics)


def read_log_ids(bootstrap: str, topics: Topics, **security: Any) -> tuple[str, str]:
    """Return what names the logs of the segmenter and of the router in their positions. Blocks.

    Raises TopicsUnavailable.
    """
    changes = topics.segment_changes.name, topics.routing_events.name
    found = identify_topics(bootstrap, [topics.signals.name, *changes], **security)
    return found[topics.signals.name].id, join_topic_ids(*[found[name].id for name in changes])


def join_topic_ids(*ids: str) -> str:
    """Return one id for several topics that are read as one: it differs as soon as one of theirs does."""
    return "+".join(ids)


class TopicLooks:
    """Answers about topics, asked again and again over one connection. All methods block, and may be called in any thread.

    A client for each question would cost 12 ms and leave 56 KB of objects that refer to each other.
    """

    def __init__(self, bootstrap: str, security: Mapping[str, Any]) -> None:
        self._bootstrap, self._security = bootstrap, security
        self._asking = threading.Lock()
        self._admin: KafkaAdminClient | None = None
        self._closed = False

    def identify(self, topics: Sequence[str]) -> dict[str, TopicIdentity]:
        """Return the id and the number of partitions of each topic, as `identify_topics` does."""
        return self._ask(lambda admin: _identify(admin, topics))

    def count(self, topics: Iterable[Topic]) -> dict[str, int]:
        """Return the number of partitions of each topic that exists, as `count_partitions` does."""
        return self._ask(lambda admin: _count_partitions(admin, [one.name for one in topics]))

    def close(self) -> None:
        """Close the connection now, or when the question that is being asked is over."""
        self._closed = True
        if self._asking.acquire(blocking=False):
            self._drop()
            self._asking.release()

    def _ask(self, question: Callable[[KafkaAdminClient], T]) -> T:
        try:
            with self._asking:
                if self._admin is not None:
                    with suppress(Exception):  # whatever the connection from before has: a new one tells
                        return question(self._admin)
                    self._drop()
                try:
                    self._admin = _connect(self._bootstrap, self._security)
                    return question(self._admin)
                except BaseException as error:
                    self._drop()
                    if isinstance(error, (KafkaError, OSError)):
                        raise TopicsUnavailable(self._bootstrap, error) from error
                    raise
        finally:
            if self._closed:
                self.close()

    def _drop(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()


@contextmanager
def _connected(bootstrap: str, security: Mapping[str, Any]) -> Iterator[KafkaAdminClient]:
    try:
        admin = _connect(bootstrap, security)
        try:
            yield admin
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise TopicsUnavailable(bootstrap, error) from error


def _connect(bootstrap: str, security: Mapping[str, Any]) -> KafkaAdminClient:
    """Return a client. Where no broker answers, its own constructor would leave a thread with its sockets behind."""
    started: list[Any] = []

    def start(**settings: Any) -> Any:
        started.append(KafkaNetClient(**settings))
        return started[-1]

    try:
        return KafkaAdminClient(
            bootstrap_servers=bootstrap, client_id="resegment-admin", kafka_client=start, **security
        )
    except BaseException:
        for one in started:
            one.close()
        raise


def _identify(admin: KafkaAdminClient, topics: Sequence[str]) -> dict[str, TopicIdentity]:
    found = {
        one["name"]: TopicIdentity(str(one["topic_id"]), len(one["partitions"]))
        for one in admin.describe_topics(list(topics))
        if one["topic_id"] is not None  # what the client says of a topic that does not exist
    }
    return {name: found.get(name, TopicIdentity(NO_TOPIC, 0)) for name in topics}


def _create_missing(
    admin: KafkaAdminClient, missing: Mapping[str, Topic], partitions: int, replication: int
) -> list[str]:
    created = []
    for name, topic in missing.items():
        request = {
            "num_partitions": 1 if topic.single else partitions,
            "replication_factor": replication,
            "configs": topic.configs,
        }
        with suppress(TopicAlreadyExistsError):
            admin.create_topics({name: request}, wait_for_metadata=True)
            created.append(name)
    return sorted(created)


def _count_partitions(admin: KafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    existing = set(admin.list_topics())
    asked = [name for name in names if name in existing]
    described = admin.describe_topics(asked) if asked else []
    return {topic["name"]: len(topic["partitions"]) for topic in described}
