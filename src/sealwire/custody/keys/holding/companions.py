"""The further holders as the keeper's tick sees them: prepared before the commit, committed after it, waited for.

Whoever answers is kept up to date; whoever does not is away: the tick goes on without it as long as `required`
holders take part, and every erasure meanwhile stays pending, without a certificate, until it has come back, has
caught up (which destroys the old key) and has signed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from sealwire.custody.keys.holding.domain import failure_domain
from sealwire.custody.keys.holding.link import HolderLink, digest_of
from sealwire.custody.keys.holding.membership import Member, Membership
from sealwire.custody.keys.holding.pending import PendingErasures
from sealwire.custody.keys.holding.protocol import (
    ACTS_FILE,
    HEADS_FILE,
    INDEX_FILE,
    LINES_FILE,
    Prepare,
    Root,
    Standing,
    TakeOver,
)
from sealwire.custody.keys.holding.refusals import (
    HolderAway,
    HoldersTooFew,
    VaultForked,
    VaultPutBack,
)
from sealwire.custody.keys.receipts import EraseReceipt, HolderKey
from sealwire.custody.keys.vault import Vault
from sealwire.custody.keys.vault_format import shard_name
from sealwire.errors import Broken, Missing, SealwireError
from sealwire.ground import diagnostics
from sealwire.vocabulary import AccountId

RETRY_S_MIN, RETRY_S_MAX = 0.2, 5.0
START_S_MAX = 4.0

Answer = TypeVar("Answer")


class HolderUnknown(Missing):
    """No holder of this name has joined; bin/sealwire holder list shows those that have."""


@dataclass(frozen=True, slots=True)
class NextEpoch:
    """What the holders have to prepare: paths of files that the tick has written, and what it will have done."""

    number: int
    key: bytes
    index: bytes
    changed: dict[str, bytes]
    replaced: list[str]
    acts: list[dict[str, Any]]
    root: Root


class Companions:
    """All further holders of one keeper. `turn` is held by whatever reads or moves the vault as a whole."""

    def __init__(self, folder: Path, key: HolderKey, vault: Vault, *, heads: Path | None, required: int) -> None:
        self.membership = Membership.load(folder)
        self.turn = asyncio.Lock()
        self.pending = PendingErasures()
        self.broken: asyncio.Future[Broken] = asyncio.get_running_loop().create_future()
        self._folder, self._key, self._vault, self._heads = folder, key, vault, heads
        self._required = required
        self._loop = asyncio.get_running_loop()
        self._links: dict[str, HolderLink] = {}
        self._prepared: list[HolderLink] = []
        self._keepers: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Ask every holder for its counter; VaultPutBack when one has seen a later epoch. Who is away is asked on."""
        try:
            async with asyncio.timeout(START_S_MAX):
                await asyncio.gather(*(self._linked(member) for member in self.membership.members))
        except TimeoutError:
            diagnostics.event("keeper.holders-slow", holders=len(self.membership.members))
        if self.broken.done():
            raise self.broken.result()
        for member in self.membership.members:
            self._keep(member)

    async def stop(self) -> None:
        for task in self._keepers.values():
            task.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        for link in self._links.values():
            link.close()

    @property
    def names(self) -> list[str]:
        """The further holders that have to sign."""
        return [member.name for member in self.membership.members]

    @property
    def away(self) -> list[str]:
        return [member.name for member in self.membership.members if not self._is_up(member.name)]

    @property
    def is_disaster_recoverable(self) -> bool:
        """Whether a holder in another failure domain has joined."""
        _, device = failure_domain(self._folder)
        return any(member.device != device for member in self.membership.members)

    def describe(self) -> list[dict[str, Any]]:
        """Every further holder, for people."""
        here = failure_domain(self._folder)
        return [
            {
                "holder": member.name, "vkey": member.vkey, "address": member.address, "operator": member.operator,
                "effaceability_class": member.effaceability_class, "is_up": self._is_up(member.name),
                "failure_domain": "another host" if member.host != here[0]
                else "another device" if member.device != here[1] else "the same device",
            }
            for member in self.membership.members
        ]  # fmt: skip

    async def join(self, address: str, pin: str, code: str) -> Member:
        """Pair with a holder, give it its first full copy, and count it from then on."""
        link = await HolderLink.connect(address, pin, self._key, installation=self.membership.installation, code=code)
        standing = link.standing
        member = Member(
            vkey=link.hello.holder, address=address, pin=pin, operator=standing.operator,
            effaceability_class=standing.effaceability_class, host=standing.host, device=standing.device,
        )  # fmt: skip
        try:
            others = [other for other in self.membership.members if other.vkey != member.vkey]
            joined = msgspec.structs.replace(self.membership, members=[*others, member])
            await asyncio.to_thread(self.membership.save, self._folder)  # its id, before a holder pins it
            await self._catch_up(link, joined)
        except BaseException:
            link.close()
            raise
        self._keep(member)
        diagnostics.event("keeper.holder-joined", holder=member.name, holders=1 + len(self.membership.members))
        return member

    async def remove(self, name: str) -> None:
        """Count a holder no more: an act of its operator's, who says with it that its copy is destroyed or lost."""
        members = [member for member in self.membership.members if member.name != name]
        if len(members) == len(self.membership.members):
            raise HolderUnknown
        async with self.turn:
            await self._write(msgspec.structs.replace(self.membership, members=members))
            if (task := self._keepers.pop(name, None)) is not None:
                task.cancel()
            if (link := self._links.pop(name, None)) is not None:
                link.close()
            self.pending.forget_holder(name)

    def prepare(self, wanted: NextEpoch) -> None:
        """From the tick's thread: have every holder that answers store the next epoch. HoldersTooFew: nothing is."""
        self._from_thread(self._prepare(wanted))

    def commit(self, number: int, index: bytes, acts: Sequence[dict[str, Any]]) -> list[list[EraseReceipt]]:
        """From the tick's thread: have them destroy the old key; the receipts of each act from those that did."""
        return self._from_thread(self._commit(number, digest_of(index), list(acts)))

    def roll_back(self) -> None:
        """From the tick's thread: nothing was committed."""
        self._from_thread(self._roll_back())

    async def _prepare(self, wanted: NextEpoch) -> None:
        self._prepared = []
        up = [link for link in self._links.values() if link.is_up]
        acts, heads = _json(wanted.acts), await self._read_heads()
        message = Prepare(
            epoch=wanted.number, key=wanted.key, index_digest=digest_of(wanted.index), acts_digest=digest_of(acts),
            heads_digest=digest_of(heads), replaced=wanted.replaced, root=wanted.root,
            changed={name: digest_of(data) for name, data in wanted.changed.items()},
            members=self.membership.to_copy(),
        )  # fmt: skip
        files = {**wanted.changed, INDEX_FILE: wanted.index, ACTS_FILE: acts, HEADS_FILE: heads}

        async def send(link: HolderLink) -> None:
            for name, data in files.items():
                await link.put(name, data)
            await link.prepare(message)

        self._prepared = await self._those_that_did(up, send)
        if 1 + len(self._prepared) < self._required:
            raise HoldersTooFew(
                f"{1 + len(self._prepared)} of the {self._required} holders that must take part answer, so nothing"
                " was changed: start the others"
            )

    async def _commit(self, number: int, digest: bytes, acts: list[dict[str, Any]]) -> list[list[EraseReceipt]]:
        receipts: list[list[EraseReceipt]] = [[] for _ in acts]

        async def send(link: HolderLink) -> None:
            own = link.receipts_of(await link.commit(number, digest), number)
            for given, receipt in zip(receipts, own, strict=True):
                if receipt is not None:
                    given.append(receipt)

        await self._those_that_did(self._prepared, send)
        self._prepared = []
        return receipts

    async def _roll_back(self) -> None:
        prepared, self._prepared = self._prepared, []
        await self._those_that_did(prepared, HolderLink.roll_back)

    async def _those_that_did(
        self, links: list[HolderLink], step: Callable[[HolderLink], Coroutine[Any, Any, None]]
    ) -> list[HolderLink]:
        """Run a step at all of them; whoever fails is away from now on, until it has caught up."""
        outcomes = await asyncio.gather(*(step(link) for link in links), return_exceptions=True)
        done = []
        for link, outcome in zip(links, outcomes, strict=True):
            if outcome is None:
                done.append(link)
            else:
                diagnostics.failure("keeper.holder-away", outcome, holder=link.name)
                link.close()
        return done

    def _keep(self, member: Member) -> None:
        task = self._keepers.get(member.name)
        if task is None or task.done():
            self._keepers[member.name] = asyncio.create_task(self._keep_linked(member))

    async def _keep_linked(self, member: Member) -> None:
        pause_s = RETRY_S_MIN
        while not self.broken.done():
            if await self._linked(member):
                pause_s = RETRY_S_MIN
                await self._links[member.name].closed()
                diagnostics.event("keeper.holder-gone", holder=member.name)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_S_MAX)

    async def _linked(self, member: Member) -> bool:
        """Whether this holder is connected and up to date now; when its counter is ahead, `broken` says so."""
        if self._is_up(member.name):
            return True
        link = None
        try:
            link = await HolderLink.connect(
                member.address, member.pin, self._key, installation=self.membership.installation, vkey=member.vkey
            )
            await self._catch_up(link, self.membership)
        except Exception as error:
            if link is not None:
                link.close()
            if isinstance(error, VaultPutBack | VaultForked) and not self.broken.done():
                self.broken.set_result(error)
            if not isinstance(error, HolderAway):
                diagnostics.failure("keeper.holder-refused", error, holder=member.name)
            return False
        diagnostics.event("keeper.holder-current", holder=member.name, epoch=self._vault.epoch.number)
        return True

    async def _catch_up(self, link: HolderLink, membership: Membership) -> None:
        """Bring a holder to the current epoch. Shards go first, beside running ticks; the rest in one turn."""
        if link.standing.epoch < self._vault.epoch.number:
            await self._send_shards(link)
        async with self.turn:
            standing, current = await link.ask_standing(), self._vault.epoch.number
            index = await asyncio.to_thread(self._vault.index_path(current).read_bytes)
            if standing.epoch > current:
                raise VaultPutBack
            if standing.epoch == current and standing.digest != digest_of(index):
                raise VaultForked
            if standing.epoch == current or (standing.prepared, standing.prepared_digest) == (
                current,
                digest_of(index),
            ):
                acts = await link.commit(current, digest_of(index))
            else:
                acts = await self._hand_over(link, standing, index, membership)
            self._note(link, acts, current)
            if membership is not self.membership:
                await self._write(membership)
            self._links[link.name] = link

    async def _hand_over(
        self, link: HolderLink, standing: Standing, index: bytes, membership: Membership
    ) -> list[dict[str, Any]]:
        await self._send_shards(link)
        vault = self._vault
        lines = await asyncio.to_thread(_lines_after, vault.ledger.path, standing.ledger_epoch)
        acts, heads = _json(vault.index.acts), await self._read_heads()
        for name, data in {INDEX_FILE: index, LINES_FILE: lines, ACTS_FILE: acts, HEADS_FILE: heads}.items():
            await link.put(name, data)
        shards = await asyncio.to_thread(self._shard_digests)
        return await link.take_over(
            TakeOver(
                epoch=vault.epoch.number, key=vault.epoch.key, index_digest=digest_of(index),
                acts_digest=digest_of(acts), heads_digest=digest_of(heads), lines_digest=digest_of(lines),
                shards=shards, root=vault.roots.current, members=membership.to_copy(),
            )
        )  # fmt: skip

    async def _send_shards(self, link: HolderLink) -> None:
        names = [shard_name(_account(raw), place.written) for raw, place in self._vault.index.shards.items()]
        for name in await link.lacks(names):
            with suppress(FileNotFoundError):  # a tick replaced it meanwhile; the turn sends what is current
                await link.put(name, await asyncio.to_thread((self._vault.shards_folder / name).read_bytes))

    def _shard_digests(self) -> dict[str, bytes]:
        names = [shard_name(_account(raw), place.written) for raw, place in self._vault.index.shards.items()]
        return {name: digest_of((self._vault.shards_folder / name).read_bytes()) for name in names}

    def _note(self, link: HolderLink, acts: list[dict[str, Any]], epoch: int) -> None:
        for receipt in link.receipts_of(acts, epoch):
            if receipt is not None:
                self.pending.add(link.name, receipt)

    async def _write(self, membership: Membership) -> None:
        await asyncio.to_thread(membership.save, self._folder)
        self.membership = membership

    async def _read_heads(self) -> bytes:
        if self._heads is None or not self._heads.exists():
            return b""
        return await asyncio.to_thread(self._heads.read_bytes)

    def _is_up(self, name: str) -> bool:
        return name in self._links and self._links[name].is_up

    def _from_thread(self, step: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result()


def _lines_after(path: Path, epoch: int) -> bytes:
    """The ledger's lines of later epochs, read from its file."""
    with path.open("rb") as file:
        return b"".join(line for line in file if json.loads(line)["epoch"] > epoch)


def _json(acts: list[dict[str, Any]]) -> bytes:
    return msgspec.json.encode(acts)


def _account(raw: bytes) -> AccountId:
    return AccountId.parse(f"acc_{raw.hex()}")


__all__ = ["Companions", "HolderUnknown", "NextEpoch", "SealwireError"]
