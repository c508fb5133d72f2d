"""The port of a sink: the calls that it makes of an operation, and what the answers mean.

A sink does no IO. It turns an `Operation` into steps: a generator that yields one `Call` at a time, is sent the vendor's
`Answer` to it, and returns a `Result`. Its runner (`resegment.agents.sending`, or a test) sends the requests, keeps
the limits, waits and repeats. So a sink is tested without a network, and no sink can forget a rule:

- `look(request)` reads. It may be repeated at any time.
- `repeat(request)` changes something, and the vendor applies it once however often it is sent: an upsert, a removal,
  a request with the vendor's own idempotency key.
- `once(request, step)` changes something that must not happen twice. It is written to the call log before it is sent.
  If its outcome is lost (a time-out, a reset, a kill, a 5xx), the steps begin again from the start. A sink that can look
  looks first, in the same run, and passes `looked=True`: the request is sent again only if the look did not find it.
  A sink that cannot look gets the answer `LOST` and reports the outcome `unknown`: a person has to look.

Answers that mean "later" (429, busy) or "not signed in" (401) never reach the steps: `judge` names them and the steps
begin again. All other answers do: the steps say what each means, for the account or for one contact.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from resegment.errors import ResegmentError
from resegment.sinks.operation import NEEDS, Capability, Contact, Operation, OperationKind
from resegment.sinks.retry_after import read_retry_after

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Verdict = Literal["ok", "retry", "unauthorized", "refused", "gone", "conflict", "lost"]
"""What an answer means: done; ask again later; the credentials are not accepted; never; the record is not there; it is
there already; nobody knows whether it was done."""
Outcome = Literal["applied", "skipped", "partial", "unknown", "gone", "refused"]
"""What became of an operation: all of it done; nothing to do; some contacts left out; nobody knows; what it names at the
vendor is gone; the vendor refused it."""
ContactOutcome = Literal["applied", "already", "skipped", "unknown", "gone", "refused"]


# What goes over the wire


@dataclass(frozen=True, slots=True)
class Request:
    """A request without credentials: `Sink.authorize` adds them at the last moment, so it can be shown and recorded.

    `path` begins with / and is put behind the sink's base URL. `body` is sent as JSON, `form` as a form.
    """

    method: Method
    path: str
    query: Sequence[tuple[str, str]] = ()
    body: Any = None
    form: Sequence[tuple[str, str]] = ()
    headers: Sequence[tuple[str, str]] = ()

    def with_headers(self, *more: tuple[str, str]) -> Request:
        """Return the request with more headers."""
        return Request(self.method, self.path, self.query, self.body, self.form, (*self.headers, *more))

    def with_query(self, *more: tuple[str, str]) -> Request:
        """Return the request with more query parameters."""
        return Request(self.method, self.path, (*self.query, *more), self.body, self.form, self.headers)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers (names in lower case) and the body, decoded if it is JSON, else text.

    Status 0 means that none came, and nobody knows what happened; `unsent` that the request never left.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    verdict: Verdict = "ok"
    """What the sink's `judge` made of it; set by the one who runs the steps."""
    unsent: bool = False

    @property
    def ok(self) -> bool:
        """Return whether it was done."""
        return self.verdict == "ok"

    def get(self, *path: str | int, default: Any = None) -> Any:
        """Return what is at a path inside the body, or the default: an answer may have any shape."""
        found = self.body
        for part in path:
            if isinstance(part, int):
                if not isinstance(found, list) or not -len(found) <= part < len(found):
                    return default
                found = found[part]
            elif isinstance(found, dict):
                found = found.get(part)
            else:
                return default
        return default if found is None else found

    def rows(self, *path: str | int) -> list[dict[str, Any]]:
        """Return the objects of the list at a path; other items are left out."""
        found = self.get(*path)
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


LOST: Final = Answer(0, verdict="lost")
"""The answer to a `once` call that was sent, whose outcome is not known, and that was not looked up."""


WITHHELD: Final = Answer(200, {})
"""The answer to each call of a dry run that would change something: it was not sent."""

MAX_RETRY_AFTER: Final = 3600.0
"""The most seconds that a vendor can ask for with Retry-After."""

CallKind = Literal["look", "repeat", "once"]


