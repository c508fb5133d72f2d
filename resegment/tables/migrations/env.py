"""Run by alembic: bring the tables of one schema to a version, in the transaction of the connection it was given."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
schema = context.config.attributes["schema"]
quoted = connection.dialect.identifier_preparer.quote(schema)
connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {quoted}"))
connection.execute(text(f"SET LOCAL search_path TO {quoted}"))
context.configure(connection=connection, version_table_schema=schema)
context.run_migrations()
