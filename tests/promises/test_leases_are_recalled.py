"""No receipt while a process still holds what it certifies: leases and slots in use are taken back first.

A real keeper on a real socket, and real sealers as its clients; a holder that is stopped is a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from sealwire.custody.keys import book, holders
from sealwire.custody.keys.client import KeeperClient, Lease
from sealwire.custody.keys.keeper import Keeper
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.keys.refusals import DayErased, HolderDoesNotLetGo
from sealwire.custody.keys.service import KeeperService
from sealwire.custody.keys.tree import block_leaf, leaf_keys
from sealwire.custody.sealing.envelope import SealBroken, open_record
from sealwire.custody.sealing.sealer import BLOCK_SLOTS, Sealer, Slot, SlotRecalled
from sealwire.ground.clock import TestClock
from sealwire.ground.wire import PeerLost, serve
from sealwire.vocabulary import AccountId, Day
from tests.unit.keys.house import NOON, TODAY, new_account, open_keeper

CALLS = DayPath(1, 0, TODAY)

STOPPED = """
import asyncio, os, signal, sys
from pathlib import Path
from sealwire.custody.keys.client import KeeperClient
from sealwire.vocabulary import AccountId

async def main():
    client = KeeperClient(Path(sys.argv[1]))
    lease = await client.lease(AccountId.parse(sys.argv[2]), category=1, retention_class=0, day=int(sys.argv[3]))
    print("leased", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)

asyncio.run(main())
"""


class Cloud:
    """One account in one keeper behind its socket, and one sealer."""

    def __init__(self, keeper: Keeper, socket: Path, account: AccountId) -> None:
        self.keeper, self.socket, self.account, self.clock = keeper, socket, account, TestClock(NOON)
        self.client = KeeperClient(socket)
        self.sealer = Sealer(self.client, self.clock, on_new_block=self._noted)
        self.on_new_block: Callable[[Lease], Awaitable[None]] | None = None

    async def _noted(self, lease: Lease) -> None:
        if self.on_new_block is not None:
            await self.on_new_block(lease)

    async def slot(self) -> Slot:
        return await self.sealer.slot(self.account, category=1, day=Day(TODAY))

    async def erase(self, *slots: Slot) -> None:
        leaves = [LeafPath(1, 0, TODAY, slot.context.slot) for slot in slots]
        await self.keeper.erase(self.account, erasure="ers_1", leaves=leaves)

    async def erase_day(self) -> None:
        await self.keeper.erase(self.account, erasure="ers_2", leaves=[], days=[CALLS])

    @property
    def outstanding(self) -> int:
        return self.keeper.status().leases_outstanding

    def block_keys_held(self) -> list[bytes]:
        blocks = [*self.sealer._blocks.values(), *self.sealer._finished]
        return [block.lease.block_key for block in blocks if block.lease.block_key]


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    keeper = await open_keeper(tmp_path / "keeper")
    service = KeeperService(keeper)
    server = await serve(tmp_path / "k.sock", service.handlers(), on_close=service.closed)
    cloud = Cloud(keeper, tmp_path / "k.sock", await new_account(keeper))
    yield cloud
    await cloud.client.close()
    server.close()
    await service.stop()
    await keeper.close()


def usable(slot: Slot) -> bool:
    try:
        slot.seal(b"x", ["+441632960123"])
    except SlotRecalled:
        return False
    return True


async def test_after_one_erased_record_the_sealer_has_no_key_that_opens_it(cloud: Cloud) -> None:
    erased, neighbour = await cloud.slot(), await cloud.slot()
    sealed, block_key = erased.seal(b"hello", []), cloud.block_keys_held()[0]
    offset = erased.context.slot % BLOCK_SLOTS
    assert open_record(leaf_keys(block_leaf(block_key, offset)).record, sealed.context, sealed.blob) == b"hello"
    await cloud.erase(erased)
    assert cloud.block_keys_held() == []
    assert not usable(erased)
    assert usable(neighbour)
    for block in cloud.sealer._finished:
        with pytest.raises(SealBroken):
            open_record(leaf_keys(block_leaf(block.lease.block_key, offset)).record, sealed.context, sealed.blob)


async def test_a_slot_in_use_is_found_again_when_its_day_is_erased_later(cloud: Cloud) -> None:
    erased, in_use = await cloud.slot(), await cloud.slot()
    await cloud.erase(erased)
    assert usable(in_use)
    assert cloud.outstanding == 1
    await cloud.erase_day()
    assert not usable(in_use)
    assert cloud.outstanding == 0


async def test_a_block_struck_by_one_erasure_is_given_back_when_its_last_slot_is_done(cloud: Cloud) -> None:
    erased, in_use = await cloud.slot(), await cloud.slot()
    await cloud.erase(erased)
    await cloud.sealer.drop_idle()
    assert cloud.outstanding == 1
    del in_use
    await cloud.sealer.drop_idle()
    assert cloud.outstanding == 0


async def test_a_block_with_no_slot_in_use_leaves_the_book_at_once(cloud: Cloud) -> None:
    slot = await cloud.slot()
    place = LeafPath(1, 0, TODAY, slot.context.slot)
    del slot
    await cloud.keeper.erase(cloud.account, erasure="ers_1", leaves=[place])
    assert cloud.outstanding == 0


async def test_a_spent_block_keeps_no_key_but_those_of_slots_in_use(cloud: Cloud) -> None:
    slots = [await cloud.slot() for _ in range(BLOCK_SLOTS)]
    assert cloud.block_keys_held() == []
    assert len({slot.context.slot for slot in slots}) == BLOCK_SLOTS
    await cloud.erase_day()
    assert not any(usable(slot) for slot in slots)


class Gate:
    """Holds the sealer in the round trip after its lease arrived."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        self.seen: list[Lease] = []

    async def __call__(self, lease: Lease) -> None:
        self.seen.append(lease)
        self.reached.set()
        await self.opened.wait()


