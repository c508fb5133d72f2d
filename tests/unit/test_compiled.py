"""The modules that a compiled wheel holds compiled; `make test-compiled` runs this on compiled ones."""

from __future__ import annotations

import ast
import importlib
import os
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from resegment import __version__, tell_release

ROOT = Path(__file__).parents[2]
MODULES = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["resegment"]["compiled"]
COMPILED = os.environ.get("RESEGMENT_EXPECT_COMPILED") == "1"


@pytest.mark.parametrize("path", MODULES)
def test_a_listed_module_is_compiled_where_it_should_be_and_only_there(path: str) -> None:
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    expected = EXTENSION_SUFFIXES[0] if COMPILED else ".py"
    assert module.__file__ == str((ROOT / path).with_suffix(expected))


@pytest.mark.parametrize("path", MODULES)
def test_no_class_of_a_listed_module_has_keywords_which_mypyc_would_drop(path: str) -> None:
    classes = [
        node
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    assert [one.name for one in classes if any(word.arg != "metaclass" for word in one.keywords)] == []


def test_the_release_says_whether_the_core_is_compiled() -> None:
    assert tell_release() == f"{__version__} ({'compiled core' if COMPILED else 'pure Python'})"
