"""Make plans for commands: from recorded events, or from the running prefix."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import typer

from resegment.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from resegment.cli.operations.session import Session
    from resegment.cli.options import Format
    from resegment.cli.servers import ServerOptions
    from resegment.console.progress import Bars
    from resegment.schemas.fact import Fact
    from resegment.segmentation.definition import Definition
    from resegment.segmentation.planning.plan import Plan
    from resegment.segmentation.planning.saved import SavedPlan
    from resegment.streams.operations.planning import PlannedPrefix, Wish
    from resegment.streams.operations.switching.intents import Planned

Route = str | tuple[str, ...]


class NoSuchSegment(UserError):
    """`--route` names a segment that the new version doesn't have."""

    def __init__(self, name: str, names: Sequence[str]) -> None:
        super().__init__(
            f"--route names {name}, and the file has no segment of that name",
            remedy=f"Choose none, new-only, all, or some of {', '.join(names)}.",
        )
        self.name = name


def check_route(given: list[str] | None) -> Route:
    """Return the value of --route. Raises typer.BadParameter."""
    from resegment.segmentation.planning.plan import ROUTES

    if not given:
        return "none"
    if len(given) == 1 and given[0] in ROUTES:
        return given[0]
    words = [one for one in given if one in ROUTES]
    if words:
        raise typer.BadParameter(
            f"{words[0]} stands alone: give it without other values", param_hint="--route"
        )
    return tuple(dict.fromkeys(given))


def check_segments(route: Route, definition: Definition) -> None:
    """Raise NoSuchSegment where the route names a segment that the definition doesn't have."""
    names = [one.name for one in definition.segments]
    for name in route if isinstance(route, tuple) else ():
        if name not in names:
            raise NoSuchSegment(name, names)


def read_lists(definition: Definition, path: str) -> Mapping[str, Collection[str]]:
    """Return the accounts of the lists that a segments file names, which lie beside it. Raises WrongList."""
    from pathlib import Path

    from resegment.routing.policy import list_files
    from resegment.sources.suppressions import ListFiles

    return ListFiles(Path(path)).load(list_files(definition))


def plan_files(
    file: str, segments: str | None, events: list[str], at: int | None, form: Format | None, route: Route
) -> SavedPlan:
    """Plan a switch from one file to another at `at` (ms), or right after the last of the recorded events.

    Raises typer.BadParameter and what reading files raises.
    """
    from resegment.cli.definition.facts import read_facts, report
    from resegment.console.progress import show_progress
    from resegment.segmentation.planning.saved import SavedPlan
    from resegment.sources.segments import load_definition

    if segments is None:
        raise typer.BadParameter(
            "--events requires --segments: the file in force, which the plan compares with"
        )
    old, new = load_definition(segments), load_definition(file)
    check_segments(route, new)
    with show_progress() as bars:
        facts, refusals = read_facts(events, form, bars, definition=new)
        plan = _replay(old, new, facts, at, route, bars)
    report(refusals, len(facts))
    return SavedPlan(id=uuid.uuid4().hex, plan=plan, content=new.content)


def _replay(
    old: Definition, new: Definition, facts: list[Fact], at: int | None, route: Route, bars: Bars
) -> Plan:
    from resegment.segmentation.inspection.backtest import by_account, order_of_delivery
    from resegment.segmentation.planning.offline import plan_replay

    grouped = by_account(order_of_delivery(facts))
    advance = bars.count("replaying", len(facts))
    if at is None:
        at = max((fact.recorded for fact in facts), default=0) + 1
    return plan_replay(old, new, grouped, at, route, lambda name: advance(len(grouped[name])))


async def plan_prefix(
    file: str, servers: ServerOptions, *, segments: str | None, at: int | None, route: Route
) -> SavedPlan:
    """Plan a switch of the running prefix to a file. Raises as `open_session` does, and what reading the prefix raises."""
    from resegment.cli.operations.session import open_session
    from resegment.sources.segments import load_definition
    from resegment.streams.operations.planning import Wish

    new = load_definition(file)
    check_segments(route, new)
    async with open_session(servers, segments=segments) as session:
        saved = await plan_session(session, Wish(new, route, at, lists=read_lists(new, file)))
    if segments is not None:
        from resegment.console.terminal import print_note

        print_note(
            f"compared with version {saved.plan.base.number}, which is in force: --segments counts with --events only"
        )
    return saved


async def read_planned(session: Session) -> PlannedPrefix:
    """Return what planning needs of a session. Raises TopicUnreadable and StoreUnavailable."""
    from resegment.streams.operations.planning import PlannedPrefix

    return PlannedPrefix(
        client=session.client,
        reader=session.reader,
        registry=await session.load_registry(),
        held=session.held,
        topics=session.topics,
        bootstrap=session.bootstrap,
        security=session.security,
        ahead=await session.look_for_ahead_records(),
        facts_per_test=session.settings.facts_per_test,
    )


def planner_of(session: Session) -> Planned:
    """Return what reads the prefix of a session for a plan."""
    return lambda: read_planned(session)


async def plan_session(session: Session, wish: Wish) -> SavedPlan:
    """Plan a switch of an open session's prefix."""
    from resegment.console.progress import show_progress
    from resegment.streams.operations.switching.intents import plan_wish

    with show_progress() as bars:
        return await plan_wish(planner_of(session), wish, count=bars.count)
