"""Writing files so that they are there after a power cut, and the crash points at which tests stop the keeper."""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from pathlib import Path

PAGE = 4096
CRASH_VARIABLE = "SEALWIRE_CRASH_AT"


def crash_point(name: str) -> None:
    """Die here, as in a power cut, when a test asks for it by SEALWIRE_CRASH_AT."""
    if os.environ.get(CRASH_VARIABLE) == name:
        os._exit(137)


def sync_folder(folder: Path) -> None:
    """Make names created, renamed or removed in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_durably(path: Path, data: bytes) -> None:
    """Write a file of ours (0600) and its content to the disk; its name is durable after `sync_folder`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_durably(path: Path, data: bytes) -> None:
    """Make a file appear whole or not at all, content and name durable."""
    beside = path.with_name(path.name + ".new")
    write_durably(beside, data)
    beside.rename(path)
    sync_folder(path.parent)


def read_from_disk(path: Path, offset: int, length: int) -> bytes:
    """Read past the page cache where the file system allows it (O_DIRECT), else from the cache."""
    for flags in (os.O_RDONLY | os.O_DIRECT, os.O_RDONLY):
        with suppress(OSError):
            descriptor = os.open(path, flags | os.O_CLOEXEC)
            try:
                return read_aligned(descriptor, offset, length)
            finally:
                os.close(descriptor)
    raise OSError(f"{path.name} cannot be read back")


def read_aligned(descriptor: int, offset: int, length: int) -> bytes:
    """Read into a page-aligned buffer, as O_DIRECT demands."""
    rounded = -(-length // PAGE) * PAGE
    with mmap.mmap(-1, rounded) as buffer:
        count = os.preadv(descriptor, [buffer], offset)
        data = bytes(buffer[: min(count, length)])
        buffer[:] = bytes(rounded)
    return data
