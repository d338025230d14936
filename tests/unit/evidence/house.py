"""A real sequencer on a real database for tests, with a real AEAD in the place of the key tree."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from base64 import b64encode
from collections.abc import Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealwire.evidence.heads import Heads
from sealwire.evidence.leaves import SealedPayload
from sealwire.evidence.sequencer import Sequencer
from sealwire.evidence.service import handlers
from sealwire.evidence.signer import LogSigner
from sealwire.ground import wire
from sealwire.ground.clock import SystemClock
from sealwire_verifier.certificate import canonical
from sealwire_verifier.note import SigningKey


class TestSealer:
    """AES-256-GCM under one random key; slots are counted."""

    __test__ = False

    def __init__(self):
        self._key = AESGCM(os.urandom(32))
        self._slot = 0
        self.refuses = {}

    async def seal(self, account, payload, /):
        if account in self.refuses:
            raise self.refuses[account]
        self._slot += 1
        nonce = os.urandom(12)
        return SealedPayload(20_000, self._slot, nonce + self._key.encrypt(nonce, payload, None))

    def open(self, row):
        return self._key.decrypt(row.sealed[:12], row.sealed[12:], None)


@asynccontextmanager
async def running_sequencer(database, folder: Path, sealer=None):
    """A started sequencer whose loop runs; stopped as the process would stop it."""
    heads = Heads.open(folder)
    signer = LogSigner.load(folder, may_make=not heads.accounts())
    sequencer = Sequencer(
        database=database, heads=heads, signer=signer, sealer=sealer or TestSealer(), clock=SystemClock()
    )
    task = None
    try:
        await sequencer.start()
        task = sequencer.running = asyncio.create_task(sequencer.run())
        yield sequencer
        if task.done():
            task.result()
    finally:
        heads.close()
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def served(sequencer, socket: Path):
    """The sequencer behind its socket."""
    server = await wire.serve(socket, handlers(sequencer))
    async with server:
        yield socket


class Holder:
    """A key holder that signs receipts as the keeper does."""

    def __init__(self, name="sealwire.holder/0a1b2c3d"):
        self.key = SigningKey(name, Ed25519PrivateKey.generate())

    @property
    def vkey(self):
        return str(self.key.vkey)

    def receipt(self, log, erasure, *, destroyed_at: dt.datetime, epoch=7, effaceability_class="unverified"):
        body = {
            "version": 1,
            "erasure": str(erasure),
            "log": log,
            "epoch_before": epoch,
            "epoch_after": epoch + 1,
            "destroyed_at": destroyed_at.astimezone(dt.UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "holder": self.key.name,
            "method": "epoch key overwritten in its slot, flushed and read back",
            "effaceability_class": effaceability_class,
            "paths_root": b64encode(os.urandom(32)).decode(),
            "count": 2,
        }
        return body | {"signature": b64encode(self.key.private.sign(canonical(body))).decode()}


async def until(condition, *, seconds=10.0):
    """Wait for something that happens soon."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def policy_text(*, log_vkey: str, holder_vkeys: Iterable[str]) -> str:
    """A policy file (C2SP tlog-policy) as an auditor writes it."""
    lines = ["# Compare these keys with the annex of your agreement before you trust them.", f"log {log_vkey}"]
    return "\n".join([*lines, *(f"holder {vkey}" for vkey in holder_vkeys), "quorum none"]) + "\n"
