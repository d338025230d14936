"""Killed at any write of a forget tick: either nothing was forgotten and nothing certified, or it is forgotten, truly.

A real keeper process dies at each point in turn. Then an attacker who copied the vault before the erasure, and has
the root key and everything that lies on the disk afterwards, tries to derive the erased leaf.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from sealwire.custody.keys.client import EraseReceipt, KeeperClient, KeeperUnavailable, SealedItem
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.keys.refusals import Punctured, VaultBroken
from sealwire.custody.keys.tick import CRASH_POINTS
from sealwire.custody.keys.tree import Tree, leaf_keys
from sealwire.custody.keys.vault import epoch_keys_in, open_vault_copy
from sealwire.custody.sealing.envelope import Context, open_record
from sealwire.ground.clock import SystemClock, today
from sealwire.ground.wire import PeerLost
from sealwire.vocabulary import AccountId
from tests.unit.keys.house import KeeperProcess, leaf_of, new_account, opened_by, sealed_under

TODAY = int(today(SystemClock()))
COMMITTED = CRASH_POINTS.index("index-named")
CERTIFIED = CRASH_POINTS.index("ledger-written")
ERASED, NEIGHBOUR = b"the erased call", b"the neighbour's call"


def torn_keys_in(slots: bytes) -> list[bytes]:
    """What stands where a key stands, even if the rest of its slot was overwritten."""
    return [slots[start + 17 : start + 49] for start in range(0, len(slots), 4096)]


def always(shard: bytes) -> Callable[[str], bytes]:
    return lambda _name: shard


def trees_in(places: list[Path], root_key: bytes) -> Iterator[Tree]:
    """Every tree that any epoch key, any index and any shard found in these folders give together.

    Old shards are tried under the names of new ones too: a shard key that is used twice would open them.
    """
    files = {path: path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}
    slots = [data for path, data in files.items() if path.name == "epoch.slots"]
    epoch_keys = {key for data in slots for key in [*epoch_keys_in(data), *torn_keys_in(data)]}
    shards = [data for path, data in files.items() if path.parent.name == "shards"]
    for path, data in files.items():
        if not path.name.startswith("index."):
            continue
        for key, shard in itertools.product(epoch_keys, shards):
            with suppress(VaultBroken):
                yield from open_vault_copy(root_key, key, data, always(shard)).values()


def read_by_attacker(places: list[Path], root_key: bytes, item: SealedItem) -> bytes | None:
    context = Context.parse(item.context)
    for tree in trees_in(places, root_key):
        try:
            return open_record(leaf_keys(tree.derive(leaf_of(item))).record, context, item.blob)
        except Punctured:
            continue
    return None


class House:
    """One account, two sealed records in one block, and the vault as it was before: all but the epoch slots."""

    def __init__(self, data: Path, account: AccountId, items: list[SealedItem]) -> None:
        self.data, self.account, self.items = data, account, items
        self.folder = data / "keeper"
        self.root_key = (self.folder / "root.key").read_bytes()
        self.before, self.everything = data / "copy-without-slots", data / "copy-with-slots"
        shutil.copytree(self.folder, self.before, ignore=shutil.ignore_patterns("epoch.slots"))
        shutil.copytree(self.folder, self.everything)

    @classmethod
    async def built(cls, data: Path) -> House:
        process = KeeperProcess(data)
        client = await process.client()
        account = await new_account(client)
        lease = await client.lease(account, category=1, retention_class=0, day=TODAY)
        items = [sealed_under(lease, 0, ERASED), sealed_under(lease, 1, NEIGHBOUR)]
        await client.close()
        assert await process.stop() == 0
        return cls(data, account, items)

    def ledger(self) -> list[dict[str, object]]:
        lines = (self.folder / "erasures.ledger").read_text().splitlines()
        return [act for line in lines for act in json.loads(line)["acts"] if act["act"] == "erased"]

    def attacked(self) -> list[bytes | None]:
        """Both records, as the attacker reads them with the old vault, the root key and today's disk."""
        return [read_by_attacker([self.before, self.folder], self.root_key, item) for item in self.items]


async def erase_until_the_crash(house: House, point: str) -> list[EraseReceipt] | None:
    process = KeeperProcess(house.data, SEALWIRE_CRASH_AT=point)
    client = await process.client()
    try:
        return await client.erase(house.account, erasure="ers_1", leaves=[leaf_of(house.items[0])])
    except (PeerLost, KeeperUnavailable):
        return None
    finally:
        assert await process.wait() == 137
        process.settings.keeper_socket.unlink()
        await client.close()


async def test_the_attacker_reads_all_when_nothing_was_erased(tmp_path: Path) -> None:
    """The positive control: the attack works."""
    house = await House.built(tmp_path)
    assert house.attacked() == [ERASED, NEIGHBOUR]


def mostly_slow(points: Sequence[str]) -> list[object]:
    """Every fifth point is tried each time, the others where there is time for all."""
    return [pytest.param(each, marks=[pytest.mark.slow] if at % 5 else []) for at, each in enumerate(points)]


