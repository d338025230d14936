"""A further holder to test with, as a real process on a folder of its own, and how a keeper is joined to it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.unit.keys.house import KeeperProcess

from sealwire.custody.keys.client import EraseReceipt, KeeperClient
from sealwire.custody.keys.holding.refusals import HoldersPending
from sealwire.custody.keys.paths import LeafPath
from sealwire.ground.wire import Peer, connect
from sealwire.vocabulary import AccountId


class HolderProcess:
    """`python -m sealwire.doors.holder`; a second one on the same folder keeps the port of the first."""

    def __init__(self, state: Path, *, operator: str = "Holder Ltd", port: int = 0, **environment: str) -> None:
        self.state, self.operator = state, operator
        state.mkdir(parents=True, exist_ok=True)
        self.diagnostics = (state.parent / f"{state.name}.stderr").open("ab")
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "sealwire.doors.holder", "--state", str(state), "--operator", operator,
                "--listen", f"127.0.0.1:{port}",
            ],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"} | environment,
            stderr=self.diagnostics, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.vkey = self.process.stdout.readline().removeprefix("holder ").strip()
        second = self.process.stdout.readline().split()
        self.address = second[2].rstrip(",") if second else f"127.0.0.1:{port}"
        self.pin = second[-1] if second else ""
        self.code = "" if (state / "pairing.json").exists() or not second else self._joining_code()

    def _joining_code(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()[-1]

    @property
    def name(self) -> str:
        return self.vkey.partition("+")[0]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    async def again(self, **environment: str) -> HolderProcess:
        """The same holder, started once more."""
        return await asyncio.to_thread(
            lambda: HolderProcess(self.state, operator=self.operator, port=self.port, **environment)
        )

    async def wait(self) -> int:
        async with asyncio.timeout(30):
            while self.process.poll() is None:
                await asyncio.sleep(0.02)
        self.diagnostics.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.returncode

    async def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return await self.wait()

    async def kill(self) -> None:
        self.process.kill()
        await self.wait()


async def desk(keeper: KeeperProcess) -> Peer:
    return await connect(keeper.settings.keeper_socket)


async def join(keeper: KeeperProcess, holder: HolderProcess) -> dict[str, Any]:
    peer = await desk(keeper)
    try:
        member: dict[str, Any] = await peer.call(
            "holder_join", address=holder.address, pin=holder.pin, code=holder.code
        )
        return member
    finally:
        peer.close()


async def until_current(client: KeeperClient, *, seconds: float = 20) -> None:
    """Until no holder is away."""
    end_s = time.monotonic() + seconds
    while (await client.status()).holders_away:
        assert time.monotonic() < end_s, "a holder did not come back"
        await asyncio.sleep(0.05)


async def erased(
    client: KeeperClient, account: AccountId, leaf: LeafPath, *, erasure: str = "ers_1", seconds: float = 20
) -> list[EraseReceipt]:
    """Ask until every holder has signed, as the worker does."""
    end_s = time.monotonic() + seconds
    while True:
        try:
            return await client.erase(account, erasure=erasure, leaves=[leaf])
        except HoldersPending:
            assert time.monotonic() < end_s, "it stayed pending"
            await asyncio.sleep(0.1)
