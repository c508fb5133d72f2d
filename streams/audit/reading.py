"""Read the audit log: each command once, with what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from resegment.schemas.contracts.audit import AuditEntry, decode_entry
from resegment.schemas.times import format_instant
from resegment.streams.kafka.topic_reader import reading


class AuditedAction(NamedTuple):
    """One command: how it began, and how it ended, if that is known."""

    begun: AuditEntry
    ended: AuditEntry | None = None

    @property
    def stage(self) -> str:
        """Return begun, done or failed."""
        return "begun" if self.ended is None else self.ended.stage

    def describe(self) -> dict[str, Any]:
        """Return the command as plain JSON data."""
        begun, ended = self.begun, self.ended
        return {
            "id": begun.id,
            "at": format_instant(begun.at),
            "actor": begun.actor,
            "action": begun.action,
            "arguments": begun.arguments,
            "stage": self.stage,
            "ended_at": None if ended is None else format_instant(ended.at),
            "result": None if ended is None else ended.result,
            "error": None if ended is None else ended.error,
        }


async def read_audit_log(bootstrap: str, topic: str, *, security: Mapping[str, Any]) -> list[AuditedAction]:
    """Return every command, in the order in which they began. Raises TopicUnreadable."""
    found: dict[str, AuditedAction] = {}
    async with reading(bootstrap, topic, security=security) as reader:
        async for records in reader.to_end():
            for record in records:
                try:
                    entry = decode_entry(record.value or b"", record.timestamp)
                except ValueError:  # no entry: any producer with the right may write here
                    continue
                if entry.stage == "begun":
                    found.setdefault(entry.begun, AuditedAction(entry))
                elif entry.begun in found:
                    found[entry.begun] = found[entry.begun]._replace(ended=entry)
    return list(found.values())
