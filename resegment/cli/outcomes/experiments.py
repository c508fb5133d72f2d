"""`resegment experiments`: what was declared, whether it may be read, and what it says."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import AsJson, SomeEvents, SomeSegments, time_option

if TYPE_CHECKING:
    from resegment.cli.outcomes.gathering import Gathered
    from resegment.outcomes.experiments.readout import Readout
    from resegment.segmentation.plays.experiments import Experiment

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

RecordedCommands = Annotated[
    list[str] | None,
    typer.Option(
        "--commands",
        metavar="FILE",
        help="With --events: recorded workflow commands, touches, or segment changes with a holdout, as JSON lines. Repeatable.",
    ),
]


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
def list_experiments(
    *,
    at: Annotated[
        int | None,
        time_option("As of this time. Default: now, or with --events the time of the last outcome."),
    ] = None,
    segments: SomeSegments = None,
    events: SomeEvents = None,
    commands: RecordedCommands = None,
    as_json: AsJson = False,
) -> None:
    """Print the experiments of the file, and how far each is. It says no result.

    Needs the extra: pip install 'resegment[outcomes]'.
    """
    from resegment.console.outcomes.experiment_view import render_experiments
    from resegment.console.terminal import screen, write_json
    from resegment.outcomes.experiments.readout import describe_readout

    gathered = _gather(segments, events, commands, at)
    readouts = [_read(gathered, one, hidden=True) for one in gathered.definition.experiments.values()]
    if as_json:
        write_json(sys.stdout.buffer, [describe_readout(one) for one in readouts])
    else:
        screen().print(render_experiments(readouts))


@app.command("show", epilog=EXAMPLES)
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
    as_json: AsJson = False,
) -> None:
    """Print what an experiment says, if it may be read: at the horizon that the file declares, on the touches it planned.

    Before that it prints how far it is. Each look is recorded in the audit log, and one before the horizon is warned of
    ever after.

    Needs the extra: pip install 'resegment[outcomes]'.
    """
    from resegment.console.outcomes.experiment_view import render_readout
    from resegment.console.terminal import screen, write_json
    from resegment.outcomes.experiments.readout import describe_readout

    gathered = _gather(segments, events, commands, at)
    experiments = gathered.definition.experiments
    if name not in experiments:
        raise UnknownExperiment(name, list(experiments))
    readout = _read(gathered, experiments[name], early=early)
    if as_json:
        write_json(sys.stdout.buffer, describe_readout(readout))
    else:
        screen().print(render_readout(readout))


def _gather(
    segments: str | None, events: list[str] | None, commands: list[str] | None, at: int | None
) -> Gathered:
    from resegment.cli.outcomes.gathering import gather_files

    if not (events and commands and segments):
        raise typer.BadParameter(
            "give --segments, --events and --commands: the file, the outcomes, and the touches"
        )
    return gather_files(segments, events, commands, None, at)


def _read(gathered: Gathered, one: Experiment, *, early: bool = False, hidden: bool = False) -> Readout:
    """Read one experiment; `hidden` leaves out what it says."""
    import msgspec

    from resegment.outcomes.experiments.reading import ReadOptions, read_experiment

    readout = read_experiment(one, gathered.dataset, ReadOptions(gathered.now, early=early))
    if not hidden:
        return readout
    variants = tuple(
        msgspec.structs.replace(variant, came=None, low=None, high=None) for variant in readout.variants
    )
    return msgspec.structs.replace(readout, comparison=None, variants=variants)
