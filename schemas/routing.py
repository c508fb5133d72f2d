"""The router's state of an account (MessagePack arrays: append fields, never reorder), and the events it reads."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from resegment.schemas.change import EnrollmentRoute, Restrictions
from resegment.schemas.identities.forgotten import Forgotten
from resegment.schemas.logs.decision_log import LoggedDecision
from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.outcomes.facts import Learned
from resegment.schemas.segments import OnExit
from resegment.schemas.sources.silence import SourceBack, SourceSilent

RoutingDecision = Literal[
    "none",
    "no-route",
    "suppressed",
    "holdout",
    "quiet",
    "never-again",
    "cooldown",
    "capped",
    "held",
    "waiting",
    "enrolled",
    "rejected",
]
"""The router's latest decision on an account: `none` before its first change."""

Mode = Literal["all", "changed", "none"]
"""Which changes are routed: all, only those from one segment to another, or none."""


class Enrollment(msgspec.Struct, array_like=True, frozen=True):
    """A workflow that an account is in. `key` is the command's key; times in ms.

    `assignment` is the key that holds the owner's room, None if no owner has room taken. `accept_by` is the
    deadline for an acknowledgment, `keys` are the commands that may be acknowledged, and `answer` is the result.
    """

    key: str
    workflow: str
    segment: str
    sequence: int
    at: int
    on_exit: OnExit
    team: str | None = None
    owner: str | None = None
    assignment: str | None = None
    qualification: str | None = None
    play: str | None = None
    accept_by: int | None = None
    answer: Literal["accepted", "escalated"] | None = None
    keys: tuple[str, ...] = ()


class RouteSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """The route of a segment, as a segment change carries it."""

    workflow: str
    team: str | None = None
    qualification: str | None = None
    on_exit: OnExit = "stop"
    reentry: Literal["always", "never"] = "always"
    cooldown: str | None = None


class Switch(msgspec.Struct, frozen=True):
    """What a new version of the definition means for the accounts that it moves, suppresses or releases.

    `route` says which of them are enrolled. `rollback_of` is the number of the version that this one takes back.
    """

    number: int
    route: EnrollmentRoute = "none"
    rollback_of: int | None = None


class Target(msgspec.Struct, array_like=True, frozen=True):
    """The latest change of an account: where it should go. `message` is the play as JSON, kept while it may be needed.

    `version` is the fingerprint of the definition that route, play and holdout are of. `definition` is the number of
    the version that put the account here, None if none did. `kept_out` says that this version does not enroll it.
    It rests on the absence of `absent` kinds of events. `evidence` is its reason in short, as JSON; until `stays_until`
    (ms) time alone does not move the account. It was drawn for the `variant` of an `experiment`, if it takes part in one.
    """

    change: str
    sequence: int
    effective_at: int
    segment: str
    is_first: bool
    route: RouteSnapshot | None
    play: str | None
    holdout: bool
    values: dict[str, Any] = {}
    message: bytes | None = None
    version: str = ""
    definition: int | None = None
    kept_out: EnrollmentRoute | None = None
    absent: tuple[str, ...] = ()
    evidence: bytes | None = None
    stays_until: int | None = None
    experiment: str | None = None
    variant: str | None = None


class PriorState(msgspec.Struct, array_like=True, frozen=True):
    """The account's state before a change (at `at`), for a change that supersedes that one, and for a rollback.

    `is_first`, `definition` and `kept_out` are those of the target then.
    """

    at: int
    enrollment: Enrollment | None
    left: dict[str, int]
    decision: RoutingDecision = "none"
    why: str = ""
    is_first: bool = False
    definition: int | None = None
    kept_out: EnrollmentRoute | None = None
    admitted: bool = False
    forced: bool = False
    touched: Touched | None = None
    displaced: tuple[Displaced, ...] = ()
    segment: str = ""


class Touched(msgspec.Struct, array_like=True, frozen=True):
    """The workflows that an account was ever enrolled in, and the plays of these enrollments, oldest first."""

    workflows: tuple[str, ...] = ()
    plays: tuple[str, ...] = ()


