"""Which events of files are sent."""

from __future__ import annotations

from pathlib import Path

from resegment.cli.runtime.ingest import Decoder
from resegment.schemas.times import parse_instant
from resegment.sources.files.reader import Refusals, read_events
from tests.builders import raw_event

NOW = parse_instant("2026-01-01T00:00:00Z")


def decode(folder: Path, *values: bytes, latest: int | None) -> tuple[list[str], list[str]]:
    file = folder / "events.jsonl"
    file.write_bytes(b"\n".join(values))
    decoder = Decoder(Refusals(), latest=latest)
    sent = [fact.id for fact, _ in decoder.decode(read_events(str(file)))]
    return sent, [str(one).removeprefix(f"{file}:") for one in decoder.refusals.examples]


def test_a_row_of_the_future_is_refused_with_its_line(tmp_path: Path) -> None:
    typo, later = raw_event(id="a", time="2062-01-01T00:00:00Z"), raw_event(id="b")
    sent, refused = decode(tmp_path, later, typo, latest=NOW)
    assert sent == ["b"]
    (told,) = refused
    assert told.startswith("2: clock-ahead: time: 2062-01-01T00:00:00Z is in the future")
    assert "--allow-future" in told


def test_a_fact_about_the_future_that_is_known_now_is_sent(tmp_path: Path) -> None:
    renewal = raw_event(time="2062-01-01T00:00:00Z", recordedtime="2025-12-01T00:00:00Z")
    assert decode(tmp_path, renewal, latest=NOW) == (["1"], [])
    assert decode(tmp_path, raw_event(recordedtime="2062-01-01T00:00:00Z"), latest=NOW)[0] == []


def test_a_row_of_the_future_is_sent_where_that_is_allowed(tmp_path: Path) -> None:
    assert decode(tmp_path, raw_event(time="2062-01-01T00:00:00Z"), latest=None) == (["1"], [])
