"""Outgoing messages: segment changes and workflow commands, as CloudEvents 1.0 in structured mode."""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from resegment.schemas.contracts.reasons import OPEN, Instant, Reason, ShortTest
from resegment.schemas.segments import Play, Route
from resegment.schemas.shrinking import fit_command

CHANGE_TYPE: Final = "gtm.segment-change.v1"
COMMAND_TYPE: Final = "gtm.workflow-command.v1"
CONTENT_TYPE: Final = b"application/cloudevents+json"

Action = Literal["enroll", "stop", "finish", "pause", "reassign", "escalate"]


class Sent(BaseModel):
    """The CloudEvents attributes of outgoing messages. The same decision always has the same `id`."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"]
    id: str = Field(description="A repeated event has the same id")
    source: str
    type: str
    subject: str = Field(description="The account")
    time: Instant = Field(description="When the change takes effect")
    datacontenttype: Literal["application/json"]


class ChangeCause(BaseModel):
    """What made the account move: events, a deadline, or a new version of the segments file."""

    model_config = ConfigDict(frozen=True)

    events: list[str] | None = Field(None, description="Ids of the events")
    deadline: Instant | None = Field(None, description="When a window or a hold ended")
    definition: int | None = Field(
        None, description="The number of the version of the segments file that was applied at this instant"
    )
    merged: str | None = Field(
        None,
        description="The account that this one was merged into, where `to` is null; else the one that was merged into it",
    )
    unmerged: str | None = Field(
        None, description="The alias that became an account of its own again: of this account, or itself"
    )
    forgotten: Literal["account", "person"] | None = Field(None, description="What was forgotten")


class CommandCause(BaseModel):
    """The segment change that a command follows from."""

    model_config = ConfigDict(frozen=True)

    change: str = Field(description="The id of the change's event")
    sequence_number: int = Field(ge=1)
    effective_at: Instant


class SegmentChangeData(BaseModel):
    """One move of one account to another segment, never a pair of exit and entry.

    A consumer drops a change whose `sequence_number` is not greater than the last one it saw for the account.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    account: str
    sequence_number: int = Field(
        ge=1, description="Counts the account's changes; a gap means that one was lost"
    )
    from_: str | None = Field(
        alias="from", description="The segment left; null for the account's first change"
    )
    to: str | None = Field(
        description="The segment entered; null where the account ends: it was merged into another one, or forgotten"
    )
    effective_at: Instant = Field(description="The exact instant, RFC 3339")
    decided_at: Instant = Field(description="The partition's clock at the decision")
    cause: ChangeCause
    reason: Reason
    also_qualified: list[str] = Field(description="Other segments whose condition holds")
    definition_version: str
    supersedes: str | None = Field(
        description="The id of an earlier change with the same effective_at, which this change voids"
    )
    supersedes_to: str | None = Field(description="The segment that the voided change had entered")
    play: str | None = Field(description="The name of the entered segment's play")
    message: Play | None = Field(
        description="The play as rendered for this account: message, personas, channels, assets"
    )
    route: Route | None = Field(description="The route of the segment entered")
    from_route: Route | None = Field(description="The route of the segment left")
    superseded_route: Route | None = Field(description="The route of the voided change")
    holdout: bool = Field(
        False, description="Whether the account was drawn not to be enrolled, to measure lift"
    )
    standing: list[str] = Field(
        [], description="Suppressions (suppress:NAME) and territories (territory:TEAM/MEMBER) that hold"
    )
    values: dict[str, Any] = Field(
        {},
        description="Attributes and traits that the play's texts use; texts over 1,000 characters are cut",
    )
    do_not_contact: list[str] = Field(
        [], description="Persons not to contact: they opted out, complained, or their mail bounces"
    )
    lost_until: Instant | None = Field(
        None, description="After a lost deal: the account is not enrolled before this instant"
    )
    parent: str | None = Field(
        None, description="The parent account, if a suppression of the file holds for families"
    )
    apply_route: str | None = Field(
        None,
        description="If a new version of the segments file made the change: which accounts that it moved are enrolled "
        "(none, new-only, all)",
    )
    moved: bool = Field(False, description="Whether only the name of the segment changed")
    stays_until: Instant | None = Field(
        None,
        description="The account stays at least until then if nothing new becomes known; null if time alone never moves it",
    )
    rollback_of: int | None = Field(
        None, description="If a rollback made the change: the number of the version that it takes back"
    )
    absent: list[str] = Field(
        [],
        description="Kinds of events on whose absence the change rests, like `hiring` for `not: {event: hiring}`",
    )
    experiment: str | None = Field(
        None, description="The experiment that the account was drawn for as it entered the segment"
    )
    variant: str | None = Field(
        None, description="What it was drawn to get: the name of a play, or `enrolled` or `holdout`"
    )
    sealed: str | None = Field(
        None,
        description="Where personal fields are sealed: what names persons in the change, as one envelope; see docs/privacy.md",
    )
    forgotten: bool = Field(False, description="Whether that part is gone, because somebody was forgotten")


