"""Objects appear whole or not at all, and a failing store says so plainly."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sealwire.errors import Unavailable
from sealwire.ground.objects.store import (
    ObjectMissing,
    ObjectNameMalformed,
    Objects,
    ObjectsFull,
    new_prefix,
)


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects.open(tmp_path / "objects")


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def whole(objects: Objects, name: str) -> bytes:
    return b"".join([piece async for piece in objects.get_stream(name)])


def files_in(objects: Objects) -> list[Path]:
    assert objects._folder is not None
    return [path for path in objects._folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (3 << 20) + 7])
async def test_what_is_put_comes_back_to_the_byte(objects: Objects, size: int) -> None:
    content, name = os.urandom(size), f"{new_prefix()}/a"
    assert await objects.put_stream(name, pieces(content[: size // 3], content[size // 3 :])) == size
    assert await whole(objects, name) == content
    assert (await objects.head(name)).bytes == size


async def test_an_object_is_seen_only_once_it_is_closed(objects: Objects) -> None:
    writer = await objects.open_writer("p/a")
    await writer.write(os.urandom(3 << 20))
    assert [entry.name async for entry in objects.list("p")] == []
    with pytest.raises(ObjectMissing):
        await objects.head("p/a")
    await writer.close()
    assert [entry.name async for entry in objects.list("p")] == ["p/a"]


async def test_an_aborted_object_leaves_no_file(objects: Objects) -> None:
    writer = await objects.open_writer("p/a")
    await writer.write(os.urandom(3 << 20))
    await writer.abort()
    assert files_in(objects) == []
    with pytest.raises(Unavailable):
        await writer.write(b"more")


async def test_a_stream_that_fails_half_way_leaves_no_file(objects: Objects) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield os.urandom(2 << 20)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await objects.put_stream("p/a", failing())
    assert files_in(objects) == []


async def test_what_a_killed_process_left_is_swept_and_finished_objects_stay(objects: Objects, tmp_path: Path) -> None:
    await objects.put_stream("p/done", pieces(b"x"))
    (tmp_path / "objects/p/half#1").write_bytes(b"y")
    assert objects.sweep_unfinished() == 1
    assert [path.name for path in files_in(objects)] == ["done"]


async def test_a_removed_object_is_gone_and_removing_it_twice_is_no_error(objects: Objects) -> None:
    await objects.put_stream("p/a", pieces(b"x"))
    await objects.put_stream("p/b", pieces(b"neighbour"))
    assert await objects.delete("p/a") is True
    assert await objects.delete("p/a") is False
    assert await whole(objects, "p/b") == b"neighbour"
    with pytest.raises(ObjectMissing):
        await whole(objects, "p/a")


@pytest.mark.parametrize("name", ["", "../a", "/a", "a//b", "a/./b", "a b", "a/" + "x" * 65, "p/a#1", "+441632960123"])
async def test_a_name_that_could_leave_its_place_is_refused(objects: Objects, name: str) -> None:
    with pytest.raises(ObjectNameMalformed):
        await objects.put_stream(name, pieces(b"x"))
    with pytest.raises(ObjectNameMalformed):
        await whole(objects, name)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_is_told_as_such_and_leaves_no_file(full_disk: Path) -> None:
    objects = Objects.open(full_disk / "objects")
    with pytest.raises(ObjectsFull, match="Make room"):
        await objects.put_stream("p/a", pieces(os.urandom(3 << 20), os.urandom(3 << 20)))
    assert [path.name for path in files_in(objects)] == []
    await objects.put_stream("p/small", pieces(b"x"))
    assert await whole(objects, "p/small") == b"x"
