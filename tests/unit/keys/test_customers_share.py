"""Two of two, between real processes over TLS: what opens, what waits, and what a lying holder can do (nothing)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.unit.keys.holder_house import HolderProcess, erased, join, until_current
from tests.unit.keys.house import KeeperProcess, leaf_of, new_account, opened_by, sealed_under
from tests.unit.keys.share_house import ShareProcess, asked, share_joined, until_share

from sealwire.custody.keys.client import KeeperClient, SealedItem
from sealwire.custody.keys.holding.refusals import HolderAway, HoldersPending, JoiningCodeRefused
from sealwire.custody.keys.receipts import EraseReceipt
from sealwire.custody.keys.sharing.refusals import ShareAway
from sealwire.ground.clock import SystemClock, today
from sealwire.vocabulary import AccountId
from sealwire_verifier.note import decode, parse_vkey

TODAY = int(today(SystemClock()))
CALLS = [b"the first call", b"the second call"]


@dataclass
class Scene:
    """A keeper, an account with two calls and an invoice, and the customer's holder, joined."""

    folder: Path
    keeper: KeeperProcess
    client: KeeperClient
    holder: ShareProcess
    account: AccountId
    calls: list[SealedItem]
    invoice: SealedItem

    async def keeper_again(self, **environment: str) -> None:
        await self.client.close()
        await self.keeper.stop()
        self.keeper = KeeperProcess(self.folder / "data", **environment)
        self.client = await self.keeper.client()

    async def opened(self) -> list[bytes | None]:
        return await opened_by(self.client, self.account, self.calls)

    async def erase(self, at: int, *, erasure: str = "ers_1") -> list[EraseReceipt]:
        return await erased(self.client, self.account, leaf_of(self.calls[at]), erasure=erasure)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    (tmp_path / "data").mkdir()
    keeper = KeeperProcess(tmp_path / "data")
    client = await keeper.client()
    account = await new_account(client)
    lease = await client.lease(account, category=1, retention_class=0, day=TODAY)
    calls = [sealed_under(lease, at, CALLS[at]) for at in range(2)]
    lease = await client.lease(account, category=3, retention_class=0, day=TODAY)
    invoice = sealed_under(lease, 0, b"an invoice")
    holder = await asyncio.to_thread(ShareProcess, tmp_path / "share", lease_s=5)
    await share_joined(keeper, holder, account)
    made = Scene(tmp_path, keeper, client, holder, account, calls, invoice)
    yield made
    await made.client.close()
    await made.keeper.stop()
    with suppress(ValueError):
        await made.holder.stop()


async def test_what_was_kept_before_opens_as_before_and_more_can_be_kept(scene: Scene) -> None:
    assert await scene.opened() == CALLS
    lease = await scene.client.lease(scene.account, category=1, retention_class=0, day=TODAY)
    more = sealed_under(lease, 7, b"a later call")
    assert await opened_by(scene.client, scene.account, [more]) == [b"a later call"]


async def test_an_erasure_bears_the_customers_receipt_too(scene: Scene) -> None:
    receipts = await scene.erase(0)
    assert [receipt.operator for receipt in receipts][1:] == ["Customer Ltd"]
    own = receipts[1]
    parse_vkey(scene.holder.vkey).check(own.signed_bytes(), decode(own.signature))
    assert (own.share, own.epoch_after) == (1, receipts[0].epoch_after)
    assert await scene.opened() == [None, CALLS[1]]


async def test_ten_erasures_at_once_are_all_signed(scene: Scene) -> None:
    lease = await scene.client.lease(scene.account, category=1, retention_class=0, day=TODAY)
    leaves = [leaf_of(sealed_under(lease, at, b"x")) for at in range(10)]
    found = await asyncio.gather(
        *(erased(scene.client, scene.account, leaf, erasure=f"ers_{at}") for at, leaf in enumerate(leaves))
    )
    assert all(len(receipts) == 2 for receipts in found)
    for at in range(3):
        assert len(await erased(scene.client, scene.account, leaves[at], erasure=f"ers_again{at}")) == 2


