"""A whole cloud in which a customer holds half of an account's keys: commands, log, certificate, destruction."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from sealwire.doors.bench.scratch import Scratch, scratch_cloud
from sealwire.doors.supervisor import KEEPER, SEQUENCER, WORKER
from sealwire.evidence.leaves import LeafClass
from sealwire.vocabulary import Purpose
from tests.promises.acts import ask_to_erase, erasure_at, keep_call, policy_for
from tests.promises.test_6_erasure import verifier_says
from tests.promises.test_holders_in_the_cloud import sealwire
from tests.unit.keys.share_house import ShareProcess

PARTS = ((KEEPER,), (SEQUENCER,), (WORKER,))
NUMBER = "+447700900123"


@pytest.mark.slow
async def test_a_customer_joins_sees_it_in_its_log_is_in_certificates_and_ends_it_alone(tmp_path: Path) -> None:
    async with scratch_cloud(PARTS) as scratch:
        holder = await asyncio.to_thread(ShareProcess, tmp_path / "share")
        account, data = str(scratch.account), str(scratch.settings.data_dir)
        before, erased = [await keep_call(scratch, NUMBER) for _ in range(2)]
        where = (holder.address, holder.pin, holder.code)
        joined = await asyncio.to_thread(sealwire, "holder", "join-share", *where, "--account", account, "--data", data)
        assert joined.returncode == 0, joined.stderr
        assert holder.vkey in joined.stdout
        await until_leaf(scratch, LeafClass.HOLDER_JOINED)
        done = await erasure_at(scratch, await ask_to_erase(scratch, [erased.record]), "unreadable", "removed")
        assert {receipt.get("operator") for receipt in done.receipts} == {"unnamed operator", "Customer Ltd"}
        assert done.certificate is not None
        file, policy = tmp_path / "c.tlog-proof", await policy_for(scratch, tmp_path)
        file.write_text(done.certificate)
        policy.write_text(policy.read_text() + f"holder {holder.vkey}\n")
        assert (await asyncio.to_thread(verifier_says, file, policy)).returncode == 0
        after = await keep_call(scratch, NUMBER)
        wanted = [before.record, after.record]
        assert len(await scratch.custody.open(scratch.principal, wanted, purpose=Purpose.SERVICE_OPERATION)) == 2
        destroyed = await asyncio.to_thread(holder.destroy_by_command, scratch.account)
        assert destroyed.returncode == 0, destroyed.stderr
        for _ in range(40):
            about = await asyncio.to_thread(sealwire, "holder", "share", "--account", account, "--data", data)
            if json.loads(about.stdout)["state"] == "destroyed":
                break
        assert await scratch.custody.open(scratch.principal, wanted, purpose=Purpose.SERVICE_OPERATION) == []
        await holder.stop()


async def until_leaf(scratch: Scratch, leaf_class: LeafClass) -> None:
    for _ in range(100):
        async with scratch.custody.database.account(scratch.account) as connection:
            rows = await connection.fetch("SELECT leaf FROM evidence.leaf_entry")
        if any(bytes(row["leaf"])[1] == leaf_class for row in rows):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the log does not say so")
