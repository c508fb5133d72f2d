"""The documents of the contracts: made from the models, valid in the eyes of others, and true of real messages."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from resegment.agents.dead_letters import to_dead_letter
from resegment.cli import build
from resegment.console.definition.contracts import NAMES, asyncapi, documents, schema
from resegment.console.definition.settings_reference import describe_settings
from resegment.errors import RefusedEvent
from resegment.schemas.contracts.jsonschema import event_schema, header_schema
from resegment.schemas.events import DATA
from resegment.schemas.fact import KINDS
from resegment.settings import Settings
from tests.builders import Rig, Routing, definition_of, facts_of, run, signals, ticking, trigger
from tests.contracts.examples import BY_KIND, CONTRACTS, EVENTS
from tests.events import read_fact
from tests.oracle.cases import day, funding, hiring, segments

ROOT = CONTRACTS.parents[1]
CHECK = Path(__file__).parent / "asyncapi"
CACHE = ROOT / ".cache" / "asyncapi"
MEND = "run `make contracts`, look at what changed, and keep it with the change of the models"


def errors(given: dict[str, Any], instance: Any) -> list[str]:
    return [f"{one.json_path}: {one.message}" for one in Draft202012Validator(given).iter_errors(instance)]


@pytest.mark.parametrize("path", documents(), ids=str)
def test_a_document_is_what_the_models_say(path: Path) -> None:
    assert (CONTRACTS / path).read_text() == documents()[path], f"{path} is not what the models say: {MEND}"


def test_the_page_of_settings_is_what_their_model_says() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == describe_settings(Settings), (
        f"docs/settings.md is old: {MEND}"
    )


def test_every_setting_has_a_meaning() -> None:
    assert not [name for name, field in Settings.model_fields.items() if not field.description]


def test_no_document_is_left_over() -> None:
    made = {path.name for path in documents()}
    assert {path.name for path in CONTRACTS.iterdir() if path.suffix in (".json", ".yaml")} == made


@pytest.mark.parametrize("name", [*NAMES, "settings"])
def test_each_document_is_printed_by_its_name(name: str) -> None:
    shown = CliRunner().invoke(build(), ["schema", name])
    assert shown.exit_code == 0
    kept = {
        "asyncapi": "asyncapi.yaml",
        "change": "segment-change.schema.json",
        "command": "workflow-command.schema.json",
    }
    path = (
        ROOT / "docs" / "settings.md"
        if name == "settings"
        else CONTRACTS / kept.get(name, f"{name}.schema.json")
    )
    assert shown.stdout == path.read_text()


def test_all_documents_are_written_to_a_folder(tmp_path: Path) -> None:
    shown = CliRunner().invoke(build(), ["schema", "--write", str(tmp_path / "new")])
    assert shown.exit_code == 0
    assert {path.name: path.read_text() for path in (tmp_path / "new").iterdir()} == {
        str(path): text for path, text in documents().items()
    }


@pytest.mark.parametrize("name", [name for name in NAMES if name != "asyncapi"])
def test_a_schema_is_valid_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))


def test_the_examples_cover_every_field_of_every_kind() -> None:
    assert {kind: set(event["data"]) for kind, event in BY_KIND.items()} == {
        kind: set(model.model_fields) for kind, model in DATA.items()
    }


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["id"])
def test_an_example_is_good_by_the_schema_and_by_the_models(event: dict[str, Any]) -> None:
    kind = event["type"].split(".")[1]
    assert not errors(event_schema(kind), event)
    assert read_fact(event).account == "acme.com"


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["id"])
def test_the_headers_of_an_example_in_binary_mode_are_good(event: dict[str, Any]) -> None:
    headers = {
        f"ce_{name}": value for name, value in event.items() if name not in ("data", "datacontenttype")
    }
    given = header_schema(event["type"].split(".")[1])
    assert not errors(given, {"content-type": "application/json", **headers})
    del headers["ce_subject"]
    assert errors(given, headers) == ["$: 'ce_subject' is a required property"]


ODD: list[Any] = [
    "",
    " ",
    "x",
    "Opened",
    0,
    -1.5,
    1e300,
    True,
    None,
    [],
    [1],
    ["a"],
    {},
    {"a": 1},
    "2026-02-30T00:00:00Z",
]


@pytest.mark.parametrize("kind", KINDS)
@given(draw=st.data())
def test_what_the_schema_takes_the_models_take(kind: str, draw: st.DataObject) -> None:
    event = copy.deepcopy(BY_KIND[kind])
    attributes = [
        "id",
        "source",
        "type",
        "specversion",
        "subject",
        "op",
        "record",
        "recordedtime",
        "data",
        "time",
    ]
    for name in draw.draw(st.lists(st.sampled_from(attributes), max_size=2)):
        event[name] = draw.draw(st.sampled_from(ODD))
    if isinstance(event["data"], dict):
        for name in draw.draw(st.lists(st.sampled_from([*DATA[kind].model_fields, "custom"]), max_size=3)):
            event["data"][name] = draw.draw(st.sampled_from(ODD))
    if not errors(event_schema(kind), event):
        try:
            read_fact(event)
        except RefusedEvent as refused:
            # what a schema cannot say: whether a domain is a company's, a time is on the calendar, how deep it nests
            assert refused.reason == "too-deep" or refused.field in ("subject", "time", "recordedtime")  # noqa: PT017


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "subject", "time", "data"])
def test_what_every_event_needs_the_schema_asks_for(kind: str, name: str) -> None:
    event = {key: value for key, value in BY_KIND[kind].items() if key != name}
    assert errors(event_schema(kind), event)
    with pytest.raises(RefusedEvent):
        read_fact(event)


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_of_another_type_is_refused_by_both(kind: str) -> None:
    for name in DATA[kind].model_fields:
        event = {**BY_KIND[kind], "data": {**BY_KIND[kind]["data"], name: {"no": "such"}}}
        assert errors(event_schema(kind), event)
        with pytest.raises(RefusedEvent) as refused:
            read_fact(event)
        assert (refused.value.field or "").startswith(f"data.{name}")


async def real_changes() -> list[dict[str, Any]]:
    """Changes of all shapes: by events and deadlines, with and without play and route, one that supersedes."""
    file = segments(first={"when": {"event": "funding", "within": "3d"}, "hold": {"cooldown": "1d"}},
                    second={"event": "hiring", "within": "5d"})  # fmt: skip
    del file["fallback"]["play"]
    events = [hiring(day(0)), funding(day(0)), hiring(day(4)), funding(day(5), id="late")]
    rig = await run(Rig(file), [*([one] for one in signals(facts_of(events))), [ticking(4, day(30))]])
    await rig.deliver()
    return [orjson.loads(one.value or b"") for one in rig.published.messages]


async def test_real_changes_keep_their_schema() -> None:
    changes = await real_changes()
    assert not [error for one in changes for error in errors(schema("change"), one)]
    causes = {key for one in changes for key in one["data"]["cause"]}
    assert causes == {"events", "deadline"}
    assert any(one["data"]["supersedes"] for one in changes)
    assert any(one["data"]["message"] is None for one in changes)
    assert any("evidence" in test for one in changes for test in one["data"]["reason"]["holds"])


async def test_a_change_of_a_later_version_with_more_fields_keeps_the_schema_too() -> None:
    change = (await real_changes())[0]
    change["data"]["new"] = change["data"]["route"]["new"] = 1
    assert not errors(schema("change"), change)
    del change["data"]["route"]
    assert errors(schema("change"), change) == ["$.data: 'route' is a required property"]


async def test_real_commands_keep_their_schema() -> None:
    routing = Routing(definition_of(segments(first={"event": "funding"})), now=None)
    await routing.take()
    await routing.follow(*(orjson.dumps(one) for one in await real_changes()))
    assert not routing.published.to("dead-letters")
    sent = routing.published.to("workflow-commands")
    commands = [orjson.loads(one.value or b"") for one in sent]
    assert {one["data"]["action"] for one in commands} >= {"enroll", "stop"}
    assert not [error for one in commands for error in errors(schema("command"), one)]
    described = asyncapi()["components"]["messages"]["workflowCommand"]["headers"]
    assert {name for name, _ in sent[0].headers} == set(described["required"])
    assert set(described["properties"]) == {*described["required"], "endpoint"}


def test_the_headers_of_a_dead_letter_are_those_of_its_schema() -> None:
    batch = trigger(b"?", headers=[("trace", b"1")])
    letter = to_dead_letter("dead", batch, batch.records[0], RefusedEvent("not-json", "it is none"))
    own = {name: value.decode() for name, value in letter.headers if name.startswith("dl_")}
    assert not errors(schema("dead-letter"), own)
    assert {*own, "dl_endpoint", "dl_sealed"} == set(schema("dead-letter")["properties"])


def read_with_the_parser(document: Path) -> Any:
    """What the AsyncAPI project's parser makes of a document."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        if os.environ.get("CI") == "true" or os.environ.get("RESEGMENT_REQUIRE_NODE") == "1":
            pytest.fail("the AsyncAPI parser cannot run here: install Node.js 18 or later and npm.")
        pytest.skip("the AsyncAPI parser needs Node.js 18 or later and npm: apt-get install nodejs npm")
    command = [node, str(CHECK / "check.mjs"), str(install_parser(npm)), str(document)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)


