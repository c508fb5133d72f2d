"""Starts a server that ends with the process that asked for it, even when that one is killed.

Run as a program (`python guard.py PARENT SIGNAL COMMAND...`), so that no Python code runs between fork and exec of
the parent, which may have threads. It needs the standard library only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1
_LOOK_AFTER_PARENT_SECONDS = 0.2


def become(parent: int, dying: int, command: list[str]) -> None:
    """Turn into `command`, to which the kernel sends `dying` when `parent` ends (Linux). Never returns.

    The kernel watches the thread that forked: a server started by an event loop ends with that loop's thread.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, dying, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it ended before the kernel knew which process to watch
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - the very purpose


def follow(parent: int, dying: int, command: list[str]) -> int:
    """Run `command` as a child, send it `dying` once `parent` has ended, and return its exit code (any POSIX)."""
    server = subprocess.Popen(command)  # noqa: S603 - the command comes from the parent, not from a user
    signal.signal(signal.SIGTERM, lambda *_: server.send_signal(signal.SIGTERM))
    orphaned = False
    while True:
        try:
            code = server.wait(_LOOK_AFTER_PARENT_SECONDS)
        except subprocess.TimeoutExpired:
            if not orphaned and os.getppid() != parent:
                orphaned = True
                server.send_signal(dying)
        else:
            return code if code >= 0 else 128 - code


def main(arguments: list[str]) -> int:
    """Run the command the way this platform allows."""
    parent, dying, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    if sys.platform == "linux":
        become(parent, dying, command)
    return follow(parent, dying, command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
