"""What goes out: segment changes and workflow commands, as CloudEvents 1.0 in structured mode."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
import orjson
from pydantic import BaseModel, ConfigDict, Field

from resegment.schemas.change import SegmentChange
from resegment.schemas.fact import Kind
from resegment.schemas.segments import Play, Route
from resegment.schemas.times import format_instant

CHANGE_TYPE: Final = "gtm.segment-change.v1"
COMMAND_TYPE: Final = "gtm.workflow-command.v1"
CONTENT_TYPE: Final = b"application/cloudevents+json"

Action = Literal["enroll", "stop", "finish", "pause", "reassign", "escalate"]

OPEN: Final = "x-open"
"""Marks, in the contracts, a vocabulary that may gain words: a consumer skips one that it does not know."""

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Sent(BaseModel):
    """The CloudEvents attributes of what goes out. The same decision has the same `id`, always."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"]
    id: str = Field(description="What comes again under this id is the same event")
    source: str
    type: str
    subject: str = Field(description="The account")
    time: Instant = Field(description="When the change takes effect")
    datacontenttype: Literal["application/json"]


class ChangeCause(BaseModel):
    """What made the account move: events, or an instant that came with none."""

    model_config = ConfigDict(frozen=True)

    events: list[str] | None = Field(None, description="Ids of the events")
    deadline: Instant | None = Field(None, description="The instant at which a window or a hold ended")


class Evidence(BaseModel):
    """A fact that a test rests on."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: Kind = Field(json_schema_extra={OPEN: True})
    time: Instant
    source: str
    data: dict[str, Any] | None = Field(
        None, description="The fields that the segments file uses; texts of over 1,000 characters are cut"
    )


class Holding(BaseModel):
    """A test that holds."""

    model_config = ConfigDict(frozen=True)

    test: str = Field(description="For people: its wording may change")
    facts: int | None = Field(None, description="How many facts match, of a test on facts")
    evidence: list[Evidence] | None = Field(None, description="The newest of them")
    value: Any = Field(None, description="What was measured, of a test on a measure")


class Reason(BaseModel):
    """Why: the tests of the new segment that hold, and those of the old one that do no longer."""

    model_config = ConfigDict(frozen=True)

    holds: list[Holding]
    no_longer: list[str] | None = None


class CommandCause(BaseModel):
    """The segment change that a command follows from."""

    model_config = ConfigDict(frozen=True)

    change: str = Field(description="The id of its event")
    sequence_number: int = Field(ge=1)
    effective_at: Instant


class SegmentChangeData(BaseModel):
    """One move of one account to another segment: never a pair of exit and entry.

    A consumer drops a change whose `sequence_number` is not greater than the last it saw of the account.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    account: str
    sequence_number: int = Field(ge=1, description="Counts an account's changes; a gap shows a loss")
    from_: str | None = Field(alias="from", description="Null at first sight of the account")
    to: str = Field(description="The segment entered")
    effective_at: Instant = Field(description="The exact instant, RFC 3339")
    decided_at: Instant = Field(description="The partition's clock then")
    cause: ChangeCause
    reason: Reason
    also_qualified: list[str] = Field(description="Segments whose condition holds as well")
    definition_version: str
    supersedes: str | None = Field(description="Id of an earlier change with this effective_at, now void")
    supersedes_to: str | None = Field(description="Where that change had sent the account")
    play: str | None = Field(description="The play of the segment entered, by its name")
    message: Play | None = Field(
        description="The play as it is said to this account: message, personas, channels, assets"
    )
    route: Route | None = Field(description="The route of the segment entered")
    from_route: Route | None = Field(description="The route of the segment left")
    superseded_route: Route | None = Field(description="The route of the change made void")
    holdout: bool = Field(False, description="Drawn not to be enrolled, so that lift can be measured")
    standing: list[str] = Field(
        [], description="Suppressions (suppress:NAME) and territories (territory:TEAM/MEMBER) that hold"
    )
    values: dict[str, Any] = Field(
        {},
        description="Attributes and traits that the play's texts use; texts of over 1,000 characters are cut",
    )


