"""The segments file as written: what each part may contain. Conditions and traits have their own grammar."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    Tag,
    model_validator,
)

from resegment.schemas.outcomes.experiments import ExperimentEntry
from resegment.schemas.sources.written import Same, Source
from resegment.schemas.written import (
    Absence,
    Day,
    Domain,
    Duration,
    Hours,
    PositiveDuration,
    SettleTime,
    Share,
    Text,
    TimeZone,
    Weekday,
    Word,
)


class Part(BaseModel):
    """A part of the file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Objection(Part):
    """An objection that a buyer may raise, and the response."""

    objection: Text
    response: Text | None = None


class PlayMessage(Part):
    """The message architecture of a play."""

    pain: Text = Field(description="The primary pain")
    value_prop: Text
    proof_points: Annotated[list[Text], Field(min_length=1)]
    objections: list[Text | Objection] = []


class Persona(Part):
    """A contact that the play addresses."""

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
    """What to say to the accounts of a segment, to which contacts, on which channels."""

    description: Text | None = None
    message: PlayMessage
    channels: Channels
    cta: Text | None = Field(None, description="The call to action")
    personas: list[Word | Persona] = Field([], description="Inline, or names of the file's personas")
    assets: list[Text] = []


OnExit = Literal["stop", "finish", "pause"]


class Route(Part):
    """Where an account of the segment goes."""

    workflow: Word
    team: Word | None = None
    qualification: Word | None = None
    on_exit: OnExit = Field("stop", description="What happens to this workflow when the account leaves it")
    reentry: Literal["always", "never"] = Field(
        "always", description="Whether an account that has been in this workflow may be enrolled in it again"
    )
    cooldown: PositiveDuration | None = Field(
        None, description="How long after leaving this workflow an account can't be enrolled in it again"
    )


class HoldTimes(Part):
    """Keeps an account from moving back and forth; `exit_when` is a condition."""

    min_dwell: Duration | None = None
    cooldown: Duration | None = None
    exit_when: Any = None


class Holdout(Part):
    """A stable random share of the segment's accounts that is not enrolled, to measure lift."""

    share: Share
    salt: Word | None = None


Layer = Literal["firmographic", "technographic", "behavioral", "needs"]


class SegmentEntry(Part):
    """A segment; `when` is a condition."""

    name: Word
    status: Literal["active", "draft"] = "active"
    tags: list[Word] = Field([], description="Labels for reports and filters")
    target: Annotated[StrictInt | StrictFloat, Field(ge=0)] | None = None
    layer: Layer | None = None
    description: Text | None = None
    hypothesis: Text | None = None
    when: Any
    hold: HoldTimes | None = None
    holdout: Share | Holdout | None = None
    play: Word
    route: Route


class FallbackEntry(Part):
    """The segment of every account that no other segment takes."""

    name: Word
    description: Text | None = None
    hypothesis: Text | None = None
    play: Word | None = None
    route: Route | None = None


class Member(Part):
    """A person who owns accounts; `territory` is a condition that the account must meet."""

    name: Word
    weight: Annotated[StrictInt, Field(gt=0, le=1000)] = 1
    capacity: Annotated[StrictInt, Field(gt=0, le=1_000_000_000)] | None = Field(
        None, description="The most open accounts, including those of other teams"
    )
    territory: Any = None
    days: Annotated[list[Weekday], Field(min_length=1)] = Field(
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        description="Local days when this member takes new accounts",
    )
    absences: list[Absence] = []
    timezone: TimeZone | None = Field(None, description="Default: that of the team")
    hours: Hours | Annotated[list[Hours], Field(min_length=1)] | None = Field(
        None, description="When this member works: outside of it they take no new accounts"
    )


class Order(Part):
    """Orders waiting accounts by the value that an attribute or trait had when they entered the segment."""

    highest: Word | None = None
    lowest: Word | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Order:
        if (self.highest is None) is (self.lowest is None):
            raise ValueError("expected one of highest and lowest")
        return self


class Team(Part):
    """The owners of a route's accounts, and how accounts are shared among them."""

    description: Text | None = None
    members: list[Word | Member] = []
    strategy: Literal["round-robin", "least-loaded"] = Field(
        "round-robin",
        description="In rotation by weight, or to the member with the fewest open accounts relative to weight",
    )
    sticky: StrictBool = Field(True, description="A returning account goes to its previous owner")
    accounts: dict[Domain, Word] = Field({}, description="Named accounts: domain to member")
    fallback: Word | None = Field(
        None, description="The queue for accounts when nobody has room; default: the team's name"
    )
    per_day: Annotated[StrictInt, Field(gt=0, le=1_000_000_000)] | None = Field(
        None, description="The most new enrollments per local day; the others wait"
    )
    order: Literal["priority", "oldest", "newest"] | Order = Field(
        "priority", description="Which waiting account comes first"
    )
    settle: SettleTime = Field(
        "60s", description="How long after the last newcomer the waiting accounts are granted, 10m at most"
    )
    timezone: TimeZone = Field("UTC", description="The time zone of days and hours")
    hours: Hours | Annotated[list[Hours], Field(min_length=1)] | None = Field(
        None, description="When the team works; default: always"
    )
    holidays: list[Day | Absence] = Field([], description="Days when nobody works")


