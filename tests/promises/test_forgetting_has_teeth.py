"""A test that cannot fail proves nothing: each of these mutants forgets badly in one way, and each must be caught."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
import pytest
import pytest_asyncio

from sealwire.custody.eraser import Eraser
from sealwire.custody.forensics.attacker import attack
from sealwire.custody.forensics.patterns import Pattern, audio_patterns, ciphertext_patterns, number_patterns
from sealwire.custody.forensics.sweep import SweepReport, sweep
from sealwire.custody.forensics.telephone_codes import mulaw_encode
from sealwire.custody.removal import Remover
from sealwire.custody.store import queries
from sealwire.doors.supervisor import KEEPER, Part
from sealwire.vocabulary import AccountId, RecordId
from tests.promises.backup_house import Call, House, running_house

pytestmark = pytest.mark.asyncio(loop_scope="module")
BAD_KEEPERS = ["keeper_same_key", "keeper_keeps_old_slot", "keeper_logs_epoch_key", "keeper_without_puncture"]


@dataclass(frozen=True, slots=True)
class MutantPart(Part):
    """A keeper process of these tests instead of the real one."""

    @property
    def module(self) -> str:
        return f"tests.promises.mutants.{self.name}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    async with running_house() as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("mutant", BAD_KEEPERS)
async def test_the_attacker_catches_a_keeper_that_forgets_badly(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in (str(Path.cwd()), *sys.path) if path))
    async with running_house(MutantPart(mutant, KEEPER.is_ready)) as bad_house:
        call = await bad_house.keep_call("+441632960123", seed=1)
        old_vault = bad_house.copy_vault("old", with_epoch_slots=False)
        backup = await bad_house.back_up()
        await bad_house.erase(call.records, to="unreadable")
        targets = [(bad_house.account, record) for record in call.records]
        possessions = bad_house.possessions([backup.folder], [old_vault])
        report = await attack(possessions, targets, bad_house.settings, workspace=bad_house.copies)
        assert all(report.of(record).readable for record in call.records), f"{mutant} was not caught"


async def test_the_sweep_catches_a_number_in_a_log(house: House) -> None:
    call = await house.keep_call("+441632960131", seed=31)
    assert await hits(house, number_patterns(call.caller, subject="number")) == 0
    log = logging.FileHandler(house.settings.logs_dir / "switchboard.log")
    logger = logging.getLogger("careless")
    logger.addHandler(log)
    try:
        logger.warning("no route from sip:%s@192.0.2.1, hanging up", call.caller)
    finally:
        logger.removeHandler(log)
        log.close()
    assert await hits(house, number_patterns(call.caller, subject="number")) == 1
    (house.settings.logs_dir / "switchboard.log").unlink()


async def test_the_sweep_catches_a_spool_file_of_what_was_said(house: House) -> None:
    call = await house.keep_call("+441632960132", seed=32)
    patterns = audio_patterns(call.pcm, subject="voice")
    assert await hits(house, patterns) == 0
    spool = house.settings.temp_dir / "spool"
    spool.write_bytes(b"RIFF" + mulaw_encode(np.frombuffer(call.pcm, "<i2")))
    assert await hits(house, patterns) > 0
    spool.unlink()


async def test_the_sweep_catches_a_number_in_a_column_that_should_be_sealed(house: House) -> None:
    call = await house.keep_call("+441632960133", seed=33)
    connection: asyncpg.Connection[Any] = await asyncpg.connect(house.owner_dsn())
    try:
        await connection.execute("CREATE TABLE public.careless (caller bigint)")
        await connection.execute("INSERT INTO public.careless VALUES ($1)", int(call.caller.text[1:]))
        await connection.execute("CHECKPOINT")
        report = await swept(house, number_patterns(call.caller, subject="number"))
    finally:
        await connection.execute("DROP TABLE public.careless")
        await connection.close()
    found = {store.store for store in report.stores if store.hits}
    assert found == {"database", "write-ahead log"}


class LeavesRows(Remover):
    """Says removed and leaves the rows where they were."""

    async def remove_records(self, *_: Any) -> None:
        return


class LeavesDeadRows(Remover):
    """Deletes rows and never rewrites the table they stood in."""

    async def _compact_table(self, *_: Any) -> bool:
        return True


class LeavesWal(Remover):
    """Rewrites the tables and leaves the write-ahead log as it is."""

    async def _retire_wal(self, *_: Any) -> bool:
        return True


class LeavesObjects(Remover):
    """Removes the rows and leaves the objects they named."""

    async def remove_objects(self, *_: Any) -> None:
        return


async def test_after_removal_not_even_ciphertext_is_left_in_a_living_store(house: House) -> None:
    call = await house.keep_call("+441632960140", seed=40)
    patterns = await ciphertext_of(house, call)
    assert await hits(house, patterns) > 0
    await house.erase(call.records)
    report = await swept(house, patterns)
    assert report.hits == 0, report.places


@pytest.mark.parametrize("mutant", [LeavesRows, LeavesDeadRows, LeavesWal, LeavesObjects])
async def test_the_sweep_catches_an_eraser_that_removes_badly(house: House, mutant: type[Remover]) -> None:
    call = await house.keep_call("+441632960141", seed=41)
    patterns = await ciphertext_of(house, call)
    await house.erase(call.records, eraser=type("Careless", (Eraser,), {"remover": mutant}))
    assert await hits(house, patterns) > 0, f"{mutant.__name__} was not caught"


class LeavesTokens(Eraser):
    """Destroys the keys and leaves the records' tokens in the blind index."""

    async def _drop_tokens(self, *_: Any) -> None:
        return


