"""Where the servers are: from settings and options, or from the instance that `resegment up` runs on this machine."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import typer

from resegment.errors import ResegmentError

if TYPE_CHECKING:
    from resegment.settings import Settings

INSTANCE_FILE = "instance.json"

Folder = Annotated[
    Path | None,
    typer.Option("--folder", metavar="DIR", help="Where `resegment up` keeps what it keeps. [.resegment]"),
]
Kafka = Annotated[
    str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Kafka brokers. [RESEGMENT_KAFKA]")
]
Redis = Annotated[str | None, typer.Option("--redis", metavar="URL", help="Redis. [RESEGMENT_REDIS]")]
Prefix = Annotated[
    str | None,
    typer.Option("--prefix", metavar="NAME", help="Begins the names of topics and keys. [resegment]"),
]


class WrongUse(ResegmentError):
    """What was asked for cannot be, whatever the servers say: the exit code is 2."""


class WrongSetting(WrongUse):
    """An environment variable or option has a value that cannot be: `name` is that of the setting."""

    def __init__(self, name: str, given: Any, problem: str) -> None:
        super().__init__(
            f"the setting {name} cannot be {given!r}: {problem}",
            remedy=f"Mend the option --{name.replace('_', '-')} or the variable RESEGMENT_{name.upper()}.",
        )
        self.name = name
        self.given = given


class NotRunning(ResegmentError):
    """No servers are named, and no instance runs in `folder`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"no instance runs in {folder}",
            remedy="Start one with `resegment up`, say where it is with --folder, or set RESEGMENT_KAFKA and "
            "RESEGMENT_REDIS.",
        )
        self.folder = folder


class Instance(msgspec.Struct, frozen=True):
    """What a running `resegment up` says of itself to other commands."""

    pid: int
    bootstrap: str
    redis_url: str
    prefix: str
    partitions: int
    http_url: str | None = None


class Connection(NamedTuple):
    """Where to connect to. `partitions` is what settings or the instance say; the prefix record in Redis rules."""

    bootstrap: str
    redis_url: str
    prefix: str
    partitions: int
    http_url: str | None = None


def load_settings(**given: Any) -> Settings:
    """Read the settings: from the environment and, before it, the options that are not None. Raises WrongSetting."""
    from pydantic import ValidationError

    from resegment.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise WrongSetting(name, first["input"] if first["loc"] else "as they are", first["msg"]) from None


def resolve(settings: Settings) -> Connection:
    """Find out where to connect to: what settings name, the rest from the instance of their folder. Raises NotRunning."""
    if settings.kafka is not None and settings.redis is not None:
        return Connection(settings.kafka, settings.redis, settings.prefix, settings.partitions)
    instance = read_instance(settings.folder)
    if instance is None:
        raise NotRunning(settings.folder)
    return Connection(
        settings.kafka or instance.bootstrap,
        settings.redis or instance.redis_url,
        settings.prefix if "prefix" in settings.model_fields_set else instance.prefix,
        instance.partitions,
        instance.http_url,
    )


def read_instance(folder: Path) -> Instance | None:
    """Return the instance that runs in the folder, None without one; what a killed one left behind is no instance."""
    try:
        instance = msgspec.json.decode((folder / INSTANCE_FILE).read_bytes(), type=Instance)
        os.kill(instance.pid, 0)
    except (FileNotFoundError, ProcessLookupError, msgspec.DecodeError):
        return None
    except PermissionError:  # it runs as somebody else
        return instance
    return instance


@contextmanager
def announced(folder: Path, instance: Instance) -> Iterator[None]:
    """Let other commands find the instance while it runs."""
    place = folder / INSTANCE_FILE
    folder.mkdir(parents=True, exist_ok=True)
    draft = place.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_bytes(msgspec.json.encode(instance))
    draft.replace(place)
    try:
        yield
    finally:
        place.unlink(missing_ok=True)