@pytest.mark.slow
async def test_without_the_holder_nothing_opens_once_the_lease_is_over_and_all_opens_when_it_is_back(
    scene: Scene,
) -> None:
    await scene.holder.kill()
    assert await scene.opened() == CALLS, "lent is lent"
    with pytest.raises(HoldersPending):
        await scene.client.erase(scene.account, erasure="ers_1", leaves=[leaf_of(scene.calls[0])])
    await until_share(scene.keeper, scene.account, lent_for_s=0)
    with pytest.raises(ShareAway):
        await scene.opened()
    with pytest.raises(ShareAway):
        await scene.client.erase(scene.account, erasure="ers_2", leaves=[leaf_of(scene.calls[1])])
    with pytest.raises(ShareAway):
        await scene.client.lease(scene.account, category=1, retention_class=0, day=TODAY)
    assert await opened_by(scene.client, scene.account, [scene.invoice]) == [b"an invoice"]
    await scene.client.lease(scene.account, category=4, retention_class=0, day=TODAY)
    scene.holder = await scene.holder.again()
    await until_share(scene.keeper, scene.account, is_up=True, is_lent=True, unsigned=0)
    assert await scene.opened() == [None, CALLS[1]], "what was erased while the holder was away stays erased"
    assert len(await scene.erase(0)) == 2


async def test_a_keeper_that_starts_without_the_holder_opens_nothing_and_loses_nothing(scene: Scene) -> None:
    await scene.holder.kill()
    await scene.keeper_again()
    with pytest.raises(ShareAway):
        await scene.opened()
    await scene.client.set_periods(scene.account, {"2/0": 30})
    scene.holder = await scene.holder.again()
    await until_share(scene.keeper, scene.account, is_up=True, is_lent=True)
    assert await scene.opened() == CALLS


@pytest.mark.slow
async def test_a_holder_put_back_from_an_old_copy_opens_nothing_and_is_told_apart(scene: Scene) -> None:
    old = scene.folder / "old"
    shutil.copytree(scene.holder.state, old)
    for at in range(2):
        await scene.erase(at, erasure=f"ers_{at}")
    await scene.holder.kill()
    shutil.rmtree(scene.holder.state)
    shutil.copytree(old, scene.holder.state)
    scene.holder = await scene.holder.again()
    await scene.keeper_again()
    with pytest.raises(ShareAway):
        await scene.opened()
    assert "share-behind" in (scene.folder / "data" / "keeper.stderr").read_text().lower().replace(
        "sharebehind", "share-behind"
    )


async def test_a_wrong_code_joins_nothing(scene: Scene) -> None:
    other = await new_account(scene.client)
    with pytest.raises(JoiningCodeRefused):
        await asked(scene.keeper, "share_join", other, address=scene.holder.address, pin=scene.holder.pin, code="no")
    assert (await asked(scene.keeper, "share", other))["state"] == "none"
    with pytest.raises(HolderAway):
        await asked(scene.keeper, "share_join", other, address="127.0.0.1:1", pin=scene.holder.pin, code="no")


async def test_leaving_gives_the_keeper_all_of_it_back(scene: Scene) -> None:
    await asked(scene.keeper, "share_leave", scene.account)
    await scene.holder.kill()
    await scene.keeper_again()
    assert await scene.opened() == CALLS
    assert len(await scene.erase(0)) == 1


async def test_the_operators_own_holder_and_the_customers_both_sign(scene: Scene) -> None:
    own = await asyncio.to_thread(HolderProcess, scene.folder / "own")
    await join(scene.keeper, own)
    await until_current(scene.client)
    receipts = await scene.erase(0)
    assert [receipt.operator for receipt in receipts][1:] == ["Holder Ltd", "Customer Ltd"]
    await own.stop()


async def test_closing_needs_no_holder_because_it_destroys_all_that_the_share_guards(scene: Scene) -> None:
    await scene.holder.kill()
    await scene.keeper_again()
    await scene.client.erase(scene.account, erasure="ers_1", leaves=[], close_keeping=[3, 4], confirmed=True)
    assert await scene.opened() == [None, None]
    assert (await asked(scene.keeper, "share", scene.account))["state"] == "none"
