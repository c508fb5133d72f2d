"""Which incarnation of a topic this is: one that is made anew under its old name is another log."""

from __future__ import annotations

from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from resegment.streams.topics import TopicsUnavailable


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
