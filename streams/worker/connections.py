"""Make what a worker connects with before its parts are composed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from resegment.agents.privacy.sealing import FactSealer
from resegment.routing.policy import list_files
from resegment.segmentation.definition import Definition
from resegment.settings import Settings
from resegment.sources.suppressions import ListFiles
from resegment.state.keys.keyring import Keyring
from resegment.streams.ahead import find_ahead_records
from resegment.streams.definitions.preparing import SignalLog
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.security import KafkaSecurity
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.keys import ProcessKeys

if TYPE_CHECKING:
    from redis.asyncio import Redis


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


def open_log(
    settings: Settings,
    bootstrap: str,
    topics: Topics,
    security: KafkaSecurity,
    client: Redis,
    now: Callable[[], int],
    keys: ProcessKeys,
) -> SignalLog:
    """Return where the worker's background work reads `signals`. `now` is the wall clock, ms."""
    ahead = find_ahead_records(
        *(client, settings.prefix, settings.clock, lambda: now() + settings.tolerance), remember=False
    )
    return SignalLog(bootstrap, topics, security.clients(), ahead, keys.record_opener(strict=True))


def seal_by(keyring: Keyring | None, registry: DefinitionRegistry) -> FactSealer | None:
    """Return what seals facts, None without keys."""
    return None if keyring is None else FactSealer(keyring, registry.personal_at)


def check_lists(settings: Settings, definition: Definition) -> None:
    """Raise WrongList if a suppression list of a version cannot be read on this machine."""
    ListFiles(settings.segments, lambda _: None).load(list_files(definition))
