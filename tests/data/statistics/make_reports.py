"""Print the figures of seeded data sets, computed from the rows of generate.py alone, as JSON. See README.md."""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections import defaultdict
from datetime import UTC, datetime

import numpy as np
import scipy.optimize
import scipy.stats
from gbstats.models.statistics import RatioStatistic, SampleMeanStatistic
from gbstats.utils import check_srm
from generate import UNTIL, make
from lifelines import AalenJohansenFitter
from lifelines.exceptions import StatError
from make_functions import rounded, score
from statsmodels.duration.survfunc import CumIncidenceRight
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.oneway import anova_oneway
from statsmodels.stats.proportion import proportion_confint, proportion_effectsize

warnings.simplefilter("ignore")
DAY = 86_400_000
HITS = {
    "sent": {"sent"}, "reply": {"replied", "positive_reply"}, "positive_reply": {"positive_reply"},
    "meeting": {"meeting_booked", "meeting_held"}, "opportunity": {"opportunity_created"}, "win": {"won"},
    "unsubscribe": {"unsubscribed", "spam_complaint"}, "bounce": {"bounced"},
}  # fmt: skip
WINDOW = {
    "sent": 14,
    "reply": 14,
    "positive_reply": 14,
    "meeting": 30,
    "opportunity": 60,
    "win": 180,
    "unsubscribe": 30,
    "bounce": 14,
    "retention": 365,
}
MARGIN = {
    "sent": 0.05,
    "reply": 0.03,
    "positive_reply": 0.02,
    "meeting": 0.02,
    "opportunity": 0.01,
    "win": 0.01,
    "retention": 0.05,
    "unsubscribe": 0.01,
    "bounce": 0.02,
}
Z = scipy.stats.norm.ppf(0.975)


def days(earlier, later):
    return (later - earlier) / DAY


def first_days(rows, touch, actions):
    found = [
        max(0.0, days(touch["at"], row["at"]))
        for row in rows
        if row["action"] in actions and row["at"] <= UNTIL
    ]
    return min(found, default=None)


def count(touches, by_touch):
    counts = {}
    for metric, actions in HITS.items():
        k = n = waiting = 0
        for touch in touches:
            if days(touch["at"], UNTIL) < WINDOW[metric]:
                waiting += 1
                continue
            n += 1
            first = first_days(by_touch[touch["touch"]], touch, actions)
            k += first is not None and first <= WINDOW[metric]
        counts[metric] = (k, n, waiting)
    k = n = waiting = 0
    for touch in touches:
        won = first_days(by_touch[touch["touch"]], touch, {"won"})
        if won is None:
            continue
        if days(touch["at"], UNTIL) - won < 365:
            waiting += 1
            continue
        n += 1
        gone = [
            days(touch["at"], row["at"])
            for row in by_touch[touch["touch"]]
            if row["action"] == "churned" and row["at"] <= UNTIL
        ]
        k += not gone or max(gone) - won > 365
    counts["retention"] = (k, n, waiting)
    return counts


def contact_rates(touches, by_touch):
    rates = {}
    for metric in ("reply", "positive_reply", "meeting", "unsubscribe", "bounce"):
        top, bottom = defaultdict(int), defaultdict(int)
        for touch in touches:
            if days(touch["at"], UNTIL) < WINDOW[metric]:
                continue
            people = defaultdict(list)
            for row in by_touch[touch["touch"]]:
                if row["person"] and row["at"] <= UNTIL:
                    people[row["person"]].append(row)
            for rows in people.values():
                if any(row["action"] == "sent" for row in rows):
                    first = first_days(rows, touch, HITS[metric])
                    bottom[touch["account"]] += 1
                    top[touch["account"]] += first is not None and first <= WINDOW[metric]
        if not bottom:
            continue
        a, b = [top[one] for one in bottom], list(bottom.values())
        make = lambda values: SampleMeanStatistic(
            n=len(a), sum=sum(values), sum_squares=sum(one * one for one in values)
        )
        found = RatioStatistic(
            n=len(a),
            m_statistic=make(a),
            d_statistic=make(b),
            m_d_sum_of_products=sum(x * y for x, y in zip(a, b)),
        )
        half = scipy.stats.t.ppf(0.975, len(a) - 1) * math.sqrt(found.variance / len(a))
        rates[metric] = [
            sum(a),
            sum(b),
            len(a),
            found.mean,
            max(0, found.mean - half),
            min(1, found.mean + half),
        ]
    return rates


