"""The benchmark's eight segments written by hand, as one would without a framework: no timers, a string for a reason."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

DAY: Final = 86_400_000
_CORE: Final = frozenset({"software", "fintech", "healthtech"})
_WIDER: Final = _CORE | {"manufacturing"}
_ROUNDS: Final = frozenset({"series_a", "series_b"})
_COMPETITORS: Final = frozenset({"outreach", "salesloft", "gong"})
_REVENUE: Final = frozenset({"cro", "vp_sales"})
_PUBLIC: Final = frozenset({"government", "education"})
_MOST: Final = 20


def apply(
    state: dict[str, Any] | None, event: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Fold one event into the account's state; the change is None where its segment stays."""
    data, kind, at = event["data"], event["type"], event["time"]
    now = round(datetime.fromisoformat(at).timestamp() * 1000)
    if state is None:
        state = {"seg": None, "since": 0, "f": [], "j": [], "l": [], "c": []}
    _fold(state, kind, data, event["id"], now)
    segment, why = _evaluate(state)
    old = state["seg"]
    if segment == old:
        return state, None
    state["seg"], state["since"] = segment, now
    return state, {
        "account": event["subject"],
        "from": old,
        "to": segment,
        "reason": why,
        "time": at,
        "cause_id": event["id"],
    }


def _fold(state: dict[str, Any], kind: str, data: dict[str, Any], event: str, now: int) -> None:
    if kind == "gtm.firmographic.v1":
        state["name"] = data["name"]
        state["industry"] = data["industry"]
        state["employees"] = data["employees"]
        state["country"] = data["country"]
        state["tech"] = data["technologies"]
    elif kind == "gtm.funding.v1":
        state["f"].append([now, data["round"], event])
    elif kind == "gtm.hiring.v1":
        state["j"].append([now, data["function"], data["openings"], event])
    elif kind == "gtm.leadership.v1":
        state["l"].append([now, data["role"], event])
    elif kind == "gtm.tech.v1":
        name, known = data["technology"], state["tech"]
        if data["change"] == "added":
            if name not in known:
                known.append(name)
                known.sort()
            state["c"].append([now, name, event])
        elif name in known:
            known.remove(name)
    _trim(state["f"], now - 90 * DAY)
    _trim(state["l"], now - 90 * DAY)
    _trim(state["j"], now - 60 * DAY)
    _trim(state["c"], now - 30 * DAY)


def _trim(kept: list[Any], begin: int) -> None:
    spent = 0
    for one in kept:
        if one[0] >= begin:
            break
        spent += 1
    if spent:
        del kept[:spent]
    if len(kept) > _MOST:
        del kept[: len(kept) - _MOST]


def _evaluate(state: dict[str, Any]) -> tuple[str, str]:  # noqa: C901, PLR0912  # a ladder, as it is written by hand
    employees, industry = state["employees"], state["industry"]
    funding = None
    for one in state["f"]:
        if one[1] in _ROUNDS:
            funding = one[1]
    sales = 0
    for one in state["j"]:
        if one[1] == "sales":
            sales += one[2]
    if funding and sales >= 3 and 200 <= employees <= 5000 and industry in _CORE:
        return "buying-window", f"funding:{funding}+sales_openings:{sales}"
    if employees >= 50:
        for one in reversed(state["c"]):
            if one[1] in _COMPETITORS:
                return "displacement", "competitor:" + one[1]
    if industry not in _PUBLIC:
        for one in reversed(state["l"]):
            if one[1] in _REVENUE:
                return "new-leader", "leadership:" + one[1]
    if funding and 50 <= employees <= 2000:
        return "funded-growth", "funding:" + funding
    if sales >= 3:
        return "hiring-sales", f"sales_openings:{sales}"
    known = state["tech"]
    if employees >= 100 and "snowflake" in known and ("salesforce" in known or "hubspot" in known):
        return "tech-fit", "tech_fit"
    if industry in _WIDER and 100 <= employees <= 5000:
        return "icp", "icp"
    return "nurture", "fallback"
