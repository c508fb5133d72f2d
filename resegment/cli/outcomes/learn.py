"""`resegment learn`: propose a score from outcomes."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import (
    AsJson,
    EventFormat,
    PastArchive,
    RecordedCommands,
    SomeEvents,
    SomeSegments,
    time_option,
)
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.outcomes.gathering import Gathered
    from resegment.outcomes.learning.learning import Learned
    from resegment.segmentation.definition import Definition

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment learn --metric meeting

resegment learn --metric opportunity --archive s3://our-bucket/resegment --output score.yaml

resegment learn --segments segments.yaml --events history.jsonl --events outcomes.jsonl --commands commands.jsonl --metric meeting

resegment learn --segments segments.yaml --events history.jsonl --commands commands.jsonl --metric reply --segment in-market --output score.yaml
"""


class LearnMetric(StrEnum):
    """The metrics that a score can be learned for."""

    reply = "reply"
    positive_reply = "positive_reply"
    meeting = "meeting"
    opportunity = "opportunity"
    win = "win"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(learn)


def parse_length(text: str) -> int:
    """Return a length of time in ms. Raises typer.BadParameter."""
    from resegment.schemas.times import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


class UnknownScore(WrongUse):
    """The name is that of something else than a score, or several scores could be meant."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, remedy="Name a score of the file, or a new one, with --score.")


@takes_servers
def learn(
    *,
    metric: Annotated[
        LearnMetric, typer.Option("--metric", help="The outcome that the score should predict.")
    ] = LearnMetric.meeting,
    horizon: Annotated[
        int | None,
        typer.Option(
            "--horizon",
            parser=parse_length,
            metavar="TIME",
            help="Outcomes up to this long after a touch count, and only touches that are older are learned from. "
            "Default: the usual window of the metric, like 30d for meeting.",
        ),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(
            "--score",
            metavar="NAME",
            help="The score's name. Default: that of the file's only score, or `learned`.",
        ),
    ] = None,
    segment: Annotated[
        str | None, typer.Option("--segment", metavar="NAME", help="Only touches of this segment.")
    ] = None,
    since: Annotated[int | None, time_option("Only touches from this time on.")] = None,
    at: Annotated[
        int | None,
        time_option("Learn as of this time. Default: now, or with --events the time of the last outcome."),
    ] = None,
    fit_on: Annotated[
        int,
        typer.Option(
            "--fit-on",
            min=50,
            max=90,
            metavar="PERCENT",
            help="The earlier touches that are fitted; the rest checks.",
        ),
    ] = 70,
    resamples: Annotated[
        int,
        typer.Option(
            "--resamples", min=20, max=2000, metavar="N", help="How often accounts are drawn again."
        ),
    ] = 200,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another seed draws other resamples.")] = 0,
    events: SomeEvents = None,
    commands: RecordedCommands = None,
    segments: SomeSegments = None,
    form: EventFormat = None,
    archive: PastArchive = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", dir_okay=False, help="Also write the score to this file."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Propose a score: which tests of the file went with the outcome, as they were when accounts were touched.

    A regularized logistic model is fitted on earlier touches and checked on later ones. Its terms are printed as a trait with
    whole points, beside the score in force. Nothing is changed: put the trait into the file and look at `resegment plan`.
    Without --events it reads the log of the running prefix, or an archive: all of it, up to now or --at.

    Needs the extra: pip install 'resegment[outcomes]'.
    """
    from resegment.cli.outcomes.gathering import gather_files, gather_past

    if events or commands:
        if not (events and commands and segments):
            raise typer.BadParameter(
                "give --segments, --events and --commands: the file, the facts, and the touches"
            )
        gathered = gather_files(segments, events, commands, form, at)
    else:
        if segments is not None or form is not None:
            raise typer.BadParameter(
                "--segments and --format read recorded events: add --events and --commands"
            )
        gathered = asyncio.run(gather_past(servers, archive, at))
    learned, name = _learn(gathered, metric, horizon, score, segment, since, fit_on, resamples, seed)
    _show(gathered.definition, learned, name, output, as_json=as_json)


def _learn(
    gathered: Gathered,
    metric: LearnMetric,
    horizon: int | None,
    score: str | None,
    segment: str | None,
    since: int | None,
    fit_on: int,
    resamples: int,
    seed: int,
) -> tuple[Learned, str]:
    import polars as pl

    from resegment.cli.definition.forecast import check_segment
    from resegment.outcomes.learning.learning import LearnOptions
    from resegment.outcomes.learning.learning import learn as learn_from
    from resegment.schemas.outcomes.experiments import USUAL_WINDOWS
    from resegment.schemas.times import parse_duration

    name = choose_name(gathered.definition, score)
    touches = gathered.dataset.touches
    if segment is not None:
        check_segment([one.name for one in gathered.definition.segments], segment)
        touches = touches.filter(pl.col("segment") == segment)
    if since is not None:
        touches = touches.filter(pl.col("at").dt.epoch("ms") >= since)
    options = LearnOptions(
        metric.value,
        parse_duration(USUAL_WINDOWS[metric.value]) if horizon is None else horizon,
        share=fit_on / 100,
        resamples=resamples,
        seed=seed,
    )
    seen = gathered.observe(touches)
    return learn_from(touches, gathered.dataset.outcomes, seen, options, gathered.now), name


def choose_name(definition: Definition, given: str | None) -> str:
    """Return the name of the score. Raises UnknownScore."""
    from resegment.segmentation.language.conditions import Score

    scores = [name for name, one in definition.traits.items() if isinstance(one, Score)]
    if given is None:
        if len(scores) > 1:
            raise UnknownScore(f"the file has several scores: {', '.join(scores)}")
        return scores[0] if scores else "learned"
    if given in definition.traits and given not in scores:
        raise UnknownScore(f"{given!r} is a trait of the file, and no score")
    return given


def _show(definition: Definition, learned: Learned, name: str, output: Path | None, *, as_json: bool) -> None:
    import msgspec

    from resegment.console.outcomes.learned_view import render_learned
    from resegment.console.terminal import print_note, screen, write_json
    from resegment.errors import FolderNotWritable
    from resegment.outcomes.learning.scoring import compare_scores, find_users, put_in, write_score

    trait = None
    if learned.terms:
        put_in(definition, learned, name)  # what is proposed can be read
        trait = write_score(learned, name)
    if output is not None and trait is not None:
        try:
            output.write_text(trait, encoding="utf-8")
        except OSError as error:
            raise FolderNotWritable(output.parent, error) from error
        print_note(f"wrote {output}")
    compared = compare_scores(definition, learned, name)
    if as_json:
        plain = {**msgspec.to_builtins(learned), "score": name, "compared": msgspec.to_builtins(compared)}
        write_json(sys.stdout.buffer, {**plain, "tested_by": find_users(definition, name), "yaml": trait})
        return
    console = screen()
    console.print(render_learned(learned, compared, name, find_users(definition, name)))
    if trait is not None:
        console.print()
        console.print("Put this into the segments file, and look at `resegment plan`:", style="bold")
        console.print()
        console.print(trait, soft_wrap=True)
