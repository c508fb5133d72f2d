from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from resegment.outcomes.dataset import Dataset
from resegment.sources.files.located import WrongFile
from resegment.sources.files.reader import Refusals, read_events
from resegment.streams.outcomes.files import read_dataset_files

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "source": "/sequencer",
    "type": "gtm.outcome.v1",
    "subject": "acme.com",
}
DAY = "2026-01-{:02d}T00:00:00Z"


def outcome(
    name: str, day: int, action: str, *, op: str = "assert", record: str | None = None, **data: Any
) -> Any:
    event = EVENT | {"id": name, "time": DAY.format(day), "op": op, "data": {"action": action, **data}}
    return event if record is None else event | {"record": record}


def command(key: str, day: int, action: str = "enroll", **more: Any) -> Any:
    data = {
        "action": action, "account": "acme.com", "workflow": "flow", "owner": "ann", "qualification": None,
        "play": "p", "segment": "hot", "idempotency_key": key, "team": "sales",
        "cause": {"change": f"change-{key}", "sequence_number": 1, "effective_at": DAY.format(day)},
        "message": {"channels": {"primary": "email"}}, **more,
    }  # fmt: skip
    return {"specversion": "1.0", "id": key, "type": "gtm.workflow-command.v1", "data": data}


def change(name: str, day: int, **more: Any) -> Any:
    data = {
        "account": "acme.com", "to": "hot", "effective_at": DAY.format(day), "play": "p",
        "route": {"workflow": "flow", "team": "sales"}, **more,
    }  # fmt: skip
    return {"id": name, "type": "gtm.segment-change.v1", "data": data}


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.refusals = Refusals()

    def read(self, events: list[Any], commands: list[Any]) -> Dataset:
        written = []
        for name, lines in (("events.jsonl", events), ("commands.jsonl", commands)):
            path = self.path / name
            path.write_bytes(b"\n".join(map(orjson.dumps, lines)))
            written.append(str(path))
        return read_dataset_files(read_events(written[0]), [written[1]], self.refusals)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_command_is_a_touch(folder: Folder) -> None:
    found = folder.read([outcome("r", 3, "replied", idempotency_key="k1")], [command("k1", 1, version=4)])
    (touch,) = found.touches.to_dicts()
    assert {name: touch[name] for name in ("touch", "segment", "owner", "channel", "version", "arm")} == {
        "touch": "k1", "segment": "hot", "owner": "ann", "channel": "email", "version": 4, "arm": "enrolled",
    }  # fmt: skip
    assert found.outcomes["touch"].to_list() == ["k1"]


def test_a_reassignment_means_the_touch_that_it_is_about(folder: Folder) -> None:
    commands = [command("k1", 1), command("k2", 2, "reassign", touch="k1"), command("k3", 3, "stop")]
    found = folder.read([outcome("r", 3, "accepted", idempotency_key="k2")], commands)
    assert found.touches["touch"].to_list() == found.outcomes["touch"].to_list() == ["k1"]


def test_changes_say_who_was_held_out_and_what_is_void(folder: Folder) -> None:
    changes = [
        change("c1", 1, holdout=True),
        change("c2", 1, supersedes="c1"),
        change("c3", 5, holdout=True),
        change("c4", 6, holdout=True, route=None),
    ]
    found = folder.read([outcome("w", 7, "won")], changes)
    assert found.touches.select("arm", "change").rows() == [("holdout", "c3")]
    assert found.outcomes["credited_by"].to_list() == ["last-touch"]


def test_a_retraction_in_the_file_takes_an_outcome_back(folder: Folder) -> None:
    events = [outcome("r", 3, "replied"), outcome("x", 4, "replied", op="retract", record="r")]
    assert folder.read(events, [command("k1", 1)]).outcomes.is_empty()


def test_other_events_are_passed_over_and_broken_ones_are_counted(folder: Folder) -> None:
    funding = EVENT | {"id": "f", "type": "gtm.funding.v1", "time": DAY.format(1), "data": {}}
    found = folder.read([funding, outcome("r", 3, "replied", person=5)], [command("k1", 1)])
    assert found.outcomes.is_empty()
    assert folder.refusals.counts == {"wrong-type": 1}


@pytest.mark.parametrize(
    "line", [{"type": "x"}, [1], {"type": "gtm.touch.v1", "id": "t", "data": {"says": "odd"}}]
)
def test_a_line_that_is_no_message_has_a_place(folder: Folder, line: Any) -> None:
    with pytest.raises(WrongFile, match=r"commands.jsonl:2: the line is no message"):
        folder.read([], [command("k1", 1), line])


def test_a_file_without_a_touch_is_the_wrong_file(folder: Folder) -> None:
    with pytest.raises(WrongFile, match="no touch"):
        folder.read([], [change("c", 1)])


@pytest.mark.parametrize(
    "line", [command("k1", 1, version=2**63), change("c1", 1, holdout=True, cause={"definition": -1})]
)
def test_a_number_that_no_version_has_is_refused_with_its_line(folder: Folder, line: Any) -> None:
    with pytest.raises(WrongFile, match=r"commands.jsonl:1: the line is no message"):
        folder.read([], [line])
