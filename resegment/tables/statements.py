"""The SQL that PostgreSQL and DuckDB share: rows come as one array for each column."""

# ruff: noqa: S608 -- the names are those of `columns`; every value is a parameter

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from resegment.tables.columns import COLUMNS, KEYS


def _unnested(table: str, names: Sequence[str], start: int = 1) -> str:
    types = COLUMNS[table]
    return ", ".join(
        f"unnest(${number}::{types[name]}[]) AS {name}" for number, name in enumerate(names, start=start)
    )


def insert_rows(table: str) -> str:
    """Return the statement that inserts rows which are not there yet: a record that comes twice is one row."""
    names = list(COLUMNS[table])
    conflict = f" ON CONFLICT ({', '.join(KEYS[table])}) DO NOTHING" if table in KEYS else ""
    return f"INSERT INTO {table} ({', '.join(names)}) SELECT {_unnested(table, names)}{conflict}"


def replace_rows(table: str, newer: str) -> str:
    """Return the statement that inserts rows or replaces older ones; `newer` compares `excluded` with the row."""
    names, keys = list(COLUMNS[table]), KEYS[table]
    updated = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    return (
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {_unnested(table, names)} "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {updated} WHERE {newer}"
    )


_KEPT: Final = ("segment_event", "command", "fct_touch", "touch_void", "touch_key", "sync_log")
INSERT: Final = {name: insert_rows(name) for name in _KEPT}

MARK_VOID: Final = """
UPDATE fct_touch SET is_void = true
FROM touch_void
WHERE touch_void.account = fct_touch.account AND touch_void.change_id = fct_touch.change_id
  AND fct_touch.account = ANY($1::text[]) AND NOT fct_touch.is_void
"""

PUT_OUTCOMES: Final = replace_rows(
    "outcome",
    "excluded.known_at > outcome.known_at OR (excluded.known_at = outcome.known_at AND excluded.id >= outcome.id)",
)
"""Of two revisions of a fact the one that was recorded later counts, of two of one instant the one of the greater id."""

_CONCERNED: Final = """
WITH news AS (
  SELECT unnest($1::text[]) AS account, unnest($2::timestamptz[]) AS earliest
), starts AS MATERIALIZED (
  SELECT account, coalesce((
    SELECT max(sequence_number) FROM account_segment_history AS stay
    WHERE stay.account = news.account AND stay.valid_from < news.earliest
  ), 0) AS first
  FROM news
)
"""
"""From which change on the stays of each account may be others: that of the last stay that began before what has come."""

_LATER: Final = "{0}.account = starts.account AND {0}.sequence_number >= starts.first"

MARK_SUPERSEDED: Final = f"""
{_CONCERNED}
UPDATE segment_event SET superseded_by = later.id
FROM starts, segment_event AS later
WHERE {_LATER.format("segment_event")} AND {_LATER.format("later")}
  AND later.supersedes = segment_event.id AND segment_event.superseded_by IS NULL
"""

_STAYS: Final = f"""
{_CONCERNED.rstrip()}, lasting AS (
  SELECT event.*, lead(effective_at) OVER (PARTITION BY event.account ORDER BY sequence_number) AS valid_to
  FROM starts INNER JOIN segment_event AS event ON {_LATER.format("event")}
  WHERE event.superseded_by IS NULL
), stays AS (
  SELECT * FROM lasting WHERE valid_to IS NULL OR valid_to > effective_at
)
"""
"""The stays of accounts in segments. A change that was superseded, or that another follows at its instant, begins none."""

DROP_STAYS: Final = f"""
{_STAYS}
DELETE FROM account_segment_history AS stay
WHERE EXISTS (SELECT 1 FROM starts WHERE {_LATER.format("stay")}) AND NOT EXISTS (
  SELECT 1 FROM stays WHERE stays.account = stay.account AND stays.sequence_number = stay.sequence_number
)
"""

