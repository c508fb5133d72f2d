"""The contract of trigger events: CloudEvents 1.0 whose `type` is `gtm.<kind>.v1`.

Unknown data fields are kept. Fields with a vocabulary are normalized and the raw value, where it differs,
is kept beside them as `<field>_raw`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Any, ClassVar, Final, Literal, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from resegment.schemas.times import parse_instant
from resegment.schemas.vocabulary import (
    ENGAGEMENT_ACTIONS,
    OPT_OUTS,
    OUTCOME_ACTIONS,
    RANGE_PATTERN,
    RESUBSCRIPTIONS,
    ROUNDS,
    SYNONYMS,
    normalize_technology,
    normalize_term,
    read_range,
    spell_range,
)

Number = StrictInt | StrictFloat
_NUMBERS: Final = frozenset({int, float})
RANGED: Final = frozenset({"employees", "revenue_usd"})
"""The attributes that may be ranges."""


def _check_ranged(value: Any) -> Any:
    if value is None or type(value) in (int, float):
        return value
    if isinstance(value, str) and read_range(value) is not None:
        return value
    raise PydanticCustomError("number_or_range", "expected a number or a range like 51-200")


Ranged = Annotated[
    Number | None,
    PlainValidator(_check_ranged),
    WithJsonSchema(
        {"anyOf": [{"type": "number"}, {"type": "string", "pattern": RANGE_PATTERN}, {"type": "null"}]}
    ),
]
"""A number, or its bounds as text: `51-200`, `10001+`."""


def _trim(value: Any) -> Any:
    """Return a text without the space around it, and an empty one as null; other values as they are."""
    return value.strip() or None if isinstance(value, str) else value


class Data(BaseModel):
    """The data of one kind of event. Every field may be missing or null, but has no other type."""

    model_config = ConfigDict(extra="allow", frozen=True)

    terms: ClassVar[tuple[str, ...]] = ()
    """Fields with a vocabulary, normalized on the way in."""

    @model_validator(mode="before")
    @classmethod
    def _normalize(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        given = {name: _trim(value) for name, value in raw.items()}
        for field in cls.terms:
            value = given.get(field)
            if isinstance(value, str):
                term = normalize_term(value)
                term = SYNONYMS.get(field, {}).get(term, term)
                if field == "round" and term not in ROUNDS:
                    term = "other"
                if term != value:
                    given[field] = term
                    given.setdefault(f"{field}_raw", value)
        return cls._normalize_more(given)

    @classmethod
    def _normalize_more(cls, given: dict[str, Any]) -> dict[str, Any]:
        return given


class Funding(Data):
    """A funding round."""

    terms = ("round",)
    round: StrictStr | None = Field(
        None, description="pre_seed seed series_a..series_h bridge debt grant ipo other"
    )
    amount: Number | None = Field(None, description="In `currency`")
    currency: StrictStr | None = Field(None, description="ISO 4217")
    amount_usd: Number | None = None
    investors: list[StrictStr] | None = None
    lead_investors: list[StrictStr] | None = None


class Hiring(Data):
    """A job that was opened or closed."""

    terms = ("change", "function", "seniority")
    change: Literal["opened", "reopened", "closed"] | None = None
    job: StrictStr | None = Field(
        None, description="What tells one job from another, like its id at the source"
    )
    title: StrictStr | None = None
    function: StrictStr | None = Field(None, description="sales sales_ops marketing engineering ...")
    seniority: StrictStr | None = None
    location: StrictStr | None = None
    remote: StrictBool | None = None
    url: StrictStr | None = None
    technologies: list[StrictStr] | None = None


class Leadership(Data):
    """A leader who joined, left or was promoted."""

    terms = ("change", "role")
    change: Literal["joined", "left", "promoted"] | None = None
    role: StrictStr | None = Field(None, description="ceo cro cmo cto vp_sales ...")
    title: StrictStr | None = None
    person: StrictStr | None = None
    previous_company: StrictStr | None = None


class Tech(Data):
    """A technology that the account started or stopped using."""

    terms = ("change",)
    change: Literal["added", "removed"] | None = None
    technology: StrictStr | None = Field(None, description="A slug, like salesforce")
    category: StrictStr | None = None
    vendor: StrictStr | None = None
    score: Number | None = None

    @classmethod
    def _normalize_more(cls, given: dict[str, Any]) -> dict[str, Any]:
        value = given.get("technology")
        if isinstance(value, str):
            slug = normalize_technology(value)
            if slug != value:
                given["technology"] = slug
                given.setdefault("technology_raw", value)
        return given


class Intent(Data):
    """Interest in a topic, as measured by a provider."""

    terms = ("level", "trend", "stage")
    topic: StrictStr | None = None
    score: Number | None = None
    score_scale: Number | None = Field(None, description="The highest score that the provider gives")
    level: StrictStr | None = None
    trend: StrictStr | None = None
    stage: StrictStr | None = None
    vendor: StrictStr | None = None


class Strategy(Data):
    """A public statement of a strategic priority."""

    terms = ("theme",)
    theme: StrictStr | None = None
    statement: StrictStr | None = None
    url: StrictStr | None = None


class Engagement(Data):
    """How people at the account engaged with you."""

    terms = ("action",)
    action: StrictStr | None = Field(
        None,
        description=f"{' '.join(ENGAGEMENT_ACTIONS)} ...",
    )
    url: StrictStr | None = None
    person: StrictStr | None = None
    persona: StrictStr | None = None


class Firmographic(Data):
    """A partial snapshot of the account's attributes. Null means that a value is gone."""

    name: StrictStr | None = None
    industry: StrictStr | None = None
    subindustry: StrictStr | None = None
    business_model: StrictStr | None = None
    employees: Ranged = Field(None, description="A number, or a range: 51-200, 10001+")
    revenue_usd: Ranged = Field(None, description="A number, or a range: 1000000-10000000")
    country: StrictStr | None = None
    region: StrictStr | None = None
    growth_stage: StrictStr | None = None
    technologies: list[StrictStr] | None = None

    @classmethod
    def _normalize_more(cls, given: dict[str, Any]) -> dict[str, Any]:
        value = given.get("technologies")
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            given["technologies"] = [normalize_technology(name) for name in value]
        for name in RANGED:
            if isinstance(text := given.get(name), str) and (spelled := spell_range(text)) is not None:
                given[name] = spelled
        return given


