"""A keeper is started on the disk that a crash left: what must hold of it, at once and when the ritual has ended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from sealwire.custody.backups.gate import read_ledger
from sealwire.custody.keys.keeper import Keeper
from sealwire.errors import SealwireError
from sealwire_verifier.certificate import check_receipt
from sealwire_verifier.errors import NotProved
from sealwire_verifier.policy import Policy
from tests.crash.images import Image
from tests.crash.report import Broken, Violation
from tests.crash.thief import Thief
from tests.crash.vault_house import SHORT, Leased, Receipted, VaultHouse, VaultRitual
from tests.unit.keys.house import LOG_KEY, LOG_VKEY, open_keeper, opened

Found = Iterator[tuple[Broken, str]]


@dataclass(slots=True)
class VaultJudge:
    """`before` is the folder as it was copied before the ritual, without its epoch slots."""

    house: VaultHouse
    ritual: VaultRitual
    before: dict[str, bytes]
    root_key: bytes
    place: Path

    async def judge(self, image: Image) -> list[Violation]:
        """Everything that does not hold after this crash."""
        where = f"{self.ritual.name}, {image.kind} before effect {image.effect}"
        house = replace(self.house, folder=self.place / f"{image.effect}-{image.kind}-{image.digest.hex()[:12]}")
        image.lay_out(house.folder)
        found = [*self._receipts_are_true(image)]
        said: list[Any] = list(image.said)
        try:
            found += await self._after(house, image, said)
        except SealwireError as error:
            found.append((Broken.STUCK, f"{type(error).__name__}: {error}"))
        shutil.rmtree(house.folder)
        return [Violation(broken, where, detail) for broken, detail in found]

    async def _after(self, house: VaultHouse, image: Image, said: list[Any]) -> list[tuple[Broken, str]]:
        keeper = await open_keeper(house.keeper_dir, self.ritual.clock())
        try:
            found = [*self._records(keeper, said), *self._leases(keeper, said)]
            settled = [*self._receipts_are_true(image, files_below(house.folder))]
            await self.ritual.act(house, keeper, said.append)
            found += [*settled, *self._records(keeper, said, all_done=True), *self._leases(keeper, said)]
            found += [*self._signatures(keeper, said), *self._ledger(keeper)]
        finally:
            await keeper.close()
        return [*found, *self._stolen(files_below(house.folder), self.ritual.doomed, "at the end")]

    def _receipts_are_true(self, image: Image, files: dict[str, bytes] | None = None) -> Found:
        """What somebody holds, and what the ledger on this very disk says, is unreadable from it and older copies."""
        files = image.files if files is None else files
        told = {one.erasure for one in image.said if isinstance(one, Receipted)}
        told |= {one.what for one in image.said if not isinstance(one, Receipted | Leased)}
        told |= {act.get("erasure", "expired") for act in _acts(files) if act["act"] in ("erased", "expired")}
        doomed = {name for erasure in told for name in self.ritual.erases.get(erasure, ())}
        yield from self._stolen(files, doomed, "on the disk of the crash")

    def _stolen(self, files: dict[str, bytes], doomed: set[str], when: str) -> Found:
        if doomed:
            thief = Thief(self.root_key, [self.before, files])
            yield from (
                (Broken.FALSE, f"{name} {when}") for name in doomed if thief.reads(self.house.records[name].item)
            )

    def _records(self, keeper: Keeper, said: list[Any], *, all_done: bool = False) -> Found:
        told = {one.erasure for one in said if isinstance(one, Receipted)}
        told |= {one.what for one in said if not isinstance(one, Receipted | Leased)}
        gone = {name for erasure in told for name in self.ritual.erases.get(erasure, ())}
        for name, record in self.house.records.items():
            content = _opened(keeper, self.house, name)
            if name not in self.ritual.doomed and content != record.plaintext:
                yield Broken.LOST, name
            elif (name in gone or (all_done and name in self.ritual.doomed)) and content is not None:
                yield Broken.OPENS, name
            elif content not in (None, record.plaintext):
                yield Broken.LOST, f"{name} opens as something else"

    def _signatures(self, keeper: Keeper, said: list[Any]) -> Found:
        policy = Policy.parse(f"log {LOG_VKEY}\nholder {keeper.holder_key.vkey}\nquorum none\n")
        for one in said:
            for receipt in one.receipts if isinstance(one, Receipted) else ():
                try:
                    body = {"erasure": one.erasure, "account": LOG_KEY.name}
                    check_receipt(msgspec.to_builtins(receipt), body, policy)
                except NotProved as error:
                    yield Broken.FALSE, str(error)

    def _leases(self, keeper: Keeper, said: list[Any]) -> Found:
        leases = [*self.house.leases, *(one for one in said if isinstance(one, Leased))]
        if len(set(leases)) != len(leases):
            yield Broken.TWICE, ""
        for one in leases:
            is_over = self.ritual.days_later and one.day == SHORT
            if not is_over and one.block not in keeper.journal._issued.get((one.account, one.day), set()):
                yield Broken.TWICE, "the journal forgot a block that was given out"

    def _ledger(self, keeper: Keeper) -> Found:
        """Every epoch has its line, every erasure its receipts; one index, and one shard for each account."""
        folder, epoch = keeper.vault.folder, keeper.vault.epoch.number
        try:
            read_ledger(folder, after=1, until=epoch)
        except SealwireError as error:
            yield Broken.OTHER_END, str(error)
        acts = [act for act in _acts(files_below(folder)) if act["act"] == "erased"]
        if {act["erasure"] for act in acts} != {name for name in self.ritual.erases if name.startswith("ers_")}:
            yield Broken.OTHER_END, "the ledger does not tell of every erasure"
        if not all(act["receipts"] for act in acts):
            yield Broken.FALSE, "the ledger has an erasure without a receipt"
        left = len(list(folder.glob("index.*"))), len(list(folder.glob("shards/*")))
        if left != (1, len(keeper.vault.index.shards)):
            yield Broken.OTHER_END, f"{left} indexes and shards are left"


def _opened(keeper: Keeper, house: VaultHouse, name: str) -> bytes | None:
    """By whichever purpose opens it: what stays of a closed account opens for the statute alone."""
    record = house.records[name]
    for purpose in ("service-operation", "statutory-retention"):
        try:
            (content,) = opened(keeper, record.account, [record.item], purpose=purpose)
        except SealwireError:
            continue
        if content is not None:
            return content
    return None


def _acts(files: dict[str, bytes]) -> Iterator[dict[str, Any]]:
    for name, data in files.items():
        if name.rpartition("/")[2] == "erasures.ledger":
            for line in data.split(b"\n")[:-1]:
                yield from json.loads(line)["acts"]


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
