"""Carry out a plan on a running prefix, with its progress, and say what came of it."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resegment.agents.batch import Publisher
    from resegment.cli.operations.session import Session
    from resegment.segmentation.planning.outcome import Outcome
    from resegment.segmentation.planning.plan import Plan
    from resegment.settings import Settings
    from resegment.streams.definitions.applying.requests import Applied, ApplyConnection, Report
    from resegment.streams.operations.switching.intents import Intent


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options of `apply` and `rollback` say."""

    at: int | None = None
    message: str = ""
    author: str | None = None
    plan_hash: str | None = None
    yes: bool = False
    shadow: bool = False
    as_json: bool = False
    command: str = "apply"


async def carry_out(session: Session, intent: Intent, asked: Asked) -> None:
    """Show the plan, ask, apply it, and print what came of it.

    Raises PlanStale, HashDiffers, typer.Abort, and what `apply_version` raises.
    """
    from resegment.cli.versions.plan import present
    from resegment.cli.versions.planning import planner_of
    from resegment.console.terminal import print_note
    from resegment.segmentation.planning.refusals import check_hash
    from resegment.streams.operations.switching import carrying as switching

    plan = intent.plan
    author = asked.author if asked.author is not None else name_author(session.settings)
    order = switching.Order(author, asked.message, asked.at, asked.shadow)
    if not asked.as_json:
        present(plan, html=None, markdown=False, as_json=False)
    if plan.is_empty:
        _print_nothing(plan, as_json=asked.as_json)
        return
    if asked.plan_hash is not None:
        check_hash(asked.plan_hash, plan)
    if not asked.yes:
        typer.confirm(_question(intent, asked), abort=True, err=True)
    try:
        async with (
            session.trail.recording(asked.command, switching.describe_order(intent, order)) as recording,
            session.publisher("resegment-apply") as publisher,
        ):
            with showing_steps() as report:
                connection = connect(session, publisher)
                applied, outcome = await switching.carry_out(
                    connection, planner_of(session), intent, order, report
                )
            recording.result |= switching.describe_result(applied, outcome, shadow=order.shadow)
    except asyncio.CancelledError:
        print_note("interrupted: run the same command again, it continues where this one stopped")
        raise
    _print(intent, applied, outcome, asked)


def connect(session: Session, publisher: Publisher) -> ApplyConnection:
    """Return what the applier needs of a session."""
    from resegment.streams.definitions.applying.requests import ApplyConnection

    return ApplyConnection(
        client=session.client,
        publisher=publisher,
        bootstrap=session.bootstrap,
        topics=session.topics,
        security=session.security,
        partitions=session.reader.partitions,
        clock=session.held.get("clock", "wall"),
        facts_per_test=session.settings.facts_per_test,
    )


def name_author(settings: Settings) -> str:
    """Return who applies: --as or RESEGMENT_ACTOR, the author that the environment gives git, or user and host."""
    from resegment.cli.operations.auditing import find_actor

    if (actor := find_actor(settings)) is not None:
        return actor
    given = os.environ.get("GIT_AUTHOR_EMAIL") or os.environ.get("EMAIL")
    if given:
        return given
    from resegment.streams.definitions.starting import name_user

    return name_user()


def _question(intent: Intent, asked: Asked) -> str:
    from resegment.console.counts import count
    from resegment.console.dates import spell_instant

    plan = intent.plan
    when = "" if asked.at is None else f" on {spell_instant(asked.at)}"
    if asked.shadow:
        return "Judge this version beside the one in force?"
    if plan.changes != "segments":
        return f"Apply it{when}? No account moves."
    return f"Apply it{when}? {count(plan.moved, 'account')} would move."


STEPS = {
    "prepare": "preparing partitions",
    "wait": "waiting for the instant",
    "mark": "marking the instant",
    "switch": "judging accounts",
}


@contextmanager
def showing_steps() -> Iterator[Report]:
    """Show the steps of an apply as bars; without a terminal, a line when each begins."""
    from resegment.console.progress import show_progress
    from resegment.console.terminal import print_note, screen

    plain = not screen(error=True).is_terminal
    with show_progress() as bars:
        shown: dict[str, Any] = {}
        reached: dict[str, int] = {}

        def report(step: str, done: int, total: int) -> None:
            label = STEPS.get(step, step)
            if step not in shown:
                shown[step], reached[step] = bars.count(label, total), 0
                if plain:
                    print_note(f"{label} ...")
            if done > reached[step]:
                shown[step](done - reached[step])
                reached[step] = done

        yield report


def _print_nothing(plan: Plan, *, as_json: bool) -> None:
    from resegment.console.terminal import print_note, write_json

    if as_json:
        write_json(sys.stdout.buffer, {"version": plan.base.number, "applied": False})
    else:
        print_note(f"nothing to apply: version {plan.base.number} is in force and means the same")


def _print(intent: Intent, applied: Applied, outcome: Outcome | None, asked: Asked) -> None:
    from resegment.console.planning.outcome import render_outcome
    from resegment.console.terminal import print_note, screen, write_json

    if asked.as_json:
        write_json(sys.stdout.buffer, describe_applied(intent.plan, applied, outcome, shadow=asked.shadow))
        return
    done = render_outcome(
        intent.plan, applied.version, applied.at, outcome, pending=applied.pending, shadow=asked.shadow
    )
    screen().print(done)
    for warning in applied.warnings:
        print_note(f"warning: {warning}")


def describe_applied(
    plan: Plan, applied: Applied, outcome: Outcome | None, *, shadow: bool = False
) -> Mapping[str, Any]:
    """Return what an apply came to as JSON."""
    import msgspec

    from resegment.schemas.times import format_instant

    return {
        "version": applied.version,
        "applied": applied.apply is not None and not applied.pending,
        "pending": applied.pending and not shadow,
        "shadow": shadow,
        "apply": applied.apply,
        "at": None if applied.at is None else format_instant(applied.at),
        "base": plan.base.number,
        "plan": plan.hash,
        "outcome": None if outcome is None else msgspec.to_builtins(outcome),
        "warnings": list(applied.warnings),
    }