class Displaced(msgspec.Struct, array_like=True, frozen=True):
    """What the switch to version `by` changed about an account, so that a rollback can put it back."""

    by: int
    prior: PriorState


class Family(msgspec.Struct, array_like=True):
    """What an account knows of its relatives, where suppressions hold for families.

    `told` are the gates that its parent knows of, None if it knows of none. `children` has the gates of each child,
    with the instant (ms) and the sequence that they are of. `news` is the number of the newest news that was sent to the
    children, and `heard` of the newest from the parent. `relatives` are the gates that hold for the parent or a sibling.
    """

    parent: str | None = None
    told: tuple[str, ...] | None = None
    children: dict[str, tuple[int, int, tuple[str, ...]]] = {}
    news: int = 0
    heard: int = 0
    relatives: tuple[str, ...] = ()


class RoutedState(msgspec.Struct, array_like=True):
    """Everything that decides an account's next commands.

    `left` is when it left each workflow, `owners` its last owner by team. `attempt` counts the decisions on
    the latest change after the first. `assignment` is the key under which it waits for its team. `admitted` says
    that the mode once allowed the latest change, `forced` that it was requested regardless of the mode.
    `requested` is the change that was requested last: after a rollback the request can come before the change.
    `do_not_contact` names persons; until `lost_until` (ms) a lost deal forbids an enrollment. `displaced` is what new
    versions of the definition changed since the account last moved by itself, oldest first. `gates_by` is the switch that
    the gates came with, if one did. `heir_of` is the workflow of an account that was merged into this one while it was in it.
    `enrolled` is when the latest enrollments began, oldest first. `inherited` says of which accounts, and when (ms), this one
    took over what they leave. `log` has the latest decisions, oldest first. Changes up to the number `forgotten` count no
    more, because the account was forgotten; -1 if it never was. `forgets` is the latest
    forget that it knows of.
    """

    target: Target | None = None
    enrollment: Enrollment | None = None
    decision: RoutingDecision = "none"
    why: str = ""
    since: int = 0
    attempt: int = 0
    active_gates: tuple[str, ...] = ()
    gates_at: int = -1
    left: dict[str, int] = {}
    owners: dict[str, str] = {}
    before: PriorState | None = None
    assignment: str | None = None
    deadline: int | None = None
    gates_sequence: int = 0
    admitted: bool = False
    forced: bool = False
    requested: str | None = None
    do_not_contact: tuple[str, ...] = ()
    lost_until: int = 0
    family: Family | None = None
    touched: Touched = Touched()
    displaced: tuple[Displaced, ...] = ()
    gates_by: Switch | None = None
    heir_of: str | None = None
    enrolled: tuple[int, ...] = ()
    inherited: dict[str, int] = {}
    log: tuple[LoggedDecision, ...] = ()
    forgotten: int = -1
    forgets: int = 0


_state_encoder: Final = msgspec.msgpack.Encoder()
_state_decoder: Final = msgspec.msgpack.Decoder(RoutedState)


def encode_routed(state: RoutedState) -> bytes:
    """Return the bytes that Redis keeps."""
    return _state_encoder.encode(state)


def decode_routed(value: bytes) -> RoutedState:
    """Decode a state. Raises msgspec.DecodeError."""
    return decode_value(_state_decoder, value)


# What the router reads besides segment changes: the topic `routing-events`, keyed by account


