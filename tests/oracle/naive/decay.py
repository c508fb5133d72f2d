"""Decayed sums, exactly or to some 50 digits, and when they cross a bound."""

from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import Any

from .facts import Moment, Number
from .matching import matching
from .operators import is_number

NEXT_TO_NOTHING = 10_000
"""Halvings after which only the sign of a sum matters: no number that a file can hold is so near 0."""


@lru_cache(maxsize=200_000)
def power_of_two(exponent: Fraction) -> Decimal:
    with localcontext() as context:
        context.prec = 50
        return Decimal(2) ** (Decimal(exponent.numerator) / Decimal(exponent.denominator))


def decimal(value: Any) -> Decimal:
    with localcontext() as context:
        context.prec = 50
        return (
            Decimal(value.numerator) / Decimal(value.denominator)
            if isinstance(value, Fraction)
            else Decimal(value)
        )


def decayed(terms: list[tuple[Fraction, int]], half_life: int, at: int) -> Number:
    """The sum of weight * 2^(-(at - time) / half_life): exact where it is rational, else to some 50 digits.

    Powers 2^(-r / half_life) of different whole r below half_life are linearly independent over the rationals,
    so the sum is rational exactly when only those with r = 0 are left.
    """
    weights: dict[int, Fraction] = {}
    fewest = min(((at - time) // half_life for _, time in terms), default=0)
    spared = max(0, fewest - NEXT_TO_NOTHING)
    for weight, time in terms:
        halvings, rest = divmod(at - time, half_life)
        weights[rest] = weights.get(rest, Fraction(0)) + weight / 2 ** (halvings - spared)
    weights = {rest: weight for rest, weight in weights.items() if weight}
    if set(weights) <= {0}:
        return weights.get(0, Fraction(0))
    with localcontext() as context:
        context.prec = 50
        parts = [decimal(w) * power_of_two(Fraction(-rest, half_life)) for rest, w in weights.items()]
        return sum(parts, Decimal(0))


def decay_terms(moment: Moment, trait: dict[str, Any]) -> list[tuple[Fraction, int]]:
    terms = []
    for fact in matching(moment, trait["decay"], trait):
        weight = fact.data.get(trait.get("field", ""))
        if weight is None:
            weight = 1
        if is_number(weight):
            terms.append((Fraction(weight), fact.time))
    return terms


def crossing(terms: list[tuple[Fraction, int]], half_life: int, bound: Any, at: int) -> int | None:
    """The first instant after `at` at which the decayed sum stands otherwise to the bound than at `at`.

    The sum is C * 2^(-t / half_life): it moves towards 0, always on one side of it, and never gets there.
    """

    def side(instant: int) -> int:
        value = decayed(terms, half_life, instant)
        return int(value > bound) - int(value < bound)

    now = decayed(terms, half_life, at)
    if now == bound:
        return at + 1 if bound != 0 else None
    if now == 0 or bound == 0 or (now > 0) != (bound > 0) or abs(now) < abs(bound):
        return None
    halvings = (decimal(abs(now)) / decimal(abs(bound))).ln() / Decimal(2).ln()
    guess = max(at + 1, at + int(halvings * half_life) - 1)
    assert guess == at + 1 or side(guess - 1) == side(at), "the guess is too late"
    while side(guess) == side(at):
        guess += 1
    return guess
