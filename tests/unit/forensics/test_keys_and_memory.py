"""What a key looks like when it is left lying about, and that another process's memory is really searched."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sealwire.custody.forensics.key_patterns import expanded, key_patterns, keys_of
from sealwire.custody.forensics.matcher import Matcher
from sealwire.custody.forensics.memory import scan_memory
from sealwire.custody.forensics.patterns import bytes_patterns, text_patterns
from sealwire.custody.keys.paths import LeafPath
from sealwire.custody.keys.tree import Tree, leaf_keys

LEAF = LeafPath(1, 0, 20_000, 77)


def test_the_key_schedule_is_that_of_fips_197() -> None:
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    words = expanded(key)  # FIPS 197, appendix A.3
    assert words[8] == bytes.fromhex("9ba35411")
    assert words[12] == bytes.fromhex("a8b09c1a")
    assert words[59] == bytes.fromhex("706c631e")


def test_a_key_is_found_raw_as_text_and_expanded() -> None:
    key = os.urandom(32)
    matcher = Matcher(key_patterns({"it": key}))
    schedule = b"".join(expanded(key)[8:])
    for left in (key, key[::-1], key.hex().encode(), base64.b64encode(b"xy" + key), schedule):
        assert any(True for _ in matcher.find(b"before" + left + b"after"))
    assert not any(True for _ in matcher.find(b"before" + os.urandom(4000)))


def test_all_that_opens_a_record_is_known_and_nothing_that_was_destroyed() -> None:
    tree = Tree.planted(os.urandom(32))
    keys = keys_of(tree, [LEAF])
    assert leaf_keys(tree.derive(LEAF)).record in keys.values()
    assert tree.derive(LEAF.day_path.block(LEAF.block)) in keys.values()
    tree.puncture(LeafPath(1, 0, 20_000, 78))
    assert len(keys_of(tree, [LEAF])) < len(keys)


def test_a_text_is_found_in_every_encoding() -> None:
    matcher = Matcher(text_patterns("QZ7K2MPN4TXW", subject="token"))
    for left in ("QZ7K2MPN4TXW".encode(codec) for codec in ("ascii", "utf-16-le", "utf-16-be")):
        assert any(True for _ in matcher.find(b"...." + left))


@pytest.mark.skipif(os.getuid() != 0, reason="reading another process's memory takes root")
def test_what_another_process_holds_is_found_and_what_it_does_not_is_not() -> None:
    held, other = os.urandom(24), os.urandom(24)
    with holding(held) as pid:
        scan = scan_memory(Matcher(bytes_patterns(held, subject="held")), "child", pid)
        assert scan.is_readable
        assert any(pattern.encoding == "raw" for pattern, _ in scan.hits)
        assert scan_memory(Matcher(bytes_patterns(other, subject="other")), "child", pid).hits == []


def test_a_process_that_is_gone_is_not_taken_for_one_that_was_searched() -> None:
    with holding(b"x" * 24) as pid:
        pass
    assert not scan_memory(Matcher(bytes_patterns(b"x" * 24, subject="held")), "child", pid).is_readable


@contextmanager
def holding(data: bytes) -> Iterator[int]:
    """A process that was given bytes and keeps them."""
    script = "import sys; held = sys.stdin.buffer.read(24); print(len(held), flush=True); sys.stdin.buffer.read()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(data)
        process.stdin.flush()
        assert process.stdout.readline() == b"24\n"
        yield process.pid
        process.stdin.close()
