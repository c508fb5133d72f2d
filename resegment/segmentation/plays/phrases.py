"""Values and facts in words, as one colleague tells another."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from resegment.localization import locale_of_texts
from resegment.schemas.times import parse_instant

_ROLES: Final = {"ceo": "CEO", "cro": "CRO", "cmo": "CMO", "cto": "CTO", "cfo": "CFO", "coo": "COO"}
_UNSAID: Final = frozenset({"unspecified", "unknown", "other", "none"})

Data = Mapping[str, Any]


# Values


def spell_money(amount: float, currency: str = "USD") -> str:
    """`$1.2M`."""
    return locale_of_texts().money(amount, currency)


def spell_number(number: float) -> str:
    """As few digits as say it; never in scientific notation where it is of a size that people use."""
    if isinstance(number, int):
        return str(number)
    if not math.isfinite(number):
        raise ValueError(f"the number {number} can't be shown")
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    if 1 <= abs(number) < 1e15:
        return f"{number:.2f}".rstrip("0").rstrip(".")
    return f"{number:.3g}"


def spell_day(text: str) -> str:
    """`Mar 3, 2026` of an RFC 3339 time (in UTC) or a day like 2026-03-03. Raises ValueError."""
    return locale_of_texts().day(parse_instant(f"{text}T00:00:00Z" if len(text) == 10 else text))


def spell_value(value: Any) -> str:
    """Any value as a text carries it. Raises TypeError for what has no words, like a map."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return spell_number(value)
    if isinstance(value, list | tuple):
        return ", ".join(spell_value(one) for one in value if one is not None)
    raise TypeError(f"a {type(value).__name__} can't be shown")


def spell_term(term: Any) -> str:
    """`enterprise_sales` -> `enterprise sales`."""
    return spell_value(term).replace("_", " ").strip()


def spell_role(role: Any) -> str:
    """`vp_sales` -> `VP Sales`, `cro` -> `CRO`."""
    words = [_ROLES.get(word, "VP" if word == "vp" else word.capitalize()) for word in str(role).split("_")]
    return " ".join(words)


def with_article(words: str) -> str:
    """Return words with their article: `a seller`, `an engineer`."""
    return f"{'an' if words[:1].lower() in 'aeiou' and words[:1] else 'a'} {words}"


# Facts


def tell_fact(kind: str, data: Data) -> str:
    """Return what happened, with the account for its subject: `raised a Series A of $12M`."""
    given = {name: value for name, value in data.items() if value is not None}
    return _TELL.get(kind, _tell_other(kind))(given)


def tell_cited(fact: Mapping[str, Any]) -> str:
    """Return a fact as evidence cites it, with day and source: `raised a Series A on Mar 3, 2026 (crunchbase)`."""
    return f"{tell_fact(fact['kind'], fact.get('data') or {})} {place_in_time(fact)}"


def place_in_time(fact: Mapping[str, Any]) -> str:
    """`on Mar 3, 2026 (crunchbase)`."""
    return f"on {spell_day(fact['time'])} ({fact['source']})"


def tell_many(facts: Sequence[Mapping[str, Any]], period: str) -> str:
    """Return what several facts of one kind come to, the newest first."""
    newest = facts[0]
    counted = _COUNT.get(newest["kind"])
    if counted is None:
        return f"{tell_cited(newest)}, and {len(facts) - 1} more {period}".rstrip()
    told = counted([one.get("data") or {} for one in facts])
    return f"{told}{f' {period}' if period else ''}, last {place_in_time(newest)}"


def tell_absence(kind: str, data: Data, period: str) -> str:
    """Say that nothing of the kind happened; `data` are the values that were looked for, if any."""
    if kind == "engagement" and list(data) == ["action"] and data["action"] in _ACTIONS:
        return f"nobody {_ACTIONS[data['action']]} {period}".rstrip()
    return f"no {_ABSENT.get(kind, kind)}{spell_search(data)} {period}".rstrip()


def spell_search(data: Data) -> str:
    """` (sales, opened)`: the values that were looked for; nothing where any will do."""
    return f" ({', '.join(spell_term(value) for value in data.values())})" if data else ""


def _known(data: Data, field: str) -> str | None:
    value = data.get(field)
    return None if value is None or value in ("", []) or str(value) in _UNSAID else spell_term(value)


def _funding(data: Data) -> str:
    amount = data.get("amount_usd")
    money = spell_money(amount) if isinstance(amount, int | float) else None
    if money is None and isinstance(data.get("amount"), int | float) and data.get("currency"):
        money = spell_money(data["amount"], str(data["currency"]))
    name = str(data.get("round", "other"))
    if name == "ipo":
        told = "went public" + (f", raising {money}" if money else "")
    elif name == "other":
        told = f"raised {money}" if money else "raised money"
    else:
        what = {"pre_seed": "a pre-seed round", "seed": "a seed round", "debt": "debt"}.get(name)
        if what is None:
            letter = name.removeprefix("series_")
            what = (
                f"a Series {letter.upper()}" if name.startswith("series_") else with_article(spell_term(name))
            )
            what = f"{what} round" if name == "bridge" else what
        told = f"raised {what}" + (f" of {money}" if money else "")
    investors = data.get("lead_investors") or data.get("investors")
    by = "led by" if data.get("lead_investors") else "from"
    return f"{told} {by} {spell_value(investors)}" if isinstance(investors, list) and investors else told


def _job(data: Data) -> str:
    parts = [_known(data, "seniority"), _known(data, "function")]
    return " ".join([part for part in parts if part] + ["job"])