async def test_a_block_recalled_before_its_first_slot_is_never_used(cloud: Cloud) -> None:
    gate = cloud.on_new_block = Gate()
    taking = asyncio.create_task(cloud.slot())
    await gate.reached.wait()
    assert (gate.seen[0].block_key, gate.seen[0].index_key) == (b"", None)
    await cloud.erase_day()
    gate.opened.set()
    with pytest.raises(SlotRecalled):
        await taking
    assert cloud.block_keys_held() == []
    assert cloud.outstanding == 0
    with pytest.raises(DayErased):
        await cloud.slot()


async def test_a_block_whose_connection_is_lost_before_its_first_slot_is_never_used(cloud: Cloud) -> None:
    gate = cloud.on_new_block = Gate()
    taking = asyncio.create_task(cloud.slot())
    await gate.reached.wait()
    assert cloud.client._peer is not None
    cloud.client._peer.close()
    await asyncio.sleep(0.05)
    assert cloud.outstanding == 0
    gate.opened.set()
    with pytest.raises(PeerLost):
        await taking
    assert usable(await cloud.slot())
    assert cloud.outstanding == 1


async def test_a_block_that_could_not_be_noted_is_given_back(cloud: Cloud) -> None:
    async def failing(_lease: Lease) -> None:
        raise ConnectionError

    cloud.on_new_block = failing
    with pytest.raises(ConnectionError):
        await cloud.slot()
    assert cloud.outstanding == 0
    gate = cloud.on_new_block = Gate()
    taking = asyncio.create_task(cloud.slot())
    await gate.reached.wait()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert cloud.block_keys_held() == []
    await cloud.sealer.drop_idle()
    assert cloud.outstanding == 0


async def test_when_the_connection_is_lost_every_slot_of_every_block_is_revoked(cloud: Cloud) -> None:
    finished = [await cloud.slot() for _ in range(BLOCK_SLOTS)]
    current = await cloud.slot()
    assert cloud.client._peer is not None
    cloud.client._peer.close()
    await asyncio.sleep(0.05)
    assert not usable(current)
    assert not any(usable(slot) for slot in finished)
    assert usable(await cloud.slot())


