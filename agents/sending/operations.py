"""Turn a command into an operation: the words for the owner, the contacts, and what the workflow means there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import msgspec

from resegment.schemas.logs.call_log import LoggedContact
from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.outgoing import Action
from resegment.sinks.operation import Brief, Contact, Enrolled, Operation, Owner
from resegment.sinks.port import ContactResult

KNOWN: Final[frozenset[str]] = frozenset(get_args(Action))
TITLES: Final[Mapping[str, str]] = {
    "enroll": "{account} entered {segment}: start {workflow}",
    "stop": "{account} left {segment}: take it out of {workflow}",
    "finish": "{account} left {segment}: let {workflow} run to its end",
    "pause": "{account}: pause {workflow}",
    "reassign": "{account} is yours now: {workflow}",
    "escalate": "{account}: nobody has answered yet in {workflow}",
}
MAX_TESTS: Final = 5


class _Fact(msgspec.Struct, frozen=True):
    kind: str = ""
    time: str = ""
    source: str = ""


class _Test(msgspec.Struct, frozen=True):
    test: str = ""
    evidence: list[_Fact] | None = None


class _Cause(msgspec.Struct, frozen=True):
    change: str = ""
    sequence_number: int = 0
    effective_at: str = ""


class CommandData(msgspec.Struct, frozen=True):
    """What sending reads of a command's `data`."""

    action: str
    account: str
    workflow: str
    segment: str
    idempotency_key: str
    cause: _Cause = _Cause()
    owner: str | None = None
    play: str | None = None
    accept_by: str | None = None
    reason: str | None = None
    message: dict[str, Any] | None = None
    why: list[_Test] | None = None
    next: dict[str, Any] | None = None
    do_not_contact: list[str] = []
    forgotten: bool = False
    """Whether what was sealed of it, who not to contact among it, went when somebody was forgotten."""


class _Event(msgspec.Struct, frozen=True):
    data: CommandData


_decoder: Final = msgspec.json.Decoder(_Event)


def read_data(body: bytes) -> CommandData:
    """Return the data of a command. Raises msgspec.DecodeError."""
    return decode_value(_decoder, body).data


def make_operation(
    data: CommandData,
    target: Any,
    owners: Mapping[str, Owner],
    contacts: Sequence[Contact],
    enrolled: Sequence[LoggedContact],
) -> Operation:
    """Return the operation of a command whose action is known."""
    blocked = frozenset(one.strip().lower() for one in data.do_not_contact)
    kept = tuple(one for one in contacts if not one.opted_out and not is_blocked(one, blocked))
    owner = None if data.owner is None else owners.get(data.owner, Owner(data.owner))
    return Operation(
        kind=data.action,  # type: ignore[arg-type]  # one of KNOWN
        key=data.idempotency_key,
        account=data.account,
        workflow=data.workflow,
        target=target,
        contacts=kept if data.action == "enroll" else (),
        enrolled=tuple(Enrolled(restore_contact(one), one.references, one.key) for one in enrolled),
        owner=owner,
        segment=data.segment,
        play=data.play,
        brief=make_brief(data),
        at=data.cause.effective_at,
        do_not_contact=blocked,
    )


def is_blocked(contact: Contact, blocked: frozenset[str]) -> bool:
    """Return whether a contact is one of the persons not to contact, by address, name or id."""
    names = {contact.key, contact.name.lower(), *(value.lower() for value in contact.ids.values())}
    return not blocked.isdisjoint(names)


def make_brief(data: CommandData) -> Brief:
    """Return what the owner reads."""
    title = TITLES.get(data.action, "{account}: {workflow}").format(
        account=data.account, segment=data.segment, workflow=data.workflow
    )
    lines: list[str] = []
    if data.reason:
        lines.append(data.reason)
    lines += [f"Why: {_tell(one)}" for one in (data.why or [])[:MAX_TESTS]]
    message = (data.message or {}).get("message")
    if isinstance(message, dict):
        lines += _tell_message(message)
    if data.message is not None and isinstance(cta := data.message.get("cta"), str):
        lines.append(f"Ask: {cta}")
    if data.next is not None and isinstance(coming := data.next.get("text"), str):
        lines.append(f"Next: {coming}")
    if data.do_not_contact:
        lines.append(f"Do not contact: {', '.join(data.do_not_contact[:10])}")
    if data.accept_by:
        lines.append(f"Answer by: {data.accept_by}")
    return Brief(title, "\n".join(lines), data.accept_by)


def _tell(test: _Test) -> str:
    newest = test.evidence[0] if test.evidence else None
    return test.test if newest is None else f"{test.test} on {newest.time[:10]} ({newest.source})"


def _tell_message(message: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, label in (("pain", "Pain"), ("value_prop", "Say")):
        if isinstance(text := message.get(name), str):
            lines.append(f"{label}: {text}")
    proof = message.get("proof_points")
    if isinstance(proof, list):
        lines += [f"Proof: {one}" for one in proof[:3] if isinstance(one, str)]
    return lines


def keep_contact(contact: Contact) -> LoggedContact:
    """Return a contact as the call log keeps it."""
    fields = {name: getattr(contact, name) for name in _TEXTS if getattr(contact, name) is not None}
    if contact.ids:
        fields["ids"] = dict(contact.ids)
    return LoggedContact(contact=fields)


def keep_enrolled(result: ContactResult, key: str) -> LoggedContact:
    """Return a contact that is enrolled, or may be, as the call log keeps it."""
    return msgspec.structs.replace(
        keep_contact(result.contact),
        references=dict(result.references),
        key=key,
        unsure=result.outcome == "unknown",
    )


def restore_contact(logged: LoggedContact) -> Contact:
    """Return a contact that the call log kept."""
    known = {name: value for name, value in logged.contact.items() if name in _TEXTS or name == "ids"}
    return Contact(**known)


_TEXTS: Final = ("email", "first_name", "last_name", "title", "role", "persona", "phone", "linkedin")
