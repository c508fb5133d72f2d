"""What a sink is asked to do: operations, contacts and owners. All are frozen, and hold no credentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Capability = Literal["enroll", "stop", "pause", "move", "task", "property"]
"""What a vendor can do: put a contact into a sequence, take it out, halt it, give it to another owner, make a task for
the owner or tell them, and write fields of the account's record."""

OperationKind = Literal["enroll", "stop", "finish", "pause", "reassign", "escalate", "task"]
"""The action of a command, or a `task` for the owner."""

NEEDS: Final[Mapping[OperationKind, Capability | None]] = {
    "enroll": "enroll",
    "stop": "stop",
    "finish": None,  # what is enrolled runs to its end
    "pause": "pause",
    "reassign": "move",
    "escalate": "task",
    "task": "task",
}
"""What each kind of operation needs; where the vendor can't, `Vendor.instead` says what the sink does, or it is a task."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A person of an account. `ids` are the vendor's ids of the person, by sink or kind: `{"hubspot": "51"}`."""

    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    title: str | None = None
    role: str | None = None
    persona: str | None = None
    phone: str | None = None
    linkedin: str | None = None
    ids: Mapping[str, str] = field(default_factory=dict)
    opted_out: bool = False

    @property
    def key(self) -> str:
        """Return what the contact is known by: the e-mail address in lower case, else an id."""
        if self.email:
            return self.email.strip().lower()
        return next((f"{name}:{value}" for name, value in sorted(self.ids.items())), self.name.lower())

    @property
    def name(self) -> str:
        """Return first and last name, or what else names the person."""
        return " ".join(one for one in (self.first_name, self.last_name) if one) or self.email or "somebody"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A contact that this sink enrolled earlier. `references` are the vendor's ids, as the sink returned them."""

    contact: Contact
    references: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    """The idempotency key of the enroll command: the touch."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A member of a team, as `sinks.yaml` names them. `ids` are what the vendor knows them by: user, mailbox, sender."""

    name: str
    email: str | None = None
    ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Brief:
    """What the owner reads in a task or message: one line, then why the account is here, what to say, what comes next.

    `due` says when (RFC 3339) somebody should have acted.
    """

    title: str = ""
    text: str = ""
    due: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing to do for one account. The same command always makes the same operation, with the same `key`."""

    kind: OperationKind
    key: str
    """The command's idempotency key."""
    account: str
    """The registrable domain."""
    workflow: str = ""
    target: Any = None
    """What `sinks.yaml` maps the workflow to: an instance of the vendor's `Target` model."""
    contacts: tuple[Contact, ...] = ()
    """The contacts to enroll; never a person who opted out."""
    enrolled: tuple[Enrolled, ...] = ()
    """The contacts that this sink has in that workflow by its own record, for stop, pause and reassign."""
    owner: Owner | None = None
    segment: str = ""
    play: str | None = None
    brief: Brief = Brief()  # immutable
    at: str = ""
    """RFC 3339: when the change took effect."""
    do_not_contact: frozenset[str] = frozenset()
    """Persons who opted out, in lower case: to take out, never to enroll."""
