"""Read what sinks of sequencers share: which contacts can be enrolled, and what an error says."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from resegment.sinks.operation import Contact, Operation
from resegment.sinks.port import Answer, Call, ContactResult, Verdict, judge_status

T = TypeVar("T")
DRY: Final = "not sent in a dry run"
"""What is said of a contact in a dry run."""
MAX_TEXT: Final = 300
"""Characters of an error that are shown."""
MAX_DIGITS: Final = 30
"""Digits of an id: a longer text is none."""
_CLOCKS: Final = timedelta(minutes=10)
"""By how much the vendor's clock may be behind ours."""
_TEXTS: Final = ("detail", "message", "title", "error", "details", "reason", "status", "code")


def choose_contacts(
    operation: Operation, *, by_email: bool = True
) -> tuple[list[Contact], list[ContactResult]]:
    """Return the contacts of an operation to enroll, each once, and the results of those left out.

    `by_email` leaves out contacts without an e-mail address.
    """
    chosen: dict[str, Contact] = {}
    left_out: list[ContactResult] = []
    for contact in operation.contacts:
        if contact.key in operation.do_not_contact:
            left_out.append(ContactResult(contact, "skipped", "opted out"))
        elif by_email and not contact.email:
            left_out.append(ContactResult(contact, "skipped", "has no e-mail address"))
        else:
            chosen.setdefault(contact.key, contact)
    return list(chosen.values()), left_out


def do_each(
    items: Iterable[T], one: Callable[[T], Generator[Call, Answer, ContactResult]]
) -> Generator[Call, Answer, list[ContactResult]]:
    """Take the steps of each item in order, and return their results."""
    results = []
    for item in items:
        results.append((yield from one(item)))  # noqa: PERF401  # a comprehension cannot yield
    return results


def is_since(created: object, at: str) -> bool:
    """Whether a record was made after a change took effect, as far as two clocks can tell."""
    if not isinstance(created, str) or not at:
        return False
    try:
        return _aware(created) >= _aware(at) - _CLOCKS
    except ValueError:
        return False


def _aware(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else datetime.fromisoformat(f"{text}+00:00")


def explain(answer: Answer) -> str:
    """Return what an answer says of its failure, in one line: its texts, else its status."""
    texts = list(dict.fromkeys(_texts(answer.body)))
    found = "; ".join(texts)[:MAX_TEXT]
    return f"{found} (status {answer.status})" if found else f"status {answer.status}"


def _texts(body: Any, depth: int = 4) -> list[str]:
    if depth == 0:
        return []
    if isinstance(body, str):
        line = " ".join(body.split())
        return [line[:MAX_TEXT]] if line and not line.startswith("<") else []
    if isinstance(body, Mapping):
        inner = [one for name in ("errors", "error") if isinstance(one := body.get(name), list | dict)]
        found = [text for one in inner for text in _texts(one, depth - 1)]
        found += [one for name in _TEXTS if isinstance(one := body.get(name), str) and one]
        if not found:
            for name, value in body.items():
                if isinstance(value, list):
                    found += [f"{name} {one}" for one in value if isinstance(one, str)]
        return found
    if isinstance(body, Sequence):
        return [text for one in body[:5] for text in _texts(one, depth - 1)]
    return []


def says(answer: Answer, *words: str) -> bool:
    """Whether an answer says one of some words, in whatever field."""
    text = explain(answer).lower()
    return any(word in text for word in words)


def number(value: object) -> int | None:
    """Return an id as an integer; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if not isinstance(value, str) or len(value) > MAX_DIGITS:
        return None
    return int(value) if value.isascii() and value.isdigit() else None


def mark(operation: Operation) -> str:
    """Return the line that a task's text ends with, by which it is found again."""
    return f"resegment:{operation.key}"


def write_brief(operation: Operation, most: int = 20_000) -> str:
    """Return the text of a task: what the owner reads, then the mark."""
    text = f"{operation.brief.title}\n{operation.brief.text}".strip()[:most]
    return f"{text}\n\n{mark(operation)}".strip()


def choose_owner_id(operation: Operation, name: str, *others: object) -> str | None:
    """Return what the vendor knows the owner by: the first that is given of the owner's own id and others."""
    own = None if operation.owner is None else operation.owner.ids.get(name)
    return next((str(one) for one in (own, *others) if one not in (None, "")), None)


def leave_out_empty(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value."""
    return {name: one for name, one in fields.items() if one not in (None, "")}


def count(answer: Answer, *names: str) -> int:
    """Return the first of some counts that an answer has; 0 if it has none."""
    found = (answer.get(name) for name in names)
    return next((one for one in found if isinstance(one, int) and not isinstance(one, bool)), 0)


def judge_json(answer: Answer) -> Verdict:
    """Return what an answer means at a vendor that answers in JSON: a 200 with a page is not the vendor's."""
    if 200 <= answer.status < 300 and isinstance(answer.body, str) and answer.body.lstrip().startswith("<"):
        return "lost"
    return judge_status(answer)
