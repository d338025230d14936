"""A customer destroys its share: an attacker with all that the operator ever had opens nothing. And every kill."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from sealwire.custody.keys.client import KeeperClient, KeeperUnavailable, SealedItem
from sealwire.custody.keys.epoch import EpochSlots
from sealwire.custody.keys.holding.refusals import HolderAway, HoldersPending
from sealwire.custody.keys.refusals import Punctured, VaultBroken
from sealwire.custody.keys.sharing.guard import joined as whole
from sealwire.custody.keys.sharing.guard import lent_key, open_guard, private_share
from sealwire.custody.keys.sharing.refusals import ShareAway, ShareBehind, ShareWrong
from sealwire.custody.keys.sharing.store import DESTROY_CRASH_POINTS, SHARE_CRASH_POINTS
from sealwire.custody.keys.tick import CRASH_POINTS
from sealwire.custody.keys.tree import Tree, leaf_keys
from sealwire.custody.keys.vault import epoch_keys_in
from sealwire.custody.keys.vault_format import open_index, open_shard, shard_name
from sealwire.custody.sealing.envelope import Context, open_record
from sealwire.ground.clock import SystemClock, today
from sealwire.ground.wire import PeerLost
from sealwire.vocabulary import AccountId
from tests.promises.test_forget_tick_crashes import torn_keys_in
from tests.unit.keys.holder_house import erased
from tests.unit.keys.house import KeeperProcess, leaf_of, new_account, opened_by, sealed_under
from tests.unit.keys.share_house import ShareProcess, share_joined, until_share

TODAY = int(today(SystemClock()))
CALLS = [b"the erased call", b"the neighbour's call"]
LOST = (PeerLost, KeeperUnavailable, HoldersPending, HolderAway, ShareAway)


def trees_of(places: list[Path], seeds: list[tuple[int, bytes]]) -> list[Tree]:
    """Everything that copies of keeper folders, slots included, give to whoever also has these shares' seeds."""
    found: list[Tree] = []
    roots = {path.read_bytes() for place in places for path in place.rglob("root.key")}
    slots = [path.read_bytes() for place in places for path in place.rglob("epoch.slots")]
    keys = {key for data in slots for key in [*epoch_keys_in(data), *torn_keys_in(data)]}
    shards = {path.name: path.read_bytes() for place in places for path in place.rglob("acc_*.*") if path.is_file()}
    for path in {path for place in places for path in place.rglob("index.*")}:
        for root, key in ((root, key) for root in roots for key in keys):
            with suppress(VaultBroken):
                for raw, place in open_index(root, key, path.read_bytes()).shards.items():
                    account = AccountId.parse(f"acc_{raw.hex()}")
                    name = shard_name(account, place.written)
                    if name in shards:
                        with suppress(VaultBroken):
                            shard = open_shard(place.key, account, shards[name])
                            found.append(Tree.parse(shard.nodes))
                            for number, seed in seeds if shard.guard else ():
                                private, share = private_share(seed, number)
                                with suppress(ShareWrong):
                                    lent = lent_key(private, share, shard.guard.ephemeral)
                                    found.append(whole(found[-1], open_guard(lent, shard.guard, account)))
    return found


def seeds_in(place: Path) -> list[tuple[int, bytes]]:
    return [tuple(epoch) for path in place.rglob("*.slots") if path.name != "epoch.slots"
            for epoch in EpochSlots(path).read().values()]  # fmt: skip


def read_from(trees: list[Tree], item: SealedItem) -> bytes | None:
    context = Context.parse(item.context)
    for tree in trees:
        with suppress(Punctured):
            return open_record(leaf_keys(tree.derive(leaf_of(item))).record, context, item.blob)
    return None


@dataclass
class Pair:
    """A keeper and a customer's holder, not joined yet, an account with two calls, and what is copied of them."""

    folder: Path
    keeper: KeeperProcess
    client: KeeperClient
    holder: ShareProcess
    account: AccountId
    calls: list[SealedItem]
    copies: int = 0

    @property
    def backups(self) -> Path:
        return self.folder / "backups"

    def copy(self) -> None:
        """A snapshot of all of the operator's, epoch slots included: more than any backup holds."""
        self.copies += 1
        shutil.copytree(self.folder / "data" / "keeper", self.backups / str(self.copies))

    def attacked(self, seeds: list[tuple[int, bytes]]) -> list[bytes | None]:
        trees = trees_of([self.backups, self.folder / "data" / "keeper"], seeds)
        return [read_from(trees, item) for item in self.calls]

    async def keeper_again(self, **environment: str) -> None:
        await self.client.close()
        await self.keeper.stop()
        self.keeper = KeeperProcess(self.folder / "data", **environment)
        self.client = await self.keeper.client()

    async def opened(self) -> list[bytes | None]:
        return await opened_by(self.client, self.account, self.calls)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    (tmp_path / "data").mkdir()
    keeper = KeeperProcess(tmp_path / "data")
    client = await keeper.client()
    account = await new_account(client)
    lease = await client.lease(account, category=1, retention_class=0, day=TODAY)
    calls = [sealed_under(lease, at, CALLS[at]) for at in range(2)]
    made = Pair(tmp_path, keeper, client, await asyncio.to_thread(ShareProcess, tmp_path / "share"), account, calls)
    yield made
    await made.client.close()
    with suppress(ValueError):
        await made.keeper.stop()
    with suppress(ValueError):
        await made.holder.stop()


