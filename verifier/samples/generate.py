"""Makes the samples beside it: a log of 300 leaves as files, an erasure certificate from it, the policy to pin.

Everything random is derived from labels, so a run always writes the same bytes: `python verifier/samples/generate.py`.
The keys are public by that and vouch for nothing.
"""

from __future__ import annotations

import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sealwire_verifier import certificate as form
from sealwire_verifier import leaf, merkle
from sealwire_verifier.checkpoint import Checkpoint
from sealwire_verifier.note import SigningKey
from sealwire_verifier.proof import Proof
from sealwire_verifier.tiles import WIDTH, Tile, pack_entries, tiles_of

ORIGIN = "sealwire.local/log/5a4d9c0e7f1b2836"
ERASURE = "ers_" + sha256(b"sample erasure").hexdigest()[:32]
SIZE, KEPT_AT, UNREADABLE_AT, REMOVED_AT, OLDER_SIZE = 300, 40, 270, 290, 41
LIMITS = form.limits_of("unverified")


def made(label: str) -> bytes:
    """32 bytes that look random and are always the same."""
    return sha256(b"sealwire sample: " + label.encode()).digest()


def key(name: str) -> SigningKey:
    return SigningKey(name, Ed25519PrivateKey.from_private_bytes(made(f"key {name}")))


def text(value: bytes) -> str:
    return b64encode(value).decode()


def receipt(holder: SigningKey) -> dict[str, Any]:
    body = {
        "version": 1,
        "erasure": ERASURE,
        "log": ORIGIN,
        "epoch_before": 41,
        "epoch_after": 42,
        "destroyed_at": "2026-11-23T10:15:30.250Z",
        "holder": holder.name,
        "method": "epoch key overwritten in its slot, flushed and read back",
        "effaceability_class": "unverified",
        "paths_root": text(made("paths")),
        "count": 2,
    }
    return body | {"signature": text(holder.private.sign(form.canonical(body)))}


def main(folder: Path) -> None:
    """Write every sample below `folder`."""
    log, holder = key(ORIGIN), key("sealwire.holder/9f3c51aa")
    records = sorted([made("call record"), made("recording")])
    batch = sorted([*records, made("somebody else's record")])
    counts = {"count": len(records), "commitments_root": text(merkle.root_of(records))}
    receipts = [receipt(holder)]
    levels: dict[str, Any] = {
        "hidden": {"at": "2026-11-23T10:15:29.900Z"},
        "unreadable": {"at": "2026-11-23T10:15:30.280Z", "epoch_before": 41, "epoch_after": 42},
        "removed": {"at": "2026-11-23T10:20:00.000Z", "state": "removed"},
        "gone_from_backups": {"by": "2026-12-28"},
    }
    about = {
        "certificate": ERASURE.replace("ers_", "crt_"),
        "account": ORIGIN,
        "erasure": ERASURE,
        "ground": "subject-request",
        "days": [],
        "effaceability_class": "unverified",
    }
    payloads = {
        KEPT_AT: {
            "type": "record.kept",
            "account": ORIGIN,
            "at": "2026-11-20T08:00:00.000Z",
            "count": 3,
            "commitments_root": text(merkle.root_of(batch)),
        },
        UNREADABLE_AT: {
            **about,
            **counts,
            "type": "erasure.unreadable",
            "at": "2026-11-23T10:15:30.300Z",
            "receipts_hash": form.digest(receipts),
            "hidden_at": levels["hidden"]["at"],
            "unreadable_at": levels["unreadable"]["at"],
            "epoch_before": 41,
            "epoch_after": 42,
            "gone_from_backups_by": levels["gone_from_backups"]["by"],
            "limits_hash": form.digest(LIMITS),
        },
        REMOVED_AT: {
            **counts,
            "type": "erasure.removed",
            "account": ORIGIN,
            "erasure": ERASURE,
            "at": levels["removed"]["at"],
        },
    }
    classes = {KEPT_AT: leaf.RECORD_KEPT, UNREADABLE_AT: leaf.ERASURE_UNREADABLE, REMOVED_AT: leaf.ERASURE_REMOVED}

    def leaf_of(index: int) -> dict[str, Any]:
        payload = form.canonical(payloads.get(index, {"type": "record.opened", "n": index}))
        return {"leaf_class": classes.get(index, 6), "salt": text(made(f"salt {index}")), "payload": text(payload)}

    def entry_of(index: int) -> bytes:
        payload = form.canonical(payloads.get(index, {"type": "record.opened", "n": index}))
        return leaf.leaf_bytes(classes.get(index, 6), made(f"salt {index}"), payload)

    entries = [entry_of(index) for index in range(SIZE)]
    hashes = [merkle.leaf_hash(entry) for entry in entries]

    def path_of(index: int) -> list[bytes]:
        return merkle.inclusion_path(index, SIZE, merkle.subtree_of(hashes))

    def texts(path: list[bytes]) -> list[str]:
        return [text(step) for step in path]

    in_batch = merkle.subtree_of([merkle.leaf_hash(commitment) for commitment in batch])
    levels["removed"]["statement"] = {**leaf_of(REMOVED_AT), "index": REMOVED_AT, "path": texts(path_of(REMOVED_AT))}
    kept = [
        {
            "commitment": text(commitment),
            "leaf": {**leaf_of(KEPT_AT), "index": KEPT_AT},
            "path": texts(path_of(KEPT_AT)),
            "batch_index": batch.index(commitment),
            "batch_path": texts(merkle.inclusion_path(batch.index(commitment), 3, in_batch)),
        }
        for commitment in records
    ]
    body = {
        **about,
        "version": 1,
        "records": counts["count"],
        "commitments": [text(commitment) for commitment in records],
        "commitments_root": counts["commitments_root"],
        "levels": levels,
        "receipts": receipts,
        "kept": kept,
        "statement": leaf_of(UNREADABLE_AT),
        "witnessed": form.NOT_WITNESSED,
        "limits": LIMITS,
    }
    checkpoint = Checkpoint(ORIGIN, SIZE, merkle.root_of_hashes(hashes)).sign(log)
    older = Checkpoint(ORIGIN, OLDER_SIZE, merkle.root_of_hashes(hashes[:OLDER_SIZE])).sign(log)
    proof = Proof(UNREADABLE_AT, tuple(path_of(UNREADABLE_AT)), checkpoint, form.canonical(body))
    files = {
        "erasure.tlog-proof": proof.render(),
        "policy": f"# sample keys: anybody can have them\nlog {log.vkey}\nholder {holder.vkey}\nquorum none\n".encode(),
        "older-checkpoint": older,
        "log/checkpoint": checkpoint,
    }
    for tile in tiles_of(SIZE):
        begin = tile.n * WIDTH
        if tile.level == 0:
            files[f"log/{tile}"] = b"".join(hashes[begin : begin + tile.width])
            files[f"log/{Tile(None, tile.n, tile.width)}"] = pack_entries(entries[begin : begin + tile.width])
        else:
            files[f"log/{tile}"] = merkle.root_of_hashes(hashes[:WIDTH])
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
