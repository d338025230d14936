"""Promise: an account's log cannot be rewritten quietly, not by a bit flip, a restored database or a crash."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from sealwire.evidence import reader
from sealwire.evidence.client import SequencerClient
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.log import LogDamaged
from sealwire.evidence.outbox import post_event, post_kept
from sealwire.evidence.sequencer import EvidenceUnavailable
from sealwire.vocabulary import AccountId, RecordId
from sealwire_verifier.checkpoint import parse_checkpoint
from sealwire_verifier.errors import StepFailed
from sealwire_verifier.log import verify_consistency, verify_log
from sealwire_verifier.merkle import verify_consistency as verify_consistency_path
from tests.unit.evidence.house import running_sequencer
from tests.unit.evidence.test_sequencer import export

ROOT = Path(__file__).parents[2]
OPENED = LeafClass.RECORD_OPENED
LOG_TABLES = ("head", "leaf_entry", "tile", "payload")


class Process:
    """A sequencer process on a folder; `start` returns once it is ready or has ended."""

    def __init__(self, dsn, folder):
        self.dsn, self.folder = dsn, folder
        self.client = SequencerClient(folder / "sequencer.sock")
        self.said = ""

    async def start(self, crash_at=None):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        if crash_at:
            environment["SEALWIRE_CRASH_AT"] = crash_at
        command = [sys.executable, "-m", "tests.promises.sequencer_process"]
        self.process = subprocess.Popen(
            [*command, "--dsn", self.dsn, "--folder", str(self.folder)],
            env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.said = (await asyncio.to_thread(self.process.stdout.readline)).decode().strip()
        return self.said == "ready"

    async def stop(self):
        await self.client.close()
        self.process.terminate()  # does nothing when it has ended by itself and was waited for
        return await self.ended()

    async def ended(self):
        code = await asyncio.to_thread(self.process.wait, 20)
        self.process.stdout.close()
        return code


@pytest.fixture
async def process(module_database, tmp_path):
    """A sequencer process whose database is this test's own: logs of other tests would not be in its lock file."""
    owner = await asyncpg.connect(module_database.dsn("sealwire_owner"))
    tables = [*LOG_TABLES, "kept_batch", "statement", "mention", "kept_outbox", "event_outbox"]
    await owner.execute("TRUNCATE " + ", ".join(f"evidence.{table}" for table in tables))
    await owner.close()
    made = Process(module_database.dsn("sealwire_sequencer"), tmp_path)
    yield made
    if getattr(made, "process", None):
        await made.stop()


async def held(service, account):
    async with service.account(account) as connection:
        return await reader.signed_head(connection, account)


CRASHES = ["before-commit", "after-commit", "lock-half-written", "after-lock", "before-answer"]


@pytest.mark.parametrize("point", CRASHES)
async def test_a_crash_at_any_point_loses_no_posted_act_and_forks_nothing(process, database, point, tmp_path):
    service, account = await database("sealwire_service"), AccountId.new()
    assert await process.start()
    vkey = (await process.client.open_log(account)).vkey
    for number in range(3):
        last = await process.client.include(account, leaf_class=OPENED, payload={"n": number})
    older = parse_checkpoint(last.checkpoint, vkey)
    await process.stop()

    assert await process.start(crash_at=point)
    record = RecordId.new()
    async with service.account(account) as connection:
        await post_kept(connection, account, record, category=1, commitment=b"c" * 32)
        await post_event(connection, account, LeafClass.CREDENTIAL_ISSUED, {"n": 1})
    with pytest.raises(EvidenceUnavailable):
        await process.client.include(account, leaf_class=OPENED, payload={"n": 3})
    await process.client.close()
    assert await process.ended() == 137

    assert await process.start()
    after = await process.client.include(account, leaf_class=OPENED, payload={"n": 4})
    newer = parse_checkpoint(after.checkpoint, vkey)
    async with service.account(account) as connection:
        path = await reader.consistency_proof(connection, account, older.size, newer.size)
        assert len(await reader.kept_proofs(connection, account, [record])) == 1
        assert await connection.fetchval("SELECT count(*) FROM evidence.leaf_entry WHERE get_byte(leaf, 1) = 3") == 1
    verify_consistency_path(older.size, newer.size, path, older.root, newer.root)
    policy = await export(service, account, tmp_path / "log")
    assert verify_log(tmp_path / "log", policy).size == newer.size


