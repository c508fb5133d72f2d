"""Run the mutants: `python -m tests.mutation [target ...] [--share 0.1] [--budget 8]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Final

import hypothesis
import pytest

from tests.mutation.mutants import Mutant, lua_mutants, python_mutants
from tests.mutation.session import ROOT, Session, sample


@dataclass(frozen=True, slots=True)
class Target:
    """Files that are mutated together, and where their tests are."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


_SEGMENTATION: Final = (
    "tests/unit/segmentation/evaluation/test_fold.py",
    "tests/unit/segmentation/evaluation/test_retention.py",
    "tests/unit/segmentation/evaluation/test_limits_of_facts.py",
    "tests/unit/segmentation/evaluation/test_repeated_snapshots.py",
    "tests/unit/segmentation/evaluation/test_many_facts.py",
    "tests/unit/segmentation/evaluation/test_evidence.py",
    "tests/unit/segmentation/inspection/test_explain.py",
    "tests/unit/segmentation/inspection/test_briefs.py",
    "tests/unit/segmentation/language/test_language_docs.py",
    "tests/unit/agents/test_segmenter.py",
)
_ROUTING: Final = (
    "tests/unit/routing",
    "tests/unit/agents/test_router.py",
    "tests/unit/streams/recovery/test_restore_routing.py",
    "tests/unit/docs/test_routing_docs.py",
)

TARGETS: Final = {
    "evaluation": Target(
        ("resegment/segmentation/evaluation/*.py", "resegment/segmentation/evaluation/measures/*.py"),
        _SEGMENTATION,
    ),
    "partition": Target(
        tuple(
            f"resegment/agents/{name}.py"
            for name in ("partition", "outbox", "segmenter", "relay", "deadlines")
        ),
        ("tests/unit/agents", "tests/unit/streams"),
    ),
    "routing": Target(("resegment/routing/*.py", "resegment/agents/router.py"), _ROUTING),
    "stores": Target(
        ("resegment/state/redis/*.lua",),
        (
            "tests/contracts/test_partition_store.py",
            "tests/contracts/test_owner_store.py",
            "tests/contracts/test_redis_store.py",
        ),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="all, if none is given")
    parser.add_argument("--share", type=float, default=1.0, help="run a random share of the mutants")
    parser.add_argument(
        "--budget", type=float, default=3.0, help="seconds of tests for each mutant; survivors get more"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default="", help="only files whose path contains this")
    options = parser.parse_args()
    hypothesis.settings.register_profile(
        "mutation",
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")
    failed = False
    for name in options.targets or TARGETS:
        failed = not _run(name, options) or failed
    return 1 if failed else 0


def _run(name: str, options: argparse.Namespace) -> bool:
    target = TARGETS[name]
    mutants = [one for one in sample(list(_mutants(target)), options.share) if options.only in one.path]
    session = Session(
        mutants,
        budget=options.budget,
        processes=options.processes,
        say=lambda text: print(f"{name}: {text}", file=sys.stderr, flush=True),
    )
    began = time.monotonic()
    with redirect_stdout(StringIO()):
        pytest.main(["-s", "-p", "no:cacheprovider", "-o", "timeout=20", *target.tests], plugins=[session])
    if session.problem is not None:
        print(f"{name}: {session.problem}", file=sys.stderr)
        return False
    counts = Counter(one.outcome for one in session.results)
    for one in sorted(session.results, key=lambda one: (one.mutant.path, one.mutant.line)):
        if one.outcome != "killed":
            print(f"{one.outcome:11} {one.mutant.path}:{one.mutant.line}: {one.mutant.change}")
    print(
        f"{name}: {len(session.results)} mutants, {counts['killed']} killed, {counts['survived']} survived, "
        f"{counts['not covered']} not covered, {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return True


def _mutants(target: Target) -> Iterator[Mutant]:
    for pattern in target.files:
        for file in sorted(ROOT.glob(pattern)):
            path, source = str(file.relative_to(ROOT)), file.read_text("utf-8")
            yield from (lua_mutants if file.suffix == ".lua" else python_mutants)(path, source)


if __name__ == "__main__":
    sys.exit(main())
