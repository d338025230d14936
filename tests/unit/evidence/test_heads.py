"""The lock file: durable, compare-and-swap, and it knows an unfinished line from a damaged one."""

from __future__ import annotations

import errno
import os
import resource
import signal

import pytest

from sealwire.evidence import heads as module
from sealwire.evidence.heads import Head, Heads, HeadsDamaged, LogForked, SecondSequencer
from sealwire.vocabulary import AccountId

ONE, TWO = AccountId.new(), AccountId.new()
FIRST, SECOND, THIRD = Head(1, b"\x01" * 32), Head(2, b"\x02" * 32), Head(3, b"\x03" * 32)


@pytest.fixture
def folder(tmp_path):
    return tmp_path


async def written(folder, *moves):
    heads = Heads.open(folder)
    for move in moves:
        await heads.advance(move)
    heads.close()


async def test_heads_survive_a_reopening(folder):
    await written(folder, {ONE: (None, FIRST), TWO: (None, SECOND)}, {ONE: (FIRST, THIRD)})
    heads = Heads.open(folder)
    assert (heads[ONE], heads[TWO], heads.accounts()) == (THIRD, SECOND, {ONE, TWO})
    heads.close()


async def test_a_head_that_is_not_the_expected_one_is_not_moved(folder):
    heads = Heads.open(folder)
    await heads.advance({ONE: (None, SECOND)})
    for before, after in ((None, THIRD), (FIRST, THIRD), (SECOND, FIRST), (SECOND, Head(2, b"x" * 32))):
        with pytest.raises(LogForked):
            await heads.advance({ONE: (before, after)})
    assert heads[ONE] == SECOND
    heads.close()


async def test_an_unfinished_last_line_is_dropped_whole(folder):
    heads = Heads.open(folder)
    await heads.advance({ONE: (None, FIRST)})
    whole = heads.file.read_bytes()
    await heads.advance({ONE: (FIRST, SECOND), TWO: (None, FIRST)})
    longer = heads.file.read_bytes()
    heads.close()
    for cut in range(len(whole) + 1, len(longer)):
        (folder / "heads.lock").write_bytes(longer[:cut])
        again = Heads.open(folder)
        assert (again[ONE], again[TWO]) == (FIRST, None)
        again.close()


async def test_damage_before_the_last_line_stops_the_start(folder):
    await written(folder, {ONE: (None, FIRST)})
    heads = Heads.open(folder)
    await heads.advance({ONE: (FIRST, SECOND)})
    heads.close()
    raw = bytearray((folder / "heads.lock").read_bytes())
    raw[25] ^= 1
    (folder / "heads.lock").write_bytes(raw)
    with pytest.raises(HeadsDamaged):
        Heads.open(folder)


async def test_a_damaged_last_line_is_not_a_torn_one(folder):
    await written(folder, {ONE: (None, FIRST)}, {ONE: (FIRST, SECOND)})
    raw = bytearray((folder / "heads.lock").read_bytes())
    raw[-5] ^= 1
    (folder / "heads.lock").write_bytes(raw)
    with pytest.raises(HeadsDamaged):
        Heads.open(folder)


@pytest.mark.parametrize("room", [1, 40, 96])
async def test_a_disk_that_is_full_for_a_while_loses_no_head(folder, room):
    heads = Heads.open(folder)
    await heads.advance({ONE: (None, FIRST)})
    length = heads.file.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (length + room, before[1]))
        for _ in range(2):
            with pytest.raises(OSError, match="File too large"):
                await heads.advance({ONE: (FIRST, SECOND)})
            assert module._read(heads.file) == {ONE: FIRST}
            assert heads.file.read_bytes().endswith(b"\n")
            assert heads[ONE] == FIRST
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    await heads.advance({ONE: (FIRST, SECOND), TWO: (None, FIRST)})
    await heads.advance({ONE: (SECOND, THIRD)})
    heads.close()
    again = Heads.open(folder)
    assert (again[ONE], again[TWO]) == (THIRD, FIRST)
    again.close()


async def test_after_a_failed_flush_the_next_head_is_in_a_new_file(folder, monkeypatch):
    heads = Heads.open(folder)
    await heads.advance({ONE: (None, FIRST)})
    inode = heads.file.stat().st_ino

    def fails(_descriptor):
        raise OSError(errno.EIO, "the disk did not take it")

    with monkeypatch.context() as broken:
        broken.setattr(module.os, "fdatasync", fails)
        with pytest.raises(OSError, match="did not take it"):
            await heads.advance({ONE: (FIRST, SECOND)})
    await heads.advance({ONE: (FIRST, THIRD)})
    assert heads.file.stat().st_ino != inode
    heads.close()
    again = Heads.open(folder)
    assert again[ONE] == THIRD
    again.close()


def test_only_one_process_may_hold_the_heads(folder):
    first = Heads.open(folder)
    with pytest.raises(SecondSequencer):
        Heads.open(folder)
    first.close()
    Heads.open(folder).close()


async def test_a_long_file_is_rewritten_and_means_the_same(folder, monkeypatch):
    monkeypatch.setattr(module, "COMPACT_BYTES_MIN", 2_000)
    heads = Heads.open(folder)
    before = None
    for size in range(200):
        after = Head(size, os.urandom(32))
        await heads.advance({ONE: (before, after)})
        before = after
    assert heads.file.stat().st_size < 4_000
    heads.close()
    again = Heads.open(folder)
    assert again[ONE] == before
    again.close()
