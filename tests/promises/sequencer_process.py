"""The sequencer in a process of its own that can be killed, with a real AEAD in the place of the key tree."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from sealwire.errors import SealwireError
from sealwire.ground.postgres.database import Database
from tests.unit.evidence.house import running_sequencer, served


async def main(dsn: str, folder: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    database = await Database.connect(dsn)
    async with running_sequencer(database, folder) as sequencer, served(sequencer, folder / "sequencer.sock"):
        print("ready", flush=True)
        await asyncio.wait([asyncio.ensure_future(stop.wait()), sequencer.running], return_when="FIRST_COMPLETED")
    await database.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    try:
        asyncio.run(main(options.dsn, options.folder))
    except SealwireError as error:
        print(f"{error.code()}: {error}", flush=True)
        sys.exit(1)
