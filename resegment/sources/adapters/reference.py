"""Write the reference of adapters from their mappings, and count what an adapter makes of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from resegment.errors import RefusedEvent
from resegment.sources.adapters.port import Adapter, Event, Remark
from resegment.sources.adapters.tables import Table

KEPT_EXAMPLES = 5


def describe_adapter(adapter: Adapter) -> str:
    """Return the reference of an adapter as Markdown."""
    lines = [f"## {adapter.title} (`{adapter.name}`)", "", f"Reads {adapter.reads}.", ""]
    if adapter.notes:
        lines += [adapter.notes, ""]
    for table in adapter.tables:
        lines += _describe_table(table)
    if adapter.ignored:
        lines += ["**Ignored**", "", "| what | why |", "| --- | --- |"]
        lines += [f"| `{what}` | {why} |" for what, why in adapter.ignored.items()]
        lines.append("")
    return "\n".join(lines)


def describe_all(adapters: Iterable[Adapter]) -> str:
    """Return the reference of all adapters as Markdown."""
    head = (
        "# Reference of the sources\n\nThis page is written by `resegment schema sources` from the mappings themselves: see "
        "[Sources](sources.md).\n"
    )
    return "\n".join([head, *(describe_adapter(one) for one in adapters)])


def _describe_table(table: Table) -> list[str]:
    envelope = table.envelope
    snapshot = envelope.identity == "snapshot"
    identity = ":".join(
        (*([envelope.record] if envelope.record else []), *(f"{{{one}}}" for one in envelope.key))
    )
    if snapshot:
        identity += ":{time}"
    lines = [f"### A {table.name}: `{table.kind}`", "", "| event | from |", "| --- | --- |"]
    lines.append(
        f"| subject | {_paths(envelope.subject) or 'the domain of its name (`--domains`, `--account`)'} |"
    )
    lines.append(f"| time | {_paths(envelope.time) or 'when the snapshot was taken (`--at`)'} |")
    recorded = _paths(envelope.recorded) or (
        "when the snapshot was taken (`--at`), else the time" if snapshot else "the time"
    )
    lines.append(f"| recordedtime | {recorded} |")
    lines.append(
        f"| {'id' if envelope.identity == 'event' else 'record'} | `{identity.replace('|', ' or ')}` |"
    )
    if envelope.learns:
        lines.append(f"| tells the domain of | {_paths(envelope.learns)} |")
    if envelope.known_as:
        lines.append(f"| known as (`--domains`) | {_paths(envelope.known_as)} |")
    lines += [f"| data.{name} | always `{value}` |" for name, value in table.constants.items()]
    lines += [f"| data.{name} | {_paths(one.paths)} ({one.type}) |" for name, one in table.data.items()]
    if table.rest is not None:
        lines.append("| data | any other field, by its name |")
    lines.append("")
    if table.ignored:
        lines += [f"Ignored fields: {_paths(table.ignored)}.", ""]
    return lines


def _paths(paths: Iterable[str]) -> str:
    return ", ".join(f"`{one}`" for one in paths)


@dataclass(slots=True)
class Tally:
    """Counts of what an adapter made of files."""

    kinds: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)
    accounts: set[str] = field(default_factory=set)
    examples: list[str] = field(default_factory=list)

    def add(self, file: str, line: int, item: Event | RefusedEvent | Remark) -> None:
        """Count an event, a refusal or a remark."""
        if isinstance(item, dict):
            self._count(item)
            return
        counts = self.refused if isinstance(item, RefusedEvent) else self.remarks
        counts[item.reason] += 1
        if counts[item.reason] <= KEPT_EXAMPLES:
            where = f"{item.field}: " if item.field else ""
            self.examples.append(f"{file}:{line}: {item.reason}: {where}{item.message}")

    @property
    def failed(self) -> bool:
        """Whether a record was refused that is not known to be ignored, or nothing came out."""
        return not self.kinds or any(reason != "ignored" for reason in self.refused)

    def describe(self) -> str:
        """Return the counts as text."""
        number = len(self.accounts)
        lines = [f"events: {self.kinds.total():,} about {number:,} account{'' if number == 1 else 's'}"]
        lines += [f"  {kind}: {number:,}" for kind, number in self.kinds.most_common()]
        lines += [f"  data.{name}: {number:,}" for name, number in sorted(self.fields.items())]
        for title, counts in (("refused", self.refused), ("remarks", self.remarks)):
            if counts:
                lines.append(f"{title}: {counts.total():,}")
                lines += [f"  {reason}: {number:,}" for reason, number in counts.most_common()]
        return "\n".join([*lines, *self.examples, ""])

    def _count(self, event: dict[str, Any]) -> None:
        self.kinds[event["type"].removeprefix("gtm.").removesuffix(".v1")] += 1
        self.accounts.add(event["subject"])
        self.fields.update(event["data"].keys())