PUT_STAYS: Final = f"""
{_STAYS}
INSERT INTO account_segment_history (
  account, sequence_number, segment, valid_from, valid_to, is_current, recorded_at, definition_version, cause,
  change_id, play
)
SELECT
  account, sequence_number, coalesce(to_segment, 'none'), effective_at, valid_to, valid_to IS NULL, decided_at,
  definition_version, cause, id, play
FROM stays
ON CONFLICT (account, sequence_number) DO UPDATE SET valid_to = excluded.valid_to, is_current = excluded.is_current
WHERE account_segment_history.valid_to IS DISTINCT FROM excluded.valid_to
"""

PUT_CURRENT: Final = f"""
{_CONCERNED.rstrip()}, latest AS (
  SELECT event.*, row_number() OVER (PARTITION BY event.account ORDER BY sequence_number DESC) AS place
  FROM starts INNER JOIN segment_event AS event ON {_LATER.format("event")}
)
INSERT INTO account_segment_current (
  account, segment, since, sequence_number, change_id, definition_version, cause, play, workflow, team, holdout,
  merged_into, updated_at
)
SELECT
  account, coalesce(to_segment, 'none'), effective_at, sequence_number, id, definition_version, cause, play,
  workflow, team, holdout, CASE WHEN to_segment IS NULL AND cause = 'merge' THEN cause_account END,
  greatest($3::timestamptz, (SELECT coalesce(max(updated_at), $3::timestamptz) FROM account_segment_current))
    + row_number() OVER (ORDER BY account) * INTERVAL '1 microsecond'
FROM latest
WHERE place = 1
ON CONFLICT (account) DO UPDATE SET
  segment = excluded.segment, since = excluded.since, sequence_number = excluded.sequence_number,
  change_id = excluded.change_id, definition_version = excluded.definition_version, cause = excluded.cause,
  play = excluded.play, workflow = excluded.workflow, team = excluded.team, holdout = excluded.holdout,
  merged_into = excluded.merged_into, updated_at = excluded.updated_at
WHERE excluded.sequence_number > account_segment_current.sequence_number
"""
"""`updated_at` rises strictly over the whole table, so that a reader may ask for what came after the last row it saw."""

MERGED: Final = "SELECT account, merged_into FROM account_segment_current WHERE merged_into IS NOT NULL"
"""The accounts that were merged into others."""

CREDIT: Final = """
UPDATE outcome SET
  touch = credited.touch, credited_by = credited.credited_by, uncredited_reason = credited.uncredited_reason
FROM (
  SELECT unnest($1::text[]) AS account, unnest($2::text[]) AS source, unnest($3::text[]) AS record,
    unnest($4::text[]) AS touch, unnest($5::text[]) AS credited_by, unnest($6::text[]) AS uncredited_reason
) AS credited
WHERE outcome.account = credited.account AND outcome.source = credited.source AND outcome.record = credited.record
  AND (
    outcome.touch IS DISTINCT FROM credited.touch
    OR outcome.credited_by IS DISTINCT FROM credited.credited_by
    OR outcome.uncredited_reason IS DISTINCT FROM credited.uncredited_reason
  )
"""


def select_rows(table: str, spell: Callable[[str, str], str]) -> str:
    """Return the query of what accounts have in a table. `spell` writes a column of a type."""
    spelled = ", ".join(spell(name, kind) for name, kind in COLUMNS[table].items())
    return f"SELECT {spelled} FROM {table} WHERE account = ANY($1::text[])"


POSITIONS: Final = (
    "SELECT log_partition, next_offset, mark_timestamp, mark_digest FROM sync_position WHERE topic = $1"
)
PUT_POSITION: Final = """
INSERT INTO sync_position (topic, log_partition, next_offset, mark_timestamp, mark_digest) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (topic, log_partition) DO UPDATE SET
  next_offset = excluded.next_offset, mark_timestamp = excluded.mark_timestamp, mark_digest = excluded.mark_digest
"""
PREFIX: Final = "SELECT prefix, partitions FROM sync_prefix"
PUT_PREFIX: Final = "INSERT INTO sync_prefix (prefix, partitions) VALUES ($1, $2)"