def find_deals(touches, by_touch):
    deals = {}
    for touch in touches:
        for row in by_touch[touch["touch"]]:
            if (
                row["action"] in ("opportunity_created", "stage_changed", "won", "lost")
                and row["at"] <= UNTIL
            ):
                key = (row["account"], row["deal"] or touch["touch"])
                deals.setdefault(key, (touch, []))[1].append(row)
    for touch, rows in deals.values():
        rows.sort(key=lambda row: (row["at"], row["record"]))
        opened = min([row["at"] for row in rows] + [row["opened_at"] for row in rows if row["opened_at"]])
        ends = [row for row in rows if row["action"] in ("won", "lost")]
        amounts = [row["amount_usd"] for row in rows if row["amount_usd"] is not None]
        cause = {"won": 1, "lost": 2}[ends[-1]["action"]] if ends else 0
        yield {
            "days": max(0.0, days(opened, ends[-1]["at"] if ends else UNTIL)), "cause": cause,
            "entry": max(0.0, days(opened, touch["at"])), "amount": amounts[-1] if amounts else None,
        }  # fmt: skip


def deal_size(deals):
    amounts = np.array(
        sorted(one["amount"] for one in deals if one["cause"] == 1 and one["amount"] is not None)
    )
    if len(amounts) < 2:
        return [len(amounts)]
    ends = []
    for statistic, method in ((np.mean, "BCa"), (np.median, "percentile")):
        rng = np.random.default_rng(0)
        draws = max(999, min(9_999, 8_000_000 // len(amounts)))
        made = scipy.stats.bootstrap(
            (amounts,),
            statistic,
            n_resamples=draws,
            random_state=rng,
            method=method,
            batch=max(1, 2_000_000 // len(amounts)),
        )
        ends += list(made.confidence_interval)
    return [len(amounts), float(amounts.sum()), float(amounts.mean()), float(np.median(amounts)), *ends]


def incidence(deals, cause):
    """Compute the Aalen-Johansen estimate and its variance as the sums of the textbook, one time after another."""
    watched = [one for one in deals if one["entry"] < one["days"] or (one["entry"] == 0 == one["days"])]
    times = sorted({one["days"] for one in watched})
    surviving, share, steps = 1.0, 0.0, []
    for time in times:
        at_risk = sum(one["days"] >= time and (one["entry"] < time or one["entry"] == 0) for one in watched)
        of_any = sum(one["days"] == time and one["cause"] > 0 for one in watched)
        of_cause = sum(one["days"] == time and one["cause"] == cause for one in watched)
        share += surviving * of_cause / at_risk
        steps.append((time, at_risk, of_any, of_cause, surviving, share))
        surviving *= 1 - of_any / at_risk
    return watched, steps


def variance_at(steps, day):
    held = [step for step in steps if step[0] <= day]
    if not held:
        return 0.0, 0.0
    share, total = held[-1][5], 0.0
    for _, at_risk, of_any, of_cause, surviving, then in held:
        if at_risk > of_any:
            total += (share - then) ** 2 * of_any / (at_risk * (at_risk - of_any))
        total += surviving**2 * (at_risk - of_cause) * of_cause / at_risk**3
        total -= 2 * (share - then) * surviving * of_cause / at_risk**2
    return share, math.sqrt(max(total, 0))


def cycle(deals):
    watched, steps = incidence(deals, 1)
    if not watched:
        return [0]
    _, lost = incidence(deals, 2)
    times = np.array([one["days"] for one in watched])
    causes = np.array([one["cause"] for one in watched])
    entries = np.array([one["entry"] for one in watched])
    if not entries.any() and causes.max() == 2:
        found = CumIncidenceRight(times, causes)
        assert abs(found.cinc[0][-1] - steps[-1][5]) < 1e-9
    elif len(set(times)) == len(times) and (times > 0).all():
        try:
            found = AalenJohansenFitter(calculate_variance=False).fit(times, causes, 1, entry=entries)
            assert abs(found.cumulative_density_.iloc[-1, 0] - steps[-1][5]) < 1e-6
        except StatError:  # it refuses data whose first deals are all over before the next ones are watched
            pass
    half = steps[-1][5] / 2
    median = next((step[0] for step in steps if half > 0 and step[5] >= half * (1 - 1e-12)), None)
    points = []
    for day in (30, 60, 90, 180, 365):
        if day <= times.max():
            share, error = variance_at(steps, day)
            low = high = share
            if 0 < share < 1:
                log = math.log(1 - share)
                width = Z * error / ((1 - share) * -log)
                low, high = 1 - math.exp(log * math.exp(-width)), 1 - math.exp(log * math.exp(width))
            points.append([day, share, low, high, variance_at(lost, day)[0]])
    return [
        len(watched),
        int((causes == 1).sum()),
        int((causes == 2).sum()),
        int((causes == 0).sum()),
        median,
        points,
    ]


def invert(k1, n1, k2, n2):
    gap, ends = k1 / n1 - k2 / n2, []
    for end in (-1 + 1e-9, 1 - 1e-9):
        excess = lambda delta: abs(score(k1, n1, k2, n2, delta)) - Z
        ends.append(end if excess(end) < 0 else scipy.optimize.brentq(excess, gap, end, xtol=1e-9))
    return ends


def p_equal(k1, n1, k2, n2):
    if k1 + k2 in (0, n1 + n2):
        return 1.0
    n = n1 + n2
    table = [[k1, n1 - k1], [k2, n2 - k2]]
    return scipy.stats.chi2.sf(scipy.stats.chi2_contingency(table, correction=False)[0] * (n - 1) / n, 1)


def compare(counts, metric):
    held = {name: one[metric] for name, one in counts.items() if one[metric][1]}
    if len(held) < 2:
        return None
    k, n = [one[0] for one in held.values()], [one[1] for one in held.values()]
    rate = sum(k) / sum(n)
    omnibus = None
    if 0 < rate < 1 and min(n) * min(rate, 1 - rate) >= 5:
        found = scipy.stats.chi2_contingency([k, [b - a for a, b in zip(k, n)]], correction=False)
        omnibus = [found[0], found[1]]
    names = sorted(held)
    pairs = [(one, other) for index, one in enumerate(names) for other in names[index + 1 :]]
    counted = [(*held[one][:2], *held[other][:2]) for one, other in pairs]
    p = [p_equal(*one) for one in counted]
    holm, bh = multipletests(p, method="holm")[1], multipletests(p, method="fdr_bh")[1]
    equivalence = [
        max(
            scipy.stats.norm.sf(score(*one, -MARGIN[metric])),
            scipy.stats.norm.cdf(score(*one, MARGIN[metric])),
        )
        for one in counted
    ]
    equivalence = multipletests(equivalence, method="holm")[1]
    with_interval = metric in ("reply", "win")
    return {
        "omnibus": omnibus,
        "pairs": [
            [k1 / n1 - k2 / n2, p[i], holm[i], bh[i], equivalence[i], proportion_effectsize(k1 / n1, k2 / n2)]
            + (invert(k1, n1, k2, n2) if with_interval else [])
            for i, (k1, n1, k2, n2) in enumerate(counted)
        ],
    }


def lifts(touches, rows, shares):
    by_account = defaultdict(list)
    for row in rows:
        by_account[row["account"]].append(row)
    first = {}
    for touch in sorted(touches, key=lambda one: (one["at"], one["touch"])):
        first.setdefault((touch["segment"], touch["account"]), touch)
    found = {}
    for segment in sorted(shares):
        own = [touch for (name, _), touch in first.items() if name == segment]
        held = [touch for touch in own if touch["arm"] == "holdout"]
        sizes, share = [len(own) - len(held), len(held)], shares[segment]
        row = {"sizes": sizes, "p": check_srm(sizes, [1 - share, share]), "lifts": {}}
        for metric in ("meeting", "opportunity", "win"):
            counts = []
            for arm in ("enrolled", "holdout"):
                old = [one for one in own if one["arm"] == arm and days(one["at"], UNTIL) >= WINDOW[metric]]
                hits = 0
                for touch in old:
                    after = [one for one in by_account[touch["account"]] if one["at"] >= touch["at"]]
                    reached = first_days(after, touch, HITS[metric])
                    hits += reached is not None and reached <= WINDOW[metric]
                counts += [hits, len(old)]
            row["lifts"][metric] = [*counts, p_equal(*counts), *invert(*counts)]
        found[segment] = row
    return found


def rank(counts, metric):
    k, n = zip(*((one[metric][0], one[metric][1]) for _, one in sorted(counts.items()) if one[metric][1]))
    if len(n) < 2 or sum(k) in (0, sum(n)):
        return None

    def lost(point):
        mean, strength = 1 / (1 + math.exp(-point[0])), math.exp(min(point[1], math.log(1e6)))
        return -sum(
            scipy.stats.betabinom.logpmf(a, b, mean * strength, (1 - mean) * strength) for a, b in zip(k, n)
        )

    best = min(
        (scipy.optimize.minimize(lost, [scipy.special.logit(sum(k) / sum(n)), start], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000}) for start in (3.0, 7.0)),
        key=lambda one: one.fun,
    )  # fmt: skip
    mean, strength = 1 / (1 + math.exp(-best.x[0])), math.exp(min(best.x[1], math.log(1e6)))
    return [(a + mean * strength) / (b + strength) for a, b in zip(k, n)]


def figures(seed):
    touches, rows, shares = make(seed)
    by_touch = defaultdict(list)
    for row in rows:
        if row["touch"]:
            by_touch[row["touch"]].append(row)
    enrolled = [touch for touch in touches if touch["arm"] == "enrolled" and touch["at"] <= UNTIL]
    groups, deals_of, counts = {}, {}, {}
    for name in sorted({touch["segment"] for touch in touches}):
        own = [touch for touch in enrolled if touch["segment"] == name]
        deals = list(find_deals(own, by_touch))
        counts[name], deals_of[name] = count(own, by_touch), deals
        groups[name] = {
            "rates": {metric: [*c, *(proportion_confint(c[0], c[1], 0.05, "wilson") if c[1] else (0, 1))] for metric, c in counts[name].items()},
            "contacts": contact_rates(own, by_touch), "size": deal_size(deals), "cycle": cycle(deals),
        }  # fmt: skip
    amounts = [
        [d["amount"] for d in deals if d["cause"] == 1 and d["amount"] is not None]
        for deals in deals_of.values()
    ]
    welch = anova_oneway([one for one in amounts if len(one) > 1 and len(set(one)) > 1], use_var="unequal")
    owners = defaultdict(list)
    for touch in enrolled:
        owners[touch["owner"]].append(touch)
    return {
        "seed": seed, "touches": len(enrolled), "groups": groups,
        "comparisons": {metric: compare(counts, metric) for metric in WINDOW},
        "sizes": [welch.statistic, welch.pvalue],
        "lifts": lifts(touches, rows, shares),
        "rankings": {metric: rank(counts, metric) for metric in ("reply", "meeting", "win")},
        "owners": {owner: count(own, by_touch) for owner, own in sorted(owners.items())},
    }  # fmt: skip


def shorter(value):
    """Keep ten digits: enough to compare, and half the bytes."""
    if isinstance(value, dict):
        return {key: shorter(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [shorter(one) for one in value]
    return (
        float(f"{value:.10g}")
        if isinstance(value, float)
        else int(value)
        if isinstance(value, np.integer)
        else value
    )


if __name__ == "__main__":
    started = datetime.now(UTC)
    for seed in range(int(sys.argv[1]), int(sys.argv[2])):
        sys.stdout.write(
            json.dumps(shorter(rounded(figures(seed))), separators=(",", ":"), default=float) + "\n"
        )
        sys.stdout.flush()
    sys.stderr.write(f"{datetime.now(UTC) - started}\n")
