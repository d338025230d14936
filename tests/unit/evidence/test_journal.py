"""The journal of leaves: what was flushed is read again, what was torn is dropped, what is damaged is told."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest

from sealwire.evidence.journal import Entries, JournalDamaged, LeafJournal, drop_before, read_journal
from sealwire.ground.clock import TestClock

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


def entries(first: int, count: int) -> Entries:
    return Entries(b"a" * 16, "sealwire.local/log/0", first, os.urandom(34 * count), count)


def written(folder: Path, *each: Entries, clock: TestClock | None = None) -> Path:
    journal = LeafJournal(folder, clock or TestClock(NOON))
    for one in each:
        journal.append([one])
    journal.close()
    return folder / "leaves" / "20261123"


def test_what_was_written_is_read_in_order(tmp_path: Path) -> None:
    first, second = entries(0, 3), entries(3, 1)
    written(tmp_path, first, second)
    assert list(read_journal(tmp_path)) == [first, second]
    assert second.leaf(3) == second.leaves
    assert first.count == 3


def test_a_torn_last_frame_is_passed_over_and_cut_off_by_the_next_writer(tmp_path: Path) -> None:
    first = entries(0, 3)
    file = written(tmp_path, first, entries(3, 9))
    os.truncate(file, file.stat().st_size - 10)
    assert list(read_journal(tmp_path)) == [first], "its head never moved"
    third = entries(3, 2)
    written(tmp_path, third)
    assert list(read_journal(tmp_path)) == [first, third]


def test_a_changed_leaf_is_seen(tmp_path: Path) -> None:
    file = written(tmp_path, entries(0, 3), entries(3, 3))
    data = bytearray(file.read_bytes())
    data[60] ^= 1
    file.write_bytes(data)
    with pytest.raises(JournalDamaged):
        list(read_journal(tmp_path))


def test_each_day_has_its_file_and_old_ones_are_dropped(tmp_path: Path) -> None:
    clock = TestClock(NOON)
    journal = LeafJournal(tmp_path, clock)
    for _ in range(3):
        journal.append([entries(0, 1)])
        clock.advance(days=1)
    journal.close()
    assert drop_before(tmp_path, "20261125") == 2
    assert [file.name for file in (tmp_path / "leaves").iterdir()] == ["20261125"]
