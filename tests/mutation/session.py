"""Runs mutants inside one pytest session: collected once, then forked for each mutant.

The child replaces the code of the functions in the module that is loaded already, so nothing is imported or collected
again, and the files stay as they are.
"""

from __future__ import annotations

import ast
import cProfile
import importlib
import json
import os
import random
import time
import types
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from tests.mutation.mutants import Mutant

ROOT: Final = Path(__file__).resolve().parents[2]

CONFIRMATION: Final = 8
"""A mutant that survives gets this many times the budget, to be sure."""

Outcome = Literal["killed", "survived", "not covered"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant."""

    mutant: Mutant
    outcome: Outcome


@dataclass(slots=True)
class _Profile:
    """How long each test takes, and which lines of targets begin code that it calls; by number of the test."""

    seconds: dict[int, float] = field(default_factory=dict)
    calls: dict[str, dict[int, set[int]]] = field(default_factory=dict)


class Session:
    """A pytest plugin that runs mutants instead of the tests."""

    def __init__(
        self, mutants: Sequence[Mutant], *, budget: float, processes: int, say: Callable[[str], None]
    ) -> None:
        """`budget` is how many seconds of tests a mutant gets: the quickest of those that call its function."""
        self._mutants, self._budget, self._processes, self._say = mutants, budget, processes, say
        self._failure = ""
        self.results: list[Result] = []
        self.problem: str | None = "no test was run"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failure = (
                self._failure or f"{report.nodeid} fails without any mutant: {report.longreprtext}"
            )

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        began = time.monotonic()
        profile = self._profile(session)
        if profile is None:
            return True
        self._say(f"{len(session.items)} tests profiled in {time.monotonic() - began:.0f} s")
        first = self._pass(session, profile, self._mutants, 0, self._budget)
        again = [one.mutant for one in first if one.outcome == "survived"]
        self._say(f"{len(again)} of {len(first)} mutants left after {time.monotonic() - began:.0f} s")
        for one in again:
            self._say(f"left: {one.path}:{one.line}: {one.change}")
        second = self._pass(session, profile, again, self._budget, CONFIRMATION * self._budget)
        self.results = [one for one in first if one.outcome != "survived"] + second
        return True

    def _pass(
        self,
        session: pytest.Session,
        profile: _Profile,
        mutants: Sequence[Mutant],
        skip: float,
        budget: float,
    ) -> list[Result]:
        """Run each mutant against the tests that fit into `budget`, but not those that fit into `skip`."""
        results: list[Result] = []
        running: dict[int, Mutant] = {}
        for mutant in mutants:
            known = len(self._choose(session, profile, mutant, skip)) if skip else 0
            chosen = self._choose(session, profile, mutant, budget)
            if not chosen[known:]:
                results.append(Result(mutant, "survived" if known else "not covered"))
                continue
            while len(running) >= self._processes:
                results.append(_reap(running))
            child = os.fork()
            if child == 0:
                self._be_mutant(mutant, chosen[known:])
            running[child] = mutant
        while running:
            results.append(_reap(running))
        return results

    def _choose(
        self, session: pytest.Session, profile: _Profile, mutant: Mutant, budget: float
    ) -> list[pytest.Item]:
        start, end = mutant.function
        if end == 0:
            numbers = [n for n in profile.seconds if "redis" in session.items[n].nodeid]
        else:
            numbers = [
                number
                for number, lines in profile.calls.get(str(ROOT / mutant.path), {}).items()
                if any(start <= line <= end for line in lines)
            ]
        numbers.sort(key=lambda number: profile.seconds[number])
        chosen: list[pytest.Item] = []
        total = 0.0
        for number in numbers:
            total += profile.seconds[number]
            if chosen and total > budget:
                break
            chosen.append(session.items[number])
        return chosen

    def _profile(self, session: pytest.Session) -> _Profile | None:
        """Run every test once, in a child that reports which code each calls."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self._be_profiler(session, writing)
        os.close(writing)
        with os.fdopen(reading) as report:
            text = report.read()
        os.waitpid(child, 0)
        told = json.loads(text or "{}")
        self.problem = told.get("failure", "the tests ended early") or None
        if self.problem:
            return None
        profile = _Profile({int(number): seconds for number, seconds in told["seconds"].items()})
        for path, calls in told["calls"].items():
            profile.calls[path] = {int(number): set(lines) for number, lines in calls.items()}
        return profile

    # In a child

    def _be_profiler(self, session: pytest.Session, writing: int) -> None:
        _be_quiet()
        targets = {str(ROOT / one.path) for one in self._mutants}
        seconds: dict[int, float] = {}
        calls: dict[str, dict[int, set[int]]] = {path: defaultdict(set) for path in targets}
        for number, then in enumerate([*session.items[1:], None]):
            began = time.monotonic()
            profiler = cProfile.Profile()
            profiler.enable()
            self._run(session.items[number], then)
            profiler.disable()
            for entry in profiler.getstats():
                if isinstance(entry.code, types.CodeType) and entry.code.co_filename in targets:
                    calls[entry.code.co_filename][number].add(entry.code.co_firstlineno)
            seconds[number] = time.monotonic() - began
            if self._failure:
                break
        plain = {path: {n: sorted(lines) for n, lines in found.items()} for path, found in calls.items()}
        with os.fdopen(writing, "w") as report:
            json.dump({"seconds": seconds, "calls": plain, "failure": self._failure}, report)
        os._exit(0)

    def _be_mutant(self, mutant: Mutant, chosen: list[pytest.Item]) -> None:
        _be_quiet()
        try:
            apply(mutant)
            for item, then in zip(chosen, [*chosen[1:], None], strict=True):
                self._run(item, then)
                if self._failure:
                    os._exit(1)
            os._exit(0)
        finally:
            os._exit(1)

    def _run(self, item: pytest.Item, then: pytest.Item | None) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=then)
        if self._failure and then is not None:
            item.session._setupstate.teardown_exact(None)


