"""What holds for a whole prefix: partitions, clock and segments file. A worker that differs is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from resegment.errors import ResegmentError
from resegment.state.keys import prefix_key
from resegment.state.port import StoreUnavailable

if TYPE_CHECKING:
    from redis.asyncio import Redis


class PrefixDiffers(ResegmentError):
    """The prefix was created with another setting: `name` differs, `held` is what it has, `given` what was asked."""

    def __init__(self, name: str, held: str, given: str, remedy: str) -> None:
        super().__init__(f"this prefix has {name} {held}, not {given}", remedy=remedy)
        self.name, self.held, self.given = name, held, given


_REMEDIES = {
    "partitions": "Give the number that it has, or replay into a new prefix.",
    "clock": "A prefix has one kind of clock for ever: give it, or choose a new prefix.",
    "definition": "To switch to another segments file, start with a new prefix and ingest into it; "
    "`resegment up --fresh` forgets what an embedded instance holds.",
}


async def agree(client: Redis, prefix: str, *, partitions: int, clock: str, definition: str) -> None:
    """Set what the prefix has not yet, and refuse what differs. Raises PrefixDiffers or StoreUnavailable."""
    key = prefix_key(prefix)
    wanted = {"partitions": str(partitions), "clock": clock, "definition": definition}
    try:
        for name, given in wanted.items():
            answer: Any = client.hsetnx(key, name, given)
            await answer
            held: Any = client.hget(key, name)
            found = (await held).decode()
            if found != given:
                raise PrefixDiffers(name, found, given, _REMEDIES[name])
    except (RedisError, OSError) as error:
        raise StoreUnavailable(f"Redis does not answer: {error}", remedy="Is the URL right, and is it up?") from error


async def read_prefix(client: Redis, prefix: str) -> dict[str, str]:
    """What the prefix has, empty where it does not exist."""
    try:
        answer: Any = client.hgetall(prefix_key(prefix))
        return {name.decode(): value.decode() for name, value in (await answer).items()}
    except (RedisError, OSError) as error:
        raise StoreUnavailable(f"Redis does not answer: {error}", remedy="Is the URL right, and is it up?") from error
