"""Events from JSON lines, CSV and Parquet files."""