class LeavesDeadTokens(Eraser):
    """Deletes the tokens and leaves their bytes in the file."""

    async def _drop_tokens(self, account: AccountId, records: list[RecordId], *_: Any) -> None:
        async with self._database.account(account) as connection:
            await connection.fetch(queries.remove_tokens, account.value, [record.value for record in records], None)


@pytest.mark.parametrize(("eraser", "is_caught"), [(Eraser, False), (LeavesTokens, True), (LeavesDeadTokens, True)])
async def test_the_sweep_tells_whether_tokens_are_gone(house: House, eraser: type[Eraser], is_caught: bool) -> None:
    callers = {Eraser: "+441632960150", LeavesTokens: "+441632960151", LeavesDeadTokens: "+441632960152"}
    call = await house.keep_call(callers[eraser], seed=50)
    tokens = await tokens_only_of(house, call)
    assert tokens
    await flush_unlogged(house)
    await house.erase(call.records, eraser=eraser, to="unreadable")
    await flush_unlogged(house)
    patterns = [Pattern(token, "token", "as stored") for token in tokens]
    assert (await hits(house, patterns) > 0) == is_caught


async def swept(house: House, patterns: list[Pattern]) -> SweepReport:
    report = await sweep(house.settings, patterns, dsn=house.owner_dsn())
    assert report.is_valid, report.missed
    return report


async def hits(house: House, patterns: list[Pattern]) -> int:
    return (await swept(house, patterns)).hits


async def ciphertext_of(house: House, call: Call) -> list[Pattern]:
    """What is stored of a call: its sealed fields and its sealed audio."""
    stored = await house.custody.find(house.account, call.records)
    audio = [(house.settings.objects_dir / row.object_name).read_bytes() for row in stored if row.object_name]
    pieces = [row.sealed for row in stored] + audio
    return [pattern for piece in pieces for pattern in ciphertext_patterns(piece, subject="ciphertext")]


async def tokens_only_of(house: House, call: Call) -> list[bytes]:
    """The tokens of a call's records that no other record has too (the number called is everybody's)."""
    records: list[RecordId] = call.records
    connection: asyncpg.Connection[Any] = await asyncpg.connect(house.owner_dsn())
    try:
        rows = await connection.fetch("SELECT token, record_id FROM custody.blind_index")
    finally:
        await connection.close()
    own = {record.value for record in records}
    others = {row["token"] for row in rows if row["record_id"] not in own}
    return [row["token"] for row in rows if row["record_id"] in own and row["token"] not in others]


async def flush_unlogged(house: House) -> None:
    """A checkpoint leaves pages of unlogged tables in memory; taking every page out of memory writes them."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(house.owner_dsn())
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_buffercache")
        await connection.execute("SELECT pg_buffercache_evict_all()")
    finally:
        await connection.close()
