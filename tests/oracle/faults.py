"""Deliberate faults of the naive evaluator, one or more for each construct, which the cases and pairs must tell from it."""

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from .naive import dates, evaluation, facts, lists, matching, operators, timeline, typing_of_attributes

Json = Any


class Fault(NamedTuple):
    """A function of the evaluator, and a wrong one in its place."""

    name: str
    module: ModuleType
    function: str
    wrong: Callable[..., Any]


RIGHT_INSTANT = dates.instant
RIGHT_FITTING = typing_of_attributes.fitting
RIGHT_MATCHING = matching.matching
RIGHT_NAMED_CONDITION = evaluation.named_condition
RIGHT_PASSES = operators.passes
RIGHT_VALUE_OF = evaluation.value_of
RIGHT_FITS = matching.fits


def lenient_instant(value: Any) -> Any:
    """Reads a time without a zone as UTC."""
    found = RIGHT_INSTANT(value)
    return found if found is not None or not isinstance(value, str) else RIGHT_INSTANT(value + "Z")


def rounded_instant(value: Any) -> Any:
    """Drops the part of a second."""
    found = RIGHT_INSTANT(value)
    return found if found is None else found - found % 1000


def zoneless_instant(value: Any) -> Any:
    """Reads the clock without its zone."""
    at_utc = isinstance(value, str) and value[-6:-5] in {"+", "-"} and value[-3:-2] == ":"
    return RIGHT_INSTANT(f"{value[:-6]}Z" if at_utc else value)


def young_instant(value: Any) -> Any:
    """Knows only dates that a stamp of 1970 to 2100 can tell."""
    found = RIGHT_INSTANT(value)
    return found if found is not None and 0 <= found < 4_102_444_800_000 else None


def false_date(name: str, value: Any, operand: str, at: int) -> bool:
    """Calls false what is unknown."""
    return RIGHT_PASSES_DATE(name, value, operand, at) is True


RIGHT_PASSES_DATE = operators.passes_date


def windowed_followers(moment: Any, fact: Any, test: Json) -> bool:
    """Looks for followers only inside the window of the test."""
    if "not_followed_by" not in test:
        return False
    follower = test["not_followed_by"]
    window = {name: test[name] for name in ("within", "ago") if name in test}
    found = RIGHT_MATCHING(moment, follower["event"], {**window, "where": follower.get("where", {})})
    return any(later.time > fact.time for later in found)


def followers_ahead(moment: Any, follower: Json) -> list[Any]:
    """Lets facts that are dated ahead follow already."""
    return [
        fact
        for fact in moment.facts
        if fact.kind == follower["event"] and RIGHT_FITS(moment, fact, follower.get("where", {}))
    ]


def count_after_following(moment: Any, kind: str, test: Json) -> list[Any]:
    """Drops all the facts where the latest of them is followed."""
    alone = {name: value for name, value in test.items() if name != "not_followed_by"}
    found = RIGHT_MATCHING(moment, kind, alone)
    return [] if found and matching.is_followed(moment, found[-1], test) else found


def groups_of_anything(fact: Any, by: str) -> Any:
    """Makes a group of those without the field, too."""
    return str(fact.data.get(by))


def open_where_first(moment: Any, test: Json) -> int:
    """Takes the latest of those that `where` leaves."""
    where = test.get("where", {})
    kept = tuple(fact for fact in moment.facts if RIGHT_FITS(moment, fact, where))
    bare = {name: value for name, value in test.items() if name != "where"}
    return RIGHT_NUMBER_OPEN(facts.Moment(moment.file, kept, moment.at, moment.account, moment.files), bare)


RIGHT_NUMBER_OPEN = matching.number_open


def with_windows(moment: Any, test: Json) -> int:
    """Counts opened less closed facts."""
    found = [
        fact
        for fact in matching.counting(moment, test["open"])
        if RIGHT_FITS(moment, fact, test.get("where", {}))
    ]
    signs = [1 if fact.data.get("change") in matching.OPENING else -1 for fact in found]
    return max(0, sum(signs))


def decided_condition(moment: Any, name: str) -> bool:
    """Takes unknown for false."""
    return RIGHT_NAMED_CONDITION(moment, name) is True


def short_fitting(wanted: Any, value: Any) -> Any:
    """Lets a misfit take the value away."""
    found = RIGHT_FITTING(wanted, value)
    return None if found is typing_of_attributes.MISFIT else found


def strict_fitting(wanted: Any, value: Any) -> Any:
    """Converts nothing."""
    if wanted == "number" and isinstance(value, str):
        return typing_of_attributes.MISFIT
    return RIGHT_FITTING(wanted, value)


def lenient_fitting(wanted: Any, value: Any) -> Any:
    """Leaves a misfit as it is."""
    found = RIGHT_FITTING(wanted, value)
    return value if found is typing_of_attributes.MISFIT else found


