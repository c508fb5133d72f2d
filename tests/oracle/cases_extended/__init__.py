"""Small worked examples of what the language says of dates, followers, the account, open things, names, types and scores."""

from .about_dates import DATES
from .about_followers import FOLLOWERS
from .about_names import ACCOUNTS, FILES, NAMES, PIECES
from .about_open_things import OPEN_THINGS, TIES
from .about_reports import REPORTS
from .about_segments import DRAFTS, SCORES
from .about_values import FRESHNESS, TYPES
from .builders import ExtendedCase

EXTENDED_CASES = [
    *DATES,
    *FOLLOWERS,
    *OPEN_THINGS,
    *TIES,
    *ACCOUNTS,
    *FILES,
    *NAMES,
    *PIECES,
    *FRESHNESS,
    *TYPES,
    *DRAFTS,
    *SCORES,
    *REPORTS,
]

__all__ = ["EXTENDED_CASES", "ExtendedCase"]
