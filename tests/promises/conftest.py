"""A whole cloud for the promises: PostgreSQL, keeper, sequencer and worker as real processes, one account."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from sealwire.doors.bench.scratch import Scratch, scratch_cloud
from sealwire.doors.supervisor import KEEPER, SEQUENCER, WORKER

RECORD_PARTS = ((KEEPER,), (SEQUENCER,), (WORKER,))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scratch() -> AsyncIterator[Scratch]:
    """A running cloud (without doors) and an account with an agreement."""
    async with scratch_cloud(RECORD_PARTS) as running:
        yield running