def _hiring(data: Data) -> str:
    verb = "closed" if data.get("change") == "closed" else "opened"
    title = data.get("title")
    return f"{verb} {with_article(_job(data))}" + (f" ({title})" if title else "")


def _count_hiring(facts: Sequence[Data]) -> str:
    same = {_job(one) for one in facts}
    verb = "closed" if {one.get("change") for one in facts} == {"closed"} else "opened"
    return f"{verb} {len(facts)} {same.pop() if len(same) == 1 else 'job'}s"


def _leadership(data: Data) -> str:
    role = data.get("role") or data.get("title")
    post = spell_role(role) if role else "leader"
    person = data.get("person")
    change = data.get("change")
    if change == "left":
        return f"lost its {post}" + (f", {person}" if person else "")
    if change == "promoted":
        return f"made {person or 'somebody'} its {post}"
    came = f"hired {person} as {post}" if person else f"hired a new {post}"
    before = data.get("previous_company")
    return f"{came} from {before}" if before else came


def _tech(data: Data) -> str:
    name, category = data.get("technology"), _known(data, "category")
    what = str(name) if name else f"a {category} tool" if category else "a technology"
    more = f" ({category})" if name and category else ""
    verb = {"added": "started to use", "removed": "stopped using"}.get(str(data.get("change")), "uses")
    return f"{verb} {what}{more}"


def _intent(data: Data) -> str:
    topic, stage = _known(data, "topic"), _known(data, "stage")
    told = f"researched {topic or 'what we offer'}"
    score = data.get("score")
    details = [f"score {spell_number(score)}"] if isinstance(score, int | float) else []
    details += [f"{stage} stage"] if stage else []
    return f"{told} ({', '.join(details)})" if details else told


def _count_intent(facts: Sequence[Data]) -> str:
    topics = list(dict.fromkeys(topic for one in facts if (topic := _known(one, "topic"))))
    return f"researched {' and '.join(topics) or 'what we offer'} {len(facts)} times"


def _strategy(data: Data) -> str:
    theme, statement = _known(data, "theme"), data.get("statement")
    told = f"named {theme} a priority" if theme else "named a priority"
    return f"{told}: “{statement}”" if statement else told


_ACTIONS: Final = {
    "page_view": "visited our pages",
    "content_download": "downloaded our content",
    "webinar": "attended a webinar",
    "demo_request": "asked for a demo",
    "product_signup": "signed up for the product",
    "product_active": "was active in the product",
    "product_feature": "used a feature of the product",
    "unsubscribe": "unsubscribed",
    "spam_complaint": "reported spam",
    "resubscribed": "subscribed again",
}
_OUTCOMES: Final = {
    "sent": "got a message",
    "opened": "opened a message",
    "replied": "replied",
    "positive_reply": "replied with interest",
    "bounced": "could not be reached",
    "unsubscribed": "unsubscribed",
    "spam_complaint": "reported spam",
    "resubscribed": "subscribed again",
    "meeting_booked": "booked a meeting",
    "meeting_held": "met us",
    "opportunity_created": "became an opportunity",
    "won": "became a customer",
    "lost": "decided against us",
    "renewed": "renewed",
    "churned": "left us",
    "accepted": "was accepted by its owner",
    "rejected": "was rejected by its owner",
}


def _engagement(data: Data) -> str:
    action = str(data.get("action") or "")
    told = _ACTIONS.get(action) or (f"engaged with us: {spell_term(action)}" if action else "engaged with us")
    person = data.get("person") or _known(data, "persona")
    return f"{told} ({person})" if person else told


def _count_engagement(facts: Sequence[Data]) -> str:
    told = list(dict.fromkeys(_engagement({"action": one.get("action")}) for one in facts))
    return f"{' and '.join(told)}, {len(facts)} times"


def _outcome(data: Data) -> str:
    action = str(data.get("action") or "")
    return _OUTCOMES.get(action) or f"answered: {spell_term(action) or 'something'}"


def _firmographic(data: Data) -> str:
    told = [f"{spell_term(name)} {spell_value(value)}" for name, value in data.items() if _has_words(value)]
    return f"is now known to have {', '.join(told)}" if told else "is known better"


def _has_words(value: Any) -> bool:
    return isinstance(value, str | int | float) or (
        isinstance(value, list) and all(isinstance(one, str | int | float) for one in value)
    )


def _people(data: Data) -> str:
    name = data.get("person") or data.get("email") or "somebody"
    title = data.get("title") or data.get("role")
    return f"has a contact, {name}" + (f", {title}" if title else "")


def _tell_other(kind: str) -> Callable[[Data], str]:
    return lambda data: f"{spell_term(kind)}: {_firmographic(data)}"


_TELL: Final[dict[str, Callable[[Data], str]]] = {
    "funding": _funding,
    "hiring": _hiring,
    "leadership": _leadership,
    "tech": _tech,
    "intent": _intent,
    "strategy": _strategy,
    "engagement": _engagement,
    "firmographic": _firmographic,
    "outcome": _outcome,
    "people": _people,
}
_COUNT: Final[dict[str, Callable[[Sequence[Data]], str]]] = {
    "hiring": _count_hiring,
    "intent": _count_intent,
    "engagement": _count_engagement,
}
_ABSENT: Final = {
    "funding": "new round",
    "hiring": "job",
    "leadership": "new leader",
    "tech": "change of tools",
    "intent": "research",
    "strategy": "statement",
    "engagement": "engagement",
    "firmographic": "snapshot",
    "outcome": "outcome",
    "people": "contact",
}
