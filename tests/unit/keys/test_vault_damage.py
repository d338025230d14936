"""A damaged, newer, rolled-back or doubly opened vault: refused with a sentence, and not one byte overwritten."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.keys.house import NOON, TODAY, HolderStub, new_account, open_keeper

from sealwire.custody.keys.paths import DayPath
from sealwire.custody.keys.refusals import ClockSuspect, KeeperAlreadyRunning, VaultBroken, VaultNewer
from sealwire.ground.clock import TestClock

Damage = Callable[[Path], object]


async def filled(folder: Path) -> None:
    keeper = await open_keeper(folder)
    account = await new_account(keeper)
    for _ in range(3):
        await keeper.lease(account, DayPath(1, 0, TODAY), HolderStub())
    await keeper.erase(account, erasure="ers_1", leaves=[], days=[DayPath(1, 0, TODAY - 1)])
    await keeper.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def flip(path: Path, *places: int) -> None:
    data = bytearray(path.read_bytes())
    for place in places:
        data[place] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Damage] = {
    "index cut short": lambda folder: os.truncate(only(folder, "index.*"), 30),
    "index emptied": lambda folder: os.truncate(only(folder, "index.*"), 0),
    "index bit flipped": lambda folder: flip(only(folder, "index.*"), -1),
    "index header flipped": lambda folder: flip(only(folder, "index.*"), 0),
    "index number flipped": lambda folder: flip(only(folder, "index.*"), 17),
    "index missing": lambda folder: only(folder, "index.*").unlink(),
    "index of another epoch put in": lambda folder: only(folder, "index.*").rename(folder / "index.99"),
    "shard missing": lambda folder: only(folder, "shards/*").unlink(),
    "root key missing": lambda folder: (folder / "root.key").unlink(),
    "root key cut short": lambda folder: os.truncate(folder / "root.key", 31),
    "root key flipped": lambda folder: flip(folder / "root.key", 5),
    "both slots flipped": lambda folder: flip(folder / "epoch.slots", 20, 4096 + 20),
    "slots missing": lambda folder: (folder / "epoch.slots").unlink(),
    "slots cut short": lambda folder: os.truncate(folder / "epoch.slots", 4096),
    "ledger missing": lambda folder: (folder / "erasures.ledger").unlink(),
    "ledger emptied": lambda folder: os.truncate(folder / "erasures.ledger", 0),
    "ledger of a later age": lambda folder: (folder / "erasures.ledger").write_bytes(
        (folder / "erasures.ledger").read_bytes() + b'{"epoch":77,"at":"","acts":[]}\n'
    ),
    "ledger not JSON": lambda folder: (folder / "erasures.ledger").write_bytes(b"rubbish\n"),
    "lease journal missing": lambda folder: (folder / "leases.journal").unlink(),
    "lease journal flipped": lambda folder: flip(folder / "leases.journal", 40),
    "holder key missing": lambda folder: (folder / "holder.key").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_vault_is_refused_and_nothing_is_overwritten(tmp_path: Path, damage: Damage) -> None:
    await filled(tmp_path)
    damage(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(VaultBroken) as refusal:
        await open_keeper(tmp_path)
    assert len(str(refusal.value).split()) > 6
    assert contents(tmp_path) == before


async def test_a_flipped_shard_is_refused_to_its_account_and_no_other(tmp_path: Path) -> None:
    keeper = await open_keeper(tmp_path)
    hurt, sound = await new_account(keeper), await new_account(keeper)
    await keeper.close()
    flip(only(tmp_path, f"shards/{hurt}.*"), -1)
    keeper = await open_keeper(tmp_path)
    with pytest.raises(VaultBroken):
        await keeper.lease(hurt, DayPath(1, 0, TODAY), HolderStub())
    with pytest.raises(VaultBroken):
        await keeper.erase(hurt, erasure="ers_1", leaves=[], close_keeping=[], confirmed=True)
    await keeper.lease(sound, DayPath(1, 0, TODAY), HolderStub())
    await keeper.erase(sound, erasure="ers_1", leaves=[], close_keeping=[], confirmed=True)
    await keeper.close()


@pytest.mark.parametrize("pattern", ["index.*", "epoch.slots"])
async def test_a_vault_of_a_later_version_is_refused_as_newer(tmp_path: Path, pattern: str) -> None:
    await filled(tmp_path)
    data = bytearray(only(tmp_path, pattern).read_bytes())
    for place in (8, 4096 + 8) if pattern == "epoch.slots" else (8,):
        data[place] = 4
    only(tmp_path, pattern).write_bytes(data)
    before = contents(tmp_path)
    with pytest.raises(VaultNewer):
        await open_keeper(tmp_path)
    assert contents(tmp_path) == before


async def test_a_second_keeper_on_the_same_vault_is_refused_until_the_first_has_closed(tmp_path: Path) -> None:
    keeper = await open_keeper(tmp_path)
    with pytest.raises(KeeperAlreadyRunning):
        await open_keeper(tmp_path)
    await keeper.close()
    await (await open_keeper(tmp_path)).close()


async def test_a_refused_vault_does_not_stay_locked(tmp_path: Path) -> None:
    await filled(tmp_path)
    (tmp_path / "root.key").rename(tmp_path / "elsewhere")
    with pytest.raises(VaultBroken):
        await open_keeper(tmp_path)
    (tmp_path / "elsewhere").rename(tmp_path / "root.key")
    await (await open_keeper(tmp_path)).close()


async def test_index_and_shards_put_back_from_a_copy_do_not_open(tmp_path: Path) -> None:
    folder, copy = tmp_path / "keeper", tmp_path / "copy"
    await filled(folder)
    shutil.copytree(folder, copy)
    keeper = await open_keeper(folder)
    await new_account(keeper)
    await keeper.close()
    for path in [*folder.glob("index.*"), *folder.glob("shards/*")]:
        path.unlink()
    for path in [*copy.glob("index.*"), *copy.glob("shards/*")]:
        shutil.copy(path, folder / path.relative_to(copy))
    with pytest.raises(VaultBroken):
        await open_keeper(folder)


async def test_vault_and_slots_put_back_are_found_out_by_the_ledger(tmp_path: Path) -> None:
    folder, copy = tmp_path / "keeper", tmp_path / "copy"
    await filled(folder)
    shutil.copytree(folder, copy)
    keeper = await open_keeper(folder)
    await new_account(keeper)
    await keeper.close()
    shutil.copy(folder / "erasures.ledger", copy / "erasures.ledger")
    with pytest.raises(VaultBroken, match="not of one age"):
        await open_keeper(copy)


async def test_a_clock_behind_the_vault_is_refused(tmp_path: Path) -> None:
    await filled(tmp_path)
    clock = TestClock(NOON)
    clock.advance(days=-2)
    with pytest.raises(ClockSuspect):
        await open_keeper(tmp_path, clock)


@pytest.mark.parametrize("made", [["root.key"], ["root.key", "holder.key", "leases.journal"], ["epoch.slots"]])
async def test_a_first_start_that_was_interrupted_is_begun_again(tmp_path: Path, made: list[str]) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    await (await open_keeper(whole)).close()
    part.mkdir()
    for name in made:
        shutil.copy(whole / name, part / name)
    keeper = await open_keeper(part)
    await new_account(keeper)
    await keeper.close()
