"""What the logs are still to be told of backups, so that a crash between doing and telling leaves nothing untold.

A note with the backup's manifest lies beside the backups from before it counts, or before it is destroyed, until every
log was told. Who begins next tells what is owed first. A crash between the telling and the end of the note tells it
twice: the same words again, which are as true.
"""

from __future__ import annotations

from pathlib import Path

from sealwire.custody.backups import manifest as papers
from sealwire.custody.keys.files import create_durably, sync_folder

MADE, DESTROYED = ".untold", ".ending"


def owe(folder: Path, manifest: papers.Manifest, kind: str) -> None:
    """From now on the logs are owed this; durable."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    create_durably(folder / f"{manifest.name}{kind}", manifest.encode())


def owed(folder: Path, kind: str) -> list[papers.Manifest]:
    """What the logs were not told, as far as is known, oldest first."""
    return [papers.decoded(path.read_bytes(), name=path.name) for path in sorted(folder.glob(f"*{kind}"))]


def settle(folder: Path, manifests: list[papers.Manifest], kind: str) -> None:
    """They were told."""
    for manifest in manifests:
        (folder / f"{manifest.name}{kind}").unlink(missing_ok=True)
    if manifests:
        sync_folder(folder)
