"""Convert the payloads of tests/data/sources, as the command does, and look at what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import orjson

from resegment.errors import RefusedEvent
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.fact import Fact
from resegment.schemas.times import format_instant
from resegment.sources.adapters.port import Context, Remark
from resegment.sources.conversion import Source, convert_files
from resegment.sources.registry import find_adapter

DATA = Path(__file__).parents[2] / "data" / "sources"


class Converted(NamedTuple):
    facts: list[Fact]
    refused: list[tuple[str, str | None]]
    remarks: list[tuple[str, str | None]]

    def about(self, account: str) -> list[Fact]:
        return [one for one in self.facts if one.account == account]

    def only(self) -> Fact:
        (fact,) = self.facts
        return fact


def sort_out(items: Any) -> Converted:
    found = Converted([], [], [])
    for item in items:
        if isinstance(item, RefusedEvent):
            found.refused.append((item.reason, item.field))
        elif isinstance(item, Remark):
            found.remarks.append((item.reason, item.field))
        else:
            found.facts.append(resolve_event(decode_event(orjson.dumps(item))))
    return found


def convert_file(name: str, file: str | Path, **context: Any) -> Converted:
    """Convert a file of tests/data/sources, or any other one."""
    source = Source(find_adapter(name), Context(**context))
    return sort_out(item for _, _, item in convert_files([str(DATA / file)], source))


def convert(name: str, payload: Any, **context: Any) -> Converted:
    return sort_out(find_adapter(name).convert(payload, Context(**context)))


def day(fact: Fact) -> str:
    return format_instant(fact.time)[:10]
