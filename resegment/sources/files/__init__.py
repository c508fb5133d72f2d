"""Read events from JSON lines, CSV and Parquet files."""