class Outcome(Data):
    """The result of a workflow, or an answer to a command."""

    terms = ("action",)
    action: StrictStr | None = Field(
        None,
        description=" ".join(OUTCOME_ACTIONS),
    )
    person: StrictStr | None = Field(None, description="Who it is about; without one, the account as a whole")
    deal: StrictStr | None = Field(
        None, description="Which deal it is about, by its id; without one, the account's only deal"
    )
    stage: StrictStr | None = Field(None, description="For stage_changed: the deal's stage now")
    channel: StrictStr | None = Field(None, description="email call linkedin ...")
    sequence: StrictStr | None = Field(
        None, description="Which sequence or campaign it is about; best the name of the workflow"
    )
    amount: Number | None = Field(None, description="Of the deal, in `currency`")
    currency: StrictStr | None = Field(None, description="ISO 4217")
    amount_usd: Number | None = None
    opened_at: StrictStr | None = Field(None, description="When the deal was opened, as a time or a date")
    idempotency_key: StrictStr | None = Field(
        None,
        description="The key of the command that this answers: accepted and rejected need it, and with it any outcome is "
        "credited to that enrollment",
    )


class People(Data):
    """A person of the account, as known now, for workflows to contact. A newer event about the same person replaces it."""

    terms = ("role",)
    person: StrictStr | None = Field(None, description="The name")
    email: StrictStr | None = Field(None, description="The address; it is what tells persons apart")
    first_name: StrictStr | None = None
    last_name: StrictStr | None = None
    title: StrictStr | None = None
    role: StrictStr | None = Field(None, description="ceo cro vp_sales ...")
    phone: StrictStr | None = None
    linkedin: StrictStr | None = None
    opted_out: StrictBool | None = Field(None, description="Whether the person is not to be contacted")


