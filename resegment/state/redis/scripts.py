"""The Lua scripts of this folder: loaded from their files, and called by their digest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from redis.asyncio import Redis


@dataclass(frozen=True, slots=True)
class Script:
    """One script. A server that does not have it gets its text with the call."""

    text: str
    digest: str

    async def run(self, client: Redis, keys: int, *parts: Any) -> Any:
        """Run the script: the first `keys` parts are its keys, the others its arguments."""
        answer: Any
        try:
            answer = client.evalsha(self.digest, keys, *parts)
            return await answer
        except NoScriptError:
            answer = client.eval(self.text, keys, *parts)
            return await answer


@cache
def load_script(name: str) -> Script:
    """Return the script of `NAME.lua`."""
    text = files("resegment.state.redis").joinpath(f"{name}.lua").read_text("utf-8")
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())
