"""A person who is planted in every kind of event and every personal field, and the search for them."""

from __future__ import annotations

from typing import Any, Final

PERSON: Final = "Philippa Featherstonehaugh"
ADDRESS: Final = "philippa@acme.com"
WORDS: Final = ("philippa", "featherstonehaugh")
FILE: Final[dict[str, Any]] = {
    "version": 1,
    "segments": [
        {
            "name": "new-leader",
            "when": {"event": "leadership", "where": {"change": "joined"}, "within": "90d"},
            "play": "hello",
            "route": {"workflow": "first-90", "team": "sales"},
        }
    ],
    "fallback": {"name": "not-ready", "play": "hello"},
    "plays": {
        "hello": {
            "message": {
                "pain": "Congratulations, {{ evidence.leadership.person | default('you') }}",
                "value_prop": "Quick wins",
                "proof_points": ["In weeks"],
            },
            "channels": {"primary": "email"},
        }
    },
    "teams": {"sales": {"members": ["ada"]}},
}
"""A segments file whose texts name the person."""

_PERSONAL: Final = {
    "person": PERSON,
    "email": ADDRESS,
    "title": f"CRO {PERSON}",
    "statement": f"said {PERSON}",
    "previous_company": PERSON,
}
EVENTS: Final[dict[str, dict[str, Any]]] = {
    "funding": {"round": "seed", **_PERSONAL, "title": "A round"},
    "hiring": {"change": "opened", **_PERSONAL, "title": "A job", "nested": [{"person": PERSON}]},
    "leadership": {"change": "joined", "role": "cro", **_PERSONAL, "url": f"https://x.example/{PERSON}"},
    "tech": {"change": "added", "technology": "dbt", **_PERSONAL, "title": "A tool"},
    "intent": {"topic": "crm", **_PERSONAL, "title": "A topic"},
    "strategy": {"theme": "growth", **_PERSONAL, "url": f"https://x.example/{PERSON}", "title": "A plan"},
    "engagement": {
        "action": "unsubscribed",
        **_PERSONAL,
        "url": f"https://x.example/{PERSON}",
        "title": "A page",
    },
    "firmographic": {"name": "Acme", **_PERSONAL, "title": "A company"},
    "outcome": {"action": "replied", **_PERSONAL, "title": "A reply"},
    "people": {**_PERSONAL, "first_name": "Philippa", "last_name": "Featherstonehaugh", "phone": "+15550100"},
}
"""The data of an event of each kind. A title is personal where it is that of a person."""


def names_person(*parts: Any) -> bool:
    """Return whether anything of a record, a row or a text names the person."""
    written = b" ".join(one if isinstance(one, bytes) else str(one).encode() for one in parts).lower()
    return any(word.encode() in written for word in WORDS)