class WorkflowCommandData(BaseModel):
    """What a sequencer or CRM is to do with an account; one `idempotency_key` takes effect once."""

    model_config = ConfigDict(frozen=True)

    action: Action = Field(
        description="enroll: put it into the workflow, or go on in it with what is said now; stop: take it out at "
        "once; finish: let it run to its end; pause: halt it; reassign: another owner; escalate: tell the owner "
        "that nobody has answered",
        examples=["enroll"],
        json_schema_extra={OPEN: True},
    )
    account: str = Field(description="The registrable domain", examples=["acme.com"])
    workflow: str = Field(
        description="What it is about: of a stop, what is left", examples=["founder-led-sales"]
    )
    owner: str | None = Field(
        description="Who owns the account now: a member of the team, or a queue; of an escalation, who is told"
    )
    qualification: str | None = Field(description="How the account is qualified, by the name in the route")
    play: str | None = Field(description="The play by its name, of an enroll and a reassign")
    segment: str = Field(description="The segment that put the account into the workflow")
    idempotency_key: str = Field(
        description="The id of the event, too: what comes again under it is the same command",
        examples=["f2ce9a31d4b7480c9cb0a1d0f4b7a2c5"],
    )
    cause: CommandCause
    team: str | None = Field(None, description="The team that the route names")
    accept_by: Instant | None = Field(
        None, description="Until when an outcome accepted or rejected with this key is awaited"
    )
    reason: str | None = Field(None, description="Why, where it is not the change itself; for people")
    message: Play | None = Field(None, description="The play as it is for this account, of an enrolment")


class WorkflowCommand(msgspec.Struct, frozen=True, kw_only=True):
    """The same on the hot path."""

    action: Action
    account: str
    workflow: str
    owner: str | None
    qualification: str | None
    play: str | None
    segment: str
    idempotency_key: str
    cause: dict[str, Any]
    team: str | None = None
    accept_by: str | None = None
    reason: str | None = None
    message: msgspec.Raw | None = None


def encode_change(
    change: SegmentChange,
    play: str | None,
    message: Mapping[str, Any] | None,
    routes: Mapping[str, Mapping[str, Any] | None],
    *,
    holdout: bool = False,
) -> bytes:
    """The event of a change: with its play by name and as it is said, and the routes by segment name."""
    data = {
        "account": change.account,
        "sequence_number": change.sequence_number,
        "from": change.from_,
        "to": change.to,
        "effective_at": format_instant(change.effective_at),
        "decided_at": format_instant(change.decided_at),
        "cause": msgspec.to_builtins(change.cause),
        "reason": change.reason,
        "also_qualified": change.also_qualified,
        "definition_version": change.definition_version,
        "supersedes": change.supersedes,
        "supersedes_to": change.supersedes_to,
        "play": play,
        "message": message,
        "route": routes.get(change.to),
        "from_route": None if change.from_ is None else routes.get(change.from_),
        "superseded_route": None if change.supersedes_to is None else routes.get(change.supersedes_to),
        "holdout": holdout,
        "standing": change.active_gates,
        "values": change.values,
    }
    return orjson.dumps(
        _event(change.id, CHANGE_TYPE, "/resegment/segmenter", change.account, data["effective_at"], data)
    )


def identify_command(change: str, action: Action, workflow: str, attempt: int = 0) -> str:
    """The idempotency key: the same command has the same, always. `attempt` counts later decisions on a change."""
    return _hash(change, action, workflow, *((attempt,) if attempt else ()))


def encode_command(command: WorkflowCommand) -> bytes:
    """The event of a command; its id is the idempotency key."""
    at = command.cause["effective_at"]
    return msgspec.json.encode(
        _event(command.idempotency_key, COMMAND_TYPE, "/resegment/router", command.account, at, command)
    )


def describe_play(play: Play) -> dict[str, Any]:
    """A play as a change carries it, without what is not given."""
    return play.model_dump(mode="json", exclude_defaults=True)


def _event(event_id: str, kind: str, source: str, account: str, at: str, data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": kind,
        "subject": account,
        "time": at,
        "datacontenttype": "application/json",
        "data": data,
    }


def _hash(*parts: Any) -> str:
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()
