"""`resegment experiments`: what was declared, whether it may be read, and what it says."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import AsJson, RecordedCommands, SomeEvents, SomeSegments, time_option
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session
    from resegment.cli.outcomes.declared import DeclaredExperiments
    from resegment.outcomes.experiments.readout import Readout

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment experiments list

resegment experiments show proof-before-pain

resegment experiments show proof-before-pain --segments segments.yaml --events outcomes.jsonl --commands commands.jsonl
"""

app = typer.Typer(
    name="experiments",
    help="Read experiments out: two plays of one segment, or enrolled and held-out accounts.",
    no_args_is_help=True,
)


class UnknownExperiment(WrongUse):
    """No version of the file has an experiment of that name."""

    def __init__(self, name: str, names: list[str]) -> None:
        from resegment.segmentation.language.references import choices

        super().__init__(f"no experiment is named {name[:80]!r}", remedy=f"{choices(names).capitalize()}.")
        self.name = name


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app)


@app.command("list", epilog=EXAMPLES)
@takes_servers
def list_experiments(
    *,
    at: Annotated[
        int | None,
        time_option("As of this time. Default: now, or with --events the time of the last outcome."),
    ] = None,
    segments: SomeSegments = None,
    events: SomeEvents = None,
    commands: RecordedCommands = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print the experiments, and how far each is. It says no result.

    Without --events they are those of the running prefix, also of earlier versions of its file.

    Needs the extra: pip install 'resegment[outcomes]'.
    """
    from resegment.console.outcomes.experiment_view import render_experiments
    from resegment.console.terminal import screen, write_json
    from resegment.outcomes.experiments.readout import describe_readout

    if events or commands:
        readouts = _read_files(segments, events, commands, at).read_all()
    else:
        from resegment.cli.operations.session import run_in_session
        from resegment.cli.outcomes.declared import declared_by

        readouts = run_in_session(lambda session: declared_by(session, at), servers).read_all()
    if as_json:
        write_json(sys.stdout.buffer, [describe_readout(one) for one in readouts])
    else:
        screen().print(render_experiments(readouts))


@app.command("show", epilog=EXAMPLES)
@takes_servers
def show_experiment(
    name: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="The name of the experiment.")],
    *,
    early: Annotated[
        bool,
        typer.Option(
            "--early",
            help="Show figures before the horizon, with intervals that hold at every look. It is recorded.",
        ),
    ] = False,
    at: Annotated[
        int | None,
        time_option("As of this time. Default: now, or with --events the time of the last outcome."),
    ] = None,
    segments: SomeSegments = None,
    events: SomeEvents = None,
    commands: RecordedCommands = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print what an experiment says, if it may be read: at the horizon that the file declares, on the touches it planned.

    Before that it prints how far it is. On a running prefix each look is recorded in the audit log, and one at figures before
    the horizon is warned of ever after.

    Needs the extra: pip install 'resegment[outcomes]'.
    """
    from resegment.console.outcomes.experiment_view import render_readout
    from resegment.console.terminal import screen, write_json
    from resegment.outcomes.experiments.readout import describe_readout

    if events or commands:
        declared = _read_files(segments, events, commands, at)
        _check(name, declared)
        readout = declared.read(name, early=early)
    else:
        readout = _look(servers, name, at, early=early)
    if as_json:
        write_json(sys.stdout.buffer, describe_readout(readout))
    else:
        screen().print(render_readout(readout))


def _read_files(
    segments: str | None, events: list[str] | None, commands: list[str] | None, at: int | None
) -> DeclaredExperiments:
    from resegment.cli.outcomes.declared import DeclaredExperiments, declared_in
    from resegment.cli.outcomes.gathering import gather_files

    if not (events and commands and segments):
        raise typer.BadParameter(
            "give --segments, --events and --commands: the file, the outcomes, and the touches"
        )
    gathered = gather_files(segments, events, commands, None, at)
    return DeclaredExperiments(declared_in(gathered.definition), gathered.dataset, gathered.now)


def _check(name: str, declared: DeclaredExperiments) -> None:
    if name not in declared.experiments:
        raise UnknownExperiment(name, list(declared.experiments))


def _look(servers: ServerOptions, name: str, at: int | None, *, early: bool) -> Readout:
    """Read an experiment of a running prefix. It is recorded that somebody looks, before they see anything."""
    from resegment.cli.operations.session import run_in_session
    from resegment.cli.outcomes.declared import ACTION, declared_by

    async def look(session: Session) -> Readout:
        declared = await declared_by(session, at)
        _check(name, declared)
        async with session.trail.recording(ACTION, {"experiment": name, "early": early}) as recording:
            readout = declared.read(name, early=early)
            recording.result.update(
                state=readout.state,
                matured=readout.matured,
                early=early and readout.comparison is not None and readout.comparison.always_valid,
            )
        return readout

    return run_in_session(look, servers, changes=ACTION)
