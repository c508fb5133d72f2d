"""Make what a worker connects with before its parts are composed."""

from __future__ import annotations

from resegment.routing.policy import list_files
from resegment.segmentation.definition import Definition
from resegment.settings import Settings
from resegment.sources.suppressions import ListFiles
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.security import KafkaSecurity
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.keys import ProcessKeys


def open_publisher(
    made_by: type[KafkaPublisher],
    settings: Settings,
    bootstrap: str,
    security: KafkaSecurity,
    keys: ProcessKeys | None = None,
) -> KafkaPublisher:
    """Return a publisher of the worker; nothing is connected yet. `keys` seal its messages."""
    return made_by(
        bootstrap,
        client_id=f"{settings.prefix}-publisher",
        idempotent=settings.kafka is not None,
        security=security.clients(),
        seal=None if keys is None else keys.seal(Topics(settings.prefix)),
    )


def check_lists(settings: Settings, definition: Definition) -> None:
    """Raise WrongList if a suppression list of a version cannot be read on this machine."""
    ListFiles(settings.segments, lambda _: None).load(list_files(definition))