@dataclass(frozen=True, slots=True)
class Call:
    """A request and how it may be repeated. `step` names a `once` call within its operation: stable and unique."""

    request: Request
    kind: CallKind
    step: str = ""
    looked: bool = False
    may_be_empty: bool = False
    expects: str = ""


def look(request: Request, *, may_be_empty: bool = False, expects: str = "") -> Call:
    """Read something. `may_be_empty`: an answer 200 without a body means that nothing is there.

    `expects`: the key under which a good answer has what was asked for, a list or an object; without it, it says nothing.
    """
    return Call(request, "look", may_be_empty=may_be_empty, expects=expects)


def repeat(request: Request) -> Call:
    """Change something that the vendor applies once, however often the request is sent."""
    return Call(request, "repeat")


def once(request: Request, step: str, *, looked: bool = False) -> Call:
    """Change something that must not happen twice. `looked`: a look in this run did not find it done."""
    return Call(request, "once", step, looked)


class SearchRefused(ResegmentError):
    """The vendor refuses to show the persons of an account: it is not known who they are, and who opted out."""


# What comes out


@dataclass(frozen=True, slots=True)
class ContactResult:
    """What became of one contact. `why` is for people; `references` are kept and given to stop, pause and reassign."""

    contact: Contact
    outcome: ContactOutcome
    why: str = ""
    references: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an operation. `text` is one line for people.

    `counts` are what the vendor counted (skipped, duplicate, blocked ...). `instead` says what was done in place of what
    the vendor can't do.
    """

    outcome: Outcome
    text: str = ""
    contacts: tuple[ContactResult, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    instead: str | None = None
    references: Mapping[str, str] = field(default_factory=dict)


Steps = Generator[Call, Answer, Result]
"""The steps of an operation."""
Search = Generator[Call, Answer, tuple[Contact, ...]]
"""The steps that find contacts."""


def summarize(
    contacts: Sequence[ContactResult], text: str = "", *, instead: str | None = None, **counts: int
) -> Result:
    """Return the result that the contacts' results add up to."""
    outcomes = {one.outcome for one in contacts}
    outcome: Outcome
    if "unknown" in outcomes:
        outcome = "unknown"
    elif outcomes <= {"applied"}:
        outcome = "applied"
    elif outcomes <= {"already", "skipped"}:
        outcome = "skipped"
    elif outcomes <= {"applied", "already"}:
        outcome = "applied"
    elif outcomes <= {"gone"}:
        outcome = "gone"
    elif outcomes <= {"refused", "gone"}:
        outcome = "refused"
    else:
        outcome = "partial"
    return Result(outcome, text, tuple(contacts), counts, instead)


# The vendor


@dataclass(frozen=True, slots=True)
class Limit:
    """A documented limit: so many requests in so many seconds. `paths` is a pattern of the paths that it is for."""

    requests: int
    seconds: float
    paths: str = ""


