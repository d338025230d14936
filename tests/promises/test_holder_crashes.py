"""Keeper or holder killed at any write of a shared tick: no record is lost and no certificate is false.

After every kill both are started again and the erasure is asked for until it is settled. An attacker who copied both
folders without their slots before the erasure, and has both folders after it, must not read what was certified.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from sealwire.custody.keys.client import EraseReceipt, KeeperClient, KeeperUnavailable, SealedItem
from sealwire.custody.keys.holding.protocol import Copy
from sealwire.custody.keys.holding.refusals import HoldersPending
from sealwire.custody.keys.holding.state import HOLDER_CRASH_POINTS
from sealwire.custody.keys.refusals import Punctured, VaultBroken
from sealwire.custody.keys.tick import CRASH_POINTS
from sealwire.custody.keys.tree import leaf_keys
from sealwire.custody.keys.vault import epoch_keys_in, open_vault_copy
from sealwire.custody.sealing.envelope import Context, open_record
from sealwire.ground.clock import SystemClock, today
from sealwire.ground.wire import PeerLost
from sealwire.vocabulary import AccountId
from tests.promises.test_forget_tick_crashes import torn_keys_in
from tests.unit.keys.holder_house import HolderProcess, erased, join, until_current
from tests.unit.keys.house import KeeperProcess, leaf_of, new_account, opened_by, sealed_under

TODAY = int(today(SystemClock()))
ERASED, NEIGHBOUR = b"the erased call", b"the neighbour's call"
CATCH_UP_POINTS = ("holder-staged", "holder-copy-written", "holder-prepared", "holder-named", "holder-destroyed",
                   "ledger-half-written", "holder-ledger-written", "holder-unlinked")  # fmt: skip


def indexes_in(folder: Path) -> list[bytes]:
    """Every sealed index in a keeper's or a holder's folder."""
    found = [path.read_bytes() for path in folder.rglob("index.*")]
    for path in folder.rglob("copy.*"):
        with suppress(msgspec.DecodeError):
            found.append(msgspec.msgpack.decode(path.read_bytes(), type=Copy).index)
    return found


def read_by_attacker(places: Sequence[Path], root_key: bytes, item: SealedItem) -> bytes | None:
    slots = [path.read_bytes() for place in places for path in place.rglob("epoch.slots")]
    keys = {key for data in slots for key in [*epoch_keys_in(data), *torn_keys_in(data)]}
    shards = {path.name: path.read_bytes() for place in places for path in place.rglob("acc_*")}
    context = Context.parse(item.context)
    for index in {index for place in places for index in indexes_in(place)}:
        for key in keys:
            with suppress(VaultBroken):
                for tree in open_vault_copy(root_key, key, index, shards.get).values():
                    with suppress(Punctured):
                        return open_record(leaf_keys(tree.derive(leaf_of(item))).record, context, item.blob)
    return None


class Twins:
    """A keeper and a holder at rest, joined, with two records of one account; and what was copied of them."""

    def __init__(self, folder: Path, account: AccountId, items: list[SealedItem], holder: HolderProcess) -> None:
        self.folder, self.account, self.items, self.holder = folder, account, items, holder
        self.keeper_dir = folder / "data" / "keeper"
        self.root_key = (self.keeper_dir / "root.key").read_bytes()
        self.before = folder / "copied"
        without_slots = shutil.ignore_patterns("epoch.slots")
        shutil.copytree(self.keeper_dir, self.before / "keeper", ignore=without_slots)
        shutil.copytree(holder.state, self.before / "holder", ignore=without_slots)

    @classmethod
    async def built(cls, folder: Path) -> Twins:
        (folder / "data").mkdir()
        keeper = KeeperProcess(folder / "data")
        client = await keeper.client()
        account = await new_account(client)
        lease = await client.lease(account, category=1, retention_class=0, day=TODAY)
        items = [sealed_under(lease, 0, ERASED), sealed_under(lease, 1, NEIGHBOUR)]
        holder = HolderProcess(folder / "holder")
        await join(keeper, holder)
        await client.close()
        await keeper.stop()
        await holder.stop()
        return cls(folder, account, items, holder)

    def attacked(self) -> list[bytes | None]:
        places = [self.before, self.keeper_dir, self.holder.state]
        return [read_by_attacker(places, self.root_key, item) for item in self.items]

    async def ask_once(self, client: KeeperClient) -> list[EraseReceipt] | None:
        try:
            return await client.erase(self.account, erasure="ers_1", leaves=[leaf_of(self.items[0])])
        except (PeerLost, KeeperUnavailable, HoldersPending):
            return None

    async def settle(self) -> None:
        """Both are started again: the erasure is settled, true, and the neighbour is untouched."""
        holder = await self.holder.again()
        keeper = KeeperProcess(self.folder / "data")
        client = await keeper.client()
        try:
            await until_current(client)
            (neighbour,) = await opened_by(client, self.account, self.items[1:])
            assert neighbour == NEIGHBOUR
            receipts = await erased(client, self.account, leaf_of(self.items[0]))
            assert {receipt.holder for receipt in receipts} >= {holder.name}
            assert len(receipts) == 2
            assert await opened_by(client, self.account, self.items) == [None, NEIGHBOUR]
            assert self.attacked() == [None, NEIGHBOUR]
        finally:
            await client.close()
            await keeper.stop()
            await holder.stop()


async def test_the_attacker_reads_all_when_nothing_was_erased(tmp_path: Path) -> None:
    """The positive control, from the holder's folder too."""
    twins = await Twins.built(tmp_path)
    assert twins.attacked() == [ERASED, NEIGHBOUR]
    assert read_by_attacker([twins.holder.state], twins.root_key, twins.items[0]) == ERASED


