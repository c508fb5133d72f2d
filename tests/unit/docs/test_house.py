"""The size of things: folders, modules, classes and constructors stay small enough to read at once."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("agents", "benchmarks", "resegment", "schemas", "streams")

MODULES_IN_A_FOLDER = 13
LINES_OF_A_MODULE = 400
ATTRIBUTES_OF_A_CLASS = 15
PARAMETERS_OF_A_CONSTRUCTOR = 8

LARGER = {
    "resegment/settings.py: Settings": "every setting, declared once",
    "resegment/metrics.py: Metrics": "every metric, declared once",
    "streams/kafka/topics.py: Topics": "every topic, declared once",
    "streams/operations/overview.py: Overview": "all that `resegment status` shows",
    "schemas/outgoing.py: SegmentChangeData": "the published contract of a change",
    "schemas/outgoing.py: WorkflowCommandData": "the published contract of a command",
    "schemas/outgoing.py: WorkflowCommand": "the same, on the hot path",
    "schemas/routing.py: Target": "the stored format of an account's latest change",
    "schemas/change.py: SegmentChange": "the same, as the core decides it",
    "resegment/routing/change.py: _ChangeData": "the same, as the router reads it",
    "resegment/segmentation/definition.py: Definition": "a segments file, part by part",
    "resegment/sinks/webhook/endpoint.py: Endpoint": "the keys of an endpoint",
    "resegment/sinks/configuration.py: SinkEntry": "the keys of a sink",
    "schemas/segments.py: SegmentsFile": "the keys of the file",
    "schemas/routing.py: RoutedState": "the stored format of a routed account",
    "schemas/outcomes/facts.py: OutcomeFact": "the stored format of an outcome",
    "schemas/outcomes/messages.py: TouchData": "the published contract of a touch",
    "schemas/outcomes/messages.py: _Read": "the same, as it is read",
    "resegment/outcomes/published.py: _Command": "a published command, as a touch is read from it",
    "streams/worker/wiring.py: Parts": "the parts of a worker, each named once",
    "schemas/state.py: AccountState": "the stored format of an account",
    "resegment/segmentation/inspection/briefs.py: Brief": "the JSON of `resegment play`",
    "resegment/segmentation/planning/plan.py: Plan": "the JSON of `resegment plan`",
    "resegment/outcomes/measuring/report.py: Report": "the JSON of `resegment metrics`",
    "resegment/segmentation/evaluation/program.py: Program": "a compiled file, read by index on the hot path",
}
"""What is larger, and why."""


def modules() -> Iterator[Path]:
    """Yield each module once: the folders at the top are linked into `resegment`."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parents = [one for one in path.parents if one != ROOT and ROOT in one.parents]
            if not any(one.is_symlink() for one in parents):
                yield path


MODULES = list(modules())


def named(path: Path, name: str = "") -> str:
    place = str(path.relative_to(ROOT))
    return f"{place}: {name}" if name else place


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield named(path, node.name), node


def attributes(node: ast.ClassDef) -> set[str]:
    """The fields that a class declares, and those that its methods give to `self`."""
    declared = {
        one.target.id
        for one in node.body
        if isinstance(one, ast.AnnAssign)
        and isinstance(one.target, ast.Name)
        and "ClassVar" not in ast.unparse(one)
    }
    given = {
        one.attr
        for one in ast.walk(node)
        if isinstance(one, ast.Attribute)
        and isinstance(one.ctx, ast.Store)
        and isinstance(one.value, ast.Name)
        and one.value.id == "self"
    }
    return declared | given


def parameters(node: ast.ClassDef) -> int:
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and one.name == "__init__":
            return len(one.args.args) - 1 + len(one.args.kwonlyargs)
    return 0


def test_a_folder_holds_few_modules() -> None:
    counts = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    assert {named(folder): count for folder, count in counts.items() if count > MODULES_IN_A_FOLDER} == {}


def test_a_module_fits_a_few_screens() -> None:
    lengths = {named(path): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > LINES_OF_A_MODULE} == {}


def test_a_class_keeps_few_attributes() -> None:
    counts = {name: len(attributes(node)) for name, node in classes()}
    larger = {name: count for name, count in counts.items() if count > ATTRIBUTES_OF_A_CLASS}
    assert larger.keys() == LARGER.keys()


def test_a_constructor_takes_few_parameters() -> None:
    counts = {name: parameters(node) for name, node in classes()}
    assert {name: count for name, count in counts.items() if count > PARAMETERS_OF_A_CONSTRUCTOR} == {}


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=named)
def test_a_folder_says_why_it_exists(folder: Path) -> None:
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
