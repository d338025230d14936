"""The keeper's folder is lost, in a whole cloud: rebuilt from a holder, every record opens and no key is used twice."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sealwire.custody.keys.holding.recovery import Source
from sealwire.custody.keys.holding.refusals import JoiningCodeRefused, RecoveryRefused
from sealwire.custody.keys.holding.service import new_code
from sealwire.custody.lifecycle import connect_custody
from sealwire.custody.recovery import recover_keeper
from sealwire.doors.bench.scratch import Scratch, scratch_cloud
from sealwire.doors.supervisor import KEEPER, SEQUENCER, Cloud
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.wire import connect
from sealwire.vocabulary import Purpose, RecordId
from tests.promises.acts import call_from, keep_call
from tests.unit.keys.holder_house import HolderProcess, until_current

PARTS = ((KEEPER,), (SEQUENCER,))
RECORDS = 40


async def kept_records(scratch: Scratch) -> list[RecordId]:
    return [(await keep_call(scratch, f"+4477009{n:05}")).record for n in range(RECORDS)]


@pytest.mark.slow
async def test_a_lost_keeper_is_rebuilt_from_its_holder_and_no_record_is_lost(tmp_path: Path) -> None:
    async with scratch_cloud(PARTS) as scratch:
        settings, holder = scratch.settings, HolderProcess(tmp_path / "holder")
        peer = await connect(settings.keeper_socket)
        await peer.call("holder_join", address=holder.address, pin=holder.pin, code=holder.code)
        peer.close()
        records = await kept_records(scratch)
        leases = (settings.keeper_dir / "leases.journal").stat().st_size // 32
        old_key = (settings.keeper_dir / "holder.key").read_bytes()
        await scratch.cloud.stop()
        shutil.rmtree(settings.keeper_dir)
        source = Source(holder.address, holder.pin, "wrong")
        with pytest.raises(JoiningCodeRefused):
            await recover_keeper(settings, [source], lost=[], clock=SystemClock())
        recovered = recovered_by_command(settings.data_dir, holder)
        assert recovered["accounts"] == 1
        assert recovered["blocks"] == leases
        assert (settings.keeper_dir / "holder.key").read_bytes() != old_key
        with pytest.raises(RecoveryRefused, match="not empty"):
            await recover_keeper(settings, [source], lost=[], clock=SystemClock())
        await assert_all_is_there(scratch, records)
        await holder.stop()


async def assert_all_is_there(scratch: Scratch, records: list[RecordId]) -> None:
    """In a cloud on the recovered folder: each record opens, and more can be kept in blocks of their own."""
    settings = scratch.settings
    async with Cloud(settings, parts=PARTS):
        custody = await connect_custody(settings, dsn(settings, "sealwire_service"), SystemClock(), connections_max=4)
        try:
            opened = await custody.open(scratch.principal, records, purpose=Purpose.SERVICE_OPERATION)
            assert len(opened) == RECORDS
            before = {row.slot // 256 for row in await custody.find(scratch.account, records)}
            ended_at = dt.datetime.now(dt.UTC)
            kept = await custody.keep(scratch.account, call_from("+447700900999", ended_at=ended_at))
            (row,) = await custody.find(scratch.account, [kept.record])
            assert row.slot // 256 not in before
            await until_current(custody.keeper)
            assert (await custody.keeper.status()).holders == 2
        finally:
            await custody.close()


def recovered_by_command(data: Path, holder: HolderProcess) -> dict[str, object]:
    source = f"{holder.address},{holder.pin},{new_code(holder.state)}"
    done = subprocess.run(
        [
            sys.executable, "-m", "sealwire.doors.cli", "keeper", "recover", "--data", str(data), "--from", source,
            "--json",
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
