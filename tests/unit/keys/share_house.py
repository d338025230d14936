"""A customer's holder to test with, as a real process on a folder of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.unit.keys.holder_house import HolderProcess, desk
from tests.unit.keys.house import KeeperProcess

from sealwire.custody.keys.holding.service import new_code
from sealwire.vocabulary import AccountId


class ShareProcess(HolderProcess):
    """`python -m sealwire.doors.share`; a second one on the same folder keeps the port of the first."""

    def __init__(self, state: Path, *, port: int = 0, lease_s: int = 3600, **environment: str) -> None:
        self.state, self.lease_s = state, lease_s
        state.mkdir(parents=True, exist_ok=True)
        self.diagnostics = (state.parent / f"{state.name}.stderr").open("ab")
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "sealwire.doors.share", "--state", str(state), "--operator", "Customer Ltd",
                "--listen", f"127.0.0.1:{port}", "--lease-seconds", str(lease_s),
            ],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"} | environment,
            stderr=self.diagnostics, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.vkey = self.process.stdout.readline().removeprefix("holder ").strip()
        second = self.process.stdout.readline().split()
        self.address = second[2].rstrip(",") if second else f"127.0.0.1:{port}"
        self.pin = second[-1] if second else ""
        self.code = "" if any(state.glob("shares/*.json")) or not second else self._joining_code()

    async def again(self, **environment: str) -> ShareProcess:
        """The same holder, started once more."""
        return await asyncio.to_thread(
            lambda: ShareProcess(self.state, port=self.port, lease_s=self.lease_s, **environment)
        )

    def destroy_by_command(self, account: AccountId, **environment: str) -> subprocess.CompletedProcess[str]:
        """As its owner does it, beside the running process."""
        return subprocess.run(
            [
                sys.executable, "-m", "sealwire.doors.cli", "holder", "destroy-share", "--state", str(self.state),
                "--account", str(account), "--operator", "Customer Ltd", "--yes",
            ],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip


async def asked(keeper: KeeperProcess, name: str, account: AccountId, **body: Any) -> Any:
    peer = await desk(keeper)
    try:
        return await peer.call(name, account=str(account), **body)
    finally:
        peer.close()


async def share_joined(keeper: KeeperProcess, holder: ShareProcess, account: AccountId) -> dict[str, Any]:
    code, holder.code = holder.code or new_code(holder.state), ""
    answer: dict[str, Any] = await asked(
        keeper, "share_join", account, address=holder.address, pin=holder.pin, code=code
    )
    return answer


async def until_share(
    keeper: KeeperProcess, account: AccountId, *, seconds: float = 15, **wanted: Any
) -> dict[str, Any]:
    """Until the account's share stands like this."""
    end_s = time.monotonic() + seconds
    while True:
        about: dict[str, Any] = await asked(keeper, "share", account)
        if all(about.get(name) == value for name, value in wanted.items()):
            return about
        assert time.monotonic() < end_s, f"the share stands otherwise: {about}"
        await asyncio.sleep(0.05)
