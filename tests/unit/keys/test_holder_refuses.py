"""What a holder refuses, and that it is unchanged afterwards: a real holder process, and peers that lie to it."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from tests.unit.keys.holder_house import HolderProcess
from tests.unit.keys.house import new_account, open_keeper

from sealwire.custody.keys.holding import link as links
from sealwire.custody.keys.holding.identity import client_context
from sealwire.custody.keys.holding.link import HolderLink, digest_of
from sealwire.custody.keys.holding.protocol import PROTOCOL, Prepare, proof_bytes
from sealwire.custody.keys.holding.refusals import (
    CopyRefused,
    EpochLower,
    HolderOfAnother,
    HolderVersion,
    KeeperNotAuthentic,
    NothingPrepared,
)
from sealwire.custody.keys.holding.state import HolderState
from sealwire.custody.keys.keeper import Keeper
from sealwire.custody.keys.receipts import HolderKey
from sealwire.custody.keys.refusals import KeeperAlreadyRunning
from sealwire.custody.keys.vault_format import seal_index


@dataclass
class Scene:
    """A keeper in this process, a holder in its own, and a second connection between them for lies."""

    keeper: Keeper
    holder: HolderProcess
    link: HolderLink

    async def prepare(self, epoch: int, *, index: bytes | None = None, **changes: object) -> None:
        """Send what a tick to this epoch would send, but for the changes."""
        vault, key = self.keeper.vault, os.urandom(32)
        sealed = index or seal_index(vault.root_key, key, msgspec.structs.replace(vault.index, epoch=epoch))
        for name, data in {"index": sealed, "acts": b"[]", "heads": b""}.items():
            await self.link.put(name, data)
        said = Prepare(
            epoch=epoch, key=key, index_digest=digest_of(sealed), acts_digest=digest_of(b"[]"),
            heads_digest=digest_of(b""), changed={}, replaced=[], root=vault.roots.current, members=[],
        )  # fmt: skip
        await self.link.prepare(msgspec.structs.replace(said, **changes))

    async def stands(self) -> tuple[int, bytes]:
        standing = await self.link.ask_standing()
        return standing.epoch, standing.digest


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    keeper = await open_keeper(tmp_path / "keeper")
    await new_account(keeper)
    holder = await asyncio.to_thread(HolderProcess, tmp_path / "holder")
    member = await keeper.companions.join(holder.address, holder.pin, holder.code)
    link = await HolderLink.connect(
        holder.address, holder.pin, keeper.holder_key,
        installation=keeper.companions.membership.installation, vkey=member.vkey,
    )  # fmt: skip
    yield Scene(keeper, holder, link)
    link.close()
    await keeper.close()
    await holder.stop()


async def test_an_epoch_is_prepared_in_order_only(scene: Scene) -> None:
    before = await scene.stands()
    with pytest.raises(EpochLower):
        await scene.prepare(before[0])
    with pytest.raises(EpochLower):
        await scene.prepare(1)
    with pytest.raises(NothingPrepared):
        await scene.prepare(before[0] + 2)
    with pytest.raises(NothingPrepared):
        await scene.link.commit(before[0] + 1, b"x" * 32)
    assert await scene.stands() == before


async def test_a_prepare_that_was_committed_cannot_be_played_again(scene: Scene) -> None:
    epoch, _ = await scene.stands()
    await new_account(scene.keeper)
    assert (await scene.stands())[0] == epoch + 1
    with pytest.raises(EpochLower):
        await scene.prepare(epoch + 1)


@pytest.mark.parametrize(
    "lie",
    [
        {"index_digest": b"x" * 32}, {"acts_digest": b"x" * 32}, {"heads_digest": b"x" * 32}, {"key": b"k" * 32},
        {"key": b"short"}, {"changed": {"acc_" + "0" * 32 + ".9": b"x" * 32}}, {"replaced": ["*"], "key": b"k" * 32},
        {"changed": {"../../etc/passwd": b"x" * 32}},
    ],
    ids="-".join,
)  # fmt: skip
async def test_bytes_that_are_not_what_was_announced_are_not_taken(scene: Scene, lie: dict[str, object]) -> None:
    before = await scene.stands()
    with pytest.raises(CopyRefused):
        await scene.prepare(before[0] + 1, **lie)
    assert await scene.stands() == before
    await new_account(scene.keeper)
    assert (await scene.stands())[0] == before[0] + 1, "an honest tick goes on after a lie"


@pytest.mark.parametrize("name", ["../holder.key", "epoch.slots", "copy.9", "", "acc_x.1", "index.1"])
async def test_no_file_of_another_name_is_written_or_read(scene: Scene, name: str) -> None:
    key = (scene.holder.state / "holder.key").read_bytes()
    with pytest.raises(CopyRefused):
        await scene.link.put(name, b"rubbish")
    with pytest.raises(CopyRefused):
        await scene.link.fetch(name or "copy.9", bytearray().extend)
    assert (scene.holder.state / "holder.key").read_bytes() == key


async def test_nothing_is_answered_before_the_keeper_has_shown_itself(scene: Scene) -> None:
    peer = await links.connected(scene.holder.address, scene.holder.pin)
    for name in ("standing", "fetch_copy", "fetch", "commit", "roll_back", "prepare", "take_over", "put", "lacks"):
        with pytest.raises(KeeperNotAuthentic):
            await peer.call(name)
    with pytest.raises(HolderVersion):
        await peer.call("hello", protocol=PROTOCOL + 1)
    with pytest.raises(CopyRefused):
        await peer.call("hello")
    peer.close()


async def test_a_signature_is_good_for_one_connection_and_one_holder(scene: Scene, tmp_path: Path) -> None:
    key, installation = scene.keeper.holder_key, scene.keeper.companions.membership.installation
    body = {"keeper_vkey": key.vkey, "installation": installation, "code": ""}
    peer = await links.connected(scene.holder.address, scene.holder.pin)
    hello = await peer.call("hello", protocol=PROTOCOL)
    elsewhere = key.sign_bytes(proof_bytes(hello["nonce"], "another certificate", scene.holder.name))
    with pytest.raises(KeeperNotAuthentic):
        await peer.call("prove", signature=elsewhere, **body)
    right = key.sign_bytes(proof_bytes(hello["nonce"], scene.holder.pin, scene.holder.name))
    with pytest.raises(KeeperNotAuthentic):
        await peer.call("prove", signature=right, **body)
    peer.close()
    other = HolderKey.open(tmp_path / "other.key", create=True)
    with pytest.raises(HolderOfAnother):
        await HolderLink.connect(scene.holder.address, scene.holder.pin, other, installation=installation)


async def test_rubbish_on_the_line_ends_that_connection_and_nothing_else(scene: Scene) -> None:
    host, _, port = scene.holder.address.rpartition(":")
    for rubbish in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(2000)):
        with socket.create_connection((host, int(port))) as line:
            line.sendall(rubbish)
    for rubbish in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x04rubb", os.urandom(300)):
        with suppress(OSError, ssl.SSLError):
            reader, writer = await asyncio.open_connection(host, int(port), ssl=client_context())
            writer.write(rubbish)
            writer.write_eof() if writer.can_write_eof() else writer.close()
            await asyncio.wait_for(reader.read(), 5)
            writer.close()
    assert (await scene.stands())[0] > 0
    assert scene.holder.process.poll() is None


async def test_one_folder_has_one_holder(scene: Scene) -> None:
    with pytest.raises(KeeperAlreadyRunning):
        HolderState.open(scene.holder.state, lambda act, _before, _after: act, at="2026-11-23T12:00:00.000Z")


async def test_a_joining_code_is_burnt_after_five_wrong_ones(tmp_path: Path) -> None:
    holder = await asyncio.to_thread(HolderProcess, tmp_path / "holder")
    keeper = await open_keeper(tmp_path / "keeper")
    for _ in range(5):
        with pytest.raises(Exception, match="joining code is wrong"):
            await keeper.companions.join(holder.address, holder.pin, "wrong")
    with pytest.raises(Exception, match="joining code is wrong"):
        await keeper.companions.join(holder.address, holder.pin, holder.code)
    await keeper.close()
    await holder.stop()


async def test_the_holder_locks_its_memory_and_is_not_dumpable(scene: Scene) -> None:
    status = Path(f"/proc/{scene.holder.process.pid}/status").read_text()
    locked = int(next(line for line in status.splitlines() if line.startswith("VmLck")).split()[1])
    standing = await scene.link.ask_standing()
    assert (locked > 0) == standing.memory_locked
    limits = Path(f"/proc/{scene.holder.process.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    assert Path(f"/proc/{scene.holder.process.pid}/mem").stat().st_uid == 0, "what is not dumpable belongs to root"
