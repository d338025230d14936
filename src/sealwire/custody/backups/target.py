"""Where backups go: a folder, or a bucket of an S3 service. Whole files by name, streamed; nothing is renamed."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from sealwire.config import Settings
from sealwire.custody.backups.refusals import BackupMissing, BackupTargetUnusable
from sealwire.custody.backups.sealing import Measured
from sealwire.custody.keys.files import sync_folder
from sealwire.ground.objects.s3 import Bucket, S3Objects
from sealwire.ground.objects.signing import S3Credential

PART_BYTES = 32 << 20
READ_BYTES = 1 << 20
_S3 = "s3://"
_BEGUN_FIRST = ("manifest.json", "contents.age", "postgres.tar.age", "postgres-manifest.age", "objects-00001.tar.age")
"""What a killed backup may have begun to upload: it is listed nowhere."""


class Target:
    """One place for backups. Everything here blocks, so it runs in a thread."""

    def __init__(
        self, where: str, store: Any, *, folder: Path | None = None, bucket: _Versions | None = None, prefix: str = ""
    ) -> None:
        self.where, self._store, self.folder = where, store, folder
        self._bucket, self._prefix = bucket, prefix

    @classmethod
    def open(cls, where: str, settings: Settings) -> Target:
        """A folder's path, or s3://BUCKET/PREFIX with what `secrets/backup-target.json` says of the service."""
        if where.startswith(_S3):
            bucket, _, prefix = where.removeprefix(_S3).partition("/")
            service = _service(settings)
            credential = S3Credential(service["access_key_id"], service["secret_access_key"])
            versions = _Versions(Bucket(service["endpoint"].rstrip("/"), bucket, credential, service["region"]))
            return cls(where, S3Store(bucket, prefix=prefix or None, **service), bucket=versions, prefix=prefix)
        folder = Path(where)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(where, LocalStore(prefix=folder, automatic_cleanup=True), folder=folder)
        except (OSError, BaseError):
            raise BackupTargetUnusable(f"{where} cannot be written to; choose another folder") from None

    @contextmanager
    def writing(self, name: str) -> Iterator[Measured]:
        """A new file; it is there when the block ends well, and not otherwise."""
        with _told(self.where):
            writer = obstore.open_writer(self._store, name, buffer_size=PART_BYTES)
            yield Measured(writer)
            writer.close()
            self._flush(name)

    @contextmanager
    def reading(self, name: str) -> Iterator[io.BufferedReader]:
        """A file's bytes as a stream; BackupMissing when there is none."""
        with _told(self.where):
            try:
                found = obstore.get(self._store, name)
            except FileNotFoundError:
                raise BackupMissing(f"{self.where}/{name} is missing; take another backup") from None
            yield stream_of(found)

    def read(self, name: str) -> bytes:
        """A small file."""
        with self.reading(name) as stream:
            return stream.read()

    def sizes(self, prefix: str) -> dict[str, int]:
        """Names below a prefix with their sizes."""
        with _told(self.where):
            return {
                entry["path"]: entry["size"] for batch in obstore.list(self._store, prefix=prefix) for entry in batch
            }

    def remove(self, prefix: str) -> int:
        """Remove what lies below a prefix, its manifest first: what is half removed is no backup."""
        names = sorted(self.sizes(prefix), key=lambda name: (not name.endswith("/manifest.json"), name))
        with _told(self.where):
            for name in names:
                if self._bucket is None:
                    obstore.delete(self._store, name)
            if self._bucket is not None:
                begun = [f"{prefix}/{file}" for file in _BEGUN_FIRST]
                below = f"{self._prefix}/{prefix}/".lstrip("/")
                self._bucket.destroy([f"{self._prefix}/{name}".lstrip("/") for name in [*names, *begun]], below=below)
        return len(names)

    def _flush(self, name: str) -> None:
        if self.folder is None:
            return
        descriptor = os.open(self.folder / name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder((self.folder / name).parent)
        sync_folder(self.folder)


def stream_of(found: Any) -> io.BufferedReader:
    """What obstore found, as a stream to read from."""
    return io.BufferedReader(_Pieces(iter(found.stream(min_chunk_size=READ_BYTES))), READ_BYTES)


class _Versions(S3Objects):
    """What a bucket keeps behind a deletion goes too: versions, markers, uploads that were never finished."""

    @staticmethod
    def check_name(name: str) -> None:
        """Names of backups have dots in them, which those of objects have not."""

    def destroy(self, names: Sequence[str], *, below: str) -> None:
        """Remove these for good, and uploads of any name below a prefix; blocks, on a loop of its own."""

        async def each() -> None:
            unfinished = {key async for _, key, _ in self._uploads(below)}
            for name in dict.fromkeys([*names, *sorted(unfinished)]):
                await self.delete(name)

        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, each()).result()


class _Pieces(io.RawIOBase):
    """Pieces as a raw stream."""

    def __init__(self, pieces: Iterator[Any]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = memoryview(bytes(next(self._pieces)))
            except StopIteration:
                return 0
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _service(settings: Settings) -> dict[str, Any]:
    file = settings.secrets_dir / "backup-target.json"
    try:
        told = json.loads(file.read_text())
        return {name: str(told[name]) for name in ("endpoint", "region", "access_key_id", "secret_access_key")} | {
            "client_options": {"allow_http": str(told["endpoint"]).startswith("http://")},
            "virtual_hosted_style_request": False,
        }
    except (OSError, ValueError, KeyError, TypeError):
        raise BackupTargetUnusable(
            f"{file} must be JSON with endpoint, region, access_key_id and secret_access_key of the backup target"
        ) from None


@contextmanager
def _told(where: str) -> Iterator[None]:
    """obstore's errors as ours; theirs quote paths and source positions. A full disk stays a full disk."""
    try:
        yield
    except FileNotFoundError:
        raise BackupMissing(f"a file of this backup in {where} is missing; take another backup") from None
    except (BaseError, OSError) as error:
        if "No space left" in str(error) or "Disk quota exceeded" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BackupTargetUnusable(f"{where} does not take or give what it should; see whether it answers") from error
