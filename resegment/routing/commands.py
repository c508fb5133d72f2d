"""Make the command about an enrollment, with everything that its reader needs: above all the why, in short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.outgoing import Action, WorkflowCommand, identify_command
from resegment.schemas.routing import Enrollment, RoutedState
from resegment.schemas.times import format_instant

if TYPE_CHECKING:
    from resegment.routing.policy import Policy

BRIEFS: Final = frozenset({"enroll", "reassign", "escalate"})
"""The actions after which somebody has to look at the account: their commands say why it is there and what comes next."""
ANSWERED: Final = frozenset({"reassign", "escalate"})
"""The actions of later commands that may be answered as an enroll command is."""
SAYS: Final = frozenset({"enroll", "reassign"})
"""The actions that have an owner begin: their commands carry the play."""


def make_command(
    account: str,
    state: RoutedState,
    policy: Policy,
    action: Action,
    enrollment: Enrollment,
    *,
    key: str | None = None,
    owner: str | None = None,
    reason: str | None = None,
) -> WorkflowCommand:
    """Return the command, which follows from the account's latest change."""
    cause = state.target
    assert cause is not None
    message = policy.message(account, cause) if action in SAYS else None
    tells = action in BRIEFS and enrollment.segment == cause.segment
    command = WorkflowCommand(
        action=action,
        account=account,
        workflow=enrollment.workflow,
        owner=owner or enrollment.owner,
        qualification=enrollment.qualification,
        play=enrollment.play if action in SAYS else None,
        segment=enrollment.segment,
        idempotency_key=key or identify_command(cause.change, action, enrollment.workflow, state.attempt),
        cause={
            "change": cause.change,
            "sequence_number": cause.sequence,
            "effective_at": format_instant(cause.effective_at),
        },
        team=enrollment.team,
        accept_by=None if enrollment.accept_by is None else format_instant(enrollment.accept_by),
        reason=reason,
        message=None if message is None else msgspec.Raw(message),
        why=None if not tells or cause.evidence is None else msgspec.Raw(cause.evidence),
        next=spell_next(cause.segment, cause.stays_until) if tells else None,
        do_not_contact=state.do_not_contact,
        touch=enrollment.key or None,
    )
    if action != "enroll":
        return command
    return msgspec.structs.replace(
        command,
        touched_at=format_instant(enrollment.at),
        channel=policy.channel(enrollment.play),
        definition_version=cause.version or policy.version,
        version=policy.number_of(cause.version),
        experiment=cause.experiment,
        variant=cause.variant,
    )


# The reason of a change in short

MAX_TESTS: Final = 5
"""How many tests are told: those with facts before those with a value."""
MAX_FACTS: Final = 2
"""How many facts of a test."""
MAX_FIELDS: Final = 6
"""How many fields of a fact, and items of a list."""
MAX_DEPTH: Final = 3
"""How deep maps and lists are told."""
MAX_TEXT: Final = 160
"""How many characters of a text."""
MAX_BYTES: Final = 3_000
"""How many bytes the whole takes before the fields of facts and values are left out: each account keeps it."""


class _Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    kind: str
    time: str
    source: str
    data: dict[str, Any] | None = None


class _Test(msgspec.Struct, frozen=True, omit_defaults=True):
    test: str
    facts: int | None = None
    evidence: tuple[_Fact, ...] | None = None
    value: Any = None


class _Reason(msgspec.Struct, frozen=True):
    holds: tuple[_Test, ...] = ()


_decoder: Final = msgspec.json.Decoder(_Reason)


def shorten_reason(reason: bytes) -> bytes | None:
    """Return the tests of a change's reason in short, as JSON; None if it has none or cannot be read."""
    try:
        holds = decode_value(_decoder, reason).holds
    except msgspec.DecodeError:
        return None
    told = sorted(holds, key=lambda one: not one.evidence)[:MAX_TESTS]
    if not told:
        return None
    short = [_shorten_test(one) for one in told]
    if len(value := msgspec.json.encode(short)) > MAX_BYTES:
        value = msgspec.json.encode([_without_data(one) for one in short])
    return value


def tell_reason(evidence: bytes | None) -> str:
    """Return the tests in one line, each with the day of its newest fact; nothing if there are none."""
    if evidence is None:
        return ""
    told = []
    for one in msgspec.json.decode(evidence, type=list[_Test]):
        newest = one.evidence[0] if one.evidence else None
        told.append(one.test if newest is None else f"{one.test} on {newest.time} ({newest.source})")
    return "; ".join(told)


def spell_next(segment: str, until: int | None) -> dict[str, str] | None:
    """Return what comes next for an account, and when; None if time alone never moves it."""
    if until is None:
        return None
    at = format_instant(until)
    return {"at": at, "text": f"stays in {segment} until {at} at least, unless something new becomes known"}


def _shorten_test(one: _Test) -> _Test:
    evidence = None
    if one.evidence:
        evidence = tuple(
            _Fact(fact.kind, fact.time, _cut(fact.source), _shorten_fields(fact.data))
            for fact in one.evidence[:MAX_FACTS]
        )
    return _Test(_cut(one.test), one.facts, evidence, _cut(one.value))


def _without_data(one: _Test) -> _Test:
    facts = (
        None
        if one.evidence is None
        else tuple(_Fact(fact.kind, fact.time, fact.source) for fact in one.evidence)
    )
    return _Test(one.test, one.facts, facts)


def _shorten_fields(data: dict[str, Any] | None, left: int = MAX_DEPTH) -> dict[str, Any] | None:
    if data is None:
        return None
    return {name[:MAX_TEXT]: _cut(value, left - 1) for name, value in list(data.items())[:MAX_FIELDS]}


def _cut(value: Any, left: int = MAX_DEPTH) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "…"
    if not isinstance(value, list | dict):
        return value
    if left <= 0:
        return "…"
    if isinstance(value, list):
        return [_cut(one, left - 1) for one in value[:MAX_FIELDS]]
    return _shorten_fields(value, left)
