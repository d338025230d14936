"""What the gate reads in the erasure ledger: all since the backup, and nothing when a line is missing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sealwire.config import Settings
from sealwire.custody.backups.gate import Pending, mark_pending, pending, read_ledger, require_ledger
from sealwire.custody.backups.heldagain import PlacedAgain, ReleasedAgain
from sealwire.custody.backups.refusals import LedgerMissing, RestoreRefused
from sealwire.custody.holds.book import Kind, Reason
from sealwire.custody.holds.refusals import ReasonOfOtherKind
from sealwire.custody.holds.ritual import NewHold
from sealwire.custody.keys.account import AccountKeys
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.keys.requests import Placing, Releasing
from sealwire.custody.keys.tree import Tree
from sealwire.ground.clock import SystemClock
from sealwire.vocabulary import AccountId, Day, ErasureId, HoldId

ACCOUNT, ERASURE = AccountId.new(), ErasureId.new()


def ledger(folder: Path, *epochs: int, acts: list[dict[str, Any]] | None = None) -> Path:
    lines = [json.dumps({"epoch": epoch, "at": "2026-11-23T12:00:00.000Z", "acts": acts or []}) for epoch in epochs]
    (folder / "erasures.ledger").write_text("".join(line + "\n" for line in lines))
    return folder


def test_what_was_erased_since_is_read_with_its_paths(tmp_path: Path) -> None:
    erased = {"act": "erased", "account": str(ACCOUNT), "erasure": str(ERASURE), "paths": ["1/0/20780/5", "2/0/20779"]}
    closing = {"act": "erased", "account": str(ACCOUNT), "erasure": str(ACCOUNT), "paths": ["*-3-4"]}
    periods = {"act": "periods.set", "account": str(ACCOUNT), "periods": {"1/0": 28}}
    ledger(tmp_path, 7, acts=[{"act": "vault.made"}, erased, closing, periods])
    one, two, three = read_ledger(tmp_path, after=6, until=7)
    assert (one.account, one.erasure) == (ACCOUNT, ERASURE)
    assert (one.leaves, one.days) == ([LeafPath(1, 0, 20780, 5)], [DayPath(2, 0, 20779)])
    assert (two.keeping, two.erasure) == ((3, 4), None)
    assert three.periods == {"1/0": 28}
    assert read_ledger(tmp_path, after=7, until=7) == []


def test_holds_are_read_in_their_order_among_the_erasures_as_the_keeper_writes_them(tmp_path: Path) -> None:
    hold, leaf, day = HoldId.new(), LeafPath(1, 0, 20780, 5), DayPath(2, 0, 20779)
    keys = AccountKeys(
        account=ACCOUNT, log_vkey="", periods={}, closed_keeping=None, tree=Tree.planted(os.urandom(32))
    )  # fmt: skip
    placing = Placing.checked(ACCOUNT, str(hold), [leaf], [day], until=21000, restricts=True, today=20000)
    placed = placing.act(placing.apply(keys))
    erased = {"act": "expired", "account": str(ACCOUNT), "paths": ["1/0/20780"], "today": 20900}
    released = Releasing(ACCOUNT, [str(hold)], frozenset()).act(keys)
    ended = Releasing(ACCOUNT, [str(hold)], frozenset(), 21001).act(keys)
    ledger(tmp_path, 7, acts=json.loads(json.dumps([placed, erased, released, ended])))
    one, two, three, four = read_ledger(tmp_path, after=6, until=7)
    assert one.hold == PlacedAgain(hold, 21000, restricts=True, leaves=[leaf], days=[day])
    assert (one.leaves, one.days) == ([], []), "what is held is not erased"
    assert (two.hold, two.days) == (None, [DayPath(1, 0, 20780)])
    assert three.hold == ReleasedAgain([hold], None)
    assert four.hold == ReleasedAgain([hold], 21001)


def test_nobody_places_a_hold_for_the_reason_of_those_that_came_back() -> None:
    for kind in Kind:
        with pytest.raises(ReasonOfOtherKind):
            NewHold(kind, Reason.RESTORED, Day(65535)).require_sound(SystemClock())


@pytest.mark.parametrize(
    ("epochs", "why"),
    [([5, 6, 8], "no line for epoch 7"), ([5, 6], "ends with epoch 6"), ([], "ends with epoch"), ([9], "epoch 6")],
)
def test_a_ledger_with_a_gap_is_refused(tmp_path: Path, epochs: list[int], why: str) -> None:
    with pytest.raises(LedgerMissing, match=why):
        read_ledger(ledger(tmp_path, *epochs), after=5, until=8)


def test_a_ledger_that_is_missing_or_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerMissing, match="cannot be read"):
        read_ledger(tmp_path, after=0, until=1)
    (tmp_path / "erasures.ledger").write_text("no json\n")
    with pytest.raises(LedgerMissing, match="cannot be read"):
        read_ledger(tmp_path, after=0, until=1)


def test_the_mark_stands_until_it_is_removed_and_a_spoilt_one_opens_no_gate(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert pending(settings) is None
    require_ledger(settings)
    mark = Pending("bkp_x", "2026-11-23T12:00:00.000Z", 3, "2026-11-23T13:00:00.000Z")
    mark_pending(settings, mark)
    assert pending(settings) == mark
    with pytest.raises(LedgerMissing, match="living keeper folder"):
        require_ledger(settings)
    (tmp_path / "restore.pending").write_text("{")
    with pytest.raises(RestoreRefused, match="restore the backup again"):
        pending(settings)