class GatesChanged(
    msgspec.Struct, frozen=True, kw_only=True, tag="standing", rename={"active_gates": "standing"}
):
    """Active suppressions or territories, or the restrictions, changed while the segment stayed the same; ms.

    `sequence` is the number of the account's latest change before that. `switch` is set if a new version of the
    definition changed them.
    """

    account: str
    at: int
    active_gates: tuple[str, ...]
    sequence: int = 0
    do_not_contact: tuple[str, ...] = ()
    lost_until: int = 0
    parent: str | None = None
    switch: Switch | None = None
    forgotten: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether the persons are not known: the record lost them when somebody was forgotten. Only opening sets it."""

    @property
    def restrictions(self) -> Restrictions:
        """The persons not to contact, until when a lost deal forbids an enrollment, and the parent."""
        return Restrictions(self.do_not_contact, self.lost_until, self.parent, self.forgotten is True)


class RoutedOutcome(msgspec.Struct, frozen=True, kw_only=True, tag="outcome"):
    """An outcome about an enrollment, and when (ms) it happened. `key` is the command that it answers."""

    account: str
    at: int
    action: Literal["accepted", "rejected", "won", "lost"]
    key: str | None = None


class Review(msgspec.Struct, frozen=True, kw_only=True, tag="review"):
    """Decide the account again: a list changed, or (`forced`) somebody asked for that `change`, which was not routed."""

    account: str
    at: int
    forced: bool = False
    change: str | None = None


class Reassign(msgspec.Struct, frozen=True, kw_only=True, tag="reassign"):
    """Give the account to another owner if it still belongs to this one; to `to`, or to nobody else, where that is set."""

    account: str
    at: int
    owner: str
    to: str | None = None


class Offered(msgspec.Struct, frozen=True, kw_only=True, tag="offer"):
    """Ask for an account's owner again: under this key it is in a queue, and somebody may take it, or has its grant."""

    account: str
    at: int
    key: str


class ChildReport(msgspec.Struct, frozen=True, kw_only=True, tag="child"):
    """Tell a parent (`account`) which gates hold for its child since `at` (ms), or that it is its child no more.

    `sequence` is the number of the child's latest change before that. `switch` is set if a new version of the definition
    changed the gates.
    """

    account: str
    at: int
    child: str
    sequence: int
    gates: tuple[str, ...] = ()
    left: bool = False
    switch: Switch | None = None


class FamilyNews(msgspec.Struct, frozen=True, kw_only=True, tag="family"):
    """Tell a child (`account`) which gates hold for its parent or a sibling. A greater `number` is newer.

    `switch` is set if a new version of the definition changed them.
    """

    account: str
    at: int
    parent: str
    number: int
    gates: tuple[str, ...]
    switch: Switch | None = None


class Inherit(msgspec.Struct, frozen=True, kw_only=True, tag="inherit"):
    """Tell an account what `alias` leaves to it, which was merged into it at `at` (ms).

    `workflow` is the one that the alias was in, and left for this; `left`, `owners`, `touched` and `enrolled` are as in its state.
    """

    account: str
    at: int
    alias: str
    workflow: str | None = None
    left: dict[str, int] = {}
    owners: dict[str, str] = {}
    touched: Touched = Touched()
    enrolled: tuple[int, ...] = ()


class DefinitionSwitched(msgspec.Struct, frozen=True, kw_only=True, tag="definition"):
    """Tell a partition that a version of the definition is in force since `at` (ms). It concerns no single account.

    `route` says which accounts that it moves are enrolled, or names the segments that enroll all.
    """

    at: int
    version: int
    fingerprint: str
    apply: str = ""
    route: EnrollmentRoute | tuple[str, ...] = "none"
    rollback_of: int | None = None

    def switch_of(self, segment: str | None) -> Switch:
        """Return what the switch means for an account of that segment."""
        if isinstance(self.route, tuple):
            return Switch(self.version, "all" if segment in self.route else "none", self.rollback_of)
        return Switch(self.version, self.route, self.rollback_of)


AccountEvent = (
    GatesChanged
    | RoutedOutcome
    | Review
    | Reassign
    | Offered
    | ChildReport
    | FamilyNews
    | Inherit
    | Forgotten
)
RoutingEvent = AccountEvent | Learned | DefinitionSwitched | SourceSilent | SourceBack


ROUTED_OUTCOMES: Final = frozenset({"accepted", "rejected", "won", "lost"})

_event_decoder: Final[msgspec.json.Decoder[RoutingEvent]] = msgspec.json.Decoder(RoutingEvent)


def encode_routing_event(event: RoutingEvent) -> bytes:
    """Return the bytes of a `routing-events` record."""
    return msgspec.json.encode(event)


def decode_routing_event(value: bytes) -> RoutingEvent:
    """Decode a `routing-events` record. Raises msgspec.DecodeError."""
    return decode_value(_event_decoder, value)
