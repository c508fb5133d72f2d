"""The garbage collector of a worker's process, and the end of one that another started."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest

from resegment.streams.runtime import Tidier, YoungObjects, settle


class Node:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds, callbacks, interval = gc.get_threshold(), list(gc.callbacks), sys.getswitchinterval()
    yield
    gc.callbacks[:] = callbacks
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval)
    gc.unfreeze()
    gc.collect()


def test_what_outlives_a_collection_is_kept_out_of_the_next_ones() -> None:
    settle()
    before = gc.get_freeze_count()
    kept = [[number] for number in range(20_000)]
    YoungObjects().collect()
    assert gc.get_freeze_count() - before > 10_000
    assert len(kept) == 20_000


def test_young_objects_that_only_refer_to_themselves_are_freed() -> None:
    settle()
    lost = weakref.ref(Node())
    gc.collect(0)
    assert lost() is None


def fill() -> list[list[int]]:
    """Return so many new objects that a look is due."""
    return [[number] for number in range(20_000)]


def test_new_objects_are_kept_unseen_where_a_look_found_nothing_and_looked_through_where_it_did() -> None:
    settle()
    young = YoungObjects()
    kept = [fill()]
    young.collect()
    lost = weakref.ref(Node())
    kept.append(fill())
    young.collect()
    assert lost() is not None
    for _ in range(3):  # the next look, and two of three times without one
        dirty = [Node() for _ in range(20_000)]
        lost = weakref.ref(dirty[0])
        dirty.clear()
        young.collect()
        if lost() is None:
            break
    assert lost() is None
    lost = weakref.ref(Node())
    kept.append(fill())
    young.collect()
    assert lost() is None


def test_in_a_process_that_keeps_no_accounts_new_objects_are_always_looked_through() -> None:
    settle(keeps_accounts=False)
    young, kept = YoungObjects(), []
    for _ in range(3):
        lost = weakref.ref(Node())
        kept.append(fill())
        young.collect()
        assert lost() is None


def lose() -> weakref.ref[Node]:
    """Return an object that is garbage, and out of the collector's sight."""
    node = Node()
    gc.freeze()
    return weakref.ref(node)


def test_a_tidier_frees_what_was_kept_as_the_process_grows() -> None:
    settle()
    peak = 200
    tidier = Tidier(lambda: 0.0, lambda: peak)
    lost = lose()
    peak = 399
    tidier.look(idle=False)
    assert lost() is not None
    peak = 400
    tidier.look(idle=False)
    assert lost() is None
    lost = lose()
    tidier.look(idle=False)
    assert lost() is not None


def test_a_tidier_looks_for_nothing_while_a_process_grows_by_the_accounts_that_it_keeps() -> None:
    settle()
    memory, kept = 200, 50
    tidier = Tidier(lambda: 0.0, lambda: memory, lambda: kept)
    lost = lose()
    memory, kept = 700, 250
    tidier.look(idle=False)
    assert lost() is not None
    memory = 800
    tidier.look(idle=False)
    assert lost() is None


def test_a_tidier_frees_what_was_kept_once_an_hour_and_earlier_where_nothing_is_done() -> None:
    settle()
    now = 0.0
    tidier = Tidier(lambda: now)
    lost = lose()
    now = 299.0
    tidier.look(idle=True)
    now = 3_599.0
    tidier.look(idle=False)
    assert lost() is not None
    assert tidier.look(idle=True) > 0
    assert lost() is None
    lost, now = lose(), 3_599.0 + 3_600.0
    assert tidier.look(idle=False) > 0
    assert lost() is None


ORPHANED = """
import os, signal, time
from resegment.streams.runtime import end_with

parent = os.getpid()
if os.fork() == 0:
    end_with(parent)
    time.sleep(60)
os.kill(parent, signal.SIGKILL)
"""


def test_a_process_ends_with_the_one_that_started_it() -> None:
    # its output ends only with the last process that has it
    done = subprocess.run([sys.executable, "-c", ORPHANED], capture_output=True, timeout=50, check=False)
    assert done.returncode == -signal.SIGKILL


INTERRUPTED = """
import os, signal
from resegment.streams.runtime import end_with

end_with(os.getppid())
os.kill(os.getpid(), signal.SIGINT)
print("works on")
"""


def test_such_a_process_leaves_an_interrupt_to_the_one_that_started_it() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, timeout=50, check=False)
    assert done.stdout == b"works on\n", done.stderr
