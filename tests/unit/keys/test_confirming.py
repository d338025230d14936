"""Much at once is destroyed at the second asking only; what is due or confirmed before is not asked about."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.keys.house import NOON, TODAY, new_account, open_keeper

from sealwire.custody.keys import confirming
from sealwire.custody.keys.confirming import GRACE_S, ConfirmationNeeded
from sealwire.custody.keys.paths import LeafPath
from sealwire.ground.clock import TestClock


async def test_a_whole_account_goes_at_the_second_asking_after_the_grace(tmp_path: Path) -> None:
    clock = TestClock(NOON)
    keeper = await open_keeper(tmp_path, clock)
    account, other = await new_account(keeper), await new_account(keeper)
    leaf = LeafPath(1, 0, TODAY, 5)
    for _ in range(2):
        with pytest.raises(ConfirmationNeeded):
            await keeper.erase(account, erasure="ers_1", leaves=[], close_keeping=[3])
        clock.advance(seconds=GRACE_S / 3)
    assert keeper.load(account).tree.holds(leaf.node)
    clock.advance(seconds=GRACE_S)
    with pytest.raises(ConfirmationNeeded):
        await keeper.erase(other, erasure="ers_1", leaves=[], close_keeping=[3])
    with pytest.raises(ConfirmationNeeded):
        await keeper.erase(account, erasure="ers_2", leaves=[], close_keeping=[3])
    await keeper.erase(account, erasure="ers_1", leaves=[], close_keeping=[3])
    assert not keeper.load(account).tree.holds(leaf.node)
    assert keeper.load(other).tree.holds(leaf.node)
    with pytest.raises(ConfirmationNeeded):
        await keeper.erase(account, erasure="ers_1", leaves=[], close_keeping=[3])
    await keeper.erase(other, erasure="ers_3", leaves=[], close_keeping=[3], confirmed=True)
    assert not keeper.load(other).tree.holds(leaf.node)
    await keeper.close()


async def test_more_records_than_a_person_asks_for_by_hand_are_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirming, "UNCONFIRMED_LEAVES_MAX", 3)
    keeper = await open_keeper(tmp_path)
    account = await new_account(keeper)
    leaves = [LeafPath(1, 0, TODAY, slot) for slot in range(4)]
    with pytest.raises(ConfirmationNeeded):
        await keeper.erase(account, erasure="ers_1", leaves=leaves)
    assert keeper.load(account).tree.holds(leaves[0].node)
    await keeper.erase(account, erasure="ers_1", leaves=leaves[:3])
    assert not keeper.load(account).tree.holds(leaves[0].node)
    old = [LeafPath(1, 3, TODAY - 11, slot) for slot in range(4)]
    await keeper.erase(account, erasure="ers_2", leaves=old, due_only=True)
    await keeper.close()