def texts_of_numbers(wanted: Any, value: Any) -> Any:
    """Makes texts of numbers."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if wanted == "text" and number else RIGHT_FITTING(wanted, value)


def unfitted(types: Json, data: Json) -> Json:
    return data


def literal_names(operand: Any) -> bool:
    """Finds names of lists only under operators."""
    return False


def named_everywhere(moment: Any, name: str, value: Any, operand: Any, **given: Any) -> Any:
    """Takes `$name` for a list under `eq`, too."""
    if name == "eq" and isinstance(operand, str) and operand[1:] in moment.file.get("lists", {}):
        name = "in"
    return RIGHT_PASSES_OPERATOR(moment, name, value, operand, **given)


RIGHT_PASSES_OPERATOR = operators.passes_operator


def shown_attribute(moment: Any, name: str) -> Any:
    """Lets a field of a snapshot hide the account."""
    given = matching.attribute(moment.facts, "account", moment.at) if name == "account" else None
    return given or RIGHT_VALUE_OF(moment, name)


def account_in_where(moment: Any, fact: Any, where: Json) -> bool:
    """Lets the account hide a field of that name in `where`, too."""
    hidden = dataclasses.replace(fact, data={**fact.data, "account": lists.account_of(moment.account)})
    return RIGHT_FITS(moment, hidden, where)


def plain_lines(moment: Any, value: Any, path: str, *, is_account: bool) -> Any:
    """Compares the lines of accounts as they are written."""
    return value in lists.lines(moment.files[path]) if isinstance(value, str) else None


def false_in_file(moment: Any, value: Any, path: str, *, is_account: bool) -> Any:
    """Knows that what is no text is on no line."""
    return RIGHT_IN_FILE(moment, value, path, is_account=is_account) is True


RIGHT_IN_FILE = lists.in_file


def unknown_in_empty(moment: Any, value: Any, path: str, *, is_account: bool) -> Any:
    """Does not know what an empty file says."""
    return (
        RIGHT_IN_FILE(moment, value, path, is_account=is_account) if lists.lines(moment.files[path]) else None
    )


def fresh_by_recorded(moment: Any, name: str, span: int) -> bool:
    snapshot = matching.giver(moment.facts, name, moment.at)
    return snapshot is not None and moment.at < snapshot.recorded + span


def fresh_at_the_border(moment: Any, name: str, span: int) -> bool:
    snapshot = matching.giver(moment.facts, name, moment.at)
    return snapshot is not None and moment.at <= snapshot.time + span


def fresh_by_any(moment: Any, name: str, span: int) -> bool:
    """Takes any snapshot for one that gives the value."""
    times = [fact.time for fact in matching.counting(moment, "firmographic")]
    return bool(times) and moment.at < max(times) + span


def fresh_unless_exists(moment: Any, name: str, test: Json) -> Any:
    """Forgets `known_within` where the test asks what exists."""
    if isinstance(test, dict) and "exists" in test:
        test = {operator: operand for operator, operand in test.items() if operator != "known_within"}
    return RIGHT_PASSES_TEST(moment, name, test)


RIGHT_PASSES_TEST = evaluation.passes_test


def time_from_data(name: str, found: list[Any]) -> Any:
    """Takes a field of the data for the event's own time."""
    values = [fact.data["time"] for fact in found if "time" in fact.data]
    return values[-1 if name == "latest" else 0] if values else None


facts_trimmed = facts.trimmed
RIGHT_SCORE = evaluation.score


def unknown_score(moment: Any, terms: Json) -> Any:
    truths = [evaluation.holds(moment, term["when"]) for term in terms]
    return None if None in truths else RIGHT_SCORE(moment, terms)


