"""Create the tables."""

from __future__ import annotations

from resegment.tables.migrations.running import run_migration

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    run_migration(1, "tables")
