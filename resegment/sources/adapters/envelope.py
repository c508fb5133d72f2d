"""Describe where the envelope of an event comes from: its account, its times, its identity and what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from resegment.errors import RefusedEvent
from resegment.identity.domains import registrable_domain
from resegment.identity.names import read_name
from resegment.schemas.times import format_instant
from resegment.sources.adapters.dates import Order, read_moment
from resegment.sources.adapters.port import Context, Remark
from resegment.sources.adapters.records import Record, as_list, as_text

Op = Literal["assert", "retract"]
Identity = Literal["record", "snapshot", "event", "derived"]
"""What a record is: one that may be revised; how things were at one time, a fact of its own, so that growth can be
measured; an event that never changes; or one without an id, whose id is a digest of what it says."""


class Waiting(NamedTuple):
    """The provider whose ids a record may have, and the remarks to which it is added that the record waits."""

    provider: str
    remarks: list[Remark]


def _assert(_: Record) -> Op:
    return "assert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The paths of each part of an envelope.

    `key` are the parts of the record's id, each a path or several with `|` between; `record` is put before them. The
    parts `@subject` and `@time` are those of the event.
    `learns` are ids that stand for the account from now on, in other records too. `withdrawn` is when a retraction became known.
    `known_as` are ids, slugs and names that may stand for an account. Those of `own` are ids of the record itself: they find
    an account that is known, but nothing waits by them. `utc` says that times without a zone are in UTC.
    """

    subject: tuple[str, ...]
    time: tuple[str, ...]
    record: str = ""
    key: tuple[str, ...] = ()
    recorded: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    known_as: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    learns: tuple[str, ...] = ()
    identity: Identity = "record"
    order: Order | None = None
    utc: bool = False
    op: Callable[[Record], Op] = _assert

    def paths(self) -> Iterator[str]:
        """Yield every path."""
        yield from (*self.subject, *self.time, *self.recorded, *self.withdrawn, *self.known_as)
        for one in self.key:
            yield from (path for path in one.split("|") if path[0] != "@")

    def learn(self, record: Record, context: Context) -> Iterator[tuple[str, str]]:
        """Yield each id of the record that stands for its account, with the domain. Raises RefusedEvent without a domain."""
        subject = self.find_subject(record, context, "record")
        for path in self.learns:
            text = record.find_text(path)
            if text is not None:
                yield text, subject

    def find_subject(
        self, record: Record, context: Context, what: str, waiting: Waiting | None = None
    ) -> str:
        """Return the account's domain. Raises RefusedEvent for a record without one.

        With `waiting`, a record that has a name or an id gives a subject that waits until somebody says which account it
        means: `name:Acme Inc`, or the provider's id, as `hubspot:123`. A private mailbox says nothing of the company, so such
        a record waits by the company's name, too.
        """
        named: RefusedEvent | None = None
        private = True
        for path, value in record.find_all(*self.subject):
            for host in _texts(value):
                try:
                    return registrable_domain(host)
                except RefusedEvent as error:
                    # A text without a dot is an id or a name, and no other company's address.
                    if "." in host:
                        named = named or RefusedEvent(error.reason, error.message, field=record.spell(path))
                        private = private and "@" in host
        names = [name for path in (*self.known_as, *self.subject) if (name := record.find_text(path))]
        for text in names:
            account = context.accounts.get(text) or context.accounts.get(text.lower())
            if account is not None:
                return registrable_domain(account)
        waits = waiting is not None and (named is None or private)
        subject = (
            self._name_subject(record, waiting.provider, named is not None) if waiting and waits else None
        )
        if named is not None and subject is None:
            raise named
        if named is None and context.account is not None:
            return registrable_domain(context.account)
        if waiting is not None and subject is not None:
            waiting.remarks.append(
                Remark(
                    "unresolved",
                    f"the {what} names no domain of a company: it waits until `resegment accounts resolve` says which "
                    f"account {subject!r} is, unless --domains or --account does",
                    self.known_as[0],
                )
            )
            return subject
        shown = f" {names[0][:60]!r}" if names else ""
        raise RefusedEvent(
            "no-account",
            f"the {what}{shown} names no domain of a company: pass --account DOMAIN, or --domains FILE with the "
            "domain of each name or id",
            field=self.subject[0] if self.subject else "subject",
        )

    def _name_subject(self, record: Record, provider: str, by_name: bool) -> str | None:
        """Return the subject of a record that has an id or a name of its company only, `by_name` its name; None without."""
        for path in self.known_as:
            text = record.find_text(path)
            if text is None or path in self.own:
                continue
            is_name = "name" in path.rpartition(".")[2].lower() or " " in text.strip()
            subject = f"name:{text.strip()}" if is_name else f"{provider}:{text.strip()}"
            if read_name(subject) is not None and (not by_name or (is_name and "@" not in text)):
                return subject
        return None

    def find_time(
        self, record: Record, paths: tuple[str, ...], context: Context, remarks: list[Remark]
    ) -> int | None:
        """Return the first time at one of the paths; None if there is none. Raises RefusedEvent for a wrong one."""
        wrong: tuple[str, str] | None = None
        for path, value in record.find_all(*paths):
            one: Any = value
            if isinstance(one, Mapping):
                one = Record(one).find("value", "date", "time", "timestamp")
            try:
                moment = read_moment(one, zone=context.zone, order=context.order or self.order)
            except ValueError as error:
                wrong = wrong or (path, str(error))
                continue
            if not moment.zoned and context.zone is None and not self.utc:
                message = "a time without a zone is read as UTC: pass --zone, like --zone Europe/Berlin"
                remarks.append(Remark("no-zone", message, record.spell(path)))
            return moment.ms
        if wrong is not None:
            raise RefusedEvent("wrong-time", wrong[1], field=record.spell(wrong[0]))
        return None

    def name_record(self, record: Record, subject: str, time: int, what: str) -> str:
        """Return the name of the fact. Raises RefusedEvent if a record that needs an id has none."""
        own = {"@subject": subject, "@time": format_instant(time)}
        parts = [text for one in self.key if (text := _find_part(record, one, own))]
        if self.key and not parts:
            first, *more = self.key[0].split("|")
            wanted = " or ".join((first, *more[:3]))
            raise RefusedEvent("no-id", f"the {what} has no id (looked for {wanted})", field=first)
        if not self.key:
            parts = [subject]
        if self.identity == "snapshot":
            parts.append(format_instant(time))
        return ":".join((self.record, *parts) if self.record else parts)


def _find_part(record: Record, part: str, own: Mapping[str, str]) -> str | None:
    for path in part.split("|"):
        text = own.get(path) or record.find_text(path)
        if text is not None:
            return text
    return None


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a value that may name a host: itself, those of a list, or those in objects of a list."""
    for one in as_list(value):
        text = as_text(one)
        if text is None and isinstance(one, Mapping):
            text = as_text(Record(one).find("domain", "value", "url"))
        if text is not None:
            yield text