def install_parser(npm: str) -> Path:
    """The folder of the parser, got with npm the first time for each lock file."""
    lock = (CHECK / "package-lock.json").read_bytes()
    folder = CACHE / uuid.uuid5(uuid.NAMESPACE_URL, lock.decode()).hex
    if not folder.is_dir():
        draft = CACHE / f"{folder.name}.{os.getpid()}"
        draft.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(CHECK / name, draft)
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run([npm, "ci", *quiet], cwd=draft, check=True, capture_output=True, timeout=280)
        with suppress(OSError):  # another run was faster
            draft.rename(folder)
        shutil.rmtree(draft, ignore_errors=True)
    return folder


@pytest.mark.full
def test_the_asyncapi_parser_understands_the_document() -> None:
    found = read_with_the_parser(CONTRACTS / "asyncapi.yaml")
    newer = "asyncapi-latest-version"
    assert [one for one in found["diagnostics"] if one["code"] != newer] == []
    assert found["version"] == "3.0.0"
    messages = {one["address"]: (one["operations"], one["messages"]) for one in found["channels"]}
    assert set(messages) == {one["address"] for one in asyncapi()["channels"].values()}
    assert messages["{prefix}.accounts"] == (["receive"], ["firmographicStructured", "firmographicBinary"])
    assert messages["{prefix}.segment-changes"] == (["send"], ["segmentChange"])


@pytest.mark.full
def test_the_asyncapi_parser_would_tell_of_a_mistake(tmp_path: Path) -> None:
    document = asyncapi()
    document["channels"]["segmentChanges"]["messages"]["segmentChange"]["$ref"] = "#/components/messages/none"
    (tmp_path / "asyncapi.yaml").write_text(yaml.safe_dump(document))
    found = read_with_the_parser(tmp_path / "asyncapi.yaml")["diagnostics"]
    assert any(one["severity"] == 0 and "none" in one["message"] for one in found)


def test_the_parsers_lock_names_no_registry() -> None:
    assert b"resolved" not in (CHECK / "package-lock.json").read_bytes()
