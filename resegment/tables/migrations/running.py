"""Run a numbered SQL file as a migration of alembic, and note it in `schema_version`."""

from __future__ import annotations

from alembic import context, op
from sqlalchemy import text

from resegment.tables.migrating import read_migration


def run_migration(number: int, name: str) -> None:
    """Run the statements of a migration in the transaction of alembic."""
    connection = op.get_bind()
    for statement in read_migration(number, name).split(";\n"):
        if statement.strip():
            connection.exec_driver_sql(statement)
    connection.execute(
        text("INSERT INTO schema_version (version, name, applied_at) VALUES (:version, :name, now())"),
        {"version": number, "name": name},
    )
    context.config.attributes["ran"].append(name)
