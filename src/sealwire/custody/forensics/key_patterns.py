"""What a key looks like wherever it might have been left: raw, as text, and expanded for AES; and which keys there are.

The oracle reads a copy of the keeper's folder from before the erasure, epoch slots included, and so knows every key
on the way down to a record. It exists for the sweep's scratch installation only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from sealwire.custody.forensics.loot import FoundTree, Loot
from sealwire.custody.forensics.patterns import Pattern, binary_as_text, distinct
from sealwire.custody.keys.paths import DAY_DEPTH, LEAF_DEPTH, LeafPath, NodePath
from sealwire.custody.keys.refusals import Punctured
from sealwire.custody.keys.tree import Tree, leaf_keys
from sealwire.vocabulary import AccountId

_RCON = (1, 2, 4, 8, 16, 32, 64)
_NODES_ABOVE = (DAY_DEPTH, 36, 44, 48, LEAF_DEPTH)


def oracle(folder: Path, root_key: bytes, account: AccountId) -> Tree:
    """The account's whole tree, from a copy of the keeper's folder that has its epoch key."""
    loot = Loot.gather([folder], windows_max=0)
    found: list[FoundTree] = loot.open_trees([root_key])
    trees = [each.tree for each in found if each.account == account]
    return trees[0]


def keys_of(tree: Tree, leaves: Iterable[LeafPath]) -> dict[str, bytes]:
    """The keys that open these records and what they are derived from: nothing of it may be left anywhere.

    A node higher up is listed as far as it was live or is derived on the way: from its day down.
    """
    found: dict[str, bytes] = {}
    for leaf in leaves:
        for depth in _NODES_ABOVE:
            place = NodePath(depth, leaf.node.prefix >> (LEAF_DEPTH - depth))
            with suppress(Punctured):  # what lies above was destroyed before, with another record
                found[f"node of {leaf.text} at depth {depth}"] = tree.derive(place)
        keys = leaf_keys(found[f"node of {leaf.text} at depth {LEAF_DEPTH}"])
        found |= {f"record key of {leaf.text}": keys.record, f"media key of {leaf.text}": keys.media}
    return found


def key_patterns(keys: dict[str, bytes]) -> list[Pattern]:
    """These keys in every form; what is found is named after the key."""
    patterns: list[Pattern] = []
    for name, key in keys.items():
        forms = [(key, "raw"), (key[::-1], "reversed"), *binary_as_text(key), *_schedules(key)]
        patterns += distinct(forms, f"key: {name}")
    return patterns


def _schedules(key: bytes) -> list[tuple[bytes, str]]:
    """A piece of the AES-256 key schedule behind the key itself, in both orders of bytes in a word."""
    words = expanded(key)[8:16]
    return [
        (b"".join(words), "AES-256 key schedule"),
        (b"".join(word[::-1] for word in words), "AES-256 key schedule, words reversed"),
    ]


def expanded(key: bytes) -> Sequence[bytes]:
    """The sixty words of the AES-256 key expansion (FIPS 197, 5.2)."""
    box = _substitution()
    words = [key[at : at + 4] for at in range(0, 32, 4)]
    for at in range(8, 60):
        word = words[-1]
        if at % 8 == 0:
            word = bytes(box[byte] for byte in word[1:] + word[:1])
            word = bytes([word[0] ^ _RCON[at // 8 - 1]]) + word[1:]
        elif at % 8 == 4:
            word = bytes(box[byte] for byte in word)
        words.append(bytes(a ^ b for a, b in zip(words[at - 8], word, strict=True)))
    return words


@cache
def _substitution() -> bytes:
    """The AES S-box, computed: the inverse in GF(2^8), then the affine map."""
    box, p, q = bytearray(256), 1, 1
    while True:
        p = p ^ (p << 1 & 0xFF) ^ (0x1B if p & 0x80 else 0)
        for shift in (1, 2, 4):
            q ^= q << shift & 0xFF
        q ^= 0x09 if q & 0x80 else 0
        turned = [(q << by | q >> (8 - by)) & 0xFF for by in (1, 2, 3, 4)]
        box[p] = q ^ turned[0] ^ turned[1] ^ turned[2] ^ turned[3] ^ 0x63
        if p == 1:
            break
    box[0] = 0x63
    return bytes(box)
