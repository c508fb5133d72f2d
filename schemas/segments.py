"""The segments file as written: what each part may hold. Conditions and traits have their own grammar."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr

from resegment.schemas.times import parse_duration


def _check_duration(text: str) -> str:
    parse_duration(text)
    return text


def _check_positive(text: str) -> str:
    if parse_duration(text) == 0:
        raise ValueError("a duration of zero")
    return text


Text = Annotated[StrictStr, Field(min_length=1, max_length=4000)]
Word = Annotated[StrictStr, Field(min_length=1, max_length=128)]
Duration = Annotated[
    StrictStr, AfterValidator(_check_duration), Field(json_schema_extra={"pattern": "^[0-9]{1,12}[smhdw]$"})
]
PositiveDuration = Annotated[
    StrictStr, AfterValidator(_check_positive), Field(json_schema_extra={"pattern": "^[0-9]{1,12}[smhdw]$"})
]


class Part(BaseModel):
    """A part of the file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Objection(Part):
    """What a buyer may hold against it, and the answer."""

    objection: Text
    response: Text | None = None


class PlayMessage(Part):
    """The message architecture of a play."""

    pain: Text = Field(description="The primary pain")
    value_prop: Text
    proof_points: Annotated[list[Text], Field(min_length=1)]
    objections: list[Text | Objection] = []


class Persona(Part):
    """Somebody whom the play addresses."""

    name: Word | None = None
    titles: list[Text] = []
    cares_about: Text | list[Text] | None = None
    message: Text | None = None


class Channels(Part):
    """The channel mix of a play."""

    primary: Word
    secondary: Word | list[Word] | None = None
    touches: Annotated[StrictInt, Field(gt=0)] | None = None
    over: PositiveDuration | None = Field(None, description="Length of the cadence, like 21d")


class Play(Part):
    """What is said to the accounts of a segment, to whom and where."""

    description: Text | None = None
    message: PlayMessage
    channels: Channels
    personas: list[Word | Persona] = Field([], description="Inline, or names of the file's personas")
    assets: list[Text] = []


class Route(Part):
    """Where an account of the segment goes."""

    workflow: Word
    team: Word | None = None
    qualification: Word | None = None
    on_exit: Literal["stop", "finish", "pause"] = Field(
        "stop", description="What becomes of the workflow left"
    )


class HoldTimes(Part):
    """Keeps an account from flapping; `exit_when` is a condition."""

    min_dwell: Duration | None = None
    cooldown: Duration | None = None
    exit_when: Any = None


Layer = Literal["firmographic", "technographic", "behavioral", "needs"]


class SegmentEntry(Part):
    """A segment; `when` is a condition."""

    name: Word
    layer: Layer | None = None
    description: Text | None = None
    hypothesis: Text | None = None
    when: Any
    hold: HoldTimes | None = None
    play: Word
    route: Route


class FallbackEntry(Part):
    """The segment of every account that no other takes."""

    name: Word
    description: Text | None = None
    hypothesis: Text | None = None
    play: Word | None = None
    route: Route | None = None


class Team(Part):
    """Who owns the accounts of a route."""

    description: Text | None = None
    members: list[Word] = []


class TestGiven(Part):
    """What a test knows about its account."""

    attributes: dict[str, Any] = {}
    events: list[dict[str, Any]] = []


class TestUntil(Part):
    """Where the account is once that time has passed with no news."""

    after: Duration
    expect: Word


class TestEntry(Part):
    """One test in the file."""

    __test__ = False

    name: Text
    given: TestGiven = TestGiven()
    expect: Word
    until: TestUntil | list[TestUntil] | None = None


class SegmentsFile(Part):
    """The whole file; `traits` have their own grammar."""

    version: Literal[1]
    retain: PositiveDuration | None = Field(None, description="How long facts are remembered at the least")
    traits: dict[str, Any] = {}
    segments: list[SegmentEntry]
    fallback: FallbackEntry
    plays: dict[str, Play] = {}
    personas: dict[str, Persona] = {}
    teams: dict[str, Team | None] = {}
    tests: list[TestEntry] = []
