"""Chains: a base and the increments that continue it, by what their manifests say."""

from __future__ import annotations

import datetime as dt
import hmac
from pathlib import Path

import msgspec

from sealwire.config import Settings
from sealwire.custody.backups.manifest import MANIFEST, Manifest, backups_in, read_manifest
from sealwire.custody.backups.refusals import BackupDamaged, BackupForeign, BackupMissing
from sealwire.custody.backups.sealing import BackupKey
from sealwire.errors import SealwireError


def header_of(manifest: Manifest) -> bytes:
    """The bytes that the authenticator stands for. Where a backup lies may change; what it is may not."""
    return msgspec.json.encode(msgspec.structs.replace(manifest, authenticator="", target=""))


def require_authentic(manifest: Manifest, key: BackupKey) -> None:
    """BackupForeign when it was sealed to another key, BackupDamaged when its manifest was changed."""
    if manifest.sealed_to != str(key.recipient):
        raise BackupForeign(
            f"{manifest.backup} is sealed to {manifest.sealed_to}, and the identity here is of {key.recipient}; "
            "name the identity it was sealed to with --identity"
        )
    if not hmac.compare_digest(manifest.authenticator, key.authenticator(header_of(manifest))):
        raise BackupDamaged(f"the manifest of {manifest.backup} was changed since it was made; take another backup")


def known(settings: Settings) -> list[Manifest]:
    """Sealed backups that this installation knows of, oldest first; what cannot be read is left to `verify`."""
    found = []
    for folder in backups_in(settings.backups_dir):
        try:
            manifest = read_manifest(folder)
        except SealwireError:
            continue
        if manifest.is_sealed:
            found.append(manifest)
    return found


def chain_to(last: Manifest, others: list[Manifest]) -> list[Manifest]:
    """The base and every increment up to `last`; BackupMissing when one of them is not there."""
    by_name = {manifest.name: manifest for manifest in others}
    chain = [last]
    while chain[0].after:
        if (before := by_name.get(chain[0].after)) is None or len(chain) > len(others):
            raise BackupMissing(
                f"{chain[0].backup} continues {chain[0].after}, which is missing; it is of no use without it"
            )
        chain.insert(0, before)
    if any(member.chain != chain[0].name or member.cycle_ends_on != chain[0].cycle_ends_on for member in chain):
        raise BackupDamaged(f"the backups before {last.backup} are not of one chain; take another backup")
    return chain


def latest(settings: Settings) -> list[Manifest]:
    """The newest chain that is known here, whole; BackupMissing when there is none."""
    found = known(settings)
    if not found:
        raise BackupMissing("there is no backup yet: make one with bin/sealwire backup make")
    return chain_to(found[-1], found)


def continued(settings: Settings, *, where: str, key: BackupKey, now: dt.datetime) -> list[Manifest]:
    """The chain that an increment made now would continue; empty when a new base is due."""
    found = [manifest for manifest in known(settings) if manifest.target == where]
    if not found or found[-1].sealed_to != str(key.recipient):
        return []
    try:
        chain = chain_to(found[-1], found)
        require_authentic(chain[-1], key)
    except SealwireError:
        return []
    begun = dt.datetime.fromisoformat(chain[0].made_at)
    is_young = now - begun < dt.timedelta(days=settings.backup_chain_days) and begun <= now
    return chain if is_young else []


def where_is(folder: Path, manifest: Manifest) -> str:
    """The target that holds this backup's files: beside the manifest, or where the manifest says."""
    beside = any((folder / file.path).exists() for file in manifest.files if file.path != MANIFEST)
    return str(folder.parent) if beside or not manifest.target else manifest.target
