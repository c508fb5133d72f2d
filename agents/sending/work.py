"""Work on one command at one sink: what it asks for, with which contacts, and what to keep of the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from resegment.agents.sending.choosing import NormalizeTitle, choose_contacts, read_personas
from resegment.agents.sending.operations import (
    KNOWN,
    CommandData,
    keep_contact,
    keep_enrolled,
    make_operation,
    restore_contact,
)
from resegment.agents.sending.ports import ContactFinder
from resegment.agents.sending.runner import SignedOut, SinkRunner
from resegment.errors import TransientError
from resegment.schemas.logs.call_log import AccountCalls, LoggedCall, LoggedContact
from resegment.sinks.configuration import PersonaEntry
from resegment.sinks.loading import LoadedSink
from resegment.sinks.operation import Brief, Contact, Operation
from resegment.sinks.port import ContactOutcome, ContactResult, Result, summarize

TAKEN_OUT: Final = frozenset({"applied", "already", "skipped", "gone"})
"""The outcomes of a stop after which a contact is no longer enrolled."""
IN: Final = frozenset({"applied", "already", "unknown"})
"""The outcomes of an enrollment after which a contact is, or may be, enrolled."""
AGAIN: Final = frozenset({"unknown", "gone", "refused", "partial"})
"""The results after which a person may have a command carried out again."""
NO_CONTACT: Final = "no-contact"
ABOUT_ENROLLED: Final = frozenset({"stop", "pause", "reassign"})
"""The actions that change something for contacts that are enrolled."""


@dataclass(frozen=True, slots=True)
class Performer:
    """A sink that can carry out operations."""

    loaded: LoadedSink
    runner: SinkRunner


@dataclass(frozen=True, slots=True)
class ContactRules:
    """How the contacts of an account are found and chosen."""

    finder: ContactFinder | None
    personas: Mapping[str, PersonaEntry]
    most: int
    normalize: NormalizeTitle


@dataclass(frozen=True, slots=True)
class Done:
    """A command's result, and who is enrolled in the workflow after it; None if that is as before.

    `repeated`: it was carried out earlier. `reason` names what a person should look at beside the result's outcome.
    """

    result: Result
    enrolled: Sequence[LoggedContact] | None = None
    repeated: bool = False
    reason: str = ""


class CommandWork:
    """Carries out the commands of one sink."""

    def __init__(self, performer: Performer, contacts: ContactRules, tasks: Performer | None) -> None:
        """`tasks`: the sink that tells owners what this one can't do."""
        self._own, self._contacts = performer, contacts
        self._tasks = performer if "task" in performer.loaded.vendor.capabilities else tasks

    async def carry_out(self, data: CommandData, log: AccountCalls, *, replayed: bool) -> Done:
        """Carry out a command. `replayed`: a person asked to send it again.

        Raises what `SinkRunner.run` raises, and ContactsUnavailable.
        """
        before = log.results.get(data.idempotency_key)
        if before is not None and not (replayed and before.outcome in AGAIN):
            return Done(Result("skipped", before.text), repeated=True)
        if replayed and data.cause.sequence_number < log.sequence:
            return Done(Result("skipped", "the account has moved on since: it is not sent again"))
        if data.action not in KNOWN:
            return Done(Result("skipped", f"the action {data.action!r} is not known here"))
        vendor = self._own.loaded.vendor
        enrolled, guessed = await self._list_enrolled(data, log)
        enrolls = data.action == "enroll" and vendor.enrolls
        contacts = await self._choose(data, log, replayed) if enrolls and not data.forgotten else ()
        operation = self._make(self._own, data, contacts, enrolled)
        if enrolls:
            inside = {restore_contact(one).key for one in enrolled if not one.unsure}
            fresh = tuple(one for one in operation.contacts if one.key not in inside)
            if operation.contacts and not fresh:
                return Done(Result("skipped", "all of its contacts are enrolled already"))
            if not fresh:
                why = f"no contact to enroll in {data.workflow}"
                if data.forgotten:
                    why += ", because who not to contact was forgotten"
                return await self._tell(data, log, why, NO_CONTACT, replayed)
            operation = replace(operation, contacts=fresh)
        elif vendor.enrolls and data.action in ABOUT_ENROLLED and not operation.enrolled:
            return Done(Result("skipped", "nobody of the account is enrolled there"))
        if not vendor.can(operation.kind):
            why = f"{vendor.title} can't {data.action} by its API"
            return await self._tell(data, log, why, "", replayed)
        known = _calls_of(log, operation.key)
        result = await self._own.runner.run(operation, known, insist=replayed)
        if guessed:
            result = _change_outcome(result, "gone", "skipped")  # nobody knows that they ever were enrolled
        elif operation.kind == "enroll" and operation.key in log.chosen:  # it was begun before
            result = _change_outcome(result, "already", "applied", "found enrolled")
        return Done(result, _enrolled_after(operation, result, enrolled))

    def _make(
        self,
        performer: Performer,
        data: CommandData,
        contacts: Sequence[Contact],
        enrolled: Sequence[LoggedContact],
    ) -> Operation:
        loaded = performer.loaded
        return make_operation(data, loaded.target_of(data.workflow), loaded.owners, contacts, enrolled)

    async def _list_enrolled(self, data: CommandData, log: AccountCalls) -> tuple[list[LoggedContact], bool]:
        """Return who is enrolled, and whether that is a guess: the log may be lost, so that all have to be looked at."""
        enrolled = list(log.enrolled.get(data.workflow, ()))
        if enrolled or log.results or data.action == "enroll" or not self._own.loaded.vendor.enrolls:
            return enrolled, False
        return [keep_contact(one) for one in await self._find(data)], True

    async def _choose(self, data: CommandData, log: AccountCalls, replayed: bool) -> Sequence[Contact]:
        chosen = log.chosen.get(data.idempotency_key)
        if chosen is not None:
            kept = [restore_contact(one) for one in chosen]
            if _calls_of(log, data.idempotency_key) and not replayed:
                return kept  # some of them may be enrolled already
            out = {one.key for one in await self._find(data) if one.opted_out}
            return [one for one in kept if one.key not in out]
        rules = self._contacts
        personas = read_personas(data.message, rules.personas, rules.normalize)
        found = choose_contacts(await self._find(data), personas, rules.most, rules.normalize)
        if not self._own.runner.settings.dry_run:
            logged = [keep_contact(one) for one in found]
            await self._own.runner.calls.choose(data.account, data.idempotency_key, logged)
        return found

    async def _find(self, data: CommandData) -> Sequence[Contact]:
        return [] if self._contacts.finder is None else await self._contacts.finder.find(data.account)

    async def _tell(
        self, data: CommandData, log: AccountCalls, why: str, reason: str, replayed: bool
    ) -> Done:
        """Make a task for the owner of what this sink can't do."""
        if self._tasks is None:
            return Done(
                Result("refused", f"{why}, and `tasks` names no sink that tells the owner"), reason=reason
            )
        performer = self._tasks
        if performer is not self._own and self._own.runner.settings.dry_run:
            performer = Performer(performer.loaded, performer.runner.as_dry_run())
        plain = self._make(performer, data, (), ())
        brief = Brief(f"{plain.brief.title} ({why})", plain.brief.text, plain.brief.due)
        operation = replace(plain, kind="task", key=f"{data.idempotency_key}.task", brief=brief)
        runner = performer.runner
        known = log if performer is self._own else await runner.calls.read(data.account)
        try:
            result = await runner.run(operation, _calls_of(known, operation.key), insist=replayed)
        except SignedOut as out:
            if performer is self._own:
                raise
            raise TasksUnavailable(
                f"the sink {performer.loaded.name}, which tells owners: {out.message}"
            ) from out
        text = (
            f"{why}: a task for the owner ({result.text})" if result.text else f"{why}: a task for the owner"
        )
        return Done(replace(result, text=text, instead=text), reason=reason)