@pytest.mark.slow
@pytest.mark.parametrize("point", CRASH_POINTS)
async def test_the_keeper_killed_in_a_shared_tick(tmp_path: Path, point: str) -> None:
    twins = await Twins.built(tmp_path)
    holder = await twins.holder.again()
    keeper = KeeperProcess(tmp_path / "data", SEALWIRE_CRASH_AT=point)
    client = await keeper.client()
    await until_current(client)
    assert await twins.ask_once(client) is None
    assert await keeper.wait() == 137
    await client.close()
    keeper.settings.keeper_socket.unlink()
    await holder.kill()
    await twins.settle()


@pytest.mark.slow
@pytest.mark.parametrize("point", HOLDER_CRASH_POINTS)
async def test_the_holder_killed_in_a_shared_tick(tmp_path: Path, point: str) -> None:
    twins = await Twins.built(tmp_path)
    holder = await twins.holder.again(SEALWIRE_CRASH_AT=point)
    keeper = KeeperProcess(tmp_path / "data")
    client = await keeper.client()
    await until_current(client)
    receipts = await twins.ask_once(client)
    assert receipts is None, "certified although a holder died before it signed"
    assert await holder.wait() == 137
    assert (await client.status()).erasures_pending == 1
    assert await opened_by(client, twins.account, twins.items) == [None, NEIGHBOUR]
    again = await holder.again()
    assert len(await erased(client, twins.account, leaf_of(twins.items[0]))) == 2
    assert twins.attacked() == [None, NEIGHBOUR]
    await client.close()
    await keeper.stop()
    await again.stop()
    await twins.settle()


@pytest.mark.slow
@pytest.mark.parametrize("point", CATCH_UP_POINTS)
async def test_the_holder_killed_while_it_catches_up(tmp_path: Path, point: str) -> None:
    twins = await Twins.built(tmp_path)
    keeper = KeeperProcess(tmp_path / "data")
    client = await keeper.client()
    assert await twins.ask_once(client) is None
    holder = await twins.holder.again(SEALWIRE_CRASH_AT=point)
    assert await holder.wait() == 137
    assert await twins.ask_once(client) is None, "certified although a holder died before it signed"
    again = await holder.again()
    assert len(await erased(client, twins.account, leaf_of(twins.items[0]))) == 2
    assert twins.attacked() == [None, NEIGHBOUR]
    await client.close()
    await keeper.stop()
    await again.stop()


@pytest.mark.slow
async def test_a_full_disk_at_the_holder_certifies_nothing_and_loses_nothing(tmp_path: Path) -> None:
    volume = tmp_path / "small"
    volume.mkdir()
    mounted = await asyncio.create_subprocess_exec("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(volume))
    if await mounted.wait() != 0:
        pytest.skip("this machine does not let us mount a small volume")
    try:
        await _fill_and_free(tmp_path, volume)
    finally:
        await (await asyncio.create_subprocess_exec("umount", "-l", str(volume))).wait()


async def _fill_and_free(tmp_path: Path, volume: Path) -> None:
    (tmp_path / "data").mkdir()
    keeper = KeeperProcess(tmp_path / "data")
    client = await keeper.client()
    account = await new_account(client)
    lease = await client.lease(account, category=1, retention_class=0, day=TODAY)
    items = [sealed_under(lease, 0, ERASED), sealed_under(lease, 1, NEIGHBOUR)]
    holder = HolderProcess(volume / "holder")
    await join(keeper, holder)
    assert (await client.status()).disaster_recoverable, "another device is another failure domain"
    filler = (volume / "filler").open("wb", buffering=0)
    with suppress(OSError):
        while True:
            filler.write(bytes(4096))
    twins = Twins(tmp_path, account, items, holder)
    for _ in range(3):
        assert await twins.ask_once(client) is None
    assert await opened_by(client, account, items) == [None, NEIGHBOUR]
    assert holder.process.poll() is None
    filler.close()
    (volume / "filler").unlink()
    assert len(await erased(client, account, leaf_of(items[0]))) == 2
    assert twins.attacked() == [None, NEIGHBOUR]
    await client.close()
    await keeper.stop()
    await holder.stop()
