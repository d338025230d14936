"""The epoch key's fixed-slot file: two slots of 4096 bytes, overwritten in place, never moved, never backed up.

A slot is `magic | version | epoch | key | checksum`, the rest random. At rest one slot is current and the other is
noise; between the preparation of an epoch and the destruction of the one before, both are readable.
"""

from __future__ import annotations

import os
import struct
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from sealwire.custody.keys.files import CRASH_VARIABLE, crash_point, read_from_disk, sync_folder
from sealwire.custody.keys.refusals import EpochNotDestroyed, VaultBroken, VaultNewer

SLOT_BYTES = 4096
SLOTS = 2
VERSION = 1
_MAGIC = b"SWEPOCH\n"
_BODY = struct.Struct(">8sBQ32s")
_CHECKSUM_BYTES = 16


class Epoch(NamedTuple):
    """One generation of the vault and the key that opens it."""

    number: int
    key: bytes


def encode_slot(epoch: Epoch) -> bytes:
    """One slot's bytes, padded with noise."""
    body = _BODY.pack(_MAGIC, VERSION, epoch.number, epoch.key)
    checksum = sha256(body).digest()[:_CHECKSUM_BYTES]
    return body + checksum + os.urandom(SLOT_BYTES - len(body) - len(checksum))


def decode_slot(slot: bytes) -> Epoch | None:
    """The epoch in a slot; None for noise. VaultNewer when a later version wrote it."""
    if len(slot) < _BODY.size + _CHECKSUM_BYTES:
        return None
    body = slot[: _BODY.size]
    magic, version, number, key = _BODY.unpack(body)
    if magic != _MAGIC:
        return None
    if version > VERSION:
        raise VaultNewer
    if sha256(body).digest()[:_CHECKSUM_BYTES] != slot[_BODY.size : _BODY.size + _CHECKSUM_BYTES]:
        return None
    return Epoch(number, key)


def epoch_keys_in(slot_file_bytes: bytes) -> list[bytes]:
    """Every epoch key that a copy of a slot file gives away; for attackers and tests."""
    slots = range(0, len(slot_file_bytes), SLOT_BYTES)
    found = [decode_slot(slot_file_bytes[start : start + SLOT_BYTES]) for start in slots]
    return [epoch.key for epoch in found if epoch is not None]


class EpochSlots:
    """The slot file. Every write is 4096 aligned bytes to a place that was allocated when the file was made."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, epoch: Epoch) -> EpochSlots:
        """Make the file with one current slot and one of noise; both written out, so that no block is a hole."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(descriptor, os.urandom(SLOTS * SLOT_BYTES), 0)
            os.fsync(descriptor)
            os.pwrite(descriptor, encode_slot(epoch), 0)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(path.parent)
        return cls(path)

    def read(self) -> dict[int, Epoch]:
        """The readable epochs by slot number, as they stand on the disk."""
        data = read_from_disk(self.path, 0, SLOTS * SLOT_BYTES)
        if len(data) != SLOTS * SLOT_BYTES:
            raise VaultBroken("the epoch slot file has the wrong length; nothing was overwritten. Check the disk")
        found = {slot: decode_slot(data[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES]) for slot in range(SLOTS)}
        return {slot: epoch for slot, epoch in found.items() if epoch is not None}

    def prepare(self, slot: int, epoch: Epoch) -> None:
        """Write a new epoch into the free slot and read it back."""
        self._overwrite(slot, encode_slot(epoch), "epoch-half-prepared")
        if self.read().get(slot) != epoch:
            raise VaultBroken("a new epoch key was not written as given; nothing was erased. Check the disk")

    def destroy(self, slot: int, key: bytes, *, crash_name: str = "epoch-half-destroyed") -> None:
        """Overwrite a slot with noise in place, and see that the disk gives back the noise and not the key."""
        noise = os.urandom(SLOT_BYTES)
        self._overwrite(slot, noise, crash_name)
        data = read_from_disk(self.path, 0, SLOTS * SLOT_BYTES)
        if data[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES] != noise or (key and key in data):
            raise EpochNotDestroyed

    def _overwrite(self, slot: int, data: bytes, crash_name: str) -> None:
        assert len(data) == SLOT_BYTES
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.environ.get(CRASH_VARIABLE) == crash_name:
                os.pwrite(descriptor, data[: SLOT_BYTES // 256], slot * SLOT_BYTES)
                crash_point(crash_name)
            written = os.pwrite(descriptor, data, slot * SLOT_BYTES)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        if written != SLOT_BYTES:
            raise EpochNotDestroyed
