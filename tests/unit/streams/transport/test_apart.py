"""The transport stands by itself: it imports nothing else of the project, so that faust could take it."""

import ast
from pathlib import Path

from resegment.streams import transport

FOLDER = Path(next(iter(transport.__path__)))
OWN = "resegment.streams.transport"


def test_it_imports_nothing_else_of_the_project() -> None:
    modules = sorted(FOLDER.glob("*.py"))
    assert len(modules) > 5
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                assert not name.startswith("resegment") or name.startswith(OWN), f"{module.name}: {name}"


def test_it_reads_no_environment_and_no_settings() -> None:
    for module in FOLDER.glob("*.py"):
        assert "environ" not in module.read_text()
