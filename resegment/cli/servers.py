"""The options that name the servers and the prefix of a command, declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import typer

Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder", metavar="DIR", help="The folder where `resegment up` keeps its data. Default: .resegment."
    ),
]
Kafka = Annotated[
    str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Kafka brokers. Default: RESEGMENT_KAFKA.")
]
Redis = Annotated[str | None, typer.Option("--redis", metavar="URL", help="Redis. Default: RESEGMENT_REDIS.")]
Prefix = Annotated[
    str | None,
    typer.Option("--prefix", metavar="NAME", help="The prefix of topic and key names. Default: resegment."),
]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The values of --folder, --kafka, --redis and --prefix; None where an option is not given."""

    folder: Folder = None
    kafka: Kafka = None
    redis: Redis = None
    prefix: Prefix = None

    def given(self) -> dict[str, Any]:
        """Return the values by the names of their settings."""
        return asdict(self)


DEFAULT_SERVERS: Final = ServerOptions()
_PARAMETERS: Final = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
    for name, hint in get_type_hints(ServerOptions, include_extras=True).items()
]

Command = Callable[..., None]


def takes_servers(command: Command) -> Command:
    """Give a command the four options in place of its parameter `servers: ServerOptions`."""
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for one in signature.parameters.values():
        if one.name == "servers":
            parameters += _PARAMETERS
        else:
            parameters.append(one.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @wraps(command)
    def run(**given: Any) -> None:
        servers = ServerOptions(**{one.name: given.pop(one.name) for one in _PARAMETERS})
        command(**given, servers=servers)

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # typer reads it
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run
