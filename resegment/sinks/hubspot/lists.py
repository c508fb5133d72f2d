"""Change who is in a list in HubSpot, and read which contacts it did not take."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Literal, NamedTuple

from resegment.sinks.hubspot.requests import change_list, tell
from resegment.sinks.port import Answer, Call, ContactResult, repeat


class Problem(NamedTuple):
    """What is wrong with a list."""

    outcome: Literal["gone", "refused"]
    why: str


def change_members(
    number: str, add: Sequence[str], remove: Sequence[str]
) -> Generator[Call, Answer, tuple[Problem | None, frozenset[str]]]:
    """Change who is in a list. Return what is wrong, and of which contacts: all of them if none is named."""
    answer = yield repeat(change_list(number, add, remove))
    if answer.verdict == "gone":
        return Problem("gone", f"the list {number} is gone"), frozenset()
    if not answer.ok:
        why = f"the list {number} was not changed, it must be static: {tell(answer)}"
        return Problem("refused", why), frozenset()
    listed = answer.get("recordIdsMissing")
    missing = [str(one) for one in listed if str(one) in add] if isinstance(listed, list) else []
    if not missing:
        return None, frozenset()
    why = f"the list {number} does not take the contacts {', '.join(missing[:10])}: they are gone"
    return Problem("gone", why), frozenset(missing)


def mark_contact(one: ContactResult, problem: Problem, missing: frozenset[str]) -> ContactResult:
    """Return what became of a contact that was to be put into a list, which had a problem."""
    if one.outcome != "applied" or (missing and one.references.get("contact") not in missing):
        return one
    return ContactResult(one.contact, problem.outcome, problem.why)
