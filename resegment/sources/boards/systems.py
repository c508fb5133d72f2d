"""Read the answers of five applicant-tracking systems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.adapters.dates import read_moment
from resegment.sources.adapters.port import Context
from resegment.sources.adapters.records import Record, label_of
from resegment.sources.adapters.values import read_flag
from resegment.sources.boards.snapshot import Job, ReadJob, Snapshot, find_snapshots


def _time(record: Record, *paths: str) -> int | None:
    for _, value in record.find_all(*paths):
        try:
            return read_moment(value).ms
        except ValueError:
            continue
    return None


def _remote(record: Record, *paths: str) -> bool | None:
    try:
        value = record.find(*paths)
        return None if value is None else read_flag(value)
    except ValueError:
        return None


def _workplace(record: Record) -> bool | None:
    word = (record.find_text("workplaceType", "workplace") or "").lower().replace("-", "").replace("_", "")
    return {"remote": True, "hybrid": False, "onsite": False}.get(word)


def _place(record: Record, *paths: str) -> str | None:
    parts = [text for path in paths if (text := label_of(record.find(path)))]
    return ", ".join(dict.fromkeys(parts)) or None


def read_greenhouse(record: Record) -> Job | None:
    """Read a job of Greenhouse. `updated_at` says nothing: boards touch all jobs at once."""
    posting, title = record.find_text("id", "absolute_url"), record.find_text("title")
    if posting is None or title is None:
        return None
    return Job(
        posting=posting,
        role=record.find_text("internal_job_id") or posting,
        title=title,
        published=_time(record, "first_published"),
        location=record.find_text("location.name", "location"),
        department=label_of(record.find("departments")),
        url=record.find_text("absolute_url"),
    )


def read_lever(record: Record) -> Job | None:
    """Read a posting of Lever."""
    posting, title = record.find_text("id", "hostedUrl"), record.find_text("text", "title")
    if posting is None or title is None:
        return None
    return Job(
        posting=posting,
        role=posting,
        title=title,
        published=_time(record, "createdAt"),
        location=record.find_text("categories.location", "country"),
        department=_place(record, "categories.department", "categories.team"),
        url=record.find_text("hostedUrl", "applyUrl"),
        remote=_workplace(record),
    )


def read_ashby(record: Record) -> Job | None:
    """Read a job of Ashby; one that is not listed is not public."""
    posting, title = record.find_text("id", "jobUrl"), record.find_text("title")
    if posting is None or title is None or _remote(record, "isListed") is False:
        return None
    return Job(
        posting=posting,
        role=posting,
        title=title,
        published=_time(record, "publishedAt", "publishedDate"),
        location=record.find_text("location"),
        department=_place(record, "department", "team"),
        url=record.find_text("jobUrl", "applyUrl"),
        remote=_remote(record, "isRemote"),
    )


def read_workable(record: Record) -> Job | None:
    """Read a job of Workable; one that is not published is not public."""
    posting, title = record.find_text("shortcode", "id", "url"), record.find_text("title", "full_title")
    state = (record.find_text("state") or "published").lower()
    if posting is None or title is None or state in ("draft", "closed", "archived"):
        return None
    return Job(
        posting=posting,
        role=posting,
        title=title,
        published=_time(record, "published_on", "published", "created_at"),
        location=record.find_text("location.location_str")
        or _place(record, "location.city", "location.country", "city", "country"),
        department=label_of(record.find("department", "function")),
        url=record.find_text("url", "shortlink", "application_url"),
        remote=_remote(record, "telecommuting", "remote", "location.telecommuting"),
    )


def read_smartrecruiters(record: Record) -> Job | None:
    """Read a posting of SmartRecruiters."""
    posting, title = record.find_text("id", "uuid"), record.find_text("name", "title")
    if posting is None or title is None:
        return None
    return Job(
        posting=posting,
        role=record.find_text("refNumber", "jobId") or posting,
        title=title,
        published=_time(record, "releasedDate", "createdOn"),
        location=record.find_text("location.fullLocation")
        or _place(record, "location.city", "location.country"),
        department=label_of(record.find("department", "function")),
        url=record.find_text("jobAdUrl", "postingUrl", "applyUrl"),
        remote=_remote(record, "location.remote"),
    )


SYSTEMS: Final[dict[str, tuple[str, ReadJob, tuple[str, ...], str | None, str]]] = {
    "greenhouse": ("Greenhouse", read_greenhouse, ("jobs",), "meta.total", "`first_published`"),
    "lever": ("Lever", read_lever, ("postings", "jobs", "data"), None, "`createdAt`"),
    "ashby": ("Ashby", read_ashby, ("jobs", "jobPostings"), None, "`publishedAt`"),
    "workable": (
        "Workable",
        read_workable,
        ("jobs", "results"),
        "total",
        "`published_on`, `published` or `created_at`",
    ),
    "smartrecruiters": (
        "SmartRecruiters",
        read_smartrecruiters,
        ("content", "jobs"),
        "totalFound",
        "`releasedDate`",
    ),
}
"""The title of each system, how it is read, where its jobs are, where their total is, and what the time of opening is."""


def find_board_snapshots(system: str, payload: Any, context: Context) -> Iterator[Snapshot | RefusedEvent]:
    """Yield the snapshots in a payload of a system."""
    _, read, containers, total, _ = SYSTEMS[system]
    yield from find_snapshots(payload, context, containers, read, total=total)
