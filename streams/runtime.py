"""How a worker's process is set up: its event loop, and its garbage collector."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Final

_YOUNG: Final = 50_000
"""How many new objects the collector waits for: a batch makes some ten thousand, most of them gone with it."""


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop: uvloop where it is installed, else asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415  # optional
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def settle() -> None:
    """Say that what the process holds now stays: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 100)