def _reap(running: dict[int, Mutant]) -> Result:
    child, status = os.wait()
    return Result(running.pop(child), "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed")


def _be_quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def apply(mutant: Mutant) -> None:
    """Replace the loaded code by the mutant's."""
    if mutant.path.endswith(".lua"):
        scripts = importlib.import_module("resegment.state.redis.scripts")
        script = scripts.load_script(Path(mutant.path).stem)
        object.__setattr__(script, "text", mutant.source)
        object.__setattr__(script, "digest", sha1(mutant.source.encode(), usedforsecurity=False).hexdigest())
        return
    module = importlib.import_module(mutant.path.removesuffix(".py").replace("/", "."))
    code = compile(ast.parse(mutant.source), str(module.__file__), "exec")
    mutated = {one.co_qualname: one for one in _outermost(code)}
    for function in functions_of(module):
        new = mutated.get(function.__qualname__)
        if new is not None and new.co_freevars == function.__code__.co_freevars:
            function.__code__ = new


def _outermost(code: types.CodeType) -> Iterator[types.CodeType]:
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield one
            if not one.co_flags & 0x2:  # the body of a class, not a function
                yield from _outermost(one)


def functions_of(owner: Any) -> Iterator[types.FunctionType]:
    """Yield the functions and methods that a module defines."""
    module = owner.__name__ if isinstance(owner, types.ModuleType) else owner.__module__
    for value in list(vars(owner).values()):
        if isinstance(value, property):
            candidates: list[Any] = [value.fget, value.fset]
        else:
            candidates = [getattr(value, "__func__", value)]
        for one in (getattr(one, "__wrapped__", one) for one in candidates):
            if isinstance(one, types.FunctionType) and one.__module__ == module:
                yield one
            elif isinstance(one, type) and one.__module__ == module and one is not owner:
                yield from functions_of(one)


def sample(mutants: Sequence[Mutant], share: float, seed: int = 0) -> list[Mutant]:
    """Draw a share of mutants, the same for one seed."""
    draw = random.Random(seed)
    return [one for one in mutants if draw.random() < share]
