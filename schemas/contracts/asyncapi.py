"""The AsyncAPI 3.0 document: every topic that other programs write or read, and its messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from resegment.schemas.contracts.audit import AUDIT_TYPE
from resegment.schemas.contracts.jsonschema import (
    Schema,
    audit_schema,
    change_schema,
    command_schema,
    dead_letter_schema,
    event_schema,
    header_schema,
    refresh_schema,
    schemas_within,
    touch_schema,
)
from resegment.schemas.contracts.refresh import REFRESH_TYPE
from resegment.schemas.fact import KINDS
from resegment.schemas.outcomes.messages import TOUCH_TYPE
from resegment.schemas.outgoing import CHANGE_TYPE, COMMAND_TYPE

CHANGE: Final = "segment-change"
COMMAND: Final = "workflow-command"
TOUCH: Final = "touch"
DEAD_LETTER: Final = "dead-letter"
AUDIT: Final = "audit-entry"
REFRESH: Final = "refresh-request"

VERSION: Final = "1.0.0"
"""The version of the contracts. The first number changes when senders or readers must change."""

_BINDING: Final = "0.5.0"
_STRUCTURED: Final = "application/cloudevents+json"
_BINARY: Final = "application/json"
_BY_ACCOUNT: Final = {
    "type": "string",
    "description": "The account: one account's messages are in one partition, in order",
}
_ANY_KEY: Final = {
    "type": "string",
    "description": "Any key, or none: events are ordered by account on arrival",
}
_NO_KEY: Final = {"type": "null", "description": "None: the topic has one partition, in the order of time"}
_ORIGINAL_KEY: Final = {"type": "string", "description": "The key of the rejected record"}


@dataclass(frozen=True, slots=True)
class Address:
    """A topic. `carries` is a kind of event or an outgoing message; `topic` may contain `{prefix}`."""

    carries: str
    topic: str
    meaning: str
    configs: Mapping[str, str]


def asyncapi_document(addresses: Iterable[Address], *, prefix: str) -> Schema:
    """Return the document. `prefix` is the default of the parameter that starts each topic's name."""
    messages: Schema = {}
    schemas: Schema = {}
    channels: Schema = {}
    operations: Schema = {}
    for address in addresses:
        made = (
            _event_messages(address.carries, schemas)
            if address.carries in KINDS
            else _sent(address.carries, schemas)
        )
        messages |= made
        channel = _camel(address.topic.removeprefix("{prefix}."))
        channels[channel] = _channel(address, made, prefix)
        action = "receive" if address.carries in KINDS else "send"
        operations[f"{action}{_title(address.carries)}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": address.meaning[:1].upper() + address.meaning[1:],
            "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in made],
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Resegment",
            "version": VERSION,
            "description": "Keeps every account in the right segment: trigger events in, segment changes and workflow "
            "commands out. `receive`: Resegment reads what you send. `send`: it writes what you read.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": _STRUCTURED,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": dict(sorted(schemas.items()))},
    }


def _channel(address: Address, messages: Schema, prefix: str) -> Schema:
    configs = address.configs
    return {
        "address": address.topic,
        "description": address.meaning[:1].upper() + address.meaning[1:],
        "parameters": {
            "prefix": {
                "default": prefix,
                "description": "RESEGMENT_PREFIX: starts the names of an installation's topics",
            }
        },
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {
                "topicConfiguration": {
                    "cleanup.policy": configs["cleanup.policy"].split(","),
                    "retention.ms": int(configs["retention.ms"]),
                },
                "bindingVersion": _BINDING,
            }
        },
    }


def _event_messages(kind: str, schemas: Schema) -> Schema:
    schema = event_schema(kind)
    event = _hoist(schema, f"{_title(kind)}Event", schemas)
    about = {
        "name": f"gtm.{kind}.v1",
        "summary": schema["description"],
        "bindings": _keyed(_ANY_KEY),
    }
    return {
        f"{kind}Structured": {
            **about,
            "title": f"{_title(kind)}, structured mode",
            "contentType": _STRUCTURED,
            "headers": _content_type(_STRUCTURED),
            "payload": event,
        },
        f"{kind}Binary": {
            **about,
            "title": f"{_title(kind)}, binary mode",
            "contentType": _BINARY,
            "headers": header_schema(kind),
            "payload": {"$ref": f"#/components/schemas/{_title(kind)}EventData"},
        },
    }


def _sent(carries: str, schemas: Schema) -> Schema:
    if carries == DEAD_LETTER:
        message = {
            "name": "dead-letter",
            "title": "Dead letter",
            "summary": "A record that was refused: its key, value and headers as they were, and why in headers of ours.",
            "contentType": "application/octet-stream",
            "headers": _hoist(dead_letter_schema(), "DeadLetterHeaders", schemas),
            "payload": {"description": "The original bytes; often not JSON"},
            "bindings": _keyed(_ORIGINAL_KEY),
        }
    else:
        name, schema = {
            CHANGE: (CHANGE_TYPE, change_schema()),
            COMMAND: (COMMAND_TYPE, command_schema()),
            TOUCH: (TOUCH_TYPE, touch_schema()),
            AUDIT: (AUDIT_TYPE, audit_schema()),
            REFRESH: (REFRESH_TYPE, refresh_schema()),
        }[carries]
        headers = _content_type(_STRUCTURED)
        if carries == CHANGE:
            headers["properties"]["endpoint"] = {
                "type": "string",
                "description": "Set if a dead letter is sent again to one webhook endpoint: others skip the change",
            }
        if carries == COMMAND:
            headers["properties"]["workflow"] = {
                "type": "string",
                "description": "The workflow, to filter by",
            }
            headers["properties"]["endpoint"] = {
                "type": "string",
                "description": "Set if a dead letter is sent again to one webhook endpoint: others skip the command",
            }
            headers["required"] = [*headers["required"], "workflow"]
        message = {
            "name": name,
            "title": carries.capitalize().replace("-", " "),
            "summary": schema["description"].partition("\n")[0],
            "contentType": _STRUCTURED,
            "headers": headers,
            "payload": _hoist(schema, _title(carries), schemas),
            "bindings": _keyed(_NO_KEY if carries == AUDIT else _BY_ACCOUNT),
        }
    return {_camel(carries): message}


def _hoist(schema: Schema, name: str, schemas: Schema) -> Schema:
    """Move a schema and its definitions to the components, and return a reference to it."""
    inner = schema.pop("$defs", {})
    schema.pop("$schema", None)
    names = {one: f"{name}Data" if one == "Data" else one for one in inner}
    for one in schemas_within([schema, *inner.values()]):
        if "$ref" in one:
            one["$ref"] = f"#/components/schemas/{names[one['$ref'].removeprefix('#/$defs/')]}"
    schemas |= {name: schema, **{names[one]: found for one, found in inner.items()}}
    return {"$ref": f"#/components/schemas/{name}"}


def _content_type(name: str) -> Schema:
    return {
        "type": "object",
        "properties": {"content-type": {"type": "string", "const": name}},
        "required": ["content-type"],
    }


def _keyed(key: Schema) -> Schema:
    return {"kafka": {"key": key, "bindingVersion": _BINDING}}


def _title(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _camel(name: str) -> str:
    first, *others = name.replace(".", "-").split("-")
    return first + "".join(part.capitalize() for part in others)
