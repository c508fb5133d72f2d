"""What one look at a job board shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.dates import read_moment
from resegment.sources.adapters.port import Context
from resegment.sources.adapters.records import Record, label_of
from resegment.sources.normalizers.titles import read_title


@dataclass(frozen=True, slots=True)
class Job:
    """One posting. `role` is what it is for: postings of one role in several places count once."""

    posting: str
    role: str
    title: str
    published: int | None
    location: str | None = None
    department: str | None = None
    url: str | None = None
    remote: bool | None = None

    def data(self) -> dict[str, Any]:
        """Return the data of a hiring event about the role."""
        found = read_title(self.title)
        function = found.function or (read_title(self.department).function if self.department else None)
        data: dict[str, Any] = {"job": self.role, "title": self.title, "function": function or "unknown"}
        rest = {
            "seniority": found.seniority,
            "location": self.location,
            "department": self.department,
            "url": self.url,
            "remote": self.remote,
        }
        data.update({name: value for name, value in rest.items() if value is not None})
        return data


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The jobs of a board at `at` (ms; None if it is not known). A `partial` one is a page: what it lacks may be open."""

    board: str
    at: int | None
    jobs: tuple[Job, ...]
    sites: tuple[str, ...] = ()
    """Texts that may have the company's own domain."""
    partial: bool = False


ReadJob = Callable[[Record], "Job | None"]
"""Reads a posting; None for one that is not public, or that has no id or title."""

_FAILED: Final = ("error", "errors", "message", "status", "ok", "detail")


def find_snapshots(
    payload: Any, context: Context, containers: tuple[str, ...], read: ReadJob, *, total: str | None = None
) -> Iterator[Snapshot | RefusedEvent]:
    """Yield the snapshots in a payload: a bare answer of a board, one in a wrapper, or several by the names of boards."""
    yield from _find(payload, context, "", context.at, (containers, read, total), 0)


Shape = tuple[tuple[str, ...], ReadJob, str | None]


def _find(
    payload: Any, context: Context, board: str, at: int | None, shape: Shape, depth: int
) -> Iterator[Snapshot | RefusedEvent]:
    containers, _, _ = shape
    if isinstance(payload, list):
        wrapped = [
            one for one in payload if isinstance(one, Mapping) and _jobs_of(one, containers) is not None
        ]
        if payload and len(wrapped) == len(payload) and depth < 3:
            for one in payload:
                yield from _find(one, context, board, at, shape, depth + 1)
        else:
            yield _snapshot(payload, board, at, shape)
        return
    if not isinstance(payload, Mapping):
        yield RefusedEvent("no-news", "the answer is no board: nothing is known of its jobs")
        return
    record = Record(payload)
    board = record.find_text("board", "slug", "company", "board_token", "account") or board
    at = _read_at(record, context, at)
    jobs = _jobs_of(payload, containers)
    inner = record.find("response", "data", "body")
    if jobs is not None:
        yield _snapshot(jobs, board, at, shape, record)
    elif isinstance(inner, Mapping | list) and depth < 3:
        yield from _find(inner, context, board, at, shape, depth + 1)
    elif any(name in payload for name in _FAILED):
        shown = label_of(record.find("error", "message", "errors", "detail", "status")) or "an error"
        yield RefusedEvent("no-news", f"the scrape failed ({shown[:80]}): nothing is known of its jobs")
    elif payload and depth < 2 and all(isinstance(one, Mapping | list) for one in payload.values()):
        for name, one in payload.items():
            yield from _find(one, context, str(name), at, shape, depth + 1)
    else:
        yield RefusedEvent("no-record", f"no list of jobs is found (looked for {', '.join(containers)})")


def _jobs_of(payload: Mapping[str, Any], containers: tuple[str, ...]) -> list[Any] | None:
    return next((payload[name] for name in containers if isinstance(payload.get(name), list)), None)


def _read_at(record: Record, context: Context, at: int | None) -> int | None:
    given = record.find("fetched_at", "scraped_at", "retrieved_at", "at", "fetchedAt")
    if given is None or context.at is not None:
        return at
    try:
        return read_moment(given, zone=context.zone).ms
    except ValueError:
        return at


def _snapshot(
    given: list[Any], board: str, at: int | None, shape: Shape, record: Record | None = None
) -> Snapshot | RefusedEvent:
    _, read, total = shape
    postings = [one for one in given if isinstance(one, Mapping)]
    jobs = [job for one in postings if (job := read(Record(one))) is not None]
    if given and not postings:
        return RefusedEvent("no-news", "the list has no job that is an object: nothing is known of its jobs")
    counted = record.find(total) if record is not None and total is not None else None
    partial = isinstance(counted, int) and counted > len(given)
    sites = tuple(dict.fromkeys(job.url for job in jobs if job.url is not None))[:20]
    return Snapshot(board, at, tuple(jobs), sites, partial)
