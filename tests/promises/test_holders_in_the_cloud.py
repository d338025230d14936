"""A whole cloud with a further holder: what an erasure's own row, its certificate and the commands say."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sealwire.custody.keys.holding.recoverable import recoverability
from sealwire.doors.bench.scratch import Scratch, scratch_cloud
from sealwire.doors.doctor import holders as doctor_on_holders
from sealwire.doors.findings import State
from sealwire.doors.supervisor import KEEPER, SEQUENCER, WORKER
from tests.promises.acts import ask_to_erase, erasure_at, keep_call, policy_for
from tests.promises.test_6_erasure import verifier_says
from tests.unit.keys.holder_house import HolderProcess

PARTS = ((KEEPER,), (SEQUENCER,), (WORKER,))
NUMBER = "+447700900123"


def sealwire(*words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-m", "sealwire.doors.cli", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


async def holders_listed(scratch: Scratch) -> list[dict[str, object]]:
    data = str(scratch.settings.data_dir)
    listed = await asyncio.to_thread(sealwire, "holder", "list", "--data", data, "--json")
    assert listed.returncode == 0, listed.stderr
    return [json.loads(line) for line in listed.stdout.splitlines()]


@pytest.mark.slow
async def test_a_certificate_waits_for_every_holder_and_shows_each_receipt(tmp_path: Path) -> None:
    async with scratch_cloud(PARTS) as scratch:
        holder = await asyncio.to_thread(HolderProcess, tmp_path / "holder", operator="Trustee GmbH")
        data = str(scratch.settings.data_dir)
        joined = await asyncio.to_thread(
            sealwire, "holder", "join", holder.address, holder.pin, holder.code, "--data", data
        )
        assert joined.returncode == 0, joined.stderr
        assert holder.vkey in joined.stdout
        first, second = [await keep_call(scratch, NUMBER) for _ in range(2)]
        await certified_by_both(scratch, holder, await ask_to_erase(scratch, [first.record]), tmp_path)
        await holder.kill()
        waiting = await ask_to_erase(scratch, [second.record])
        await pending_is_visible(scratch, waiting)
        again = await holder.again()
        done = await erasure_at(scratch, waiting, "unreadable", "removed", seconds=90)
        assert done.certificate is not None
        assert len(done.receipts) == 2
        await again.stop()


async def certified_by_both(scratch: Scratch, holder: HolderProcess, erasure: object, folder: Path) -> None:
    done = await erasure_at(scratch, erasure, "unreadable", "removed")  # type: ignore[arg-type]
    assert {receipt.get("operator") for receipt in done.receipts} == {"unnamed operator", "Trustee GmbH"}
    assert done.certificate is not None
    file, policy = folder / "c.tlog-proof", await policy_for(scratch, folder)
    file.write_text(done.certificate)
    refused = await asyncio.to_thread(verifier_says, file, policy)
    assert refused.returncode == 1, "a holder that is not pinned was believed"
    policy.write_text(policy.read_text() + f"holder {holder.vkey}\n")
    verified = await asyncio.to_thread(verifier_says, file, policy)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert holder.name in verified.stdout


async def pending_is_visible(scratch: Scratch, waiting: object) -> None:
    erasure = str(waiting)
    for _ in range(400):
        if await scratch.custody.keeper.pending(erasure) is not None:
            break
        await asyncio.sleep(0.05)
    assert await scratch.custody.keeper.pending(erasure) == "pending (1/2 holders)"
    found = await erasure_at(scratch, waiting, "hidden")  # type: ignore[arg-type]
    assert found.certificate is None
    (listed,) = await holders_listed(scratch)
    assert listed["is_up"] is False
    assert listed["failure_domain"] == "the same device"
    finding = await asyncio.to_thread(doctor_on_holders, scratch.settings)
    assert finding.state is State.WARNING
    assert "1 of 2 answer; 1 erasure(s) wait" in finding.sentence
    assert recoverability(scratch.settings.keeper_dir).sentence == (
        "not disaster-recoverable: all 2 key holders lie on one device"
    )