async def test_with_the_share_all_opens_and_without_it_nothing_ever_again(pair: Pair, tmp_path: Path) -> None:
    await share_joined(pair.keeper, pair.holder, pair.account)
    pair.copy()
    seeds = seeds_in(pair.holder.state)
    assert pair.attacked(seeds) == CALLS, "the control: with the share all opens"
    assert pair.attacked([]) == [None, None], "the operator alone opens nothing"
    pair.copy()
    done = await asyncio.to_thread(pair.holder.destroy_by_command, pair.account)
    assert done.returncode == 0, done.stderr
    await until_share(pair.keeper, pair.account, seconds=3, state="destroyed")
    assert await pair.opened() == [None, None]
    pair.copy()
    assert pair.attacked(seeds_in(pair.holder.state)) == [None, None]
    assert verified(done.stdout, pair.holder.vkey, pair.account, tmp_path) == 0
    forged = json.loads(done.stdout) | {"generation": 7}
    assert verified(json.dumps(forged), pair.holder.vkey, pair.account, tmp_path) == 1


async def test_an_old_share_and_an_old_vault_do_not_bring_back_what_one_side_forgot(pair: Pair) -> None:
    await share_joined(pair.keeper, pair.holder, pair.account)
    before = seeds_in(pair.holder.state)
    pair.copy()
    await erased(pair.client, pair.account, leaf_of(pair.calls[0]))
    assert pair.attacked(before)[0] == CALLS[0], "the control: both kept what both promised to forget"
    assert pair.attacked(seeds_in(pair.holder.state)) == [None, CALLS[1]], "the customer forgot: the operator cannot"
    shutil.rmtree(pair.backups)
    assert pair.attacked(before)[0] is None, "the operator forgot: an old share brings nothing back"


def verified(receipt: str, vkey: str, account: AccountId, folder: Path) -> int:
    (folder / "receipt.json").write_text(receipt)
    (folder / "policy").write_text(f"holder {vkey}\nquorum none\n")
    return subprocess.run(
        [sys.executable, "-m", "sealwire_verifier", "share", str(folder / "receipt.json"), "--policy",
         str(folder / "policy"), "--account", str(account)], check=False,
    ).returncode  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("point", DESTROY_CRASH_POINTS)
async def test_a_destruction_killed_anywhere_is_finished(pair: Pair, point: str) -> None:
    await share_joined(pair.keeper, pair.holder, pair.account)
    await pair.holder.kill()
    pair.copy()
    done = await asyncio.to_thread(pair.holder.destroy_by_command, pair.account, SEALWIRE_CRASH_AT=point)
    assert done.returncode == 137
    pair.holder = await pair.holder.again()
    await until_share(pair.keeper, pair.account, state="destroyed")
    assert pair.attacked(seeds_in(pair.holder.state)) == [None, None]


@pytest.mark.slow
@pytest.mark.parametrize("point", CRASH_POINTS)
@pytest.mark.parametrize("moment", ["joining", "erasing"])
async def test_the_keeper_killed_at_every_write(pair: Pair, point: str, moment: str) -> None:
    if moment == "erasing":
        await share_joined(pair.keeper, pair.holder, pair.account)
    await pair.keeper_again(SEALWIRE_CRASH_AT=point)
    with suppress(*LOST):
        if moment == "joining":
            await share_joined(pair.keeper, pair.holder, pair.account)
        else:
            await pair.client.erase(pair.account, erasure="ers_1", leaves=[leaf_of(pair.calls[0])])
    assert await pair.keeper.wait() == 137
    await pair.client.close()
    pair.keeper.settings.keeper_socket.unlink(missing_ok=True)
    pair.keeper = KeeperProcess(pair.folder / "data")
    pair.client = await pair.keeper.client()
    if moment == "joining":
        await share_joined(pair.keeper, pair.holder, pair.account)
        assert await pair.opened() == CALLS
    await until_share(pair.keeper, pair.account, state="joined", is_up=True, is_lent=True)
    assert len(await erased(pair.client, pair.account, leaf_of(pair.calls[0]))) == 2
    assert await pair.opened() == [None, CALLS[1]]
    assert pair.attacked(seeds_in(pair.holder.state)) == [None, CALLS[1]]


@pytest.mark.slow
@pytest.mark.parametrize("point", SHARE_CRASH_POINTS)
async def test_the_customers_holder_killed_at_every_write(pair: Pair, point: str) -> None:
    is_joining = point in ("share-made", "epoch-half-prepared", "share-followed")
    if not is_joining:
        await share_joined(pair.keeper, pair.holder, pair.account)
    await pair.holder.kill()
    pair.holder = await pair.holder.again(SEALWIRE_CRASH_AT=point)
    if is_joining:
        with suppress(*LOST, ShareBehind):
            await share_joined(pair.keeper, pair.holder, pair.account)
    else:
        await until_share(pair.keeper, pair.account, is_up=True, is_lent=True)
        with suppress(*LOST):
            await pair.client.erase(pair.account, erasure="ers_1", leaves=[leaf_of(pair.calls[0])])
    assert await pair.holder.wait() == 137
    pair.holder = await pair.holder.again()
    if is_joining:
        await share_joined(pair.keeper, pair.holder, pair.account)
        assert await pair.opened() == CALLS
    await until_share(pair.keeper, pair.account, is_up=True, is_lent=True)
    assert len(await erased(pair.client, pair.account, leaf_of(pair.calls[0]))) == 2
    assert await pair.opened() == [None, CALLS[1]]
