"""Publish what many requests bring at the same time in one go, so that each does not wait for a round trip of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from resegment.agents.batch import Message, Publisher, PublishFailed

MOST: Final = 5_000
"""Messages in one go."""


class _Waiting(NamedTuple):
    messages: Sequence[Message]
    done: asyncio.Future[None]


class Gathering:
    """A `Publisher` that gives another one, while that is busy, all that has come since, in order.

    What fails together is tried alone, so that no request fails for what another one brought.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._waiting: list[_Waiting] = []
        self._running: asyncio.Task[None] | None = None

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish, and return once Kafka has acknowledged all. Raises PublishFailed."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(messages, done))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._work(), name="publish")
        await done

    async def _work(self) -> None:
        while self._waiting:
            taken = self._take()
            try:
                await self._publisher.publish([one for waiting in taken for one in waiting.messages])
            except PublishFailed as error:
                await self._publish_alone(taken, error)
            except BaseException as error:
                _finish(taken, PublishFailed((), error))
                raise
            else:
                _finish(taken, None)

    def _take(self) -> list[_Waiting]:
        size = number = 0
        for waiting in self._waiting:
            size += len(waiting.messages)
            if number and size > MOST:
                break
            number += 1
        taken, self._waiting = self._waiting[:number], self._waiting[number:]
        return taken

    async def _publish_alone(self, taken: list[_Waiting], error: PublishFailed) -> None:
        """Publish each request's messages alone, if it is not Kafka that is away."""
        if len(taken) == 1 or not error.too_large:
            _finish(taken, error)
            return
        for waiting in taken:
            try:
                await self._publisher.publish(waiting.messages)
            except PublishFailed as own:
                _finish([waiting], own)
            else:
                _finish([waiting], None)


def _finish(taken: list[_Waiting], error: PublishFailed | None) -> None:
    for waiting in taken:
        if not waiting.done.done():  # its request may be gone
            if error is None:
                waiting.done.set_result(None)
            else:
                waiting.done.set_exception(error)
