"""Can 32 bytes really be forgotten on this volume? A test that overwrites a marker and reads the raw block back.

The answer goes into every receipt: "hardware" (a device made to forget holds the epoch key), "verified in place"
(the overwrite reached the very same place on a disk that overwrites in place), "unverified" (anything else, with
the reason). The test shows what the file system does; it cannot show what flash cells or a hypervisor keep.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sealwire.custody.keys.blockdevice import (
    Volume,
    extents_of,
    is_virtual_machine,
    physical_offset,
    read_device,
    volume_of,
)
from sealwire.custody.keys.files import PAGE

HARDWARE = "hardware"
VERIFIED = "verified in place"
UNVERIFIED = "unverified"
MARKER_BYTES = 32
_IN_PLACE = frozenset({"ext2", "ext3", "ext4", "xfs"})
_TEST_FILE = "forgetting.test"


@dataclass(frozen=True, slots=True)
class Effaceability:
    """The class and, in one sentence, why."""

    effaceability_class: str
    reason: str


@dataclass(frozen=True, slots=True)
class Overwrite:
    """What the test saw: None where it could not look."""

    was_on_device: bool | None
    is_gone_from_device: bool | None
    stayed_in_place: bool | None
    obstacle: str = ""


def test_volume(folder: Path) -> Effaceability:
    """Test the volume of this folder, which must exist; leaves nothing behind."""
    return classify(volume_of(folder), overwrite_marker(folder), virtual=is_virtual_machine())


test_volume.__test__ = False  # type: ignore[attr-defined]


def classify(volume: Volume, seen: Overwrite, *, virtual: bool) -> Effaceability:
    """From what was seen to a class. Everything that is not known to be good is "unverified"."""
    raw = _what_was_seen(seen)
    if seen.stayed_in_place is False:
        reason = f"an overwrite on this {volume.filesystem} volume goes to another place and leaves the old bytes"
    elif seen.is_gone_from_device is False:
        reason = f"the old bytes were still on the device after an overwrite on this {volume.filesystem} volume"
    elif virtual:
        reason = f"this is a virtual machine, whose disk can be snapshot from outside; {raw}"
    elif volume.filesystem not in _IN_PLACE:
        reason = f"{volume.filesystem} is not known to overwrite in place; {raw}"
    elif "data=journal" in volume.options:
        reason = "this volume writes data to its journal first (data=journal), where old bytes stay"
    elif volume.is_image_file:
        reason = f"this volume is an image file on another one; {raw}"
    elif seen.is_gone_from_device is None or not seen.was_on_device:
        reason = f"the device could not be read back, so the overwrite is not confirmed; {raw}"
    elif volume.is_flash:
        reason = f"this is flash storage, which may keep old cells after an overwrite; {raw}"
    else:
        return Effaceability(VERIFIED, f"{raw} on this {volume.filesystem} volume, on a disk that overwrites in place")
    return Effaceability(UNVERIFIED, reason)


def overwrite_marker(folder: Path) -> Overwrite:
    """Write a random marker into a slot file of its own, overwrite it in place, look for it on the raw device."""
    path = folder / _TEST_FILE
    marker = os.urandom(MARKER_BYTES)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(descriptor, os.urandom(2 * PAGE), 0)
        os.fsync(descriptor)
        os.pwrite(descriptor, marker + os.urandom(PAGE - MARKER_BYTES), 0)
        os.fdatasync(descriptor)
        before = _place(descriptor)
        device = volume_of(folder).device
        was_there = _on_device(device, before, marker)
        os.pwrite(descriptor, os.urandom(PAGE), 0)
        os.fdatasync(descriptor)
        after = _place(descriptor)
        still_there = _on_device(device, before, marker)
        return Overwrite(
            was_there,
            None if still_there is None or not was_there else not still_there,
            None if before is None else before == after,
            _obstacle(device, before, was_there),
        )
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def _place(descriptor: int) -> int | None:
    with suppress(OSError):
        return physical_offset(extents_of(descriptor), 0)
    return None


def _on_device(device: Path | None, offset: int | None, marker: bytes) -> bool | None:
    if device is None or offset is None:
        return None
    with suppress(OSError):
        return marker in read_device(device, offset, PAGE)
    return None


def _obstacle(device: Path | None, offset: int | None, was_there: bool | None) -> str:
    if device is None:
        return "there is no block device behind this folder"
    if offset is None:
        return "the file system does not tell where a file lies"
    if was_there is None:
        return f"{device} may not be read by this user"
    return "" if was_there else f"what was written was not found on {device}, so another layer lies between"


def _what_was_seen(seen: Overwrite) -> str:
    if seen.is_gone_from_device:
        return "the overwrite was read back from the raw device at the same place"
    if seen.stayed_in_place:
        return f"the overwrite kept its place, but was not read back raw: {seen.obstacle}"
    return f"the overwrite could not be followed: {seen.obstacle}"