class Qualification(Part):
    """How accounts are qualified, and how soon someone must accept one."""

    description: Text | None = None
    sla: PositiveDuration | None = Field(None, description="How soon an outcome accepted or rejected is due")
    escalate_to: Word | None = Field(None, description="Who is notified after that; default: the team")


class Suppression(Part):
    """Accounts that are never enrolled: by a condition, or listed in a file with one domain per line."""

    name: Word
    when: Any = None
    file: Text | None = Field(None, description="Path relative to the segments file; `#` starts a comment")


BuiltIn = Literal["customers", "open-opportunities", "do-not-contact", "bounced"]


class ByPerson(Part):
    """What an opt-out or bounce of one person means."""

    persons: Literal["listed", "account"] = Field(
        "listed",
        description="listed: commands name the person as one not to contact; account: the account is suppressed",
    )


class WithFamily(Part):
    """Whether the suppression holds for the relatives of an account too."""

    family: StrictBool = Field(
        False, description="Whether it holds too if it holds for the account's parent, a child or a sibling"
    )


class BuiltInOptions(Part):
    """A built-in suppression with options."""

    customers: WithFamily | None = None
    open_opportunities: WithFamily | None = Field(None, alias="open-opportunities")
    do_not_contact: ByPerson | None = Field(None, alias="do-not-contact")
    bounced: ByPerson | None = None

    @property
    def name(self) -> BuiltIn:
        """The built-in that it is."""
        if self.do_not_contact is not None:
            return "do-not-contact"
        if self.bounced is not None:
            return "bounced"
        return "customers" if self.customers is not None else "open-opportunities"

    @property
    def family(self) -> bool:
        """Whether it holds for relatives too."""
        asked = self.customers or self.open_opportunities
        return asked is not None and asked.family

    @model_validator(mode="after")
    def _check_one(self) -> BuiltInOptions:
        given = (self.customers, self.open_opportunities, self.do_not_contact, self.bounced)
        if sum(one is not None for one in given) != 1:
            raise ValueError(
                "expected one suppression with its options, like do-not-contact: {persons: account}"
            )
        return self


def _tell_suppression(entry: Any) -> str:
    if isinstance(entry, dict):
        return "options" if "name" not in entry and set(get_args(BuiltIn)) & entry.keys() else "own"
    return (
        "own"
        if isinstance(entry, Suppression)
        else "options"
        if isinstance(entry, BuiltInOptions)
        else "name"
    )


SuppressionEntry = Annotated[
    Annotated[BuiltIn, Tag("name")]
    | Annotated[Suppression, Tag("own")]
    | Annotated[BuiltInOptions, Tag("options")],
    Discriminator(_tell_suppression),
]


class TestGiven(Part):
    """What a test knows about its account."""

    account: Domain = Field("example.com", description="The account's domain")
    attributes: dict[str, Any] = {}
    events: list[dict[str, Any]] = []


class TestUntil(Part):
    """The segment of the account after that time has passed without events."""

    after: Duration
    expect: Word


class TestEntry(Part):
    """One test in the file."""

    __test__ = False

    name: Text
    given: TestGiven = TestGiven()
    expect: Word
    until: TestUntil | list[TestUntil] | None = None


class EnrollmentLimits(Part):
    """How often an account is enrolled, over all workflows."""

    enrollments: Annotated[StrictInt, Field(gt=0, le=50)]
    per: PositiveDuration


class Privacy(Part):
    """What is never kept, and what is kept sealed."""

    drop: list[Word] = Field([], description="Fields of events that are left out before anything is stored")
    personal: list[Word] = Field(
        [],
        description="Fields of events that are personal, beside those of the contract: with keys they are sealed",
    )


class SegmentsFile(Part):
    """The whole file; `attributes`, `lists`, `conditions` and `traits` have their own grammar."""

    version: Literal[1]
    include: list[Text] = Field([], description="Other files of the definition, relative to this one")
    retain: PositiveDuration | None = Field(None, description="The minimum time that facts are kept")
    attributes: dict[str, Any] = Field({}, description="The types of your own attributes")
    lists: dict[str, Any] = Field({}, description="Lists that tests use as $name")
    conditions: dict[str, Any] = Field({}, description="Conditions that others use as condition: name")
    traits: dict[str, Any] = {}
    segments: list[SegmentEntry]
    fallback: FallbackEntry
    plays: dict[str, Play] = {}
    personas: dict[str, Persona] = {}
    teams: dict[str, Team | None] = {}
    qualifications: dict[str, Qualification] = {}
    experiments: dict[Word, ExperimentEntry] = Field(
        {}, description="Comparisons of two plays, or of enrolling and not enrolling, by name"
    )
    cooldown_after_lost: Duration = "90d"
    limits: EnrollmentLimits | None = Field(
        None, description="How often an account is enrolled at most, over all workflows"
    )
    suppression: list[SuppressionEntry] = []
    moved: dict[Word, Word] = {}
    privacy: Privacy | None = Field(None, description="What is never kept, and what is kept sealed")
    sources: dict[Word, Source] = Field({}, description="How often events come from each source")
    same: Same | None = Field(None, description="Which facts of different sources are one fact")
    tests: list[TestEntry] = []