DATA: Final[dict[str, type[Data]]] = {
    "funding": Funding,
    "hiring": Hiring,
    "leadership": Leadership,
    "tech": Tech,
    "intent": Intent,
    "strategy": Strategy,
    "engagement": Engagement,
    "firmographic": Firmographic,
    "outcome": Outcome,
    "people": People,
}
"""The model of each kind's data."""


_LISTED_ACTIONS: Final = {
    "engagement": frozenset((*ENGAGEMENT_ACTIONS, *OPT_OUTS, *RESUBSCRIPTIONS)),
    "outcome": frozenset((*OUTCOME_ACTIONS, *OPT_OUTS, *RESUBSCRIPTIONS)),
}


def find_unlisted_action(kind: str, data: Mapping[str, Any]) -> str | None:
    """Return the action of an event if the contract does not list it: a misspelled opt-out would stop nothing."""
    listed = _LISTED_ACTIONS.get(kind)
    action = None if listed is None else data.get("action")
    return action if isinstance(action, str) and listed is not None and action not in listed else None


def _read_instant(text: object) -> int:
    if not isinstance(text, str):
        raise PydanticCustomError("time_type", "expected a time")
    return parse_instant(text)


_RFC3339: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,18})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
_DATE_TIME: Final[dict[str, Any]] = {"format": "date-time", "pattern": _RFC3339}

Instant = Annotated[int, PlainValidator(_read_instant), WithJsonSchema({"type": "string", **_DATE_TIME})]
"""A time as RFC 3339 that is read as milliseconds."""
Name = Annotated[StrictStr, Field(min_length=1, max_length=512)]


class Envelope(BaseModel):
    """The CloudEvents attributes that every kind shares. Other extensions are allowed and ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    specversion: Literal["1.0"]
    id: Name
    source: Name
    type: StrictStr = Field(description="gtm.<kind>.v1")
    subject: Annotated[StrictStr, Field(min_length=1, max_length=2048)] = Field(
        description="The account's domain, in any spelling"
    )
    time: Instant = Field(description="When it happened")
    recordedtime: Instant | None = Field(None, description="When it became known")
    record: Name | None = Field(None, description="The id of the fact; the event's id by default")
    op: Literal["assert", "retract"] = "assert"
    datacontenttype: StrictStr | None = None
    data: dict[str, Any] | None = None


def plain_types(kind: str) -> dict[str, frozenset[type]]:
    """For each field of a kind of which only the type matters, the types of values that are good as they are.

    A field that is in neither this nor `plain_tests` takes any value; one of another type goes through the kind's model.
    """
    model = DATA[kind]
    return {
        name: _NUMBERS
        if name in RANGED and model is Firmographic
        else frozenset(_origin(one) for one in _flatten(info.annotation)) - {type(None)}
        for name, info in model.model_fields.items()
        if _plain_test(name, info, model) is None
    }


def plain_tests(kind: str) -> dict[str, Callable[[Any], bool]]:
    """For each other field of a kind, whether a value is good and normalized as it is."""
    model = DATA[kind]
    return {
        name: test
        for name, info in model.model_fields.items()
        if (test := _plain_test(name, info, model)) is not None
    }


def _plain_test(name: str, info: FieldInfo, model: type[Data]) -> Callable[[Any], bool] | None:
    if name in RANGED and model is Firmographic:
        return None
    if name == "round":
        return lambda value: type(value) is str and value in ROUNDS
    choices = [get_args(one) for one in _flatten(info.annotation) if get_origin(one) is Literal]
    if choices:
        (words,) = choices
        return lambda value: type(value) is str and value in words
    if name in model.terms:
        synonyms = SYNONYMS.get(name, {})
        return lambda value: type(value) is str and normalize_term(value) == value and value not in synonyms
    if name == "technology":
        return lambda value: type(value) is str and normalize_technology(value) == value
    if name == "technologies" and model is Firmographic:
        return lambda value: type(value) is list and all(normalize_technology(one) == one for one in value)
    return None


def _flatten(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, UnionType):
        return [found for one in get_args(annotation) for found in _flatten(one)]
    return _flatten(get_args(annotation)[0]) if hasattr(annotation, "__metadata__") else [annotation]


def _origin(annotation: Any) -> Any:
    return get_origin(annotation) or annotation
