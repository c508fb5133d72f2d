"""Make what a worker connects with before its parts are composed."""

from __future__ import annotations

from resegment.routing.policy import list_files
from resegment.segmentation.definition import Definition
from resegment.settings import Settings
from resegment.sources.suppressions import ListFiles
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.security import KafkaSecurity


def open_publisher(
    made_by: type[KafkaPublisher], settings: Settings, bootstrap: str, security: KafkaSecurity
) -> KafkaPublisher:
    """Return a publisher of the worker; nothing is connected yet."""
    return made_by(
        bootstrap,
        client_id=f"{settings.prefix}-publisher",
        idempotent=settings.kafka is not None,
        security=security.clients(),
    )


def check_lists(settings: Settings, definition: Definition) -> None:
    """Raise WrongList if a suppression list of a version cannot be read on this machine."""
    ListFiles(settings.segments, lambda _: None).load(list_files(definition))
