"""Make sure that a prefix has a version before a worker works: its first start publishes the file."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog

from resegment.agents.batch import Publisher
from resegment.errors import UserError
from resegment.schemas.definitions.records import DefinitionRecord, encode_definition_record
from resegment.schemas.privacy.opening import FactKeys
from resegment.segmentation.definition import Definition
from resegment.streams.definitions.content import to_records
from resegment.streams.definitions.history import Definitions
from resegment.streams.definitions.log import DefinitionWriter, read_definitions
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.topics import Topics
from resegment.streams.prefix import PrefixDiffers

log = structlog.get_logger(__name__)


class NoVersion(UserError):
    """The prefix has no version yet, and there is no file to make the first one of."""

    def __init__(self, prefix: str) -> None:
        super().__init__(
            f"prefix {prefix} has no version of a segments file yet",
            remedy="Start the first worker with --segments.",
        )
        self.prefix = prefix


async def establish(
    given: Definition | None,
    held: Mapping[str, str],
    topics: Topics,
    bootstrap: str,
    security: Mapping[str, Any],
    *,
    publishing: Callable[[], AbstractAsyncContextManager[Publisher]],
) -> Definitions:
    """Return what `definitions` says; where it says nothing, publish the given file as version 1 first.

    `held` is the record of the prefix. An earlier release kept only the hash of its file there: only that file may
    become version 1.
    Raises NoVersion, PrefixDiffers, PublishFailed, TopicUnreadable and StoreUnavailable.
    """
    definitions = await read_definitions(bootstrap, topics, security)
    if definitions.versions:
        return definitions
    if given is None:
        raise NoVersion(topics.prefix)
    before = held.get("definition")
    if before is not None and before != given.version:
        raise PrefixDiffers(
            "definition",
            before,
            given.version,
            "Start one worker with the file that this prefix had so far: it becomes version 1. "
            "Then switch with `resegment apply`.",
        )
    chunks, version = to_records(
        given, 1, at=int(time.time() * 1000), author=name_user(), message="first version"
    )
    async with publishing() as publisher:
        await DefinitionWriter(publisher, topics).write(*chunks, version)
    return await read_definitions(bootstrap, topics, security)


async def read_registry(
    given: Callable[[], Definition],
    held: Mapping[str, str],
    topics: Topics,
    bootstrap: str,
    security: Mapping[str, Any],
    *,
    facts_per_test: int,
    keys: FactKeys | None = None,
) -> DefinitionRegistry:
    """Return the versions of a prefix, for a command. Nothing is written.

    Where `definitions` says nothing (no worker of this release has run), the given file stands for version 1. Raises
    PrefixDiffers where the prefix had another file, TopicUnreadable, and what `given` raises.
    """
    definitions = await read_definitions(bootstrap, topics, security)
    if not definitions.versions:
        definition = given()
        before = held.get("definition")
        if before is not None and before != definition.version:
            raise PrefixDiffers(
                "definition", before, definition.version, "Give the segments file that the workers use."
            )
        chunks, version = to_records(definition, 1, at=0)
        records: list[DefinitionRecord] = [*chunks, version]
        for one in records:
            definitions.take(encode_definition_record(one))
    return DefinitionRegistry(definitions, topics, facts_per_test=facts_per_test, keys=keys)


def name_user() -> str:
    """Return user and host of this process: who starts a prefix."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def warn_if_different(given: Definition | None, definitions: Definitions) -> str | None:
    """Log that the worker's file is not the version in force, and return that in a sentence; None if it is."""
    number = definitions.current
    in_force = definitions.version(number)
    if given is not None and given.digest == in_force.digest:
        return None
    what = "could not be read" if given is None else f"differs ({given.version})"
    message = f"its segments file {what}: it works by version {number} ({in_force.fingerprint})"
    log.warning(
        "the segments file of this worker is not the version in force",
        version=number,
        fingerprint=in_force.fingerprint,
        file=None if given is None else given.version,
        fix="`resegment plan` shows the difference, `resegment apply` switches to the file",
    )
    return message
