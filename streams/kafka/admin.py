"""Which incarnation of a topic this is: one that is made anew under its old name is another log."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from resegment.errors import FatalError
from resegment.streams.kafka.topics import TopicsUnavailable

NO_TOPIC: Final = str(UUID(int=0))
"""What a broker says of a topic that is not there."""


class LogReplaced(FatalError):
    """The topic was deleted and made anew while a worker read it."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"{topic} is a new topic under its old name",
            remedy="Start the worker again: it reads the new log from its beginning. What was not decided of the old "
            "one is gone: let the sources send it again.",
        )
        self.topic = topic


def identify(bootstrap: str, topic: str, **security: Any) -> str:
    """The topic's own id, which Kafka gives once and never again. Blocks. Raises TopicsUnavailable.

    `security` is what kafka-python takes.
    """
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, client_id="resegment-admin", **security)
        try:
            (described,) = admin.describe_topics([topic])
            return str(described["topic_id"])
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise TopicsUnavailable(bootstrap, error) from error


def join_logs(*ids: str) -> str:
    """What names the incarnation of several topics that are read as one: a new one where any is."""
    return "+".join(ids)