@pytest.mark.parametrize("point", mostly_slow(CRASH_POINTS))
async def test_a_kill_in_the_tick_leaves_it_undone_or_true(tmp_path: Path, point: str) -> None:
    house = await House.built(tmp_path)
    assert await erase_until_the_crash(house, point) is None
    committed = CRASH_POINTS.index(point) >= COMMITTED
    if not committed:
        assert house.attacked() == [ERASED, NEIGHBOUR]
        assert house.ledger() == []
    process = KeeperProcess(house.data)
    client = await process.client()
    assert await opened_by(client, house.account, house.items) == [None if committed else ERASED, NEIGHBOUR]
    assert len(house.ledger()) == (1 if committed else 0)
    assert house.attacked() == [None if committed else ERASED, NEIGHBOUR]
    await assert_erasing_goes_on(house, client)
    await client.close()
    assert await process.stop() == 0


async def assert_erasing_goes_on(house: House, client: KeeperClient) -> None:
    """The request is sent again; now it is forgotten and certified, whatever was before."""
    (receipt,) = await client.erase(house.account, erasure="ers_1", leaves=[leaf_of(house.items[0])])
    assert receipt.count == 1
    assert await opened_by(client, house.account, house.items) == [None, NEIGHBOUR]
    assert house.attacked() == [None, NEIGHBOUR]
    assert {act["erasure"] for act in house.ledger()} == {"ers_1"}
    assert len(list(house.folder.glob("index.*"))) == len(list(house.folder.glob("shards/*"))) == 1


@pytest.mark.parametrize("point", mostly_slow(CRASH_POINTS[CERTIFIED:]))
async def test_no_receipt_stands_in_the_ledger_while_the_leaf_can_be_read(tmp_path: Path, point: str) -> None:
    house = await House.built(tmp_path)
    await erase_until_the_crash(house, point)
    assert house.ledger()[0]["receipts"]
    assert house.attacked() == [None, NEIGHBOUR]


async def test_a_crash_while_rolling_forward_is_rolled_forward_again(tmp_path: Path) -> None:
    house = await House.built(tmp_path)
    await erase_until_the_crash(house, "index-committed")
    for point in ("stale-half-destroyed", "ledger-half-written"):
        process = KeeperProcess(house.data, SEALWIRE_CRASH_AT=point)
        assert await process.wait() == 137
    process = KeeperProcess(house.data)
    client = await process.client()
    assert await opened_by(client, house.account, house.items) == [None, NEIGHBOUR]
    assert house.attacked() == [None, NEIGHBOUR]
    assert len(house.ledger()) == 1
    await client.close()
    await process.stop()


@pytest.mark.parametrize("point", ["lease-written", "lease-durable"])
async def test_a_block_journalled_before_a_kill_is_never_given_out(tmp_path: Path, point: str) -> None:
    house = await House.built(tmp_path)
    process = KeeperProcess(house.data, SEALWIRE_CRASH_AT=point)
    client = await process.client()
    with pytest.raises((PeerLost, KeeperUnavailable)):
        await client.lease(house.account, category=1, retention_class=0, day=TODAY)
    assert await process.wait() == 137
    process.settings.keeper_socket.unlink()
    assert (house.folder / "leases.journal").stat().st_size == 2 * 32
    process = KeeperProcess(house.data)
    again = await process.client()
    given = await asyncio.gather(
        *(again.lease(house.account, category=1, retention_class=0, day=TODAY) for _ in range(100))
    )
    first = leaf_of(house.items[0]).block
    assert first not in {lease.block for lease in given}
    assert (house.folder / "leases.journal").stat().st_size == 102 * 32
    await client.close()
    await again.close()
    await process.stop()


async def test_closing_an_account_and_erasing_a_day_survive_the_same_crash(tmp_path: Path) -> None:
    house = await House.built(tmp_path)
    process = KeeperProcess(house.data, SEALWIRE_CRASH_AT="index-committed")
    client = await process.client()
    day = DayPath(1, 0, TODAY)
    with pytest.raises((PeerLost, KeeperUnavailable)):
        await client.erase(house.account, erasure="ers_1", leaves=[], days=[day], close_keeping=[3], confirmed=True)
    await process.wait()
    process.settings.keeper_socket.unlink()
    process = KeeperProcess(house.data)
    again = await process.client()
    await again.status()
    assert house.attacked() == [None, None]
    (tree,) = trees_in([house.folder], house.root_key)
    assert not tree.holds_any(day.index_leaf.node)
    assert tree.holds(LeafPath(3, 0, TODAY, 0).node)
    await client.close()
    await again.close()
    await process.stop()


async def test_a_copy_of_the_whole_machine_epoch_slot_included_does_open_it(tmp_path: Path) -> None:
    """The honest limit, so that nobody believes otherwise."""
    house = await House.built(tmp_path)
    await erase_until_the_crash(house, "old-files-unlinked")
    assert house.attacked() == [None, NEIGHBOUR]
    assert read_by_attacker([house.everything], house.root_key, house.items[0]) == ERASED
