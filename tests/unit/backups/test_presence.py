"""Gone from backups is a fact about the backups there are, and what is not known counts against it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
from tests.unit.backups.test_manifest import SAMPLE, write

from sealwire.custody.backups.manifest import MANIFEST
from sealwire.custody.backups.presence import UNKNOWN, is_gone_from, oldest_begun, outlived
from sealwire.ground.clock import TestClock

BEGUN = dt.datetime.fromisoformat(SAMPLE.made_at)
SECOND = dt.timedelta(seconds=1)


def later(days: int) -> dict[str, object]:
    return {"made_at": f"{(BEGUN + dt.timedelta(days=days)).isoformat()}"}


def test_only_what_was_removed_before_the_oldest_backup_began_is_in_none(tmp_path: Path) -> None:
    write(tmp_path / "2", msgspec.structs.replace(SAMPLE, **later(1)))
    write(tmp_path / "1", SAMPLE)
    oldest = oldest_begun(tmp_path)
    assert oldest == BEGUN
    assert is_gone_from(oldest, BEGUN - SECOND)
    assert not is_gone_from(oldest, BEGUN)
    assert not is_gone_from(oldest, BEGUN + SECOND)


def test_what_is_not_removed_is_not_gone_and_without_backups_removed_is_gone(tmp_path: Path) -> None:
    assert oldest_begun(tmp_path / "never") is None
    assert not is_gone_from(None, None)
    assert is_gone_from(None, BEGUN)


def test_a_backup_that_cannot_be_read_may_hold_anything(tmp_path: Path) -> None:
    spoilt = write(tmp_path / "1", SAMPLE)
    assert oldest_begun(tmp_path) == BEGUN
    (spoilt / MANIFEST).write_bytes(b"{")
    assert oldest_begun(tmp_path) == UNKNOWN
    assert not is_gone_from(oldest_begun(tmp_path), BEGUN - dt.timedelta(days=3650))
    (spoilt / MANIFEST).write_bytes(msgspec.structs.replace(SAMPLE, made_at="yesterday").encode())
    assert oldest_begun(tmp_path) == UNKNOWN


def test_a_backup_that_is_being_written_may_hold_anything(tmp_path: Path) -> None:
    (tmp_path / "20261123T120000Z-00000000.unfinished").mkdir(parents=True)
    assert oldest_begun(tmp_path) == UNKNOWN


def test_backups_beyond_their_cycle_are_named(tmp_path: Path) -> None:
    over, spoilt = write(tmp_path / "1", SAMPLE), write(tmp_path / "3", SAMPLE)
    write(tmp_path / "2", msgspec.structs.replace(SAMPLE, cycle_ends_on=dt.date(2026, 12, 22)))
    (spoilt / MANIFEST).write_bytes(b"{")
    clock = TestClock(dt.datetime(2026, 12, 21, 23, 59, tzinfo=dt.UTC))
    assert outlived(tmp_path, clock=clock) == [spoilt]
    clock.advance(minutes=2)
    assert outlived(tmp_path, clock=clock) == [over, spoilt]
