"""Keeper and a further holder, two real processes: an erasure is certified when both have destroyed, never before."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sealwire.custody.keys.client import KeeperClient, SealedItem
from sealwire.custody.keys.holding.refusals import (
    HolderAway,
    HolderNotAuthentic,
    HolderOfAnother,
    HoldersPending,
    HolderUnpaired,
    JoiningCodeRefused,
    VaultPutBack,
)
from sealwire.custody.keys.tick import TickFailed
from sealwire.custody.keys.vault import epoch_keys_in
from sealwire.ground.clock import SystemClock, today
from sealwire.vocabulary import AccountId
from sealwire_verifier.note import decode, parse_vkey
from tests.unit.keys.holder_house import HolderProcess, desk, erased, join, until_current
from tests.unit.keys.house import KeeperProcess, leaf_of, new_account, opened_by, sealed_under

TODAY = int(today(SystemClock()))
ERASED, NEIGHBOUR = b"the erased call", b"the neighbour's call"


@dataclass
class Pair:
    """A keeper with one account and two records, and a holder that has joined it."""

    keeper: KeeperProcess
    client: KeeperClient
    holder: HolderProcess
    account: AccountId
    items: list[SealedItem]

    async def close(self) -> None:
        await self.client.close()
        await self.keeper.stop()
        await self.holder.stop()

    def epoch_keys(self) -> tuple[list[bytes], list[bytes]]:
        """What the slots of both hold."""
        slots = [self.keeper.settings.keeper_dir / "epoch.slots", self.holder.state / "epoch.slots"]
        here, there = (epoch_keys_in(path.read_bytes()) for path in slots)
        return here, there


async def built(folder: Path, **environment: str) -> Pair:
    keeper = KeeperProcess(folder / "data", **environment)
    client = await keeper.client()
    account = await new_account(client)
    lease = await client.lease(account, category=1, retention_class=0, day=TODAY)
    items = [sealed_under(lease, 0, ERASED), sealed_under(lease, 1, NEIGHBOUR)]
    holder = HolderProcess(folder / "holder")
    await join(keeper, holder)
    return Pair(keeper, client, holder, account, items)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    (tmp_path / "data").mkdir()
    house = await built(tmp_path)
    yield house
    await house.close()


async def test_both_sign_and_each_names_its_operator(pair: Pair) -> None:
    receipts = await pair.client.erase(pair.account, erasure="ers_1", leaves=[leaf_of(pair.items[0])])
    assert len(receipts) == 2
    own, other = receipts
    assert other.holder == pair.holder.name
    assert (own.operator, other.operator) == ("unnamed operator", "Holder Ltd")
    parse_vkey(pair.holder.vkey).check(other.signed_bytes(), decode(other.signature))
    assert await opened_by(pair.client, pair.account, pair.items) == [None, NEIGHBOUR]
    line = json.loads((pair.holder.state / "erasures.ledger").read_text().splitlines()[-1])
    assert line["acts"][0]["receipts"][0]["signature"] == other.signature


async def test_after_an_erasure_neither_holds_the_old_epoch_key(pair: Pair) -> None:
    before_here, before_there = pair.epoch_keys()
    assert before_here == before_there
    assert len(before_here) == 1
    await pair.client.erase(pair.account, erasure="ers_1", leaves=[leaf_of(pair.items[0])])
    here, there = pair.epoch_keys()
    assert here == there != before_here
    data = (pair.holder.state / "epoch.slots").read_bytes() + (
        pair.keeper.settings.keeper_dir / "epoch.slots"
    ).read_bytes()
    assert before_here[0] not in data


async def test_while_a_holder_is_away_nothing_is_certified_and_the_cloud_goes_on(pair: Pair) -> None:
    await pair.holder.kill()
    leaf = leaf_of(pair.items[0])
    for _ in range(2):
        with pytest.raises(HoldersPending, match=r"pending \(1/2 holders\)"):
            await pair.client.erase(pair.account, erasure="ers_1", leaves=[leaf])
    status = await pair.client.status()
    assert (status.holders, status.erasures_pending) == (2, 1)
    assert status.holders_away == [pair.holder.name]
    assert await opened_by(pair.client, pair.account, pair.items) == [None, NEIGHBOUR]
    await new_account(pair.client)
    epoch = (await pair.client.status()).epoch
    old = epoch_keys_in((pair.holder.state / "epoch.slots").read_bytes())
    pair.holder = await pair.holder.again()
    receipts = await erased(pair.client, pair.account, leaf)
    assert {receipt.holder for receipt in receipts} == {pair.holder.name, status.holder_vkey.partition("+")[0]}
    assert (await pair.client.status()).epoch == epoch, "asking again destroyed something anew"
    assert old[0] not in (pair.holder.state / "epoch.slots").read_bytes()
    here, there = pair.epoch_keys()
    assert here == there
    missed = next(receipt for receipt in receipts if receipt.holder == pair.holder.name)
    assert missed.epoch_before < missed.epoch_after == epoch


async def test_a_keeper_that_was_restarted_finds_its_holders_again(pair: Pair) -> None:
    await pair.client.close()
    await pair.keeper.stop()
    pair.keeper = KeeperProcess(pair.keeper.settings.data_dir)
    pair.client = await pair.keeper.client()
    await until_current(pair.client)
    assert len(await pair.client.erase(pair.account, erasure="ers_1", leaves=[leaf_of(pair.items[0])])) == 2


async def test_with_two_required_nothing_changes_while_one_is_away(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(TickFailed, match="1 of the 2 holders"):
        await built(tmp_path, SEALWIRE_HOLDERS_REQUIRED="2")


async def test_an_old_vault_put_back_is_refused_by_the_holders_counter(pair: Pair, tmp_path: Path) -> None:
    folder = pair.keeper.settings.keeper_dir
    await pair.client.close()
    await pair.keeper.stop()
    shutil.copytree(folder, tmp_path / "old")
    pair.keeper = KeeperProcess(pair.keeper.settings.data_dir)
    pair.client = await pair.keeper.client()
    await until_current(pair.client)
    await pair.client.erase(pair.account, erasure="ers_1", leaves=[leaf_of(pair.items[0])])
    await pair.client.close()
    await pair.keeper.stop()
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "old", folder)
    put_back = KeeperProcess(pair.keeper.settings.data_dir)
    assert await put_back.wait() == 1
    said = (pair.keeper.settings.data_dir / "keeper.stderr").read_text()
    assert str(VaultPutBack()).split(":")[0] in said


async def test_a_holder_takes_no_keeper_but_its_own(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "stranger").mkdir()
    stranger = KeeperProcess(tmp_path / "stranger")
    client = await stranger.client()
    await new_account(client)
    peer = await desk(stranger)
    before = (pair.holder.state / "pairing.json").read_bytes()
    for code, refusal in (("", HolderOfAnother), ("wrong", JoiningCodeRefused), (pair.holder.code, JoiningCodeRefused)):
        with pytest.raises(refusal):
            await peer.call("holder_join", address=pair.holder.address, pin=pair.holder.pin, code=code)
    with pytest.raises(HolderNotAuthentic):
        await peer.call("holder_join", address=pair.holder.address, pin="a" * 52, code="")
    with pytest.raises(HolderAway):
        await peer.call("holder_join", address="127.0.0.1:1", pin=pair.holder.pin, code="")
    assert (pair.holder.state / "pairing.json").read_bytes() == before
    assert (await client.status()).holders == 1
    fresh = HolderProcess(tmp_path / "fresh")
    with pytest.raises(HolderUnpaired):
        await peer.call("holder_join", address=fresh.address, pin=fresh.pin, code="")
    await fresh.stop()
    peer.close()
    await client.close()
    await stranger.stop()


async def test_two_holders_on_one_disk_are_not_disaster_recoverable(pair: Pair) -> None:
    status = await pair.client.status()
    assert status.holders == 2
    assert not status.disaster_recoverable
    peer = await desk(pair.keeper)
    (described,) = await peer.call("holders")
    peer.close()
    assert described["failure_domain"] == "the same device"
    assert described["operator"] == "Holder Ltd"


async def test_a_holder_that_was_removed_is_waited_for_no_more(pair: Pair) -> None:
    await pair.holder.kill()
    leaf = leaf_of(pair.items[0])
    with pytest.raises(HoldersPending):
        await pair.client.erase(pair.account, erasure="ers_1", leaves=[leaf])
    peer = await desk(pair.keeper)
    await peer.call("holder_remove", holder=pair.holder.name)
    peer.close()
    (receipt,) = await pair.client.erase(pair.account, erasure="ers_1", leaves=[leaf])
    assert receipt.holder != pair.holder.name
    pair.holder = await pair.holder.again()
