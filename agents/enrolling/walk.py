"""Run the steps of a batch: those of one account in order, and all accounts together when they ask the owner store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from resegment.agents.batch import Message, Record
from resegment.errors import TransientError
from resegment.routing.account import RoutedAccount
from resegment.routing.enrollment import Steps
from resegment.routing.transition import Made
from resegment.schemas.assignment import OwnerReply, OwnerRequest, Release
from resegment.schemas.outcomes.ledger import LoggedItem
from resegment.schemas.outcomes.messages import encode_touch
from resegment.schemas.outcomes.touch import TouchRecord
from resegment.schemas.outgoing import CONTENT_TYPE, WorkflowCommand, encode_command
from resegment.schemas.routing import RoutedState, RoutingDecision, encode_routed, encode_routing_event
from resegment.state.owner_store import OwnerStore

Begin = Callable[[RoutedAccount, int], Steps]
"""Starts the steps of one event for its account, at an instant (ms)."""


class RoutingTask(NamedTuple):
    """One event for its account, and when it applies (ms), with its record if it has one."""

    account: str
    at: int
    begin: Begin
    record: Record | None = None


@dataclass(slots=True)
class Walk:
    """The result of the steps: accounts, earlier decisions, messages, touches by account, and the accounts that failed."""

    accounts: dict[str, RoutedAccount]
    before: Counter[RoutingDecision]
    commands: list[WorkflowCommand] = field(default_factory=list)
    touches: dict[str, list[LoggedItem]] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)


class Ways(NamedTuple):
    """What steps ask, and where their messages go. `live` is the wall clock: the store asks its own."""

    owners: OwnerStore
    commands: str
    events: str
    touches: str
    live: bool


async def walk_steps(accounts: dict[str, RoutedAccount], steps: Iterable[RoutingTask], ways: Ways) -> Walk:
    """Run the steps: those of one account in order, and all accounts together when they ask for owners."""
    walk = Walk(accounts, Counter())
    decided = {name: one.state.decision for name, one in accounts.items()}
    stored = {name: _keys_of(one.state) for name, one in accounts.items()}
    assigned: list[tuple[str, str]] = []
    waiting: dict[str, list[RoutingTask]] = {}
    for step in steps:
        waiting.setdefault(step.account, []).append(step)
    commands: dict[str, list[Made]] = {name: [] for name in waiting}
    running: dict[str, Steps] = {}
    answers: dict[str, OwnerReply] = dict.fromkeys(waiting)
    asking, at = list(waiting), dict[str, int]()
    while asking:
        asks = []
        for name in asking:
            try:
                ask = _step(name, accounts[name], waiting[name], running, answers, commands[name], at)
            except TransientError:
                raise
            except Exception as error:  # noqa: BLE001  # the agent's border: one account's bug stops no partition
                walk.failed[name] = error
            else:
                if ask is not None:
                    asks.append((name, ask))
        times = [at[name] for name, _ in asks] if not ways.live else None
        settled = await ways.owners.settle([ask for _, ask in asks], times) if asks else []
        assigned += [(name, ask.key) for name, ask in asks if not isinstance(ask, Release)]
        asking = [name for name, _ in asks]
        answers.update(zip(asking, settled, strict=True))
    _encode(walk, commands, ways)
    for name in walk.failed:
        del accounts[name]
    # what a failed account was given is in no state: nobody else would ever give it back
    orphans = [Release(key=key) for name, key in assigned if name in walk.failed and key not in stored[name]]
    if orphans:
        await ways.owners.settle(orphans)
    walk.before = Counter(decided[name] for name in accounts)
    return walk


def _encode(walk: Walk, commands: Mapping[str, list[Made]], ways: Ways) -> None:
    """Make the messages of all accounts that did not fail; one whose state or commands cannot be encoded fails too."""
    for name, made in commands.items():
        if name in walk.failed:
            continue
        try:
            encode_routed(walk.accounts[name].state)
            messages = [_announce(ways, one) for one in made]
        except Exception as error:  # noqa: BLE001  # the agent's border: one account's bug stops no partition
            walk.failed[name] = error
        else:
            walk.commands += [one for one in made if isinstance(one, WorkflowCommand)]
            touches: list[LoggedItem] = [one for one in made if isinstance(one, TouchRecord)]
            if touches:
                walk.touches[name] = touches
            walk.messages += messages


def _keys_of(state: RoutedState) -> set[str | None]:
    """Return the keys under which the stored state has room for the account or waits for it."""
    enrollments = (state.enrollment, None if state.before is None else state.before.enrollment)
    return {state.assignment, *(one.assignment for one in enrollments if one is not None)}


def _step(
    name: str,
    account: RoutedAccount,
    waiting: list[RoutingTask],
    running: dict[str, Steps],
    answers: dict[str, OwnerReply],
    commands: list[Made],
    at: dict[str, int],
) -> OwnerRequest | None:
    """Run an account's steps until it asks the owner store, or until nothing is left to do. `at` is when each asks."""
    while name in running or waiting:
        if name not in running:
            step = waiting.pop(0)
            at[name] = step.at
            running[name] = step.begin(account, step.at)
        try:
            return running[name].send(answers[name])
        except StopIteration as done:
            del running[name]
            answers[name] = None
            commands += done.value
    return None


def _announce(ways: Ways, made: Made) -> Message:
    if isinstance(made, TouchRecord):
        headers = [("content-type", CONTENT_TYPE)]
        return Message(ways.touches, made.account.encode(), encode_touch(made), headers)
    if not isinstance(made, WorkflowCommand):
        return Message(ways.events, made.account.encode(), encode_routing_event(made))
    headers = [("content-type", CONTENT_TYPE), ("workflow", made.workflow.encode())]
    return Message(ways.commands, made.account.encode(), encode_command(made), headers)
