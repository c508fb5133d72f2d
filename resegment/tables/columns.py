"""The columns that come from records, and their types: the SQL of inserting rows is made from them."""

from __future__ import annotations

from typing import Final

TEXT: Final = "text"
INSTANT: Final = "timestamptz"
INTEGER: Final = "bigint"
NUMBER: Final = "float8"
TRUTH: Final = "boolean"

COLUMNS: Final[dict[str, dict[str, str]]] = {
    "segment_event": {
        "id": TEXT,
        "account": TEXT,
        "sequence_number": INTEGER,
        "from_segment": TEXT,
        "to_segment": TEXT,
        "effective_at": INSTANT,
        "decided_at": INSTANT,
        "definition_version": TEXT,
        "cause": TEXT,
        "cause_events": TEXT,
        "cause_deadline": INSTANT,
        "cause_definition": INTEGER,
        "cause_account": TEXT,
        "supersedes": TEXT,
        "play": TEXT,
        "workflow": TEXT,
        "team": TEXT,
        "holdout": TRUTH,
        "log_partition": INTEGER,
        "log_offset": INTEGER,
    },
    "command": {
        "idempotency_key": TEXT,
        "account": TEXT,
        "action": TEXT,
        "workflow": TEXT,
        "owner": TEXT,
        "team": TEXT,
        "qualification": TEXT,
        "segment": TEXT,
        "play": TEXT,
        "change_id": TEXT,
        "sequence_number": INTEGER,
        "effective_at": INSTANT,
        "accept_by": INSTANT,
        "reason": TEXT,
        "published_at": INSTANT,
        "log_partition": INTEGER,
        "log_offset": INTEGER,
    },
    "fct_touch": {
        "touch": TEXT,
        "account": TEXT,
        "touched_at": INSTANT,
        "segment": TEXT,
        "play": TEXT,
        "owner": TEXT,
        "team": TEXT,
        "workflow": TEXT,
        "channel": TEXT,
        "definition_version": TEXT,
        "version": INTEGER,
        "arm": TEXT,
        "experiment": TEXT,
        "variant": TEXT,
        "change_id": TEXT,
    },
    "touch_void": {"account": TEXT, "change_id": TEXT, "voided_at": INSTANT},
    "touch_key": {"account": TEXT, "idempotency_key": TEXT, "touch": TEXT, "known_from": INSTANT},
    "outcome": {
        "account": TEXT,
        "source": TEXT,
        "record": TEXT,
        "id": TEXT,
        "action": TEXT,
        "happened_at": INSTANT,
        "known_at": INSTANT,
        "person": TEXT,
        "deal": TEXT,
        "channel": TEXT,
        "sequence": TEXT,
        "amount": NUMBER,
        "currency": TEXT,
        "amount_usd": NUMBER,
        "opened_at": INSTANT,
        "idempotency_key": TEXT,
        "stage": TEXT,
        "is_retracted": TRUTH,
    },
    "sync_log": {
        "sync_run_id": TEXT,
        "topic": TEXT,
        "log_partition": INTEGER,
        "first_offset": INTEGER,
        "last_offset": INTEGER,
        "primary_key": TEXT,
        "operation": TEXT,
        "status": TEXT,
        "error_reason": TEXT,
        "row_count": INTEGER,
        "recorded_at": INSTANT,
    },
}
"""By table. What a statement derives from other rows is not among them."""

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "segment_event": ("account", "sequence_number"),
    "command": ("idempotency_key",),
    "fct_touch": ("touch",),
    "touch_void": ("account", "change_id"),
    "touch_key": ("account", "idempotency_key"),
    "outcome": ("account", "source", "record"),
    "account_segment_current": ("account",),
    "account_segment_history": ("account", "sequence_number"),
}
"""The primary key of each table that is made of records."""

TABLES: Final = (
    "account_segment_current",
    "account_segment_history",
    "segment_event",
    "fct_touch",
    "touch_void",
    "touch_key",
    "command",
    "outcome",
)
"""The tables whose rows follow from the topics alone."""
