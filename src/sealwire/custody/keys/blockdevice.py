"""Where a file's bytes lie on its block device, and how to read them there: FIEMAP, sysfs and O_DIRECT."""

from __future__ import annotations

import array
import fcntl
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sealwire.custody.keys.files import read_aligned

_FS_IOC_FIEMAP = 0xC020660B
_FIEMAP_FLAG_SYNC = 1
_HEAD = struct.Struct("=QQLLLL")
_EXTENT = struct.Struct("=QQQQQLLLL")
_EXTENTS_MAX = 16
_HYPERVISORS = ("qemu", "kvm", "vmware", "virtualbox", "xen", "amazon", "google", "openstack")
_UNUSABLE = 0x0002 | 0x0004 | 0x0008 | 0x0080 | 0x0100 | 0x0200 | 0x0800 | 0x2000
"""Unknown, delayed, encoded, encrypted, unaligned, inline, unwritten, shared: the bytes are not simply there."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of a file's bytes and where it lies on the device."""

    logical: int
    physical: int
    length: int
    flags: int

    @property
    def is_plain(self) -> bool:
        return not self.flags & _UNUSABLE


@dataclass(frozen=True, slots=True)
class Volume:
    """The file system a folder lies on, as the kernel tells it."""

    filesystem: str
    options: str
    device: Path | None
    is_flash: bool
    is_image_file: bool


def extents_of(descriptor: int) -> list[Extent]:
    """The extents of a file (FIEMAP); OSError where the file system does not tell."""
    size = os.fstat(descriptor).st_size
    head = _HEAD.pack(0, size, _FIEMAP_FLAG_SYNC, 0, _EXTENTS_MAX, 0)
    buffer = array.array("B", head + bytes(_EXTENT.size * _EXTENTS_MAX))
    fcntl.ioctl(descriptor, _FS_IOC_FIEMAP, buffer, True)
    mapped = _HEAD.unpack_from(buffer)[3]
    found = []
    for number in range(min(mapped, _EXTENTS_MAX)):
        logical, physical, length, _, _, flags, *_ = _EXTENT.unpack_from(buffer, _HEAD.size + number * _EXTENT.size)
        found.append(Extent(logical, physical, length, flags))
    return found


def physical_offset(extents: list[Extent], logical: int) -> int | None:
    """Where a byte of the file lies on the device; None when it is not simply there."""
    for extent in extents:
        if extent.is_plain and extent.logical <= logical < extent.logical + extent.length:
            return extent.physical + logical - extent.logical
    return None


def read_device(device: Path, offset: int, length: int) -> bytes:
    """Read a block device past every cache (O_DIRECT); OSError when this process may not."""
    descriptor = os.open(device, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    try:
        return read_aligned(descriptor, offset, length)
    finally:
        os.close(descriptor)


def volume_of(folder: Path) -> Volume:
    """The volume that holds a folder."""
    number = folder.stat().st_dev
    name = f"{os.major(number)}:{os.minor(number)}"
    filesystem, options = _mount(folder, name)
    node = Path("/sys/dev/block") / name
    if not node.exists():
        return Volume(filesystem, options, None, is_flash=False, is_image_file=False)
    block = node.resolve()
    device = Path("/dev") / block.name
    return Volume(filesystem, options, device if device.exists() else None, _is_flash(block), block.name[:4] == "loop")


def is_virtual_machine() -> bool:
    """Whether this machine's disks may be snapshot from outside it: the hypervisor flag, or a vendor that says so."""
    with suppress(OSError):
        if any("hypervisor" in line.split() for line in Path("/proc/cpuinfo").read_text().splitlines()):
            return True
    if Path("/sys/hypervisor/type").exists():
        return True
    vendor = ""
    for name in ("sys_vendor", "product_name"):
        with suppress(OSError):
            vendor += Path("/sys/class/dmi/id", name).read_text().lower()
    return any(word in vendor for word in _HYPERVISORS)


def _mount(folder: Path, device: str) -> tuple[str, str]:
    """File system type and options: the longest mount point above the folder on that device (proc(5))."""
    best, answer = -1, ("unknown", "")
    real = folder.resolve()
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, _, options) = left.split(), right.split(" ", 2)
        point = fields[4].encode().decode("unicode_escape")
        if real.is_relative_to(point) and len(point) >= best:
            best, answer = len(point), (kind, f"{fields[5]},{options}")
            if fields[2] == device:
                best += 1
    return answer


def _is_flash(block: Path) -> bool:
    """Whether the disk says it does not rotate (a partition asks its disk)."""
    for folder in (block, block.parent):
        with suppress(OSError):
            return (folder / "queue" / "rotational").read_text().strip() == "0"
    return True
