"""One town for each module that asks for it, and the one loop in which it lives."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator

import pytest

from sealwire.ground import diagnostics

from .town import Town


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """A loop that goes on between the steps of a story."""
    with asyncio.Runner() as one:
        yield one


@pytest.fixture(scope="module")
def town(runner: asyncio.Runner) -> Iterator[Town]:
    """A house with everything but traffic; each story begins it anew."""
    diagnostics.start("model", io.StringIO())
    built = Town()
    try:
        runner.run(built.build())
        yield built
    finally:
        runner.run(built.demolish())
        diagnostics.start("sealwire")
