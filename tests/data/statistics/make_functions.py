"""Print what scipy, statsmodels, lifelines and gbstats say about seeded inputs, as JSON. See README.md."""

from __future__ import annotations

import json
import math
import random
import sys
import warnings

import numpy as np
import scipy.optimize
import scipy.stats
from gbstats.frequentist.tests import (
    FrequentistConfig,
    SequentialConfig,
    SequentialTwoSidedTTest,
    TwoSidedTTest,
)
from gbstats.models.statistics import ProportionStatistic, RatioStatistic, SampleMeanStatistic
from gbstats.utils import check_srm
from lifelines import AalenJohansenFitter
from statsmodels.duration.survfunc import CumIncidenceRight
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.oneway import anova_oneway
from statsmodels.stats.proportion import (
    proportion_confint,
    proportion_effectsize,
    samplesize_proportions_2indep_onetail,
)

warnings.simplefilter("ignore")
RNG = random.Random(20_261_127)


def binomial(n, p):
    return sum(RNG.random() < p for _ in range(n))


def wilson():
    for _ in range(60):
        n = RNG.choice([1, 2, 5, 17, 40, 150, 1200])
        k = binomial(n, RNG.choice([0.01, 0.05, 0.2, 0.5, 0.97]))
        confidence = RNG.choice([0.8, 0.9, 0.95, 0.99])
        low, high = proportion_confint(k, n, 1 - confidence, "wilson")
        yield {"k": k, "n": n, "confidence": confidence, "low": low, "high": high}


def always_valid():
    """Invert the mixture martingale with scipy's beta-binomial and binomial distributions, and a root finder."""
    for _ in range(40):
        n = RNG.choice([1, 3, 10, 60, 500, 3000])
        k = binomial(n, RNG.choice([0.02, 0.1, 0.5]))
        alpha = RNG.choice([0.05, 0.1])
        mixture = scipy.stats.betabinom.logpmf(k, n, 0.5, 0.5)

        def evidence(p, k=k, n=n, mixture=mixture, alpha=alpha):
            return mixture - scipy.stats.binom.logpmf(k, n, p) + math.log(alpha)

        low = 0.0 if k == 0 else scipy.optimize.brentq(evidence, 1e-300, k / n, xtol=1e-15, rtol=1e-14)
        high = 1.0 if k == n else scipy.optimize.brentq(evidence, k / n, 1 - 1e-16, xtol=1e-15, rtol=1e-14)
        yield {"k": k, "n": n, "confidence": 1 - alpha, "low": low, "high": high}


def restricted(k1, n1, k2, n2, delta):
    """Maximize the likelihood under p1 - p2 = delta numerically."""
    low, high = max(0.0, -delta), min(1.0, 1.0 - delta)
    slope = lambda q: (
        (k1 / (q + delta) if k1 else 0)
        - ((n1 - k1) / (1 - q - delta) if n1 > k1 else 0)
        + (k2 / q if k2 else 0)
        - ((n2 - k2) / (1 - q) if n2 > k2 else 0)
    )
    edge = 1e-13
    if slope(low + edge) <= 0:
        return low
    if slope(high - edge) >= 0:
        return high
    return scipy.optimize.brentq(slope, low + edge, high - edge, xtol=1e-16, rtol=1e-15)


def score(k1, n1, k2, n2, delta):
    q2 = restricted(k1, n1, k2, n2, delta)
    q1 = q2 + delta
    variance = (q1 * (1 - q1) / n1 + q2 * (1 - q2) / n2) * (n1 + n2) / (n1 + n2 - 1)
    return (
        (k1 / n1 - k2 / n2 - delta) / math.sqrt(variance)
        if variance > 0
        else math.copysign(math.inf, k1 / n1 - k2 / n2 - delta)
    )


def differences():
    for _ in range(40):
        n1, n2 = RNG.choice([8, 40, 300, 2500]), RNG.choice([12, 80, 900])
        k1, k2 = binomial(n1, RNG.choice([0.05, 0.2, 0.6])), binomial(n2, RNG.choice([0.05, 0.25, 0.5]))
        if (k1, k2) in ((0, 0), (n1, n2)):
            continue
        confidence = RNG.choice([0.9, 0.95])
        bound = scipy.stats.norm.ppf(0.5 + confidence / 2)
        gap = k1 / n1 - k2 / n2
        ends = []
        for end in (-1 + 1e-9, 1 - 1e-9):
            excess = lambda delta: abs(score(k1, n1, k2, n2, delta)) - bound
            ends.append(end if excess(end) < 0 else scipy.optimize.brentq(excess, gap, end, xtol=1e-13))
        n = n1 + n2
        chi2 = scipy.stats.chi2_contingency([[k1, n1 - k1], [k2, n2 - k2]], correction=False)[0] * (n - 1) / n
        margin = RNG.choice([0.02, 0.05, 0.1])
        above = scipy.stats.norm.sf(score(k1, n1, k2, n2, -margin))
        below = scipy.stats.norm.cdf(score(k1, n1, k2, n2, margin))
        yield {
            "k1": k1, "n1": n1, "k2": k2, "n2": n2, "confidence": confidence, "low": ends[0], "high": ends[1],
            "p": scipy.stats.chi2.sf(chi2, 1), "margin": margin, "equivalence": max(above, below),
            "h": proportion_effectsize(k1 / n1, k2 / n2),
        }  # fmt: skip


