"""The two slots of the epoch key: overwritten in place, and telling noise from a key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sealwire.custody.keys.blockdevice import extents_of
from sealwire.custody.keys.epoch import SLOT_BYTES, Epoch, EpochSlots, decode_slot, encode_slot, epoch_keys_in
from sealwire.custody.keys.refusals import EpochNotDestroyed, VaultBroken, VaultNewer

FIRST, SECOND = Epoch(1, b"1" * 32), Epoch(2, b"2" * 32)


@pytest.fixture
def slots(tmp_path: Path) -> EpochSlots:
    return EpochSlots.create(tmp_path / "epoch.slots", FIRST)


def test_a_new_file_holds_one_epoch_and_noise(slots: EpochSlots) -> None:
    assert slots.read() == {0: FIRST}
    assert slots.path.stat().st_size == 2 * SLOT_BYTES
    assert slots.path.stat().st_mode & 0o777 == 0o600


def test_between_preparation_and_destruction_both_epochs_are_readable(slots: EpochSlots) -> None:
    slots.prepare(1, SECOND)
    assert slots.read() == {0: FIRST, 1: SECOND}
    slots.destroy(0, FIRST.key)
    assert slots.read() == {1: SECOND}
    assert FIRST.key not in slots.path.read_bytes()


def test_no_write_moves_the_file(slots: EpochSlots) -> None:
    def places() -> list[tuple[int, int]]:
        with slots.path.open("rb") as file:
            return [(extent.physical, extent.length) for extent in extents_of(file.fileno())]

    try:
        before = places()
    except OSError:
        pytest.skip("this file system does not tell where a file lies")
    slots.prepare(1, SECOND)
    slots.destroy(0, FIRST.key)
    assert places() == before


def test_a_key_that_is_still_in_the_file_is_not_called_destroyed(slots: EpochSlots) -> None:
    slots.prepare(1, FIRST)
    with pytest.raises(EpochNotDestroyed):
        slots.destroy(0, FIRST.key)


@pytest.mark.parametrize("place", range(65))
def test_one_flipped_bit_makes_a_slot_noise(place: int) -> None:
    slot = bytearray(encode_slot(FIRST))
    slot[place] ^= 0x80
    try:
        assert decode_slot(bytes(slot)) is None
    except VaultNewer:
        assert place == 8


def test_a_slot_of_a_later_version_is_refused_as_newer() -> None:
    slot = bytearray(encode_slot(FIRST))
    slot[8] = 2
    with pytest.raises(VaultNewer):
        decode_slot(bytes(slot))


def test_a_file_of_another_length_is_refused(slots: EpochSlots) -> None:
    os.truncate(slots.path, SLOT_BYTES)
    with pytest.raises(VaultBroken):
        slots.read()


def test_an_attacker_finds_every_key_in_a_copy(slots: EpochSlots) -> None:
    slots.prepare(1, SECOND)
    assert epoch_keys_in(slots.path.read_bytes()) == [FIRST.key, SECOND.key]
    assert epoch_keys_in(os.urandom(2 * SLOT_BYTES)) == []
    assert epoch_keys_in(slots.path.read_bytes()[:100]) == [FIRST.key]
