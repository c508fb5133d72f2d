"""Turns segment changes into the commands that move an account to another workflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from resegment.agents.batch import Batch, Message, Publisher
from resegment.agents.dead_letters import bury
from resegment.errors import RefusedEvent
from resegment.schemas.outgoing import CONTENT_TYPE, WorkflowCommand, commands_for, encode_command


@dataclass(frozen=True, slots=True)
class Routed:
    """What became of a batch, for metrics."""

    changes: int
    actions: Sequence[str]
    refused: Sequence[RefusedEvent]


async def route(batch: Batch, *, publisher: Publisher, commands: str, dead_letters: str) -> Routed:
    """Publish the commands of each change; the same change gives the same commands with the same keys.

    Raises `PublishFailed`; the batch is then tried again.
    """
    messages: list[Message] = []
    actions: list[str] = []
    refused: list[RefusedEvent] = []
    for record in batch.records:
        try:
            event = orjson.loads(record.value or b"")
            made = commands_for(event["id"], event["data"])
            sent = [_announce(commands, command) for command in made]
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            reason = RefusedEvent("not-a-change", f"{type(error).__name__}: {error}")
            refused.append(reason)
            messages.append(bury(dead_letters, batch, record, reason))
            continue
        actions += [command.action for command in made]
        messages += sent
    await publisher.publish(messages)
    return Routed(len(batch.records) - len(refused), actions, refused)


def _announce(topic: str, command: WorkflowCommand) -> Message:
    headers = [("content-type", CONTENT_TYPE), ("workflow", command.workflow.encode())]
    return Message(topic, command.account.encode(), encode_command(command), headers)