FAULTS = [
    Fault("before is not strict", dates, "before", lambda value, other: value <= other),
    Fault("after is not strict", dates, "after", lambda value, other: value >= other),
    Fault("within_next holds at the date", dates, "within_next", lambda v, d, t: v - d <= t <= v),
    Fault("within_next begins late", dates, "within_next", lambda v, d, t: v - d < t < v),
    Fault("within_next holds of what is past", dates, "within_next", lambda v, d, t: v - d <= t),
    Fault("within_last begins late", dates, "within_last", lambda v, d, t: v < t < v + d),
    Fault("within_last holds at its end", dates, "within_last", lambda v, d, t: v <= t <= v + d),
    Fault("within_last holds of what is to come", dates, "within_last", lambda v, d, t: t < v + d),
    Fault("a time without a zone is a date", dates, "instant", lenient_instant),
    Fault("a date has no milliseconds", dates, "instant", rounded_instant),
    Fault("a date has no zone", dates, "instant", zoneless_instant),
    Fault("years end in 1970 and 2100", dates, "instant", young_instant),
    Fault("what is no date is false", operators, "passes_date", false_date),
    Fault(
        "dates that are attributes change nothing as time passes",
        timeline,
        "instants_of_dates",
        lambda *_: set(),
    ),
    Fault("the own time is a field of the data", evaluation, "own_time", time_from_data),
    Fault("equal times follow", matching, "follows", lambda later, earlier: later.time >= earlier.time),
    Fault("followers have the window of the test", matching, "is_followed", windowed_followers),
    Fault("facts dated ahead follow", matching, "followers", followers_ahead),
    Fault("a follower of the latest fact takes all away", evaluation, "matching", count_after_following),
    Fault("no fact is followed", matching, "is_followed", lambda *_: False),
    Fault("an attribute hides the account", evaluation, "value_of", shown_attribute),
    Fault("the account hides a field in where", matching, "fits", account_in_where),
    Fault("the account is its subject as written", evaluation, "account_of", str),
    Fault("lines of accounts are texts", lists, "in_file", plain_lines),
    Fault("what is no text is in no file", lists, "in_file", false_in_file),
    Fault("an empty file says nothing", lists, "in_file", unknown_in_empty),
    Fault("every # begins a comment", lists, "uncommented", lambda line: line.partition("#")[0]),
    Fault(
        "only a # at the start begins a comment",
        lists,
        "uncommented",
        lambda line: "" if line[:1] == "#" else line,
    ),
    Fault("a fact without a group is a group", matching, "group_of", groups_of_anything),
    Fault(
        "the latest of a group is by id first",
        matching,
        "latest",
        lambda found: max(found, key=lambda f: (f.id, f.time)),
    ),
    Fault(
        "the latest of a group is the last known",
        matching,
        "latest",
        lambda found: max(found, key=lambda f: (f.recorded, f.id)),
    ),
    Fault("where chooses the latest of a group", evaluation, "number_open", open_where_first),
    Fault("what is open is opened less closed", evaluation, "number_open", with_windows),
    Fault("reopened is not open", matching, "OPENING", ("opened", "added")),  # type: ignore[arg-type]
    Fault("added is not open", matching, "OPENING", ("opened", "reopened")),  # type: ignore[arg-type]
    Fault("loose is strict", matching, "may_come_next", lambda order, a, b: b.time > a.time),
    Fault("strict is loose", matching, "may_come_next", lambda order, a, b: b.time >= a.time),
    Fault(
        "loose is any order",
        matching,
        "may_come_next",
        lambda order, a, b: order == "loose" or b.time > a.time,
    ),
    Fault("one fact may be two steps", matching, "are_distinct", lambda one, other: True),
    Fault("a list by its name is a text", lists, "is_name_of_a_list", literal_names),
    Fault("$ names a list under eq", operators, "passes_operator", named_everywhere),
    Fault("an unknown condition is false", evaluation, "named_condition", decided_condition),
    Fault(
        "contains_any takes the first alone",
        operators,
        "contains_any",
        lambda text, pieces: operators.contains(text, pieces[0]),
    ),
    Fault(
        "contains_any asks for all",
        operators,
        "contains_any",
        lambda text, pieces: all(operators.contains(text, one) for one in pieces),
    ),
    Fault(
        "contains_any minds the case",
        operators,
        "contains_any",
        lambda text, pieces: any(one in text for one in pieces),
    ),
    Fault("freshness goes by recordedtime", evaluation, "is_fresh", fresh_by_recorded),
    Fault("freshness holds at its end", evaluation, "is_fresh", fresh_at_the_border),
    Fault("any snapshot is fresh", evaluation, "is_fresh", fresh_by_any),
    Fault("what is stale exists", evaluation, "passes_test", fresh_unless_exists),
    Fault("types are not applied", typing_of_attributes, "fitted", unfitted),
    Fault("a misfit takes the value away", typing_of_attributes, "fitting", short_fitting),
    Fault("a misfit stays", typing_of_attributes, "fitting", lenient_fitting),
    Fault("a text is no number", typing_of_attributes, "fitting", strict_fitting),
    Fault("a number becomes a text", typing_of_attributes, "fitting", texts_of_numbers),
    Fault("texts are not trimmed", facts, "trimmed", lambda value: value),
    Fault(
        "an empty text is a text",
        facts,
        "trimmed",
        lambda value: value.strip() if isinstance(value, str) else value,
    ),
    Fault(
        "elements of lists are trimmed",
        facts,
        "trimmed",
        lambda value: (
            [facts_trimmed(one) for one in value] if isinstance(value, list) else facts_trimmed(value)
        ),
    ),
    Fault("a draft takes accounts", timeline, "takes", lambda segment: True),
    Fault("unknown terms score", evaluation, "points", lambda truth, worth: 0 if truth is False else worth),
    Fault(
        "false terms take points",
        evaluation,
        "points",
        lambda truth, worth: worth if truth is True else -worth if truth is False else 0,
    ),
    Fault(
        "an unknown term makes a score unknown",
        evaluation,
        "score",
        unknown_score,
    ),
    Fault(
        "bounds of decayed sums in scores and conditions are passed by",
        timeline,
        "written",
        lambda file: [file["segments"]],
    ),
]
