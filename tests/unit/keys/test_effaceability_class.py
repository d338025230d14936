"""What may be called destroyed: the class follows what was seen, and doubt is said."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealwire.custody.keys import effaceability
from sealwire.custody.keys.blockdevice import (
    Volume,
    extents_of,
    is_virtual_machine,
    physical_offset,
    read_device,
    volume_of,
)
from sealwire.custody.keys.effaceability import UNVERIFIED, VERIFIED, Overwrite, classify, overwrite_marker

DISK = Volume("ext4", "rw,relatime", Path("/dev/sda"), is_flash=False, is_image_file=False)
SEEN = Overwrite(was_on_device=True, is_gone_from_device=True, stayed_in_place=True)


def changed(volume: Volume, **fields: object) -> Volume:
    values = {name: getattr(volume, name) for name in Volume.__dataclass_fields__}
    return Volume(**(values | fields))


def test_an_overwrite_seen_on_the_raw_disk_is_verified_in_place() -> None:
    assert classify(DISK, SEEN, virtual=False).effaceability_class == VERIFIED


@pytest.mark.parametrize(
    ("volume", "seen", "virtual", "word"),
    [
        (DISK, SEEN, True, "virtual machine"),
        (changed(DISK, filesystem="btrfs"), SEEN, False, "btrfs"),
        (changed(DISK, options="rw,data=journal"), SEEN, False, "journal"),
        (changed(DISK, is_flash=True), SEEN, False, "flash"),
        (changed(DISK, is_image_file=True), SEEN, False, "image file"),
        (DISK, Overwrite(None, None, True, "may not be read"), False, "may not be read"),
        (DISK, Overwrite(False, None, True, "another layer"), False, "another layer"),
        (DISK, Overwrite(True, True, False), False, "another place"),
        (DISK, Overwrite(True, False, True), False, "still on the device"),
        (changed(DISK, device=None), Overwrite(None, None, None, "no block device"), False, "no block device"),
    ],
)
def test_every_doubt_makes_it_unverified_and_says_why(
    volume: Volume, seen: Overwrite, virtual: bool, word: str
) -> None:
    answer = classify(volume, seen, virtual=virtual)
    assert answer.effaceability_class == UNVERIFIED
    assert word in answer.reason


def test_the_test_runs_here_leaves_nothing_behind_and_gives_a_reason(tmp_path: Path) -> None:
    answer = effaceability.test_volume(tmp_path)
    assert len(answer.reason.split()) > 5
    assert list(tmp_path.iterdir()) == []
    if is_virtual_machine():
        assert answer.effaceability_class == UNVERIFIED


@pytest.fixture
def ext4_image(tmp_path: Path) -> Iterator[Path]:
    image, folder = tmp_path / "image", tmp_path / "mounted"
    image.write_bytes(bytes(16 << 20))
    folder.mkdir()
    made = os.geteuid() == 0 and subprocess.run(["mkfs.ext4", "-q", image], check=False).returncode == 0
    if not made or subprocess.run(["mount", "-o", "loop", image, folder], check=False).returncode != 0:
        pytest.skip("no image file can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_on_a_real_block_device_the_marker_is_found_and_then_gone(ext4_image: Path) -> None:
    seen = overwrite_marker(ext4_image)
    assert seen == Overwrite(was_on_device=True, is_gone_from_device=True, stayed_in_place=True)
    answer = classify(volume_of(ext4_image), seen, virtual=False)
    assert "image file" in answer.reason


def test_a_file_that_is_replaced_instead_of_overwritten_stays_on_the_device(ext4_image: Path) -> None:
    """The positive control: the raw read does find old bytes when they are there."""
    marker, path = os.urandom(32), ext4_image / "slot"
    with path.open("wb") as file:
        file.write(marker + bytes(4064))
        file.flush()
        os.fsync(file.fileno())
        place = physical_offset(extents_of(file.fileno()), 0)
    (ext4_image / "new").write_bytes(bytes(4096))
    (ext4_image / "new").rename(path)
    os.sync()
    device = volume_of(ext4_image).device
    assert device is not None
    assert place is not None
    assert marker in read_device(device, place, 4096)
