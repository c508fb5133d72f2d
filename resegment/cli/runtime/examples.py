"""The examples, which are installed with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "examples"


def show_path(name: str) -> str:
    """Return the path of an example as a user would type it in the current folder."""
    place = (FOLDER / name).resolve()
    try:
        return str(place.relative_to(Path.cwd()))
    except ValueError:
        return str(place)
