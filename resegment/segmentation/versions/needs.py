"""Find which facts a definition reads that the state of another one lacks."""

from __future__ import annotations

from resegment.schemas.fact import KINDS
from resegment.schemas.times import NEVER, format_duration
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.evaluation.retention import Retention


def find_needs(old: Program, new: Program) -> tuple[str, ...]:
    """Return in words which facts must be folded in from the log before the new program can judge; empty if none."""
    before, after = Retention(old), Retention(new)
    if before.covers(after):
        return ()
    found: list[str] = []
    for kind, mine, theirs in zip(KINDS, before.fields, after.fields, strict=True):
        found += [f"{field} of {kind}" for field in sorted(theirs - mine)]
    if after.uses_technologies > before.uses_technologies:
        found.append("all tech events")
    kept = {watcher.matcher: watcher.closes for index in old.matchers for watcher in index.watchers}
    for index in new.matchers:
        for watcher in index.watchers:
            if watcher.closes > max(before.memory, kept.get(watcher.matcher, 0)):
                age = (
                    "of any age"
                    if watcher.closes == NEVER
                    else f"of the last {format_duration(watcher.closes)}"
                )
                found.append(f"{watcher.matcher} {age}")
    for kind, known, needed in zip(KINDS, before.slack, after.slack, strict=True):
        if needed > known:
            found.append(f"older {kind} facts, to tell which are the same")
    if after.looks_back > before.looks_back:
        found.append(f"older snapshots of the last {format_duration(after.looks_back)}")
    if after.memory > before.memory:
        found.append(f"facts of the last {format_duration(after.memory)}")
    return tuple(dict.fromkeys(found)) or ("facts that an account with many facts has lost",)