def homogeneity():
    for _ in range(15):
        groups = RNG.randint(2, 8)
        n = [RNG.randint(200, 900) for _ in range(groups)]
        k = [binomial(one, RNG.uniform(0.05, 0.3)) for one in n]
        found = scipy.stats.chi2_contingency([k, [a - b for a, b in zip(n, k)]], correction=False)
        yield {
            "k": k, "n": n, "statistic": found[0], "p": found[1],
            "effect": scipy.stats.contingency.association(np.array([k, [a - b for a, b in zip(n, k)]]), "cramer"),
        }  # fmt: skip


def multiplicity():
    for _ in range(15):
        p = [RNG.random() ** 3 for _ in range(RNG.randint(1, 20))]
        p += p[:1]
        yield {
            "p": p,
            "holm": list(multipletests(p, method="holm")[1]),
            "benjamini_hochberg": list(multipletests(p, method="fdr_bh")[1]),
        }


def ratios():
    for _ in range(12):
        count = RNG.choice([5, 60, 800])
        bottom = [RNG.randint(1, 9) for _ in range(count)]
        top = [binomial(one, RNG.betavariate(1, 6)) for one in bottom]
        made = RatioStatistic(
            n=count,
            m_statistic=SampleMeanStatistic(n=count, sum=sum(top), sum_squares=sum(a * a for a in top)),
            d_statistic=SampleMeanStatistic(n=count, sum=sum(bottom), sum_squares=sum(a * a for a in bottom)),
            m_d_sum_of_products=sum(a * b for a, b in zip(top, bottom)),
        )
        yield {"top": top, "bottom": bottom, "estimate": made.mean, "variance": made.variance / count}


def sequences():
    """Compare two rates as GrowthBook does when looked at every day."""
    for _ in range(20):
        n1, n2 = RNG.choice([50, 400, 5000]), RNG.choice([80, 1000])
        k1, k2 = binomial(n1, 0.2) + 1, binomial(n2, 0.25) + 1
        config = SequentialConfig(difference_type="absolute", traffic_proportion_b=1, phase_length_days=1)
        test = SequentialTwoSidedTTest(
            ProportionStatistic(n=n1, sum=k1), ProportionStatistic(n=n2, sum=k2), config
        )
        low, high = test.compute_result().ci
        yield {
            "n": n1 + n2, "estimate": test.point_estimate, "variance": test.variance, "tuning": 5000.0,
            "confidence": 0.95, "low": low, "high": high,
        }  # fmt: skip


def means():
    for _ in range(12):
        one = [round(RNG.lognormvariate(9, 0.8), 2) for _ in range(RNG.choice([3, 20, 200]))]
        other = [round(RNG.lognormvariate(9.2, 1), 2) for _ in range(RNG.choice([4, 50]))]
        third = [round(RNG.lognormvariate(9.1, 0.5), 2) for _ in range(30)]
        config = FrequentistConfig(difference_type="absolute", traffic_proportion_b=1, phase_length_days=1)
        make = lambda a: SampleMeanStatistic(n=len(a), sum=sum(a), sum_squares=sum(x * x for x in a))
        test = TwoSidedTTest(make(other), make(one), config)
        result = test.compute_result()
        welch = anova_oneway([one, other, third], use_var="unequal")
        yield {
            "one": one, "other": other, "third": third, "difference": result.expected, "low": result.ci[0], "high": result.ci[1],
            "p": scipy.stats.ttest_ind(one, other, equal_var=False).pvalue, "freedom": test.dof,
            "all_statistic": welch.statistic, "all_p": welch.pvalue, "all_freedom": list(welch.df),
        }  # fmt: skip


def bootstraps():
    for seed in range(6):
        values = [round(RNG.lognormvariate(9, 0.9), 2) for _ in range(RNG.choice([5, 30, 150]))]
        mean = scipy.stats.bootstrap(
            (values,), np.mean, n_resamples=9_999, random_state=np.random.default_rng(seed), method="BCa"
        ).confidence_interval
        median = scipy.stats.bootstrap(
            (values,),
            np.median,
            n_resamples=9_999,
            random_state=np.random.default_rng(seed),
            method="percentile",
        ).confidence_interval
        yield {
            "values": values,
            "seed": seed,
            "mean": [mean.low, mean.high],
            "median": [median.low, median.high],
        }


