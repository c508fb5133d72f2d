"""Set up a worker's process: its event loop and its garbage collector."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Final

_YOUNG: Final = 50_000
"""New objects between two collections. A batch makes some ten thousand, and most are gone with it."""


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop: uvloop if it is installed, else None, for asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415  # optional
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def settle() -> None:
    """Keep what the process holds now out of later collections: it stays until the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 100)
