"""A keeper's folder built anew from its holders, when the folder is lost.

(1) every holder that is named is asked for its epoch, each with a recovery code from its own operator;
(2) the highest epoch wins; a holder of which that copy tells and which was not asked must be named as lost, because
    it could have seen a later one;
(3) its copy is fetched into `keeper.recovering`: shards, index, ledger, and the epoch key into slots of its own;
(4) what was given out of each day is told by `blocks` (from the database): no block is given out twice;
(5) the folder is opened as a vault, read through, and only then gets its name.

The new keeper signs with a key of its own; holders that were not asked must be joined again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sealwire.custody.keys.epoch import Epoch, EpochSlots
from sealwire.custody.keys.files import create_durably, sync_folder, write_durably
from sealwire.custody.keys.holding.link import HolderLink, digest_of
from sealwire.custody.keys.holding.membership import Member, Membership
from sealwire.custody.keys.holding.protocol import SHARD_NAME, Copy
from sealwire.custody.keys.holding.refusals import RecoveryRefused
from sealwire.custody.keys.leases import LeaseId, LeaseJournal
from sealwire.custody.keys.receipts import HolderKey
from sealwire.custody.keys.refusals import AccountUnknown, PeriodMissing
from sealwire.custody.keys.vault import Vault, lock_folder
from sealwire.vocabulary import AccountId

Blocks = Callable[[], Awaitable[Iterable[LeaseId]]]


class Source(NamedTuple):
    """Where a holder is, its certificate's pin, and the code its operator made."""

    address: str
    pin: str
    code: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was rebuilt, from whom."""

    epoch: int
    accounts: int
    blocks: int
    holder: str
    installation: str


async def recover(
    folder: Path, sources: Sequence[Source], *, lost: Sequence[str], blocks: Blocks, at: str, seen_s: float
) -> Recovered:
    """Build the keeper folder, which must not exist or be empty; RecoveryRefused, and nothing is left, otherwise."""
    if folder.exists() and any(folder.iterdir()):  # noqa: ASYNC240 - once
        raise RecoveryRefused("the keeper's folder is there and not empty; move it aside if it is to be replaced")
    beside = folder.with_name("keeper.recovering")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700, parents=True)
    links: list[HolderLink] = []
    try:
        key = HolderKey.open(beside / "holder.key", create=True)
        for source in sources:  # (1)
            link = await HolderLink.connect(source.address, source.pin, key, installation="", code=source.code)
            links.append(link)
        best = max(links, key=lambda link: link.standing.epoch)
        given = await best.fetch_copy()  # (2)
        copy = msgspec.convert({**given["copy"], "index": b""}, Copy, builtin_types=(bytes,))
        _require_all_asked(copy, links, lost)
        await _fetch(beside, best, copy, given["key"])  # (3)
        membership = _membership(copy, sources, links)
        membership.save(beside)
        taken = list(await blocks())
        count, accounts = await _settle(beside, taken, at=at, seen_s=seen_s)  # (4)
        if folder.exists():  # noqa: ASYNC240
            folder.rmdir()  # noqa: ASYNC240
        beside.rename(folder)  # (5)
        sync_folder(folder.parent)
        return Recovered(copy.epoch, accounts, count, best.name, copy.installation)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    finally:
        for link in links:
            link.close()


def _require_all_asked(copy: Copy, links: Sequence[HolderLink], lost: Sequence[str]) -> None:
    asked = {link.hello.holder for link in links}
    members = [msgspec.convert(member, Member) for member in copy.members]
    silent = [member.name for member in members if member.vkey not in asked and member.name not in lost]
    if silent:
        raise RecoveryRefused(
            f"{silent[0]} is a holder too and was not asked: it may have seen a later epoch. Name it with --from as"
            " well, or with --lost when it is lost"
        )


async def _fetch(folder: Path, link: HolderLink, copy: Copy, key: bytes) -> None:
    (folder / "shards").mkdir(mode=0o700)
    for name, expected in copy.shards.items():
        if not SHARD_NAME.fullmatch(name):
            raise RecoveryRefused("the holder names a shard as no shard is named; nothing was written")
        data = bytearray()
        await link.fetch(name, data.extend)
        if digest_of(bytes(data)) != expected:
            raise RecoveryRefused("a shard came from the holder with other bytes than it announced; ask another holder")
        write_durably(folder / "shards" / name, bytes(data))
    sync_folder(folder / "shards")
    ledger, index = bytearray(), bytearray()
    await link.fetch("erasures.ledger", ledger.extend)
    await link.fetch("index", index.extend)
    create_durably(folder / "erasures.ledger", bytes(ledger))
    create_durably(folder / f"index.{copy.epoch}", bytes(index))
    create_durably(folder / ("root.key" if copy.root.kind == "file" else "root.transit"), copy.root.data)
    EpochSlots.create(folder / "epoch.slots", Epoch(copy.epoch, key))


def _membership(copy: Copy, sources: Sequence[Source], links: Sequence[HolderLink]) -> Membership:
    known = {member.vkey: member for member in (msgspec.convert(member, Member) for member in copy.members)}
    members = [
        msgspec.structs.replace(known[link.hello.holder], address=source.address, pin=source.pin)
        for source, link in zip(sources, links, strict=True)
        if link.hello.holder in known
    ]
    return Membership(installation=copy.installation, members=members)


async def _settle(folder: Path, taken: list[LeaseId], *, at: str, seen_s: float) -> tuple[int, int]:
    """Open it as a vault, read every account's keys, and write the journal of what was given out."""
    vault = Vault.open(folder, lock_folder(folder), now_s=seen_s, at=at, sign=_signs_nothing)
    try:
        accounts = [AccountId.parse(f"acc_{raw.hex()}") for raw in vault.index.shards]
        keys = {account: vault.load(account) for account in accounts}
        journal = LeaseJournal.open(folder / "leases.journal", create=True)
        try:
            for start in range(0, len(taken), 1_000):
                for lease in taken[start : start + 1_000]:
                    if lease.account not in keys:
                        raise AccountUnknown("the database has records of an account that this holder does not know")
                await journal.take_in(
                    [(lease, _due(keys[lease.account], lease)) for lease in taken[start : start + 1_000]]
                )
        finally:
            await journal.close()
        return len(taken), len(accounts)
    finally:
        vault.close()


def _due(keys: Any, lease: LeaseId) -> int:
    try:
        return int(keys.due_day(lease.day))
    except PeriodMissing:
        return (1 << 16) - 1


def _signs_nothing(_act: dict[str, Any], epoch: int) -> dict[str, Any]:
    raise RecoveryRefused(f"the holder's ledger lacks the line of epoch {epoch}; ask another holder")


def describe(recovered: Recovered) -> str:
    """One line of JSON."""
    return json.dumps({name: getattr(recovered, name) for name in Recovered.__slots__})
