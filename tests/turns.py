"""Tests marked `alone` have the machine to themselves while the others of a parallel run wait.

Every test holds one lock shared, one that is `alone` holds it exclusively. Before that each passes a gate, which one
that is `alone` keeps shut until it has its turn: the others cannot go on without end while it waits.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOM, GATE = Path(__file__), Path(__file__).with_name("conftest.py")
"""The locks lie on two files of the checkout, which are there in every process, and are gone with the process."""


class Turns:
    """The hooks; conftest.py registers them in each worker, for all tests of the run, wherever they lie."""

    def __init__(self, room: Path = ROOM, gate: Path = GATE) -> None:
        self._room, self._gate = room, gate

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # around pytest-timeout's: who waits has not begun
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        alone = item.get_closest_marker("alone") is not None
        with turn(alone=alone, room=self._room, gate=self._gate):
            return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Files that need the machine first, then those with slow tests: so the workers end at about the same time."""
        ranks: dict[Path, int] = {}
        for item in items:
            rank = 0 if item.get_closest_marker("alone") else 1 if item.get_closest_marker("slow") else 2
            ranks[item.path] = min(rank, ranks.get(item.path, rank))
        items.sort(key=lambda item: ranks[item.path])


@contextmanager
def turn(*, alone: bool, room: Path = ROOM, gate: Path = GATE) -> Iterator[None]:
    """Until the end of the block nobody else is in (alone), or nobody who is alone."""
    with _locked(room) as inside:
        with _locked(gate) as passing:
            fcntl.flock(passing, fcntl.LOCK_EX)
            fcntl.flock(inside, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@contextmanager
def _locked(file: Path) -> Iterator[int]:
    opened = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield opened
    finally:
        fcntl.flock(opened, fcntl.LOCK_UN)  # said aloud, for a process that was forked has the file open too
        os.close(opened)
