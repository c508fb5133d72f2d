"""Find the servers: from settings and options, or from the instance that `resegment up` runs on this machine."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from resegment.embedded.folder import find_holder, make_private
from resegment.errors import ResegmentError, TransientError, UserError

if TYPE_CHECKING:
    from resegment.cli.servers import ServerOptions
    from resegment.segmentation.evaluation.program import Limits
    from resegment.settings import Settings

INSTANCE_FILE = "instance.json"
_MAX_INSTANCE = 64 * 1024
_STARTED_WITHIN = 60.0
"""Seconds that a command waits for an instance that is starting."""
_LOOK_SECONDS = 0.1
_NO_SETTINGS = ("RESEGMENT_BENCH_", "RESEGMENT_COMPILE", "RESEGMENT_EXPECT_", "RESEGMENT_REQUIRE_")
"""Variables that benchmarks and tests read."""


class WrongUse(UserError):
    """What was asked for cannot be, whatever the servers say: the exit code is 2."""


class WrongSetting(WrongUse):
    """An environment variable or option has an invalid value: `name` is the setting, `place` where it was given."""

    def __init__(self, name: str, given: Any, problem: str, place: str) -> None:
        super().__init__(f"invalid value {given!r} for the setting {name}: {problem}", remedy=f"Fix {place}.")
        self.name = name
        self.given = given


class NotRunning(ResegmentError):
    """No servers are configured, and no instance runs in `folder`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"no instance is running in {folder}",
            remedy="Start one with `resegment up`, pass its folder with --folder, or set RESEGMENT_KAFKA and "
            "RESEGMENT_REDIS.",
        )
        self.folder = folder


class StillStarting(TransientError):
    """An instance starts in `folder`, and takes long."""

    def __init__(self, folder: Path, pid: int) -> None:
        super().__init__(
            f"the instance in {folder} (process {pid}) is still starting",
            remedy="Try again when `resegment up` says that it is up.",
        )
        self.folder, self.pid = folder, pid


class UntrustedInstance(UserError):
    """The file of an instance may be someone else's: what it says is not used."""

    def __init__(self, place: Path, problem: str) -> None:
        super().__init__(
            f"{place} is not trusted: {problem}",
            remedy="Delete it, or set RESEGMENT_KAFKA and RESEGMENT_REDIS. An instance that runs writes it again at "
            "its next start.",
        )
        self.place, self.problem = place, problem


class Instance(msgspec.Struct, frozen=True):
    """What a running `resegment up` publishes about itself for other commands."""

    pid: int
    bootstrap: str
    redis_url: str
    prefix: str
    partitions: int
    http_url: str | None = None
    segments: str | None = None
    """Absolute path of the segments file; earlier versions did not publish it."""


class Connection(NamedTuple):
    """Where to connect. `partitions` comes from settings or the instance; the prefix record in Redis overrides it."""

    bootstrap: str
    redis_url: str
    prefix: str
    partitions: int
    segments: str
    """The segments file: the configured one, else that of the instance, else the default."""
    settings: Settings
    """The settings for these servers: without the secrets that belong to others."""
    http_url: str | None = None


def load_settings(servers: ServerOptions | None = None, **given: Any) -> Settings:
    """Read the settings from the environment; options that are not None override it. Raises WrongSetting.

    `given` holds all options of the command. Unknown RESEGMENT_ variables are reported on standard error.
    """
    from resegment.settings import ENV_PREFIX, Settings

    if servers is not None:
        given |= servers.given()
    _warn_of_unknown(ENV_PREFIX, Settings.model_fields)
    return _read_settings(given)


def read_limits() -> Limits:
    """Return how many facts a test counts, as the environment says. Raises WrongSetting."""
    from resegment.segmentation.evaluation.program import Limits

    if not any(name.upper() == "RESEGMENT_FACTS_PER_TEST" for name in os.environ):
        return Limits()
    return Limits(facts=_read_settings({}).facts_per_test)


def check_prefix(name: str) -> None:
    """Raise WrongSetting if no prefix may have that name."""
    _read_settings({"prefix": name})


def _read_settings(given: Mapping[str, Any]) -> Settings:
    from pydantic import ValidationError

    from resegment.settings import ENV_PREFIX, Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        option, variable = f"--{name.replace('_', '-')}", ENV_PREFIX + name.upper()
        place = f"the variable {variable}"
        if given.get(name) is not None:
            place = f"the option {option}"
        elif name in given:
            place += f", or pass the option {option}"
        problem = explain_value(first)
        was = given.get(name) or os.environ.get(variable, first["input"])
        raise WrongSetting(name, was if first["loc"] else "as they are", problem, place) from None


def explain_value(error: Mapping[str, Any]) -> str:
    """Return what a setting or an option must be, in words that do not depend on the library that checks it."""
    context = error.get("ctx") or {}
    match error["type"]:
        case "greater_than_equal":
            return f"it must be at least {_spell(context['ge'])}"
        case "less_than_equal":
            return f"it must be at most {_spell(context['le'])}"
        case "int_parsing" | "int_type" | "int_from_float":
            return "it must be a whole number"
        case "float_parsing" | "float_type":
            return "it must be a number"
        case "bool_parsing" | "bool_type":
            return "it must be true or false"
        case "literal_error":
            return f"it must be {context['expected']}".replace("'", "")
        case "string_pattern_mismatch":
            return "it must be 1 to 64 letters, digits, hyphens or underscores"
    return str(error["msg"]).removeprefix("Value error, ")


