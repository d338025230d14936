"""Blocks are given out once: also after a kill, a torn write and a thousand at a time."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from sealwire.custody.keys import leases as leases_module
from sealwire.custody.keys.leases import LeaseJournal
from sealwire.custody.keys.paths import BLOCKS_PER_DAY, DayPath
from sealwire.custody.keys.refusals import BlocksExhausted, VaultBroken
from sealwire.vocabulary import AccountId

ACCOUNT, DAY = AccountId.new(), DayPath(1, 0, 20_780)


def journal_at(path: Path) -> LeaseJournal:
    return LeaseJournal.open(path, create=True)


async def test_blocks_given_out_before_a_restart_are_not_given_out_after_it(tmp_path: Path) -> None:
    journal = journal_at(tmp_path / "j")
    first = set()
    for _ in range(200):
        lease = journal.pick(ACCOUNT, DAY)
        await journal.record(lease, 20_870)
        first.add(lease.block)
    await journal.close()
    again = journal_at(tmp_path / "j")
    second = {again.pick(ACCOUNT, DAY).block for _ in range(BLOCKS_PER_DAY - 200)}
    assert len(first) == 200
    assert not first & second
    with pytest.raises(BlocksExhausted):
        again.pick(ACCOUNT, DAY)
    assert again.pick(ACCOUNT, DayPath(1, 1, 20_780)).block < BLOCKS_PER_DAY
    await again.close()


async def test_many_leases_share_a_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushes = 0
    real = os.fdatasync

    def counted(descriptor: int) -> None:
        nonlocal flushes
        flushes += 1
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", counted)
    journal = journal_at(tmp_path / "j")
    await asyncio.gather(*(journal.record(journal.pick(ACCOUNT, DAY), 20_870) for _ in range(500)))
    assert (tmp_path / "j").stat().st_size == 500 * 32
    assert 1 <= flushes <= 5
    await journal.close()


async def test_a_torn_end_is_cut_off_and_what_was_before_it_stands(tmp_path: Path) -> None:
    journal = journal_at(tmp_path / "j")
    lease = journal.pick(ACCOUNT, DAY)
    await journal.record(lease, 20_870)
    await journal.close()
    with (tmp_path / "j").open("ab") as file:
        file.write(b"\x01torn")
    again = journal_at(tmp_path / "j")
    assert (tmp_path / "j").stat().st_size == 32
    assert lease.block not in {again.pick(ACCOUNT, DAY).block for _ in range(BLOCKS_PER_DAY - 1)}
    await again.close()


async def test_damage_in_the_middle_is_refused(tmp_path: Path) -> None:
    journal = journal_at(tmp_path / "j")
    for _ in range(2):
        await journal.record(journal.pick(ACCOUNT, DAY), 20_870)
    await journal.close()
    data = bytearray((tmp_path / "j").read_bytes())
    data[3] ^= 1
    (tmp_path / "j").write_bytes(data)
    with pytest.raises(VaultBroken):
        journal_at(tmp_path / "j")


async def test_forgotten_days_leave_the_journal_and_others_stay(tmp_path: Path) -> None:
    journal = journal_at(tmp_path / "j")
    other = DayPath(1, 0, 20_900)
    for day, due in ((DAY, 20_870), (DAY, 20_870), (other, 20_990)):
        await journal.record(journal.pick(ACCOUNT, day), due)
    assert journal.past_due(20_870) == {}
    assert journal.past_due(20_871) == {ACCOUNT: [DAY]}
    await journal.forget_days({ACCOUNT: [DAY]})
    await journal.record(journal.pick(ACCOUNT, other), 20_990)
    await journal.close()
    assert (tmp_path / "j").stat().st_size == 2 * 32
    again = journal_at(tmp_path / "j")
    assert again.past_due(30_000) == {ACCOUNT: [other]}
    await again.close()


async def test_a_lease_that_cannot_be_written_is_not_given_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    journal = journal_at(tmp_path / "j")
    monkeypatch.setattr(leases_module, "write_all", full)
    with pytest.raises(VaultBroken, match="No space left"):
        await journal.record(journal.pick(ACCOUNT, DAY), 20_870)
    await journal.close()


async def test_a_lease_after_a_torn_write_is_still_there_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = leases_module.write_all

    def torn(descriptor: int, data: bytes) -> None:
        real(descriptor, data[:20])
        raise OSError(28, "No space left on device")

    journal = journal_at(tmp_path / "j")
    before = journal.pick(ACCOUNT, DAY)
    await journal.record(before, 20_870)
    monkeypatch.setattr(leases_module, "write_all", torn)
    with pytest.raises(VaultBroken, match="No space left"):
        await journal.record(journal.pick(ACCOUNT, DAY), 20_870)
    assert (tmp_path / "j").stat().st_size == 32
    monkeypatch.setattr(leases_module, "write_all", real)
    after = journal.pick(ACCOUNT, DAY)
    await journal.record(after, 20_870)
    await journal.close()
    again = journal_at(tmp_path / "j")
    given = {again.pick(ACCOUNT, DAY).block for _ in range(BLOCKS_PER_DAY - 2)}
    assert not {before.block, after.block} & given
    await again.close()


async def test_a_torn_write_that_cannot_be_cut_back_stops_leases_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = leases_module.write_all

    def torn(descriptor: int, data: bytes) -> None:
        real(descriptor, data[:20])
        raise OSError(5, "Input/output error")

    def stuck(_descriptor: int, _length: int) -> None:
        raise OSError(5, "Input/output error")

    journal = journal_at(tmp_path / "j")
    with monkeypatch.context() as disk:
        disk.setattr(leases_module, "write_all", torn)
        disk.setattr(os, "ftruncate", stuck)
        with pytest.raises(VaultBroken):
            await journal.record(journal.pick(ACCOUNT, DAY), 20_870)
        disk.setattr(leases_module, "write_all", real)
        with pytest.raises(VaultBroken):
            await journal.record(journal.pick(ACCOUNT, DAY), 20_870)
    await journal.record(journal.pick(ACCOUNT, DAY), 20_870)
    assert (tmp_path / "j").stat().st_size == 32
    await journal.close()