async def test_dropping_idle_blocks_never_makes_two_leases_of_one_day(cloud: Cloud) -> None:
    gate = cloud.on_new_block = Gate()
    first, second = asyncio.create_task(cloud.slot()), asyncio.create_task(cloud.slot())
    await gate.reached.wait()
    cloud.clock.advance(seconds=61)
    await cloud.sealer.drop_idle()
    third = asyncio.create_task(cloud.slot())
    await asyncio.sleep(0.05)
    gate.opened.set()
    blocks = {slot.context.slot // BLOCK_SLOTS for slot in await asyncio.gather(first, second, third)}
    assert len(blocks) == len(gate.seen) == cloud.outstanding == 1


async def test_dropping_idle_blocks_without_a_keeper_is_no_error(cloud: Cloud) -> None:
    await cloud.slot()
    cloud.clock.advance(seconds=61)
    cloud.socket.unlink()
    assert cloud.client._peer is not None
    release = cloud.client.release

    async def lost_then_released(lease: Lease) -> None:
        assert cloud.client._peer is not None
        cloud.client._peer.close()
        await release(lease)

    cloud.client.release = lost_then_released  # type: ignore[method-assign]
    await cloud.sealer.drop_idle()
    assert cloud.block_keys_held() == []
    await asyncio.sleep(0.05)
    assert cloud.outstanding == 0


@pytest.fixture
async def stopped(cloud: Cloud) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A process that leased a block of today and was stopped with its keys in memory."""
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, str(cloud.socket), str(cloud.account), str(TODAY)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == b"leased\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


async def test_nothing_is_certified_while_a_stopped_process_has_the_keys(
    cloud: Cloud, stopped: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "RECALL_SECONDS_MAX", 0.2)
    monkeypatch.setattr(holders, "LET_GO_SECONDS_MAX", 0.5)
    bystander, epoch = await new_account(cloud.keeper), cloud.keeper.vault.epoch.number
    said: list[dict[str, object]] = []
    monkeypatch.setattr(holders.diagnostics, "event", lambda name, **fields: said.append({"event": name, **fields}))
    outcomes = await asyncio.wait_for(
        asyncio.gather(
            cloud.erase_day(),
            cloud.keeper.erase(bystander, erasure="ers_3", leaves=[LeafPath(1, 0, TODAY, 5)]),
            return_exceptions=True,
        ),
        5,
    )
    assert isinstance(outcomes[0], HolderDoesNotLetGo)
    assert not isinstance(outcomes[1], BaseException), "another account's erasure was held up too"
    assert said[-1:] == [{"event": "lease.holder-does-not-let-go", "pid": stopped.pid}]
    assert cloud.keeper.vault.epoch.number == epoch + 1
    assert cloud.keeper.load(cloud.account).tree.holds(CALLS.node)
    with pytest.raises(HolderDoesNotLetGo):
        await cloud.erase_day()
    stopped.kill()
    await asyncio.to_thread(stopped.wait)
    await asyncio.sleep(0.05)
    assert cloud.outstanding == 0
    await cloud.erase_day()
    assert not cloud.keeper.load(cloud.account).tree.holds_any(CALLS.node)


async def test_a_stopped_process_that_goes_on_drops_its_keys_and_is_done_with(
    cloud: Cloud, stopped: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "RECALL_SECONDS_MAX", 0.2)
    erasing = asyncio.create_task(cloud.erase_day())
    await asyncio.sleep(0.5)
    assert not erasing.done()
    stopped.send_signal(signal.SIGCONT)
    await asyncio.wait_for(erasing, 5)


async def test_a_process_that_does_not_read_is_cut_off_in_bounded_time(
    cloud: Cloud, stopped: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "RECALL_SECONDS_MAX", 0.2)
    monkeypatch.setattr(holders, "LET_GO_SECONDS_MAX", 0.3)
    (holder,) = cloud.keeper.book._held[cloud.account].values()
    assert isinstance(holder, holders.PeerHolder)
    holder._peer.tell("noise", bytes=b"x" * (8 << 20))
    with pytest.raises(HolderDoesNotLetGo):
        await asyncio.wait_for(cloud.erase_day(), 3)
    assert holder._peer.closed.is_set()
