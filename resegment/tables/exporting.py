"""A folder of Parquet files, one for each table, beside the DuckDB file that they are written from."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from resegment.errors import FolderNotWritable
from resegment.tables.columns import TABLES
from resegment.tables.duck import Duck

EXPORTED: Final = (*TABLES, "sync_log", "schema_version")
FILE: Final = "tables.duckdb"


def write_parquet(store: Duck, folder: Path) -> list[Path]:
    """Write every table to a file of a folder; each replaces the one before at once. Raises FolderNotWritable."""
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for table in EXPORTED:
            target = folder / f"{table}.parquet"
            part = folder / f".{table}.parquet.part"
            store.write_parquet(table, str(part))
            part.replace(target)
            written.append(target)
    except OSError as error:
        raise FolderNotWritable(folder, error) from error
    return written


class ParquetFolder(Duck):
    """See `TableStore`. `export` writes the files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder / FILE))
        self.folder = folder

    def migrate(self) -> list[str]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FolderNotWritable(self.folder, error) from error
        return super().migrate()

    def export(self) -> list[Path]:
        """Write every table to its file. Raises FolderNotWritable and DatabaseUnreachable."""
        return write_parquet(self, self.folder)
