"""Objects by name: written whole or not at all, read as streams. Names are random and say nothing."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from sealwire.config import Settings
from sealwire.errors import Malformed, Missing, Unavailable

CHUNK_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}")
_UNFINISHED = re.compile(r".+#\d+")  # obstore's name for an object that is still being written


class ObjectMissing(Missing):
    """No object of this name is there."""


class ObjectNameMalformed(Malformed):
    """Not an object name: parts of letters, digits, - and _, joined by /."""


class ObjectsFull(Unavailable):
    """The disk that holds the objects is full; nothing was written. Make room, then try again."""


class ObjectsUnavailable(Unavailable):
    """The object store does not answer; nothing was written. Look at `bin/sealwire doctor`, then try again."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object's name and size."""

    name: str
    bytes: int


def new_prefix() -> str:
    """A random prefix for one account's objects."""
    return secrets.token_hex(16)


class ObjectWriter:
    """One object on its way. It is seen by nobody until `close`; `abort`, or no close, leaves nothing."""

    def __init__(self, objects: Objects, name: str) -> None:
        self._objects = objects
        self._name = name
        with plainly_told():
            self._file: obstore.AsyncWritableFile | None = obstore.open_writer_async(
                objects.store, name, buffer_size=objects.part_bytes, max_concurrency=objects.parts_at_once
            )

    async def write(self, data: bytes) -> None:
        """Take the next piece."""
        if self._file is None:
            raise ObjectsUnavailable("this object is closed already; open a new writer")
        await self._told(self._file.write(data))

    async def close(self) -> None:
        """Finish: from now on the object is there, whole and on disk."""
        if self._file is None:
            return
        await self._told(self._file.close())
        self._file = None
        await self._objects.settle(self._name)

    async def abort(self) -> None:
        """Give up: what was written is removed."""
        self._file = None  # dropping an unfinished writer removes what it wrote into a folder
        await self._objects.abandon(self._name)

    async def _told(self, act: Awaitable[object]) -> None:
        try:
            with plainly_told():
                await asyncio.wait_for(act, self._objects.answers_s_max)
        except BaseException:
            self._file = None
            raise


class Objects:
    """The object store. Names are made by `new_prefix()` and ids, never from content."""

    part_bytes = CHUNK_BYTES
    parts_at_once = 12
    answers_s_max: float | None = None
    """How long one piece may take; a folder always answers."""

    def __init__(self, store: LocalStore | S3Store, folder: Path | None = None) -> None:
        self.store = store
        self._folder = folder

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Objects as files below `folder`, which is made when it is missing."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(LocalStore(prefix=folder, automatic_cleanup=True), folder)

    @staticmethod
    def of(settings: Settings) -> Objects:
        """The objects of an installation: in its folder, or in the bucket that `objects_endpoint` names."""
        if not settings.objects_endpoint:
            return Objects.open(settings.objects_dir)
        from sealwire.ground.objects import s3  # noqa: PLC0415 - its class is made from this one

        return s3.S3Objects(s3.Bucket.from_settings(settings))

    async def open_writer(self, name: str) -> ObjectWriter:
        """Begin an object; it appears under its name when the writer is closed."""
        return ObjectWriter(self, _checked(name))

    async def put_stream(self, name: str, pieces: AsyncIterator[bytes]) -> int:
        """Write a whole object from a stream; its size. When the stream fails, nothing is left."""
        writer = await self.open_writer(name)
        size = 0
        try:
            async for piece in pieces:
                size += len(piece)
                await writer.write(piece)
            await writer.close()
        except BaseException:
            await writer.abort()
            raise
        return size

    async def get_stream(self, name: str) -> AsyncIterator[bytes]:
        """Read an object piece by piece; ObjectMissing before the first piece when there is none."""
        with plainly_told():
            found = await asyncio.wait_for(obstore.get_async(self.store, _checked(name)), self.answers_s_max)
            pieces = aiter(found.stream(min_chunk_size=CHUNK_BYTES))
            while True:
                try:
                    piece = await asyncio.wait_for(anext(pieces), self.answers_s_max)
                except StopAsyncIteration:
                    return
                yield bytes(piece)

    async def head(self, name: str) -> StoredObject:
        """The size of an object."""
        with plainly_told():
            found = await asyncio.wait_for(obstore.head_async(self.store, _checked(name)), self.answers_s_max)
            return StoredObject(name, found["size"])

    async def delete(self, name: str) -> bool:
        """Remove an object for good, and what a killed process left half written of it; whether it was there."""
        if self._folder is not None:
            await asyncio.to_thread(_remove_unfinished, self._folder / _checked(name))
        try:
            with plainly_told():
                await obstore.delete_async(self.store, _checked(name))
        except ObjectMissing:
            return False
        await self.settle(name)
        return True

    async def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        """All objects whose name begins with the parts of `prefix`; what is still being written is not listed."""
        with plainly_told():
            async for batch in obstore.list(self.store, prefix=_checked(prefix)):
                for entry in batch:
                    yield StoredObject(entry["path"], entry["size"])

    async def settle(self, name: str) -> None:
        """Have the disk keep what was just done to this name: file and folders are flushed (fsync(2))."""
        if self._folder is not None:
            await asyncio.to_thread(_flush, self._folder, self._folder / name)

    async def abandon(self, name: str) -> None:
        """Remove what was written of an object that will not be finished; a folder's writer did that itself."""

    async def abort_unfinished(self, *, before: dt.datetime) -> int:  # noqa: ARG002 - a folder is tidied at start
        """Remove uploads that a killed process began before this moment; how many there were."""
        return 0

    async def compact(self) -> bool:
        """Have the store drop the bytes of what was deleted; a folder's file system does so by itself."""
        return True

    @staticmethod
    def check_name(name: str) -> None:
        """ObjectNameMalformed unless this may be the name of an object."""
        _checked(name)

    def sweep_unfinished(self) -> int:
        """Remove what a killed process left half written; call when no writer is open. How many there were."""
        return _sweep(self._folder) if self._folder is not None else 0


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ObjectNameMalformed
    return name


@contextmanager
def plainly_told() -> Iterator[None]:
    """Turn obstore's errors into ours; theirs quote paths and source positions."""
    try:
        yield
    except FileNotFoundError:
        raise ObjectMissing from None
    except (BaseError, OSError) as error:
        is_full = "No space left" in str(error) or "Disk quota exceeded" in str(error)
        raise (ObjectsFull if is_full else ObjectsUnavailable) from error


def _flush(top: Path, file: Path) -> None:
    try:
        for path in (file, *file.parents):
            if path.exists():
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            if path == top:
                break
    except OSError as error:
        raise ObjectsUnavailable from error


def _remove_unfinished(file: Path) -> None:
    """The store writes `<name>#1`, or the next number that is free, and renames it in the end."""
    number = 1
    while (unfinished := file.with_name(f"{file.name}#{number}")).exists():
        unfinished.unlink(missing_ok=True)
        number += 1


def _sweep(top: Path) -> int:
    unfinished = [path for path in top.rglob("*#*") if path.is_file() and _UNFINISHED.fullmatch(path.name)]
    for path in unfinished:
        path.unlink(missing_ok=True)
    return len(unfinished)