class Part(BaseModel):
    """A part of `sinks.yaml`: unknown keys are errors. A vendor's `Options` and `Target` derive from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Options(Part):
    """The options of a sink that belong to its vendor; none by default."""


@dataclass(frozen=True, slots=True)
class RecordFields:
    """What the record of an account gets, by the vendor's names of its fields; None empties a field."""

    account: str
    fields: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What became of the fields of one account. `dropped` are fields that the vendor does not have (any more)."""

    account: str
    outcome: Literal["written", "missing", "refused"]
    why: str = ""
    dropped: tuple[str, ...] = ()


Writing = Generator[Call, Answer, tuple[RecordResult, ...]]
"""The steps that write fields."""


class FieldWriter(Protocol):
    """What a sink has too whose vendor keeps records of accounts (the capability `property`)."""

    def write_fields(self, records: Sequence[RecordFields]) -> Writing:
        """Return the steps that write fields to up to `Vendor.batch` records: only looks, and calls that may be repeated.

        They return one result for each record. A field that the vendor does not have must not keep others from being written.
        """
        ...


class ContactSearch(Protocol):
    """What a sink has too whose vendor keeps the persons of accounts (`Vendor.searches`)."""

    def search(self, account: str) -> Search:
        """Return the steps that find the persons of an account: only looks. A person who opted out is marked so.

        The steps raise SearchRefused if the vendor refuses to show them: nobody found means that there is nobody.
        """
        ...


class Sink(Protocol):
    """One configured account at a vendor. Pure: it does no IO, reads no clock and keeps nothing."""

    def carry_out(self, operation: Operation) -> Steps:
        """Return the steps of an operation."""
        ...

    def check(self) -> Steps:
        """Return the steps of a test that changes nothing: whether we are signed in, as which user, and what is missing."""
        ...

    def judge(self, answer: Answer) -> Verdict:
        """Return what an answer means; `judge_status` has what most vendors share."""
        ...

    def authorize(self, request: Request, secrets: Mapping[str, str]) -> Request:
        """Return the request with credentials: `secrets` are by the names in `Vendor.credentials`, and `access_token`."""
        ...

    def sign_in(self, secrets: Mapping[str, str]) -> Request | None:
        """Return the request for an access token, whose answer has `access_token`; None if the secrets are enough."""
        ...


@dataclass(frozen=True, slots=True)
class Vendor:
    """All that is known of a vendor. One folder each; `resegment.sinks.registry` has the list."""

    name: str
    title: str
    base: str
    """The base URL; `url` in `sinks.yaml` replaces it. Empty if each customer has another."""
    capabilities: frozenset[Capability]
    credentials: tuple[tuple[str, ...], ...]
    """The sets of names of secrets that are enough: `(("token",), ("client_id", "client_secret"))`."""
    target: type[BaseModel]
    """What a workflow maps to."""
    build: Callable[[Any], Sink]
    """Makes the sink from its options."""
    options: type[Options] = Options
    owner_ids: Mapping[str, str] = field(default_factory=dict)
    """What an owner may have in `sinks.yaml`, with its meaning: `{"user": "the id of the user"}`."""
    limits: tuple[Limit, ...] = ()
    instead: Mapping[OperationKind, str] = field(default_factory=dict)
    """What the sink does in place of what the vendor can't do, in words. It gets these operations too."""
    timeout: float = 30.0
    """Seconds for one request."""
    settle: float = 5.0
    """Seconds after which a lost request, if it was applied, can be seen by looking."""
    batch: int = 100
    """How many records `FieldWriter` takes at once."""
    searches: bool = False
    """Whether its sinks find contacts: see `ContactSearch`."""

    @property
    def enrolls(self) -> bool:
        """Whether it enrolls contacts, so that an operation needs some."""
        return "enroll" in self.capabilities

    def can(self, kind: OperationKind) -> bool:
        """Return whether the sink takes the operation, by itself or with something instead."""
        needed = NEEDS[kind]
        return needed is None or needed in self.capabilities or kind in self.instead


def judge_status(answer: Answer) -> Verdict:
    """Return what a status means at most vendors. A vendor's `judge` first looks at what is different there."""
    status = answer.status
    if 200 <= status < 300:
        return "ok"
    if status in {408, 425, 429, 503}:
        return "retry"
    if status == 401:
        return "unauthorized"
    if status in {404, 410}:
        return "gone"
    if status == 409:
        return "conflict"
    if status == 0 or status >= 500:
        return "lost"
    return "refused"


def retry_after(answer: Answer, now: float) -> float | None:
    """Return the seconds that an answer asks for, or None. A date counts from the vendor's own clock, if it says its time.

    `now` is our time, in seconds since the epoch. More than MAX_RETRY_AFTER is cut to that.
    """
    said = answer.headers.get("retry-after")
    ahead = read_retry_after(answer.headers.get("date"), 0.0)  # the seconds since the epoch that the date is
    wait = read_retry_after(said, now if ahead is None else ahead)
    return None if wait is None else min(wait, MAX_RETRY_AFTER)


def is_readable(call: Call, answer: Answer) -> bool:
    """Return whether an answer says something: a look that got a text, or nothing, did not see that nothing is there."""
    if call.kind != "look" or answer.verdict != "ok":
        return True
    if call.expects:
        return isinstance(answer.get(call.expects), dict | list)
    if isinstance(answer.body, dict | list):
        return True
    return answer.body is None and (answer.status == 204 or call.may_be_empty)


def is_safe(call: Call, answer: Answer) -> bool:
    """Return whether the vendor certainly did not do it: the same call may be sent again as if it had never been."""
    return answer.unsent or (
        answer.verdict in {"retry", "unauthorized"}
        and answer.status not in {0, 408}
        and (call.kind != "once" or answer.status < 500)
    )
