"""Credit each outcome to the touch that it answers to. What cannot be credited has a reason; nothing is guessed.

The rules, the first that applies decides:

1. *key*: the outcome names the key of a command. It answers that command's touch, or nothing.
2. *deal*: another outcome of the same deal is credited, and a deal belongs to one touch: that of its first outcome with
   a key, else that of the outcome with which it begins.
3. *person*: the outcome names a person and a sequence. It answers the latest touch before it that an outcome of that person
   in that sequence answered by key, else the latest one whose workflow has the name of the sequence.
4. *last-touch*: the account's latest touch before it, if that is not older than the window. What outreach alone brings about,
   like a reply, is not credited to a draw that held the account out.

Credit depends on what is known of an account alone, not on the order in which it became known.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import polars as pl

from resegment.outcomes.frames import FACTS, KEYS, OUTCOMES, TOUCHES, VOIDS, Ledgers, to_frame
from resegment.schemas.vocabulary import DEAL_ACTIONS, OUTREACH_ACTIONS

REASONS: Final = ("unknown-key", "void", "no-touch", "before-touch", "window", "holdout")
"""Why an outcome is credited to no touch: its key is of no touch of the account; the touch of its key is void; the account was
never touched; or only later; or too long ago; or only held out, and the outcome is one of outreach."""

_GROUP: Final = "_group"
_ORDER: Final = ("at", _GROUP, "source", "record")


def credit(
    ledgers: Ledgers, window: timedelta, accounts: Mapping[str, str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return touches that hold, and outcomes that hold with their touches.

    `accounts` says by alias which account it was merged into: credit is found among all that is one account now, and each row
    has the name of that account.
    """
    touches, void = _find_touches(ledgers, accounts)
    keys = _find_keys(ledgers, touches, void, accounts)
    outcomes = _find_outcomes(ledgers, accounts)
    outcomes = _by_key(outcomes, keys)
    outcomes = _anchor_deals(outcomes)
    direct = _by_time(_by_person(outcomes, touches), touches, window)
    credited = _settle(direct)
    today = pl.col(_GROUP).alias("account")
    return (
        touches.with_columns(today).sort("at", "touch").select(*TOUCHES),
        credited.with_columns(today).sort(*_ORDER).select(*OUTCOMES),
    )


def _grouped(frame: pl.DataFrame, accounts: Mapping[str, str]) -> pl.DataFrame:
    """Add the account that each row's account is today."""
    column = pl.col("account")
    if accounts:
        column = column.replace(list(accounts), list(accounts.values()))
    return frame.with_columns(column.alias(_GROUP))


def _find_touches(ledgers: Ledgers, accounts: Mapping[str, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the touches that hold, each once, and those that are void."""
    found = _grouped(to_frame(ledgers.touches, TOUCHES), accounts)
    found = found.sort(pl.all()).unique("touch", keep="first", maintain_order=True)
    voids = to_frame(ledgers.voids, VOIDS).select("change").unique()
    return found.join(voids, on="change", how="anti"), found.join(voids, on="change", how="semi")


def _find_keys(
    ledgers: Ledgers, touches: pl.DataFrame, void: pl.DataFrame, accounts: Mapping[str, str]
) -> pl.DataFrame:
    """Return what each key of a command means: `keyed` is its touch, null if that is void."""
    own = touches.select(_GROUP, key="touch", keyed="touch", keyed_at="at")
    later = _grouped(to_frame(ledgers.keys, KEYS), accounts).select(_GROUP, "key", keyed="touch")
    later = later.join(own.select("keyed", "keyed_at"), on="keyed").select(own.columns)
    nothing = pl.lit(None)
    ended = void.select(
        _GROUP, key="touch", keyed=nothing.cast(pl.String), keyed_at=nothing.cast(own.schema["keyed_at"])
    )
    return (
        pl.concat([own, later, ended])
        .sort("keyed_at", "keyed", descending=True, nulls_last=True)
        .unique([_GROUP, "key"], keep="first", maintain_order=True)
    )


def _find_outcomes(ledgers: Ledgers, accounts: Mapping[str, str]) -> pl.DataFrame:
    """Return the latest revision of each outcome, without those that were retracted.

    Of revisions with one id the first counts, as everywhere.
    """
    found = _grouped(to_frame(ledgers.facts, FACTS), accounts)
    identity = [_GROUP, "source", "record"]
    repeated = found.filter(found.select(identity).is_duplicated())
    if not repeated.is_empty():
        rest = [name for name in FACTS if name not in {"recorded", "id"}]
        first = repeated.sort("recorded", "id", *rest, nulls_last=True)
        first = first.unique([*identity, "id"], keep="first", maintain_order=True)
        latest = first.unique(identity, keep="last", maintain_order=True)
        found = pl.concat([found.filter(~found.select(identity).is_duplicated()), latest])
    return found.filter(~pl.col("retracted")).sort(*_ORDER)


def _by_key(outcomes: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    known = keys.with_columns(has_key=pl.lit(value=True))
    return outcomes.join(known, on=[_GROUP, "key"], how="left", maintain_order="left")


def _anchor_deals(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Add the deal of each outcome, what its first outcome with a key answers, and which outcome begins it.

    An outcome about a deal that names none is about the account's only deal; the next one begins when one is created.
    """
    about = pl.col("action").is_in(DEAL_ACTIONS)
    unnamed = about & pl.col("deal").is_null()
    number = (unnamed & (pl.col("action") == "opportunity_created")).cum_sum().over(_GROUP)
    outcomes = outcomes.with_columns(
        pl.when(pl.col("deal").is_not_null())
        .then(pl.lit("=") + pl.col("deal"))
        .when(unnamed)
        .then(pl.lit("#") + number.cast(pl.String))
        .alias("_deal"),
        pl.min_horizontal("at", "opened_at").alias("_since"),
        pl.int_range(pl.len()).alias("_row"),
    )
    deals = outcomes.filter(pl.col("_deal").is_not_null())
    together = [_GROUP, "_deal"]
    keyed = deals.filter(pl.col("keyed").is_not_null()).unique(together, keep="first", maintain_order=True)
    free = deals.filter(pl.col("key").is_null())
    first = free.sort("_since", *_ORDER).unique(together, keep="first", maintain_order=True)
    return outcomes.join(
        keyed.select(*together, deal_keyed="keyed"), on=together, how="left", maintain_order="left"
    ).join(first.select(*together, _first="_row"), on=together, how="left", maintain_order="left")


def _by_person(outcomes: pl.DataFrame, touches: pl.DataFrame) -> pl.DataFrame:
    """Add the latest touch before each outcome that its person and sequence answer."""
    people = [_GROUP, "person", "sequence"]
    named = outcomes.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in people))
    asked = named.filter(pl.col("key").is_null()).select("_row", "_since", *people)
    answered = (
        named.filter(pl.col("keyed").is_not_null())
        .select(*people, "keyed", "keyed_at")
        .unique()
        .sort("keyed_at", "keyed")
    )
    asked = (
        asked.sort("_since")
        .join_asof(answered, left_on="_since", right_on="keyed_at", by=people, check_sortedness=False)
        .rename({"keyed": "by_answer"})
    )
    sequences = (
        touches.filter(pl.col("arm") == "enrolled")
        .select(_GROUP, "at", sequence="workflow", by_workflow="touch")
        .sort("at", "by_workflow")
    )
    asked = asked.join_asof(
        sequences, left_on="_since", right_on="at", by=[_GROUP, "sequence"], check_sortedness=False
    )
    by_person = pl.coalesce("by_answer", "by_workflow")
    return outcomes.join(
        asked.select("_row", by_person=by_person), on="_row", how="left", maintain_order="left"
    )


