"""The keeper as a process of its own, and the client that talks to it."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.keys.house import KeeperProcess, leaf_of, new_account, opened_by, prove, sealed_under

from sealwire.custody.keys.client import KeeperClient, KeeperUnavailable, Lease
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.keys.refusals import MediaEnded, PathMalformed, ProofRefused, Punctured
from sealwire.custody.keys.service import KeeperRequestMalformed
from sealwire.custody.keys.tree import block_leaf, leaf_keys
from sealwire.custody.sealing.envelope import Context, MediaSealer, SealBroken
from sealwire.errors import Unavailable
from sealwire.ground.clock import SystemClock, today
from sealwire.ground.wire import PeerLost
from sealwire.vocabulary import AccountId

TODAY = int(today(SystemClock()))
CALLS = DayPath(1, 0, TODAY)


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[KeeperProcess]:
    process = KeeperProcess(tmp_path)
    yield process
    await process.stop()


@pytest.fixture
async def client(keeper: KeeperProcess) -> AsyncIterator[KeeperClient]:
    client = await keeper.client()
    yield client
    await client.close()


async def lease_calls(client: KeeperClient, account: AccountId) -> Lease:
    return await client.lease(account, category=1, retention_class=0, day=TODAY)


async def test_a_record_goes_all_the_way_from_lease_to_erasure(client: KeeperClient) -> None:
    account = await new_account(client)
    lease = await lease_calls(client, account)
    items = [sealed_under(lease, offset, b"%d" % offset) for offset in range(3)]
    assert await opened_by(client, account, items) == [b"0", b"1", b"2"]
    (receipt,) = await client.erase(account, erasure="ers_1", leaves=[leaf_of(items[1])])
    assert receipt.count == 1
    assert await opened_by(client, account, items) == [b"0", None, b"2"]
    status = await client.status()
    assert status.epoch == receipt.epoch_after
    assert (status.holders, status.disaster_recoverable, status.accounts) == (1, False, 1)
    assert status.reason


async def test_erasing_recalls_the_block_and_waits_for_the_answer(client: KeeperClient) -> None:
    account = await new_account(client)
    lease, order = await lease_calls(client, account), []

    async def drop(*where: object) -> None:
        await asyncio.sleep(0.1)
        order.append(where)

    client.on_recall = drop
    await client.erase(account, erasure="ers_1", leaves=[], days=[CALLS])
    order.append(("receipt",))
    assert order == [(account, CALLS, lease.block, True, frozenset()), ("receipt",)]


async def test_a_released_block_is_not_recalled(client: KeeperClient) -> None:
    account = await new_account(client)
    lease, recalled = await lease_calls(client, account), []

    async def note(*where: object) -> None:
        recalled.append(where)

    client.on_recall = note
    await client.give_back(lease)
    assert (await client.status()).leases_outstanding == 0
    await client.erase(account, erasure="ers_1", leaves=[], days=[CALLS])
    assert recalled == []


async def test_a_process_that_does_not_drop_is_disconnected_and_told_so(
    keeper: KeeperProcess, client: KeeperClient
) -> None:
    account, stubborn, lost = await new_account(client), await keeper.client(), asyncio.Event()

    async def never(*_where: object) -> None:
        await asyncio.Event().wait()

    stubborn.on_recall, stubborn.on_lost = never, lost.set
    await lease_calls(stubborn, account)
    begun = time.monotonic()
    await client.erase(account, erasure="ers_1", leaves=[], days=[CALLS])
    assert 0.9 < time.monotonic() - begun < 3
    await asyncio.wait_for(lost.wait(), 1)
    await stubborn.status()
    await stubborn.close()


async def test_leases_of_a_process_that_went_away_hold_nothing_up(keeper: KeeperProcess, client: KeeperClient) -> None:
    account, other = await new_account(client), await keeper.client()
    await lease_calls(other, account)
    await other.close()
    await asyncio.sleep(0.05)
    assert (await client.status()).leases_outstanding == 0


async def test_after_a_kill_leases_are_lost_told_and_never_given_out_again(tmp_path: Path) -> None:
    first = KeeperProcess(tmp_path)
    client, lost = await first.client(), asyncio.Event()
    client.on_lost = lost.set
    account = await new_account(client)
    given = await asyncio.gather(*(lease_calls(client, account) for _ in range(400)))
    item = sealed_under(given[0], 0, b"x")
    first.process.send_signal(signal.SIGKILL)
    await first.wait()
    await asyncio.wait_for(lost.wait(), 1)
    with pytest.raises((PeerLost, KeeperUnavailable)):
        await client.status()
    first.settings.keeper_socket.unlink()
    second = KeeperProcess(tmp_path)
    await (await second.client()).close()
    again = await asyncio.gather(*(lease_calls(client, account) for _ in range(400)))
    assert not {lease.block for lease in given} & {lease.block for lease in again}
    assert await opened_by(client, account, [item]) == [b"x"]
    await client.close()
    assert await second.stop() == 0


async def test_without_a_keeper_the_client_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not running"):
        await KeeperClient(tmp_path / "keeper.sock").status()


async def test_media_stream_through_the_keeper(client: KeeperClient) -> None:
    account = await new_account(client)
    lease = await lease_calls(client, account)
    item = sealed_under(lease, 9, b"")
    sealer = MediaSealer(leaf_keys(block_leaf(lease.block_key, 9)).media, Context.parse(item.context))
    audio = os.urandom(300_000)
    sealed = sealer.update(audio) + sealer.finalize()

    async def pieces(data: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(data), 100_001):
            yield data[start : start + 100_001]

    async def play(data: bytes) -> bytes:
        proof = prove(account, await client.challenge(), [item.context])
        parts = client.open_media(account, proof=proof, item=item, chunks=pieces(data))
        return b"".join([part async for part in parts])

    assert await play(sealed) == audio
    for damaged in (sealed[:-1], sealed[:70_000], sealed[:5_000] + b"\0" + sealed[5_001:]):
        with pytest.raises(SealBroken):
            await play(damaged)

    async def erase_half_way() -> AsyncIterator[bytes]:
        yield sealed[:150_000]
        await client.erase(account, erasure="ers_1", leaves=[leaf_of(item)])
        yield sealed[150_000:]

    proof = prove(account, await client.challenge(), [item.context])
    with pytest.raises(MediaEnded):
        [part async for part in client.open_media(account, proof=proof, item=item, chunks=erase_half_way())]
    with pytest.raises(Punctured):
        await play(sealed)


async def test_refusals_cross_the_wire_by_name(client: KeeperClient) -> None:
    account = await new_account(client)
    with pytest.raises(ProofRefused, match="step 3"):
        await client.open(account, proof=prove(account, b"n" * 16, []), items=[])
    with pytest.raises(PathMalformed):
        await client.erase(account, erasure="ers_1", leaves=[LeafPath(1, 99, TODAY, 0)])
    with pytest.raises(KeeperRequestMalformed):
        await client._call("lease", account=str(account))
    with pytest.raises(KeeperRequestMalformed):
        await client._call("erase", account=str(account), erasure="e", leaves="rubbish", days=[], close_keeping=None)


async def test_a_second_keeper_is_refused_with_a_sentence_and_the_first_goes_on(
    tmp_path: Path, keeper: KeeperProcess, client: KeeperClient
) -> None:
    await client.status()
    second = KeeperProcess(tmp_path)
    assert await second.wait() == 1
    assert "Another keeper has this vault open" in (tmp_path / "keeper.stderr").read_text()
    await client.status()


async def test_an_injected_clock_is_refused(tmp_path: Path) -> None:
    process = KeeperProcess(tmp_path, SEALWIRE_CLOCK="2040-01-01")
    assert await process.wait() == 1
    assert "SEALWIRE_CLOCK" in (tmp_path / "keeper.stderr").read_text()


async def test_a_newer_vault_is_refused_with_a_sentence(tmp_path: Path) -> None:
    process = KeeperProcess(tmp_path)
    await (await process.client()).close()
    assert await process.stop() == 0
    (index,) = (tmp_path / "keeper").glob("index.*")
    data = bytearray(index.read_bytes())
    data[8] = 9
    index.write_bytes(data)
    assert await KeeperProcess(tmp_path).wait() == 1
    assert "newer version" in (tmp_path / "keeper.stderr").read_text()


async def test_no_other_process_may_look_into_the_keeper(keeper: KeeperProcess, client: KeeperClient) -> None:
    await client.status()
    pid = keeper.process.pid
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            Path(f"/proc/{pid}/mem").read_bytes()
    assert Path(f"/proc/{pid}/maps").stat().st_uid == 0


async def test_the_folder_and_its_files_are_the_keepers_alone(keeper: KeeperProcess, client: KeeperClient) -> None:
    account = await new_account(client)
    await lease_calls(client, account)
    folder = keeper.settings.keeper_dir
    assert folder.stat().st_mode & 0o77 == 0
    assert not [path for path in folder.rglob("*") if path.stat().st_mode & 0o77]