class ComingStep(BaseModel):
    """What comes next if nothing new becomes known."""

    model_config = ConfigDict(frozen=True)

    at: Instant = Field(description="Until then time alone does not move the account")
    text: str = Field(description="The same in words; for people")


class WorkflowCommandData(BaseModel):
    """What a sequencer or CRM should do with an account. Apply each `idempotency_key` once."""

    model_config = ConfigDict(frozen=True)

    action: Action = Field(
        description="enroll: put the account into the workflow, or keep it there with these new values; stop: take it "
        "out immediately; finish: let it run to its end; pause: halt it; reassign: another owner; escalate: tell "
        "the owner that nobody has answered",
        examples=["enroll"],
        json_schema_extra={OPEN: True},
    )
    account: str = Field(description="The registrable domain", examples=["acme.com"])
    workflow: str = Field(
        description="The workflow that the command is about; for a stop, the one to leave",
        examples=["founder-led-sales"],
    )
    owner: str | None = Field(
        description="The account's owner now: a member of the team, or a queue; for escalate, the one to notify"
    )
    qualification: str | None = Field(description="The name of the route's qualification")
    play: str | None = Field(description="The name of the play, for enroll and reassign")
    segment: str = Field(description="The segment that put the account into the workflow")
    idempotency_key: str = Field(
        description="Also the id of the event; a repeated command has the same key",
        examples=["f2ce9a31d4b7480c9cb0a1d0f4b7a2c5"],
    )
    cause: CommandCause
    team: str | None = Field(None, description="The route's team")
    accept_by: Instant | None = Field(
        None, description="When an outcome accepted or rejected with this key is due"
    )
    reason: str | None = Field(None, description="The reason, if it is not the change itself; for people")
    message: Play | None = Field(
        None, description="The play as rendered for this account, for enroll and reassign"
    )
    why: list[ShortTest] | None = Field(
        None,
        description="Why the account is in the segment, in short, for enroll, reassign and escalate: up to five tests. "
        "The change has all of it",
    )
    next: ComingStep | None = Field(
        None, description="What comes next for the account, for enroll, reassign and escalate"
    )
    do_not_contact: list[str] = Field(
        [],
        description="Persons of the account not to contact: they opted out, complained, or their mail bounces",
        examples=[["jo@acme.com"]],
    )
    touch: str | None = Field(
        None, description="The key of the enroll command that this one is about; for enroll, its own"
    )
    touched_at: Instant | None = Field(None, description="For enroll: when the account was enrolled")
    channel: str | None = Field(None, description="For enroll: the primary channel of the play")
    definition_version: str | None = Field(
        None,
        description="For enroll: the fingerprint of the segments file that put the account into the segment",
    )
    version: int | None = Field(
        None, description="For enroll: its number, if the prefix has had more than one"
    )
    experiment: str | None = Field(
        None, description="For enroll: the experiment that the account takes part in"
    )
    variant: str | None = Field(None, description="The variant of the experiment")
    sealed: str | None = Field(
        None,
        description="Where personal fields are sealed: what names persons in the command, as one envelope; see docs/privacy.md",
    )
    forgotten: bool = Field(False, description="Whether that part is gone, because somebody was forgotten")


class WorkflowCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow command on the hot path; same fields as WorkflowCommandData."""

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
    why: msgspec.Raw | None = None
    next: dict[str, str] | None = None
    do_not_contact: tuple[str, ...] = ()
    touch: str | None = None
    touched_at: str | None = None
    channel: str | None = None
    definition_version: str | None = None
    version: int | None = None
    experiment: str | None = None
    variant: str | None = None


def identify_command(change: str, action: Action, workflow: str, attempt: int = 0) -> str:
    """Return the idempotency key: the same command always has the same. `attempt` counts later decisions on a change."""
    return _hash(change, action, workflow, *((attempt,) if attempt else ()))


def encode_command(command: WorkflowCommand) -> bytes:
    """Return the event of a command; its id is the idempotency key."""
    at = command.cause["effective_at"]
    return fit_command(
        msgspec.json.encode(
            wrap_event(
                command.idempotency_key, COMMAND_TYPE, "/resegment/router", command.account, at, command
            )
        )
    )


def describe_play(play: Play) -> dict[str, Any]:
    """Return a play as a change carries it, without fields that are not set."""
    return play.model_dump(mode="json", exclude_defaults=True)


def wrap_event(event_id: str, kind: str, source: str, account: str, at: str, data: Any) -> dict[str, Any]:
    """Return the CloudEvent around data, about an account as of an instant."""
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