async def test_a_restored_older_database_is_refused_and_nothing_is_signed(process, database, module_database):
    service, account = await database("sealwire_service"), AccountId.new()
    assert await process.start()
    for number in range(2):
        await process.client.include(account, leaf_class=OPENED, payload={"n": number})
    owner = await asyncpg.connect(module_database.dsn("sealwire_owner"))
    for table in LOG_TABLES:
        await owner.execute(f"CREATE TABLE old_{table} AS TABLE evidence.{table}")
    await process.client.include(account, leaf_class=OPENED, payload={"n": 2})
    signed = await held(service, account)

    async def restore():
        for table in LOG_TABLES:
            await owner.execute(f"DELETE FROM evidence.{table}")
            await owner.execute(f"INSERT INTO evidence.{table} TABLE old_{table}")

    await restore()  # under the running process
    with pytest.raises(EvidenceUnavailable):
        await process.client.include(account, leaf_class=OPENED, payload={"n": "other history"})
    assert await process.ended() == 1
    assert not await process.start()
    assert process.said.startswith("log-rolled-back: ")
    assert (await held(service, account)).size < signed.size
    for table in LOG_TABLES:
        await owner.execute(f"DROP TABLE old_{table}")
    await owner.close()


@pytest.mark.parametrize("lost", ["whole account", "lock file"])
async def test_a_log_unknown_on_either_side_is_refused(process, module_database, lost):
    assert await process.start()
    account = AccountId.new()
    await process.client.include(account, leaf_class=OPENED, payload={})
    await process.stop()
    if lost == "lock file":
        (process.folder / "heads.lock").unlink()
    else:
        owner = await asyncpg.connect(module_database.dsn("sealwire_owner"))
        await owner.execute("DELETE FROM evidence.head")
        await owner.close()
    assert not await process.start()
    assert process.said.startswith("log-rolled-back: ")


@pytest.mark.parametrize("what", ["hashes", "root", "frontier"])
async def test_one_flipped_bit_in_the_database_stops_the_signing(module_database, database, tmp_path, process, what):
    pool, account = await database("sealwire_sequencer"), AccountId.new()
    owner = await asyncpg.connect(module_database.dsn("sealwire_owner"))
    table = "tile" if what == "hashes" else "head"
    flip = f"UPDATE evidence.{table} SET {what} = set_bit({what}, 77, 1 - get_bit({what}, 77))"
    with pytest.raises(LogDamaged):  # noqa: PT012 - the process ends by it, after the refusal
        async with running_sequencer(pool, tmp_path) as sequencer:
            await sequencer.include(account, leaf_class=OPENED, payload=b"{}", salt=b"s" * 32, mentions=[])
            await owner.execute(flip)
            with pytest.raises(EvidenceUnavailable):
                await sequencer.include(account, leaf_class=OPENED, payload=b"{}", salt=b"t" * 32, mentions=[])
    with pytest.raises(LogDamaged):
        await running_sequencer(pool, tmp_path).__aenter__()
    assert (await held(await database(), account)).size == 1
    await owner.execute(flip)
    await owner.close()
    async with running_sequencer(pool, tmp_path) as sequencer:
        again = await sequencer.include(account, leaf_class=OPENED, payload=b"{}", salt=b"t" * 32, mentions=[])
        assert (again.index, again.size) == (1, 2)


@pytest.fixture
async def exported(process, database, tmp_path):
    """A log of 300 leaves as files, its state at 40, and the policy that pins it."""
    service, account = await database("sealwire_service"), AccountId.new()
    assert await process.start()
    for have, size in ((0, 40), (40, 300)):
        more = range(have, size)
        await asyncio.gather(*(process.client.include(account, leaf_class=OPENED, payload={"n": n}) for n in more))
        policy = await export(service, account, tmp_path / str(size))
    return tmp_path / "300", tmp_path / "40", policy


STEPS = {"checkpoint": {1}, "tile/entries": {3, 4}, "tile/0": {4}, "tile/1": {5, 6}}


async def test_a_flipped_bit_in_any_file_of_a_log_is_refused_with_its_step(exported):
    folder, older, policy = exported
    assert verify_log(folder, policy).size == 300
    assert verify_consistency(older, folder, policy).older_size == 40
    dice = random.Random(6962)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(file.relative_to(folder))
        expected = next(steps for start, steps in STEPS.items() if name.startswith(start))
        good = file.read_bytes()
        for _ in range(40):
            bad, bit = bytearray(good), dice.randrange(len(good) * 8)
            bad[bit // 8] ^= 1 << bit % 8
            file.write_bytes(bad)
            with pytest.raises(StepFailed) as failed:
                verify_log(folder, policy)
            assert failed.value.step in expected, (name, bit, str(failed.value))
        file.write_bytes(good)
        file.unlink()
        with pytest.raises(StepFailed, match="step 0"):
            verify_log(folder, policy)
        file.write_bytes(good)


async def test_a_rolled_back_or_rewritten_log_is_not_consistent_with_what_was_seen_before(exported):
    folder, older, policy = exported
    with pytest.raises(StepFailed, match=r"step 4: .*rolled back"):
        verify_consistency(folder, older, policy)
    tile = older / "tile/0/000.p/40"
    tile.write_bytes(tile.read_bytes()[::-1])
    with pytest.raises(StepFailed, match="step 3"):
        verify_consistency(older, older, policy)
