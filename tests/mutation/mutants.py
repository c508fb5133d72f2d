"""Makes mutants: one small change of a Python module or of a Lua script."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: where, what it says, and the whole mutated source. Lines count from 1."""

    path: str
    line: int
    change: str
    source: str
    function: tuple[int, int] = (0, 0)
    """The lines of the function around it; (0, 0) in a script."""


# Python

_ORDER: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
}
_OPPOSITES: Final = {"min": "max", "max": "min", "bisect_left": "bisect_right", "bisect_right": "bisect_left"}
_CONDITIONAL: Final = (ast.If, ast.While, ast.IfExp)


def python_mutants(path: str, source: str) -> Iterator[Mutant]:
    """Yield every mutant of the functions of a module."""
    tree = ast.parse(source)
    for function in _functions(tree):
        start = min(one.lineno for one in [function, *function.decorator_list])
        lines = (start, function.end_lineno or start)
        for node in _inside(function):
            for mutated in _changes(node):
                yield _mutant(path, tree, node, mutated, lines)


def _functions(node: ast.AST) -> Iterator[Function]:
    """Yield the outermost functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child)


def _inside(function: Function) -> Iterator[ast.AST]:
    """Yield what a function runs: neither annotations, nor defaults, nor messages of errors."""
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop(0)
        if isinstance(node, ast.Raise | ast.Assert):
            continue
        yield node
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "args") and not isinstance(node, ast.Call):
                continue
            todo += [
                one for one in (value if isinstance(value, list) else [value]) if isinstance(one, ast.AST)
            ]


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in a node's place."""
    if (make := _MAKERS.get(type(node))) is not None:
        yield from make(node)
    if isinstance(node, _CONDITIONAL) and not isinstance(node.test, ast.Compare | ast.BoolOp | ast.UnaryOp):
        yield _with(node, lambda new: setattr(new, "test", ast.UnaryOp(ast.Not(), new.test)))


def _compare(node: ast.Compare) -> Iterator[ast.AST]:
    for index, operator in enumerate(node.ops):
        for other in _ORDER[type(operator)]:
            ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
            yield ast.Compare(node.left, ops, node.comparators)


def _join(node: ast.BoolOp) -> Iterator[ast.AST]:
    other = ast.Or if isinstance(node.op, ast.And) else ast.And
    yield _with(node, lambda new: setattr(new, "op", other()))
    for index in range(len(node.values)):
        if len(node.values) > 2:
            yield ast.BoolOp(node.op, [*node.values[:index], *node.values[index + 1 :]])
        else:
            yield copy.deepcopy(node.values[index])


def _negate(node: ast.UnaryOp) -> Iterator[ast.AST]:
    if isinstance(node.op, ast.Not):
        yield copy.deepcopy(node.operand)


def _calculate(node: ast.BinOp) -> Iterator[ast.AST]:
    if (other := _ARITHMETIC.get(type(node.op))) is not None:
        yield _with(node, lambda new: setattr(new, "op", other()))
        yield copy.deepcopy(node.left)


def _add_up(node: ast.AugAssign) -> Iterator[ast.AST]:
    if (other := _ARITHMETIC.get(type(node.op))) is not None:
        yield _with(node, lambda new: setattr(new, "op", other()))
        yield ast.Pass()


def _constant(node: ast.Constant) -> Iterator[ast.AST]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield ast.Constant(node.value + 1)


def _call(node: ast.Call) -> Iterator[ast.AST]:
    if isinstance(node.func, ast.Name) and (other := _OPPOSITES.get(node.func.id)) is not None:
        yield _with(node, lambda new: setattr(new.func, "id", other))


def _state(node: ast.Expr) -> Iterator[ast.AST]:
    if not isinstance(node.value, ast.Constant | ast.Yield | ast.YieldFrom):
        yield ast.Pass()


def _assign(node: ast.Assign) -> Iterator[ast.AST]:
    if all(isinstance(one, ast.Attribute | ast.Subscript) for one in node.targets):
        yield ast.Pass()


def _delete(_: ast.Delete) -> Iterator[ast.AST]:
    yield ast.Pass()


def _continue(_: ast.Continue) -> Iterator[ast.AST]:
    yield ast.Break()


_MAKERS: Final[dict[type[ast.AST], Callable[[Any], Iterator[ast.AST]]]] = {
    ast.Compare: _compare,
    ast.BoolOp: _join,
    ast.UnaryOp: _negate,
    ast.BinOp: _calculate,
    ast.AugAssign: _add_up,
    ast.Constant: _constant,
    ast.Call: _call,
    ast.Expr: _state,
    ast.Assign: _assign,
    ast.Delete: _delete,
    ast.Continue: _continue,
}


def _with(node: ast.AST, change: Callable[[Any], object]) -> ast.AST:
    new = copy.deepcopy(node)
    change(new)
    return new


def _mutant(path: str, tree: ast.Module, node: ast.AST, new: ast.AST, lines: tuple[int, int]) -> Mutant:
    line: int = node.lineno  # type: ignore[attr-defined]
    before, after = ast.unparse(node), ast.unparse(new)
    ast.copy_location(new, node)
    mutated = ast.fix_missing_locations(_Replace(node, new).visit(_copy(tree, node)))
    return Mutant(path, line, f"{_first(before)} -> {_first(after)}", ast.unparse(mutated), lines)


def _first(text: str) -> str:
    first, *others = text.split("\n")
    return f"{first} ..." if others else first


def _copy(tree: ast.Module, keep: ast.AST) -> ast.Module:
    """Copy a tree, except for one node."""
    return copy.deepcopy(tree, {id(keep): keep})


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self._new if node is self._old else self.generic_visit(node)


# Lua

_LUA: Final[tuple[tuple[str, str], ...]] = (
    (r"==", "~="),
    (r"~=", "=="),
    (r"<=", "<"),
    (r">=", ">"),
    (r"(?<![<>=~])<(?!=)", "<="),
    (r"(?<![<>=~])>(?!=)", ">="),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r" \* ", " / "),
    (r" / ", " * "),
    (r" and ", " or "),
    (r" or ", " and "),
    (r"\bnot ", ""),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
    (r"math\.max", "math.min"),
    (r"math\.min", "math.max"),
    (r"(?<![\w.'\[])0(?![\w.'])", "1"),
    (r"(?<![\w.'\[])1(?![\w.'])", "2"),
    (r"^(\s*)redis\.call\(.*\)$", r"\1do end"),
    (r"^(\s*)(\w+\[[^=]*\]) = [^{].*$", r"\1do end"),
)


def lua_mutants(path: str, source: str) -> Iterator[Mutant]:
    """Yield every mutant of a script."""
    lines = source.split("\n")
    for index, line in enumerate(lines):
        if line.lstrip().startswith("--"):
            continue
        for pattern, replacement in _LUA:
            for found in re.finditer(pattern, line):
                new = line[: found.start()] + found.expand(replacement) + line[found.end() :]
                source = "\n".join([*lines[:index], new, *lines[index + 1 :]])
                yield Mutant(path, index + 1, f"{line.strip()} -> {new.strip()}", source)
