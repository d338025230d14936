"""A process that keeps what it is told to make up, as the switchboard does: what it knew is looked for in its memory.

`python -m sealwire.doors.sweep.sealer --data DIR`; it answers on a socket of its own in the run folder.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import gc
from pathlib import Path
from typing import Any

from sealwire.config import Settings
from sealwire.custody.categories import BY_CODE
from sealwire.custody.lifecycle import Custody, connect_custody
from sealwire.doors.process import run_process
from sealwire.doors.sweep.canaries import Canaries
from sealwire.doors.sweep.scratch import require_scratch
from sealwire.ground import wire
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.vocabulary import AccountId, CallId


def sealer_socket(settings: Settings) -> Path:
    """Where it answers."""
    return settings.run_dir / "sweep-sealer.sock"


class Sealer:
    """Keeps records on request."""

    def __init__(self, custody: Custody) -> None:
        self._custody = custody

    async def keep(self, _: wire.Peer, asked: dict[str, Any]) -> dict[str, str]:
        """Keep one record of a category: its id."""
        canaries, category = Canaries(asked["seed"]), BY_CODE[asked["category"]]
        account, call = AccountId.parse(asked["account"]), CallId.parse(asked["call"])
        at = self._custody.clock.now() - dt.timedelta(days=asked["days_ago"])
        values = canaries.values(category, asked["serial"], at=at, call=call)
        if not category.has_media:
            kept = await self._custody.keep(account, category.record(**values))
            return {"record": str(kept.record)}
        media = await self._custody.begin_media(account, category.record, starts_at_day=category.day_at(at), call=call)
        await media.write(canaries.audio(asked["serial"]))
        digest = await media.finish()
        if category.identified_by is not None:
            values[category.identified_by] = type(values[category.identified_by])(media.record.value)
        values |= {field.name: digest for field in category.sealed_fields if "sha256" in field.name}
        kept = await self._custody.keep(account, category.record(**values), media=media)
        return {"record": str(kept.record)}

    async def rest(self, _: wire.Peer, __: dict[str, Any]) -> None:
        """Let go of what lies about, as a process does in time."""
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)


async def main(settings: Settings) -> None:
    """Serve until told to stop."""
    require_scratch(settings)
    custody = await connect_custody(settings, dsn(settings, "sealwire_service"), SystemClock(), connections_max=2)
    sealer = Sealer(custody)
    try:
        async with await wire.serve(sealer_socket(settings), {"keep": sealer.keep, "rest": sealer.rest}) as server:
            await server.serve_forever()
    finally:
        await custody.close()


if __name__ == "__main__":
    run_process("sweep-sealer", main)
