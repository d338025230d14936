"""A keeper to test with, in this process or in its own, and a log of one's own to prove openings from."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sealwire.config import load_settings
from sealwire.custody.keys.client import KeeperClient, KeeperUnavailable, Lease, OpenProof, SealedItem
from sealwire.custody.keys.effaceability import Effaceability
from sealwire.custody.keys.keeper import Keeper
from sealwire.custody.keys.leases import LeaseId
from sealwire.custody.keys.paths import BLOCK_SLOTS, DayPath, LeafPath
from sealwire.custody.keys.proof import Act
from sealwire.custody.keys.refusals import HolderDoesNotLetGo
from sealwire.custody.keys.tree import block_leaf, leaf_keys
from sealwire.custody.sealing.envelope import Context, items_root, seal_record
from sealwire.ground.clock import Clock, TestClock
from sealwire.vocabulary import AccountId, Day
from sealwire_verifier.checkpoint import Checkpoint
from sealwire_verifier.leaf import leaf_bytes
from sealwire_verifier.merkle import inclusion_path, leaf_hash, root_of_hashes, subtree_of
from sealwire_verifier.note import SigningKey

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
TODAY = int(Day.of(NOON))
PERIODS = {"1/0": 90, "1/3": 10, "2/0": 28, "3/0": 3650, "4/0": 1095}
FINDABLE = {1: (0, 1, 2, 3, 4, 9)}
LEAF_CLASSES = {name: number for act in Act for name, number in act.value.items()}
UNVERIFIED = Effaceability("unverified", "this is a test")
LOG_KEY = SigningKey("sealwire.local/log/0123456789abcdef", Ed25519PrivateKey.from_private_bytes(b"l" * 32))
OTHER_LOG_KEY = SigningKey("sealwire.local/log/fedcba9876543210", Ed25519PrivateKey.from_private_bytes(b"o" * 32))
LOG_VKEY = str(LOG_KEY.vkey)


class HolderStub:
    """A holder of leases in this process that answers recalls, or does not."""

    def __init__(self, *, is_mute: bool = False, clings: bool = False, stays_in_use: bool = False) -> None:
        self.recalled: list[LeaseId] = []
        self.was_cut_off = False
        self._is_mute, self._clings, self._stays_in_use = is_mute, clings, stays_in_use

    async def recall(self, lease: LeaseId, *, is_whole: bool, slots: Sequence[int]) -> bool:
        self.recalled.append(lease)
        if self._is_mute:
            await asyncio.Event().wait()
        return self._stays_in_use

    async def cut_off(self) -> None:
        if self._clings:
            raise HolderDoesNotLetGo
        self.was_cut_off = True


async def open_keeper(folder: Path, clock: Clock | None = None) -> Keeper:
    return await Keeper.open(folder, clock=clock or TestClock(NOON), effaceability=UNVERIFIED, findable=FINDABLE)


async def new_account(keeper: Keeper | KeeperClient, periods: dict[str, int] | None = None) -> AccountId:
    account = AccountId.new()
    await keeper.create_account(account, log_vkey=LOG_VKEY, periods=periods or PERIODS)
    return account


def sealed_under(lease: Lease, offset: int, plaintext: bytes) -> SealedItem:
    """A record sealed in one slot of a leased block, as the sealer does it."""
    slot = lease.block * BLOCK_SLOTS + offset
    context = Context(lease.account, lease.category, lease.retention_class, lease.day, slot)
    keys = leaf_keys(block_leaf(lease.block_key, offset))
    return SealedItem(context.text, seal_record(keys.record, context, plaintext))


def leaf_of(item: SealedItem) -> LeafPath:
    context = Context.parse(item.context)
    return LeafPath(context.category, context.retention_class, context.day, context.slot)


async def leased(keeper: Keeper, account: AccountId, day: DayPath, holder: HolderStub | None = None) -> Lease:
    lease, node, index = await keeper.lease(account, day, holder or HolderStub())
    return Lease(account, *day, lease.block, node, index)


def prove(
    account: AccountId,
    nonce: bytes,
    contexts: Iterable[str],
    *,
    kind: str = "record.opened",
    leaf_class: int | None = None,
    key: SigningKey = LOG_KEY,
    changes: dict[str, object] | None = None,
) -> OpenProof:
    """A real proof: the leaf is the fourth of seven in a log of our own, under a checkpoint signed by `key`."""
    body: dict[str, object] = {"type": kind, "account": str(account), "nonce": nonce.hex()}
    contexts, leaf_class = list(contexts), leaf_class or LEAF_CLASSES.get(kind, 5)
    body |= {"items": len(contexts), "items_root": items_root(contexts)}
    body |= {"principal": "cred_1", "purpose": "service-operation"} | (changes or {})
    payload, salt = rfc8785.dumps(body), os.urandom(32)  # type: ignore[arg-type]
    hashes = [leaf_hash(os.urandom(34)) for _ in range(7)]
    hashes[3] = leaf_hash(leaf_bytes(leaf_class, salt, payload))
    checkpoint = Checkpoint(key.name, 7, root_of_hashes(hashes)).sign(key)
    path = inclusion_path(3, 7, subtree_of(hashes))
    return OpenProof(
        payload=payload, salt=salt, leaf_class=leaf_class, index=3, size=7, path=path, checkpoint=checkpoint
    )


def opened(
    keeper: Keeper, account: AccountId, items: list[SealedItem], *, purpose: str = "service-operation"
) -> list[bytes | None]:
    contexts = [item.context for item in items]
    proof = prove(account, keeper.challenges.give(), contexts, changes={"purpose": purpose})
    return keeper.opening.records(account, proof, items)


async def opened_by(client: KeeperClient, account: AccountId, items: list[SealedItem]) -> list[bytes | None]:
    proof = prove(account, await client.challenge(), [item.context for item in items])
    return await client.open(account, proof=proof, items=items)


class KeeperProcess:
    """`python -m sealwire.doors.keeper` on a data folder of the test's own."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.settings = load_settings(data)
        self.diagnostics = (data / "keeper.stderr").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sealwire.doors.keeper", "--data", str(data)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
            stderr=self.diagnostics,
        )

    async def client(self) -> KeeperClient:
        """A client of it as soon as it answers; asserts that it does."""
        client = KeeperClient(self.settings.keeper_socket)
        async with asyncio.timeout(30):
            while True:
                assert self.process.poll() is None, "the keeper ended before it served"
                try:
                    await client.status()
                    return client
                except KeeperUnavailable:
                    await asyncio.sleep(0.02)

    async def wait(self) -> int:
        async with asyncio.timeout(30):
            while self.process.poll() is None:
                await asyncio.sleep(0.02)
        self.diagnostics.close()
        return self.process.returncode

    async def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        code = await self.wait()
        self.settings.keeper_socket.unlink(missing_ok=True)
        return code
