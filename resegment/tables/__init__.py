"""Warehouse tables: segments, changes, touches, commands and outcomes as rows, in PostgreSQL, DuckDB and Parquet."""