def _by_time(outcomes: pl.DataFrame, touches: pl.DataFrame, window: timedelta) -> pl.DataFrame:
    """Add the account's latest touch before each outcome, and why that is none."""
    asked = outcomes.select("_row", "_since", _GROUP).sort("_since")
    ordered = touches.select(_GROUP, "at", "touch", "arm").sort("at", "touch")
    every = ordered.select(_GROUP, last="touch", last_at="at")
    enrolled = ordered.filter(pl.col("arm") == "enrolled").select(_GROUP, sent="touch", sent_at="at")
    for frame, name in ((every, "last_at"), (enrolled, "sent_at")):
        asked = asked.join_asof(
            frame, left_on="_since", right_on=name, by=_GROUP, check_sortedness=False, coalesce=False
        )
    touched = touches.select(_GROUP, touched=pl.lit(value=True)).unique()
    asked = asked.join(touched, on=_GROUP, how="left")
    outcomes = outcomes.join(asked.drop("_since", _GROUP), on="_row", how="left", maintain_order="left")
    outreach = pl.col("action").is_in(OUTREACH_ACTIONS).fill_null(value=False)
    since = pl.col("_since")
    last_in = since - pl.col("last_at") <= window
    sent_in = since - pl.col("sent_at") <= window
    taken = pl.when(outreach).then(pl.when(sent_in).then("sent")).otherwise(pl.when(last_in).then("last"))
    return outcomes.with_columns(
        by_time=taken,
        late=pl.when(pl.col("touched").is_null())
        .then(pl.lit("no-touch"))
        .when(pl.col("last").is_null())
        .then(pl.lit("before-touch"))
        .when(outreach & last_in)
        .then(pl.lit("holdout"))
        .otherwise(pl.lit("window")),
    )


def _settle(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Choose the first rule that applies."""
    has_key = pl.col("key").is_not_null()
    own = pl.coalesce("by_person", "by_time")
    own_rule = (
        pl.when(pl.col("by_person").is_not_null())
        .then(pl.lit("person"))
        .when(pl.col("by_time").is_not_null())
        .then(pl.lit("last-touch"))
    )
    outcomes = outcomes.with_columns(_own=own, _rule=own_rule)
    begun = outcomes.select(_first="_row", first_own="_own", first_late="late")
    outcomes = outcomes.join(begun, on="_first", how="left", maintain_order="left")
    begins = pl.col("_first") == pl.col("_row")
    follows = pl.col("_first").is_not_null() & ~begins
    touch = (
        pl.when(has_key)
        .then("keyed")
        .when(pl.col("deal_keyed").is_not_null())
        .then("deal_keyed")
        .when(follows)
        .then("first_own")
        .otherwise("_own")
    )
    rule = (
        pl.when(has_key)
        .then(pl.lit("key"))
        .when(pl.col("deal_keyed").is_not_null() | follows)
        .then(pl.lit("deal"))
        .otherwise("_rule")
    )
    reason = (
        pl.when(has_key & pl.col("has_key").is_null())
        .then(pl.lit("unknown-key"))
        .when(has_key)
        .then(pl.lit("void"))
        .when(follows)
        .then("first_late")
        .otherwise("late")
    )
    return outcomes.with_columns(touch=touch).with_columns(
        credited_by=pl.when(pl.col("touch").is_not_null()).then(rule),
        reason=pl.when(pl.col("touch").is_null()).then(reason),
    )
