"""Work on several jobs at once, but on those of one account strictly in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from resegment.agents.batch import size_of
from resegment.agents.delivery import Job

Attempt = Callable[[Job], Awaitable[float | None]]


class KeyedQueue:
    """A queue for each account. A job that waits for a retry holds up the jobs behind it, and no others.

    `attempt` works on a job once and returns the seconds until the next attempt, or None if the job is settled;
    `settled` is then called. An error of `attempt` ends the queue: see `failure`.
    """

    def __init__(
        self,
        attempt: Attempt,
        settled: Callable[[Job], None],
        *,
        concurrency: int,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.failure: BaseException | None = None
        self.size = 0
        """Bytes of the records that are not settled."""
        self._attempt, self._settled, self._sleep = attempt, settled, sleep
        self._accounts: dict[str, deque[Job]] = {}
        self._ready: asyncio.Queue[Job] = asyncio.Queue()
        self._waiting: set[asyncio.Task[None]] = set()
        self._closing = False
        self._running: dict[asyncio.Task[None], Job] = {}
        self._workers = [asyncio.create_task(self._work()) for _ in range(concurrency)]

    def put(self, job: Job) -> None:
        """Add a job, behind the jobs of its account that are already here."""
        self.size += size_of(job.record)
        jobs = self._accounts.get(job.command.account)
        if jobs is None:
            self._accounts[job.command.account] = deque([job])
            self._ready.put_nowait(job)
        else:
            jobs.append(job)

    async def close(self, patience: float) -> None:
        """Start nothing more, let running attempts finish for `patience` seconds, and cancel the rest."""
        self._closing = True
        sending = [task for task, job in self._running.items() if job.sending]
        for task in (*self._waiting, *self._workers):
            if task not in sending:
                task.cancel()
        if sending:
            await asyncio.wait(sending, timeout=patience)
        everything = [*self._waiting, *self._workers]
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while not self._closing:
            job = await self._ready.get()
            self._running[task] = job
            try:
                wait = await self._attempt(job)
            except Exception as error:  # noqa: BLE001  # the owner of the queue reads `failure`
                self.failure = self.failure or error
                return
            finally:
                del self._running[task]
            if wait is None:
                self._settle(job)
            elif not self._closing:
                later = asyncio.create_task(self._retry(job, wait))
                self._waiting.add(later)
                later.add_done_callback(self._waiting.discard)

    async def _retry(self, job: Job, wait: float) -> None:
        await self._sleep(wait)
        self._ready.put_nowait(job)

    def _settle(self, job: Job) -> None:
        self.size -= size_of(job.record)
        account = job.command.account
        jobs = self._accounts[account]
        jobs.popleft()
        if jobs:
            self._ready.put_nowait(jobs[0])
        else:
            del self._accounts[account]
        self._settled(job)
