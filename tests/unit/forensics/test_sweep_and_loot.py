"""A sweep counts each place once, is invalid without its control, and an attacker finds keys however they lie about."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from uuid import uuid4

import pytest

from sealwire.custody.forensics.control import Control
from sealwire.custody.forensics.loot import Loot
from sealwire.custody.forensics.matcher import Matcher
from sealwire.custody.forensics.patterns import ciphertext_patterns, number_patterns
from sealwire.custody.forensics.sweep import Store, SweepInvalid, sweep_stores
from sealwire.custody.keys.epoch import Epoch, encode_slot
from sealwire.custody.keys.tree import Tree
from sealwire.custody.keys.vault_format import Shard, ShardPlace, VaultIndex, seal_index, seal_shard, shard_name
from sealwire.vocabulary import E164, AccountId

NUMBER = E164("+441632960123")


def test_a_place_is_counted_once_however_many_forms_match_it(tmp_path: Path) -> None:
    (tmp_path / "note").write_bytes(b"from +441632960123 to nobody")
    report = sweep_stores([Store("notes", tmp_path)], Matcher(number_patterns(NUMBER, subject="number")))
    assert report.hits == 1
    assert report.stores[0].hits == {"number: international, raw": 1}


def test_a_sweep_is_valid_only_when_every_store_showed_its_control(tmp_path: Path) -> None:
    control, stores = Control.fresh(), [Store("a", tmp_path / "a"), Store("b", tmp_path / "b")]
    matcher = Matcher(control.patterns())
    for store in stores:
        store.folder.mkdir()
    control.plant_file(stores[0].folder)
    report = sweep_stores(stores, matcher)
    assert report.missed == ["b"]
    with pytest.raises(SweepInvalid, match="in: b"):
        report.require_valid()
    control.plant_file(stores[1].folder)
    report = sweep_stores(stores, matcher)
    assert report.is_valid
    assert (report.hits, report.control_hits > 0) == (0, True)


def test_one_control_is_not_taken_for_another(tmp_path: Path) -> None:
    Control.fresh().plant_file(tmp_path)
    report = sweep_stores([Store("a", tmp_path)], Matcher(Control.fresh().patterns()))
    assert not report.is_valid


def test_ciphertext_is_looked_for_in_pieces() -> None:
    sealed = os.urandom(100)
    needles = [pattern.needle for pattern in ciphertext_patterns(sealed, subject="c")]
    assert needles == [sealed[:32], sealed[32:64], sealed[64:96]]
    assert [pattern.needle for pattern in ciphertext_patterns(sealed[:20], subject="c")] == [sealed[:20]]


@pytest.mark.parametrize("form", ["slot", "raw", "hex", "base64", "none"])
def test_a_vault_opens_to_whoever_finds_its_epoch_key_and_to_nobody_else(form: str, tmp_path: Path) -> None:
    account, root_key, epoch = AccountId(uuid4()), os.urandom(32), Epoch(5, os.urandom(32))
    tree, place = Tree.planted(os.urandom(32)), ShardPlace(5, os.urandom(32))
    (tmp_path / "index.5").write_bytes(
        seal_index(root_key, epoch.key, VaultIndex(5, 0.0, {account.value.bytes: place}, []))
    )
    shard = Shard("vkey", {}, None, tree.serialise())
    (tmp_path / shard_name(account, 5)).write_bytes(seal_shard(place.key, account, 5, shard))
    left_about = {
        "slot": encode_slot(epoch),
        "raw": b"x" + epoch.key + b"y",
        "hex": b'{"key": "' + epoch.key.hex().encode() + b'"}',
        "base64": b"key=" + base64.b64encode(epoch.key) + b"\n",
        "none": os.urandom(4096),
    }[form]
    (tmp_path / "left").write_bytes(left_about)
    loot = Loot.gather([tmp_path], windows_max=20_000)
    found = loot.open_trees([root_key])
    assert [one.account for one in found] == ([] if form == "none" else [account])
    assert loot.open_trees([os.urandom(32)]) == []
