"""Ports of loopback for tests: every worker of a parallel run takes from a share of its own.

What several files use takes its ports here; a port that is written down belongs to one file, which one worker runs.
"""

from __future__ import annotations

import os
import random
import socket

FIRST, END = 10_000, 15_000
"""Below what the kernel hands out by itself, and below every port that is written down in a test."""


def share_of(worker: str, workers: int) -> range:
    """The ports of one worker, as pytest-xdist names it."""
    size = (END - FIRST) // workers
    first = FIRST + size * int(worker.removeprefix("gw"))
    return range(first, first + size)


_SHARE = share_of(os.environ.get("PYTEST_XDIST_WORKER", "gw0"), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
_next = random.randrange(len(_SHARE))


def take(count: int = 1) -> int:
    """The first of so many ports in a row that nobody has, for UDP and TCP; what was taken last comes again last."""
    global _next  # noqa: PLW0603 - one cursor for each process
    for _ in range(len(_SHARE)):
        if _next + count > len(_SHARE):
            _next = 0
        first = _SHARE[_next]
        taken = next((more for more in reversed(range(count)) if not is_free(first + more)), None)
        _next += count if taken is None else taken + 1
        if taken is None:
            return first
    raise AssertionError(f"no {count} free ports in a row from {_SHARE.start} to {_SHARE.stop - 1}")


def is_free(port: int) -> bool:
    """Whether nobody on loopback has it, for UDP or TCP."""
    return all(_binds(kind, port) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM))


def _binds(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