class TasksUnavailable(TransientError):
    """The sink that tells owners does not accept its credentials: the command waits, and other ones of this sink don't."""


def _calls_of(log: AccountCalls, key: str) -> Mapping[str, LoggedCall]:
    return {step: entry for (one, step), entry in log.calls.items() if one == key}


def _change_outcome(result: Result, before: ContactOutcome, after: ContactOutcome, why: str = "") -> Result:
    """Return the result with another outcome of the contacts that have one."""
    contacts = [
        replace(one, outcome=after, why=one.why or why) if one.outcome == before else one
        for one in result.contacts
    ]
    if contacts == list(result.contacts):
        return result
    total = summarize(contacts, result.text, instead=result.instead)
    return replace(total, counts=result.counts, references=result.references)


def _enrolled_after(
    operation: Operation, result: Result, before: Sequence[LoggedContact]
) -> Sequence[LoggedContact] | None:
    by_key = {one.contact.key: one for one in result.contacts}
    if operation.kind == "enroll":
        added = [keep_enrolled(one, operation.key) for one in result.contacts if one.outcome in IN]
        kept = [one for one in before if restore_contact(one).key not in by_key]
        return [*kept, *added] if added else None
    if operation.kind not in {"stop", "finish"}:
        return None
    if not by_key:
        return None if result.outcome in {"refused", "unknown"} else []
    return [one for one in before if not _is_out(by_key.get(restore_contact(one).key))]


def _is_out(result: ContactResult | None) -> bool:
    return result is not None and result.outcome in TAKEN_OUT