def _spell(bound: Any) -> str:
    from datetime import timedelta

    from resegment.schemas.times import format_duration

    return format_duration(bound // timedelta(milliseconds=1)) if isinstance(bound, timedelta) else str(bound)


def _warn_of_unknown(prefix: str, known: Collection[str]) -> None:
    """Report variables that look like settings but are not, each with the closest real one."""
    from difflib import get_close_matches

    from resegment.console.terminal import print_note

    for variable in sorted(os.environ):
        name = variable.upper().removeprefix(prefix).lower()
        if not variable.upper().startswith(prefix) or variable.startswith(_NO_SETTINGS) or name in known:
            continue
        close = get_close_matches(name, known, 1)
        hint = (
            f": did you mean {prefix}{close[0].upper()}?"
            if close
            else "; docs/settings.md lists every setting"
        )
        print_note(f"warning: unknown setting {variable}{hint}")


def resolve(settings: Settings, *, patience: float = 0.0) -> Connection:
    """Find where to connect: the configured servers, the rest from the instance in the folder.

    An instance that is starting is waited for, one that is about to start for `patience` seconds. Raises NotRunning,
    StillStarting and UntrustedInstance.
    """
    instance = read_instance(settings.folder)
    segments = str(settings.segments)
    if settings.kafka is not None and settings.redis is not None:
        if instance is not None and (instance.bootstrap, instance.prefix) == (
            settings.kafka,
            settings.prefix,
        ):
            segments = _find_segments(settings, instance)
        return Connection(
            settings.kafka, settings.redis, settings.prefix, settings.partitions, segments, settings
        )
    if instance is None:
        instance = _wait_for_instance(settings.folder, patience)
    _check_local(settings, instance)
    return Connection(
        settings.kafka or instance.bootstrap,
        settings.redis or instance.redis_url,
        settings.prefix if "prefix" in settings.model_fields_set else instance.prefix,
        instance.partitions,
        _find_segments(settings, instance),
        _without_secrets(settings),
        instance.http_url,
    )


def _wait_for_instance(folder: Path, patience: float) -> Instance:
    """Return the instance that starts in the folder, once it is up. Raises NotRunning and StillStarting."""
    begun = time.monotonic()
    told = False
    while (pid := find_holder(folder)) is not None or time.monotonic() - begun < patience:
        if (instance := read_instance(folder)) is not None:
            return instance
        if pid is not None and time.monotonic() - begun > _STARTED_WITHIN:
            raise StillStarting(folder, pid)
        if pid is not None and not told:
            from resegment.console.terminal import print_note

            print_note(f"Waiting for the instance in {folder}, which is starting ...")
            told = True
        time.sleep(_LOOK_SECONDS)
    raise NotRunning(folder)


def _check_local(settings: Settings, instance: Instance) -> None:
    """Raise UntrustedInstance where the file names servers on other machines: only settings may do that."""
    from resegment.state.redis.address import is_loopback, parse_address

    place = settings.folder / INSTANCE_FILE
    hosts = [one.rpartition(":")[0] for one in instance.bootstrap.split(",")]
    if settings.kafka is None and not all(map(is_loopback, hosts)):
        raise UntrustedInstance(place, f"it names Kafka on another machine, {instance.bootstrap[:100]!r}")
    if settings.redis is None and not parse_address(instance.redis_url).is_local:
        raise UntrustedInstance(place, "it names Redis on another machine")


def _without_secrets(settings: Settings) -> Settings:
    """Return the settings without the users, passwords and keys of servers that an instance file names."""
    servers = (("kafka_", settings.kafka), ("redis_", settings.redis))
    named = tuple(prefix for prefix, server in servers if server is None)
    fields = type(settings).model_fields.items()
    return settings.model_copy(
        update={name: field.default for name, field in fields if name.startswith(named)}
    )


def _find_segments(settings: Settings, instance: Instance) -> str:
    """Return the configured segments file, or else that of the instance."""
    if "segments" in settings.model_fields_set or instance.segments is None:
        return str(settings.segments)
    return instance.segments


def read_instance(folder: Path) -> Instance | None:
    """Return the instance that runs in the folder, or None; ignore what a killed one left behind.

    Raises UntrustedInstance where another user, or a checkout of a repository, may have written the file.
    """
    place = folder / INSTANCE_FILE
    try:
        # O_NONBLOCK: a pipe in its place must not hold up every command
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        with os.fdopen(os.open(place, flags), "rb") as file:
            found, text = os.fstat(file.fileno()), file.read(_MAX_INSTANCE)
        instance = msgspec.json.decode(text, type=Instance)
    except (OSError, msgspec.DecodeError):
        return None
    if found.st_uid != os.getuid() or folder.stat().st_uid != os.getuid():
        raise UntrustedInstance(place, "it belongs to another user")
    if found.st_mode & 0o077:
        raise UntrustedInstance(place, "others may read it, so `resegment up` did not write it")
    if folder.stat().st_mode & 0o022:
        raise UntrustedInstance(place, "others may write to its folder")
    with suppress(PermissionError):  # it runs as another user
        try:
            os.kill(instance.pid, 0)
        except ProcessLookupError:
            return None
    return instance


@contextmanager
def announced(folder: Path, instance: Instance) -> Iterator[None]:
    """Publish the instance for other commands while it runs."""
    place = folder / INSTANCE_FILE
    make_private(folder)
    draft = place.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(instance))
    draft.replace(place)
    try:
        yield
    finally:
        place.unlink(missing_ok=True)
