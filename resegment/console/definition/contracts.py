"""Every document of docs/contracts that is generated from the models, by its path there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from resegment.errors import FolderNotWritable
from resegment.outcomes.measuring.report import metrics_schema
from resegment.schemas.contracts.asyncapi import (
    AUDIT,
    CHANGE,
    COMMAND,
    DEAD_LETTER,
    REFRESH,
    TOUCH,
    Address,
    asyncapi_document,
)
from resegment.schemas.contracts.jsonschema import (
    audit_schema,
    change_schema,
    command_schema,
    dead_letter_schema,
    event_schema,
    refresh_schema,
    touch_schema,
)
from resegment.schemas.fact import KINDS
from resegment.segmentation.language.jsonschema import segments_schema
from resegment.segmentation.outlook.forecast import forecast_schema
from resegment.segmentation.outlook.staleness import stale_schema
from resegment.segmentation.planning.plan import plan_schema
from resegment.settings import Settings
from resegment.streams.kafka.topics import Topic, Topics

NAMES: Final = (
    *KINDS,
    "change",
    "command",
    "touch",
    "dead-letter",
    "audit",
    "refresh",
    "stale",
    "segments",
    "plan",
    "forecast",
    "metrics",
    "asyncapi",
)
"""The names of the documents."""

WRITTEN: Final = {"change": CHANGE, "command": COMMAND}
"""Names of files that differ from the name to type."""


def document(name: str) -> str:
    """Return the document of a name as text: JSON, or YAML for `asyncapi`. Raises KeyError."""
    if name == "asyncapi":
        return yaml.safe_dump(asyncapi(), sort_keys=False, width=110, allow_unicode=True)
    return _to_json(schema(name))


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a name. Raises KeyError."""
    others = {
        "change": change_schema,
        "command": command_schema,
        "touch": touch_schema,
        "dead-letter": dead_letter_schema,
        "audit": audit_schema,
        "refresh": refresh_schema,
        "stale": stale_schema,
        "segments": segments_schema,
        "plan": plan_schema,
        "forecast": forecast_schema,
        "metrics": metrics_schema,
    }
    return others[name]() if name in others else event_schema(name)


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI document of the topics that other programs may write or read."""
    topics = Topics("{prefix}")
    sent: dict[str, Topic] = {
        CHANGE: topics.segment_changes,
        COMMAND: topics.workflow_commands,
        TOUCH: topics.touches,
        DEAD_LETTER: topics.dead_letters,
        AUDIT: topics.audit_log,
        REFRESH: topics.refresh_requests,
    }
    carried: dict[str, Topic] = {**{kind: topics.of_kind(kind) for kind in KINDS}, **sent}
    addresses = [Address(carries, one.name, one.carries, one.configs) for carries, one in carried.items()]
    return asyncapi_document(addresses, prefix=Settings.model_fields["prefix"].default)


def documents() -> Mapping[Path, str]:
    """Return all documents, by their path below docs/contracts."""
    return {
        Path("asyncapi.yaml")
        if name == "asyncapi"
        else Path(f"{WRITTEN.get(name, name)}.schema.json"): document(name)
        for name in NAMES
    }


def write_documents(folder: Path) -> list[Path]:
    """Write all of them below a folder and return their paths. Raises FolderNotWritable."""
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in documents().items():
            (folder / name).write_text(text, encoding="utf-8")
            paths.append(folder / name)
    except OSError as error:
        raise FolderNotWritable(folder, error) from error
    return paths


def _to_json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
