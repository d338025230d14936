"""Looking everywhere: files by the byte sweep, processes by their memory, copies by the attacker's hands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sealwire.custody.erasure import find
from sealwire.custody.forensics.attacker import attack_row
from sealwire.custody.forensics.beside import BesideReport, search_beside
from sealwire.custody.forensics.key_patterns import key_patterns, keys_of, oracle
from sealwire.custody.forensics.loot import Loot
from sealwire.custody.forensics.matcher import Matcher
from sealwire.custody.forensics.memory import MemoryScan, scan_memory, with_children
from sealwire.custody.forensics.patterns import Pattern, text_patterns
from sealwire.custody.forensics.sweep import SweepReport, sweep
from sealwire.custody.keys.tree import Tree
from sealwire.doors.sweep.house import House, Subject
from sealwire.ground.postgres.cluster import OWNER, dsn
from sealwire.vocabulary import ErasureId

MEMORY_CONTROL = "control: the name of the data folder"
WINDOWS_MAX = 3_000


@dataclass(frozen=True, slots=True)
class Looked:
    """One look at everything: by files, and by processes."""

    files: SweepReport
    memory: list[MemoryScan] = field(default_factory=list)
    beside: BesideReport = field(default_factory=BesideReport)

    @property
    def places(self) -> list[str]:
        """Where something was found that should not be there: what, in which form, where."""
        return (
            self.files.places
            + self.beside.places
            + [
                f"{pattern.subject}: {pattern.encoding} in the memory of {scan.name} ({scan.pid})"
                for scan in self.memory
                for pattern, _ in scan.hits
                if pattern.subject != MEMORY_CONTROL
            ]
        )

    @property
    def control_hits(self) -> int:
        return (
            self.files.control_hits
            + self.beside.control_hits
            + sum(pattern.subject == MEMORY_CONTROL for scan in self.memory for pattern, _ in scan.hits)
        )

    @property
    def missed(self) -> list[str]:
        """Where the control was not found: there, silence proves nothing."""
        blind = [
            f"memory of {scan.name}"
            for scan in self.memory
            if not scan.is_readable or all(pattern.subject != MEMORY_CONTROL for pattern, _ in scan.hits)
        ]
        return self.files.missed + blind + self.beside.missed

    def about(self, name: str) -> list[str]:
        """The places where something of one subject was found; a key or ciphertext is named after its subject."""
        return [place for place in self.places if place.startswith((f"{name}:", *_named(name)))]


def _named(name: str) -> tuple[str, ...]:
    return tuple(f"{kind}: {name}:" for kind in ("ciphertext", "token", "key"))


def snapshot_tree(house: House, name: str) -> Tree:
    """Every key of the account as it is now, from a copy of the keeper's folder with its epoch slots."""
    folder = house.copy_keeper(name, with_epoch=True)
    return oracle(folder, house.root_key, house.account)


def patterns_of_keys(tree: Tree, subjects: Iterable[Subject]) -> list[Pattern]:
    """The keys of these records in every form, named after them."""
    found: list[Pattern] = []
    for each in subjects:
        keys = keys_of(tree, [each.leaf])
        found += [
            Pattern(pattern.needle, f"key: {each.name}", f"{pattern.subject.removeprefix('key: ')}, {pattern.encoding}")
            for pattern in key_patterns(keys)
        ]
    return found


async def look(house: House, patterns: Sequence[Pattern], *, memory: Sequence[Pattern] = ()) -> Looked:
    """Search all files for `patterns` and all processes for `memory`."""
    of_files = sweep(
        house.settings, patterns, dsn=dsn(house.settings, OWNER), extra=[house.copies, *house.stores],
        lawful={"ciphertext": str(house.copies)},
    )  # fmt: skip
    if not memory:
        return Looked(await of_files)
    async with asyncio.TaskGroup() as both:
        files = both.create_task(of_files)
        processes = both.create_task(look_in_memory(house, memory))
        beside = both.create_task(look_beside(house, memory))
    return Looked(files.result(), processes.result(), beside.result())


async def look_beside(house: House, patterns: Sequence[Pattern]) -> BesideReport:
    """Search what processes hold open outside the stores, removed files included, and what was swapped out."""
    pids = [pid for _, pid in processes_of(house)]
    return await asyncio.to_thread(search_beside, Matcher(patterns), pids, searched=[house.top, *house.stores])


def processes_of(house: House, *, only: str | None = None) -> list[tuple[str, int]]:
    """Every process of the installation, and what it started, by name; or those of one."""
    return [
        (health.name, pid)
        for health in house.cloud.health()
        if health.pid is not None and only in (None, health.name)
        for pid in with_children([health.pid])
    ]


async def look_in_memory(house: House, patterns: Sequence[Pattern], *, only: str | None = None) -> list[MemoryScan]:
    """Search every process of the installation, and what it started; or one."""
    control = text_patterns(house.top.name, subject=MEMORY_CONTROL)
    matcher = Matcher([*patterns, *(pattern for pattern in control if pattern.encoding == "raw")])
    shared: set[str] = set()
    processes = processes_of(house, only=only)

    def scan_all() -> list[MemoryScan]:
        scans = [scan_memory(matcher, name, pid, seen=shared) for name, pid in processes]
        return [scan for scan in scans if Path(f"/proc/{scan.pid}").exists()]

    return await asyncio.to_thread(scan_all)


async def opens(house: House, subject: Subject, holdings: Sequence[Path]) -> bool:
    """Whether an attacker with the root key and these folders reads the record, as every copy from before has it."""
    loot = await asyncio.to_thread(Loot.gather, holdings, windows_max=WINDOWS_MAX)
    trees = await asyncio.to_thread(loot.open_trees, [house.root_key])
    attacked = await asyncio.to_thread(attack_row, subject.row, house.copies, trees, loot)
    return attacked.readable


async def certificate_holds(house: House, erasure: ErasureId) -> bool:
    """Whether each receipt of an erasure is of this erasure, and its epoch advanced."""
    async with house.custody.database.account(house.account) as connection:
        found = await find(connection, house.account, erasure)
    return bool(found.receipts) and all(
        receipt["erasure"] == str(erasure) and receipt["epoch_before"] < receipt["epoch_after"]
        for receipt in found.receipts
    )
