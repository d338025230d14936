"""Objects into the archives of a backup: names listed page by page, content streamed and hashed on the way."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator

import obstore

from sealwire.custody.backups import manifest as papers
from sealwire.custody.backups.target import stream_of
from sealwire.ground.objects.store import Objects

_UNFINISHED_OBJECT = re.compile(r".+#\d+")


def object_names(objects: Objects) -> Iterator[str]:
    """The names of all objects, page by page; blocks. What is still being written is not among them."""
    for batch in obstore.list(objects.store):
        for entry in batch:
            if not _UNFINISHED_OBJECT.fullmatch(entry["path"]):
                yield entry["path"]


def pack_object(archive: tarfile.TarFile, name: str, objects: Objects, pack: str) -> papers.BackedUpObject | None:
    """One object into the archive; None when it was erased since the objects were listed."""
    try:
        found = obstore.get(objects.store, name)
    except FileNotFoundError:
        return None
    entry = tarfile.TarInfo(name)
    entry.size = found.meta["size"]
    hashing = papers.Hashing(stream_of(found))
    archive.addfile(entry, hashing)
    return papers.BackedUpObject(name, entry.size, hashing.sha256, pack)
