"""Topics kept as Parquet files on any file system: what a file holds, and how each record is in exactly one."""