def survival():
    for number in range(10):
        count = RNG.choice([12, 100, 400])
        ties = number % 2 == 0
        times, causes = [], []
        for _ in range(count):
            won, lost, censored = RNG.expovariate(1 / 90), RNG.expovariate(1 / 120), RNG.uniform(5, 200)
            first = min(won, lost, censored)
            times.append(math.ceil(first) if ties else first)
            causes.append(1 if first == won else 2 if first == lost else 0)
        found = CumIncidenceRight(np.array(times, dtype=float), np.array(causes))
        error = [None if math.isnan(one) else one for one in found.cinc_se[0]]
        row = {
            "times": times, "causes": causes, "at": list(found.times), "won": list(found.cinc[0]),
            "lost": list(found.cinc[1]), "error": error,
        }  # fmt: skip
        if not ties:  # lifelines breaks ties at random
            entries = [one * RNG.uniform(0, 0.9) * (RNG.random() < 0.3) for one in times]
            fitter = AalenJohansenFitter(calculate_variance=False).fit(np.array(times), np.array(causes), 1)
            late = AalenJohansenFitter(calculate_variance=False).fit(
                np.array(times), np.array(causes), 1, entry=np.array(entries)
            )
            whole = fitter.cumulative_density_.iloc[:, 0]
            row["lifelines"] = [float(whole.asof(one)) for one in found.times]
            row["entries"] = entries
            row["late"] = [float(late.cumulative_density_.iloc[:, 0].asof(one)) for one in found.times]
        yield row


def power():
    """Solve for the size at which the normal approximation of the test reaches the power."""
    for _ in range(20):
        base, power, alpha = RNG.uniform(0.02, 0.4), RNG.choice([0.8, 0.9]), RNG.choice([0.05, 0.01])
        other, ratio = base * RNG.choice([0.7, 1.2, 1.5]), RNG.choice([1.0, 0.25, 3.0])
        first = samplesize_proportions_2indep_onetail(other - base, base, power, ratio=1.0, alpha=alpha / 2)

        def short(n, base=base, other=other, ratio=ratio, alpha=alpha, power=power):
            pooled = (base + ratio * other) / (1 + ratio)
            null = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / (n * ratio)))
            real = math.sqrt(base * (1 - base) / n + other * (1 - other) / (n * ratio))
            edge = scipy.stats.norm.isf(alpha / 2) * null
            return scipy.stats.norm.sf(edge, abs(base - other), real) - power

        size = scipy.optimize.brentq(short, 1, 1e8, xtol=1e-6)
        yield {
            "base": base, "other": other, "power": power, "alpha": alpha, "ratio": ratio, "needed": math.ceil(size),
            "statsmodels": float(np.squeeze(first)),
        }  # fmt: skip


def ranking():
    for number in range(8):
        groups = RNG.randint(4, 15)
        n = [RNG.choice([8, 40, 150, 900]) for _ in range(groups)]
        spread = (2, 12) if number % 2 else (20, 120)
        k = [binomial(one, RNG.betavariate(*spread)) for one in n]
        if not sum(k):
            continue

        def lost(point, k=k, n=n):
            mean, strength = 1 / (1 + math.exp(-point[0])), math.exp(min(point[1], math.log(1e6)))
            return -sum(
                scipy.stats.betabinom.logpmf(a, b, mean * strength, (1 - mean) * strength)
                for a, b in zip(k, n)
            )

        best = min(
            (scipy.optimize.minimize(lost, [-1.5, start], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 5000}) for start in (1.0, 3.0, 6.0)),
            key=lambda one: one.fun,
        )  # fmt: skip
        mean, strength = 1 / (1 + math.exp(-best.x[0])), math.exp(min(best.x[1], math.log(1e6)))
        a, b = mean * strength, (1 - mean) * strength
        posterior = [scipy.stats.beta(a + x, b + m - x) for x, m in zip(k, n)]
        yield {
            "k": k, "n": n, "mean": mean, "strength": strength, "lost": best.fun,
            "rates": [one.mean() for one in posterior], "low": [one.ppf(0.025) for one in posterior],
            "high": [one.ppf(0.975) for one in posterior],
        }  # fmt: skip


def samples():
    for _ in range(15):
        total, share = RNG.choice([60, 500, 20_000]), RNG.choice([0.1, 0.2, 0.5])
        held = binomial(total, share * RNG.choice([1, 1, 0.8]))
        yield {
            "observed": [total - held, held],
            "shares": [1 - share, share],
            "p": check_srm([total - held, held], [1 - share, share]),
        }


MAKERS = (wilson, always_valid, differences, homogeneity, multiplicity, ratios, sequences, means, bootstraps, survival, power, ranking, samples)  # fmt: skip


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(one) for one in value]
    return float(f"{value:.14g}") if isinstance(value, float) else value


if __name__ == "__main__":
    golden = {maker.__name__: [rounded(row) for row in maker()] for maker in MAKERS}
    json.dump(golden, sys.stdout, separators=(",", ":"), default=float, allow_nan=False)
    sys.stdout.write("\n")
