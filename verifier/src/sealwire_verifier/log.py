"""Verification of a whole log, and of two states of one log, from a folder in the C2SP tlog-tiles layout.

A log:                                              Two states (the older as a checkpoint or folder):
 (0) files       checkpoint, tiles, entries present   (0) files       both are present
 (1) log         signed by a log the policy pins      (1) log         both signed by the same pinned log
 (2) witnesses   cosigned as the quorum demands       (2) witnesses   both cosigned as the quorum demands
 (3) entries     each is one of Sealwire's leaves     (3) newer root  the newer tiles give the newer root
 (4) hashes      level 0 holds the entries' hashes    (4) older root  the same tiles give the older root
 (5) tiles       each upper hash is of a full tile
 (6) root        the tiles give the checkpoint's root
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sealwire_verifier import leaf, merkle
from sealwire_verifier.checkpoint import Checkpoint
from sealwire_verifier.errors import NotProved, must, step
from sealwire_verifier.policy import Policy
from sealwire_verifier.tiles import WIDTH, Tile, TileTree, tiles_of, unpack_entries


@dataclass(frozen=True)
class VerifiedLog:
    """A log that holds together: its head, and who cosigned it."""

    log: str
    size: int
    root: str
    witnesses: list[str]
    older_size: int | None = None


def verify_log(folder: Path, policy: Policy) -> VerifiedLog:
    """Check every entry and every hash; StepFailed names the step and the file."""
    with step(0):
        checkpoint = _read(folder / "checkpoint")
    head, witnesses = _signed(checkpoint, policy)
    tiles: dict[tuple[int, int], bytes] = {}
    for tile in tiles_of(head.size):
        with step(0):
            hashes = _tile(folder, tile)
            bundle = _tile(folder, Tile(None, tile.n, tile.width)) if tile.level == 0 else b""
        if tile.level == 0:
            with step(3):
                entries = unpack_entries(bundle)[: tile.width]
                whole = len(entries) == tile.width and all(_is_leaf(entry) for entry in entries)
                must(whole, f"the entries of {tile} are not all leaves")
            with step(4):
                must(b"".join(map(merkle.leaf_hash, entries)) == hashes, f"{tile} does not hash its entries")
        else:
            with step(5):
                _check_upper(tile, hashes, tiles)
        tiles[tile.level or 0, tile.n] = hashes
    with step(6):
        must(TileTree(tiles).subtree(0, head.size) == head.root, "the tiles do not give the root that was signed")
    return VerifiedLog(head.origin, head.size, head.root.hex(), witnesses)


def verify_consistency(older: Path, newer: Path, policy: Policy) -> VerifiedLog:
    """The newer log begins with the older one; hashes are enough, no entries are read."""
    with step(0):
        first_note = _read(older / "checkpoint" if older.is_dir() else older)
        second_note = _read(newer / "checkpoint")
    first, _ = _signed(first_note, policy)
    second, witnesses = _signed(second_note, policy)
    with step(1):
        must(first.origin == second.origin, "these are two logs, not two states of one")
    with step(0):
        tiles = {(tile.level or 0, tile.n): _tile(newer, tile) for tile in tiles_of(second.size)}
    with step(3):
        must(TileTree(tiles).subtree(0, second.size) == second.root, "the newer tiles do not give the newer root")
    with step(4):
        must(first.size <= second.size, "the newer state is shorter than the older: the log was rolled back")
        same = TileTree(tiles).subtree(0, first.size) == first.root
        must(same, "the newer log does not begin with the older one: history was rewritten")
    return VerifiedLog(second.origin, second.size, second.root.hex(), witnesses, first.size)


def _signed(checkpoint: bytes, policy: Policy) -> tuple[Checkpoint, list[str]]:
    with step(1):
        head, signed = policy.signed_head(checkpoint)
    with step(2):
        return head, policy.cosigned(signed)


def _is_leaf(entry: bytes) -> bool:
    return len(entry) == leaf.LEAF_BYTES and entry[0] == 1 and entry[1] > 0


def _check_upper(tile: Tile, hashes: bytes, tiles: dict[tuple[int, int], bytes]) -> None:
    below = (tile.level or 0) - 1
    for offset in range(tile.width):
        full = tiles[below, tile.n * WIDTH + offset]
        row = [full[at : at + 32] for at in range(0, len(full), 32)]
        must(merkle.root_of_hashes(row) == hashes[32 * offset : 32 * offset + 32], f"{tile} is not of the tiles below")


def _tile(folder: Path, tile: Tile) -> bytes:
    """A tile's bytes; a full tile may stand in for the partial one it has grown from."""
    file = folder / str(tile)
    if tile.level is None:
        return _read(file if file.exists() else folder / str(Tile(None, tile.n)))
    raw = _read(file if file.exists() else folder / str(Tile(tile.level, tile.n)))[: 32 * tile.width]
    if len(raw) < 32 * tile.width:
        raise NotProved(f"{tile} is too short")
    return raw


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        raise NotProved(f"{file} cannot be read") from None
