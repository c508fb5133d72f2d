"""The words and numbers that generated pairs draw from."""

import random
from datetime import UTC, datetime
from typing import Any

Json = Any
START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = 3_600_000
DAY = 24 * HOUR
SPANS = {
    "12h": DAY // 2,
    "1d": DAY,
    "36h": 36 * HOUR,
    "2d": 2 * DAY,
    "3d": 3 * DAY,
    "5d": 5 * DAY,
    "1w": 7 * DAY,
}

INDUSTRIES = ["saas", "fintech", "retail"]
TECHNOLOGIES = ["hubspot", "salesforce", "snowflake", "dbt"]
CUSTOM = [
    1,
    1.0,
    2,
    0,
    0.5,
    -2,
    7,
    "1",
    "Gold",
    "golden",
    "x",
    True,
    False,
    ["a"],
    ["a", "b"],
    ["b", 1],
    [],
    None,
]
WORDS: dict[str, dict[str, list[str]]] = {
    "funding": {"round": ["seed", "series_a", "series_b"]},
    "hiring": {
        "change": ["opened", "closed"],
        "function": ["sales", "marketing", "engineering"],
        "title": ["SDR", "VP of Sales", "Growth Lead"],
        "seniority": ["junior", "senior"],
    },
    "leadership": {"change": ["joined", "left", "promoted"], "role": ["cro", "cmo", "vp_sales"]},
    "tech": {"change": ["added", "removed"], "technology": TECHNOLOGIES},
    "intent": {"topic": ["crm", "pricing", "analytics"]},
    "strategy": {"theme": ["expansion", "efficiency"]},
    "engagement": {"action": ["page_view", "demo_request", "webinar", "unsubscribe"]},
    "outcome": {"action": ["sent", "replied", "meeting_booked"]},
}
AMOUNTS: dict[str, tuple[str, list[float]]] = {
    "funding": ("amount_usd", [1_000_000, 2_000_000, 5_000_000]),
    "intent": ("score", [1, 2, 4, 8, 3, 0.5, 0.25, 10, 0, -4]),
}
MARGINS = [-20, -10, 5, 10, 20]
CUSTOM_FIELDS = ["tier", "fit", "tags"]
KINDS = [*WORDS, "intent", "tech", "hiring", "engagement"]  # the last four twice as often

Draw = random.Random
