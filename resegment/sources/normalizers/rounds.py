"""Read the names of funding rounds."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from resegment.schemas.vocabulary import ROUNDS, normalize_term

_SERIES: Final = re.compile(r"(?:^|_)(?:series|serie|runde|ronda|round)_([a-h])(?:_?\d+|_plus)?(?:_|$)")
_NAMES: Final = {
    "angel": "pre_seed",
    "angel_round": "pre_seed",
    "preseed": "pre_seed",
    "pre_seed_round": "pre_seed",
    "seed_round": "seed",
    "seed_plus": "seed",
    "convertible_note": "bridge",
    "bridge_round": "bridge",
    "bridge_loan": "bridge",
    "debt_financing": "debt",
    "debt_round": "debt",
    "venture_debt": "debt",
    "post_ipo_debt": "debt",
    "loan": "debt",
    "grant_round": "grant",
    "initial_public_offering": "ipo",
    "venture": "other",
    "series_unknown": "other",
}


def normalize_round(raw: str) -> str:
    """Return the contract's word for a round: `Series A - Extension` -> `series_a`, `Angel Round` -> `pre_seed`.

    A round with a letter after h is `other`, and so is any text that names no round.
    """
    plain = "".join(one for one in unicodedata.normalize("NFKD", raw) if not unicodedata.combining(one))
    term = normalize_term(plain)
    if term in ROUNDS:
        return term
    if term in _NAMES:
        return _NAMES[term]
    if "bridge" in term:
        return "bridge"
    if (match := _SERIES.search(term)) is not None:
        return f"series_{match[1]}"
    if term.startswith(("pre_seed", "preseed")):
        return "pre_seed"
    if term.startswith("seed"):
        return "seed"
    if "debt" in term.split("_"):
        return "debt"
    if "grant" in term.split("_"):
        return "grant"
    return "other"
