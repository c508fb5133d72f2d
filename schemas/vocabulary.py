"""The words of events: how they are normalized, and which are listed."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

_GAPS: Final = re.compile(r"[^0-9a-z]+")


LONGEST_REMEMBERED: Final = 128
"""Texts of more characters are normalized each time, so that a few long ones do not fill the memory."""
_JOINERS: Final = "\u200c\u200d"
"""Characters without a shape that some scripts need inside words."""


def normalize_term(raw: str) -> str:
    """Return the normal spelling of a vocabulary's word: `Series A` -> `series_a`, `営業 部長` -> `営業_部長`.

    Letters of any script are kept, in lower case. What stands between words becomes `_`. A text without a letter or a
    digit stays as it is.
    """
    return _remember_term(raw) if len(raw) <= LONGEST_REMEMBERED else _normalize_term(raw)


def _normalize_term(raw: str) -> str:
    text = raw.strip().lower()
    if text.isascii():
        return _GAPS.sub("_", text).strip("_") or text
    kept = [one if is_word_character(one) else " " for one in text]
    return "_".join("".join(kept).split()) or text


_remember_term: Final = lru_cache(maxsize=4096)(_normalize_term)


def is_word_character(character: str) -> bool:
    """Whether a character is part of a word in some script: a letter, a mark on one, a digit, or a joiner."""
    return unicodedata.category(character)[0] in "LMN" or character in _JOINERS


def normalize_technology(raw: str) -> str:
    """Return the slug of a technology: `Google Analytics` -> `google-analytics`."""
    return _remember_technology(raw) if len(raw) <= LONGEST_REMEMBERED else _normalize_technology(raw)


def _normalize_technology(raw: str) -> str:
    return "-".join(raw.strip().lower().split())


_remember_technology: Final = lru_cache(maxsize=4096)(_normalize_technology)


SYNONYMS: Final[dict[str, dict[str, str]]] = {
    "round": {"preseed": "pre_seed", "angel": "pre_seed", "series_unknown": "other", "venture": "other"},
    "role": {
        "chief_executive_officer": "ceo",
        "chief_revenue_officer": "cro",
        "chief_marketing_officer": "cmo",
        "chief_technology_officer": "cto",
        "chief_financial_officer": "cfo",
        "vp_of_sales": "vp_sales",
        "vice_president_of_sales": "vp_sales",
        "vp_of_marketing": "vp_marketing",
    },
    "function": {"sales_operations": "sales_ops", "salesops": "sales_ops"},
}
"""Other spellings of the words of a vocabulary, by field."""


OPT_OUTS: Final = (
    "unsubscribed",
    "unsubscribe",
    "opt_out",
    "opted_out",
    "optout",
    "spam_complaint",
    "spam_report",
    "marked_as_spam",
    "complaint",
    "complained",
)
"""The actions of outcomes and engagement that say: do not contact. Any of them means the same."""


RESUBSCRIPTIONS: Final = ("resubscribed", "resubscribe")
"""The actions that take an opt-out back."""


ENGAGEMENT_ACTIONS: Final = (
    "page_view",
    "content_download",
    "webinar",
    "demo_request",
    "product_signup",
    "product_active",
    "product_feature",
    "unsubscribe",
    "spam_complaint",
    "resubscribed",
)
"""The actions of engagement that the contract lists. Others are taken too, counted, and warned of."""


OUTCOME_ACTIONS: Final = (
    "sent",
    "opened",
    "clicked",
    "replied",
    "auto_replied",
    "positive_reply",
    "bounced",
    "unsubscribed",
    "spam_complaint",
    "resubscribed",
    "meeting_booked",
    "meeting_held",
    "opportunity_created",
    "stage_changed",
    "won",
    "lost",
    "renewed",
    "churned",
    "accepted",
    "rejected",
)
"""The actions of outcomes that the contract lists. Others are taken too, counted, and warned of."""


DEAL_ACTIONS: Final = ("opportunity_created", "stage_changed", "won", "lost", "renewed", "churned")
"""The actions of outcomes that are about a deal."""


OUTREACH_ACTIONS: Final = (
    "sent",
    "opened",
    "clicked",
    "replied",
    "auto_replied",
    "positive_reply",
    "bounced",
    "accepted",
    "rejected",
    *OPT_OUTS,
)
"""The actions of outcomes that only outreach brings about: an account that was held out has none of them."""


ROUNDS: Final = frozenset(
    {"pre_seed", "seed", *(f"series_{letter}" for letter in "abcdefgh")}
    | {"bridge", "debt", "grant", "ipo", "other"}
)


RANGE_PATTERN: Final = "^[0-9]{1,18}(-[0-9]{1,18}|\\+)$"
_RANGE: Final = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18})|\+)", re.ASCII)
_LOOSE_RANGE: Final = re.compile(r"\s*([0-9][0-9,]*)\s*(?:[-\u2013\u2014]\s*([0-9][0-9,]*)|\+)\s*", re.ASCII)
_LONGEST_RANGE: Final = 64


class NumberRange(NamedTuple):
    """The bounds of a number, both included. Without a `high` it has no upper bound."""

    low: int
    high: int | None


def read_range(text: str) -> NumberRange | None:
    """Return the bounds that a text states: `51-200`, `10001+`; None for any other text."""
    match = _RANGE.fullmatch(text) if len(text) <= _LONGEST_RANGE else None
    if match is None:
        return None
    low, high = int(match[1]), None if match[2] is None else int(match[2])
    return None if high is not None and high < low else NumberRange(low, high)


def spell_range(text: str) -> str | None:
    """Return a range as `read_range` reads it: `1,001 - 5,000` is `1001-5000`; None for what is none."""
    match = _LOOSE_RANGE.fullmatch(text) if len(text) <= _LONGEST_RANGE else None
    if match is None:
        return None
    low, high = match[1].replace(",", ""), match[2]
    spelled = f"{low}+" if high is None else f"{low}-{high.replace(',', '')}"
    return spelled if read_range(spelled) is not None else None
