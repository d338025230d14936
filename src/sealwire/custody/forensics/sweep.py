"""The byte sweep: every file of the installation is searched for a number and a voice that must not be there.

(1) a control is planted in every store;
(2) all files are searched once, for the canaries and for the control;
(3) the control is removed;
(4) a store whose control was not found, or a file that could not be read, makes the sweep invalid: it says nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sealwire.config import Settings
from sealwire.custody.forensics import control
from sealwire.custody.forensics.matcher import Matcher
from sealwire.custody.forensics.patterns import Pattern
from sealwire.custody.forensics.scan import Hit, Scanned, scan_folder
from sealwire.errors import Refused

DATABASE, WAL = "database", "write-ahead log"
_CONTROLS = (control.CONTROL_NUMBER, control.CONTROL_AUDIO)
_NOTHING_PERSONAL = ("postgres-binaries",)


class SweepInvalid(Refused):
    """The sweep did not find its own control in every store, so its silence proves nothing; see `missed` for where."""


@dataclass(frozen=True, slots=True)
class Store:
    """One place where things lie: a folder, without the folders that are stores of their own."""

    name: str
    folder: Path
    leave_out: frozenset[Path] = frozenset()


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What was found in one store; hits by subject and encoding, controls apart."""

    store: str
    files: int
    bytes: int
    hits: dict[str, int]
    control_hits: dict[str, int]
    unreadable: list[str]

    @property
    def is_controlled(self) -> bool:
        """Whether both halves of the control were found here and every file was read."""
        found = {name.partition(":")[0] for name in self.control_hits}
        return found == set(_CONTROLS) and not self.unreadable


@dataclass(frozen=True, slots=True)
class SweepReport:
    """The outcome of a sweep. `hits` may be believed only when it `is_valid`."""

    stores: list[StoreReport]
    seconds: float
    places: list[str] = field(default_factory=list)

    @property
    def hits(self) -> int:
        """How often a canary was found, each place counted once however many encodings match it."""
        return len(self.places)

    @property
    def control_hits(self) -> int:
        return sum(sum(store.control_hits.values()) for store in self.stores)

    @property
    def missed(self) -> list[str]:
        """The stores in which the control was not found or a file could not be read."""
        return [store.store for store in self.stores if not store.is_controlled]

    @property
    def is_valid(self) -> bool:
        return bool(self.stores) and not self.missed

    @property
    def bytes(self) -> int:
        return sum(store.bytes for store in self.stores)

    def require_valid(self) -> None:
        """SweepInvalid unless the control was found in every store."""
        if not self.is_valid:
            where = ", ".join(self.missed)
            raise SweepInvalid(f"the control was not found, or files were not read, in: {where}; this proves nothing")

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "hits": self.hits,
            "control_hits": self.control_hits,
            "valid": self.is_valid,
            "missed": self.missed,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "places": self.places[:100],
            "stores": [
                {"store": s.store, "files": s.files, "bytes": s.bytes, "hits": s.hits, "control_hits": s.control_hits}
                for s in self.stores
            ],
        }


def stores_of(settings: Settings, *, extra: Sequence[Path] = ()) -> list[Store]:
    """Every store of an installation; the last one is whatever else lies in its data folder."""
    wal = settings.postgres_dir / "pg_wal"
    named = [
        Store(DATABASE, settings.postgres_dir, frozenset({wal})),
        Store(WAL, wal),
        Store("objects", settings.objects_dir),
        Store("logs", settings.logs_dir),
        Store("temp", settings.temp_dir),
        Store("run", settings.run_dir),
        Store("keeper", settings.keeper_dir),
        Store("evidence", settings.evidence_dir),
        Store("secrets", settings.secrets_dir),
        Store("backups", settings.backups_dir),
    ]
    named += [Store(str(folder), folder) for folder in extra]
    apart = {store.folder for store in named} | {settings.data_dir / name for name in _NOTHING_PERSONAL}
    return [*named, Store("everything else", settings.data_dir, frozenset(apart))]


async def sweep(
    settings: Settings, patterns: Sequence[Pattern], *, dsn: str, extra: Sequence[Path] = (), controls: bool = True,
    lawful: Mapping[str, str] = MappingProxyType({}),
) -> SweepReport:  # fmt: skip
    """Sweep an installation whose database is running; `dsn` is its owner's. Never raises for what it finds.

    `lawful` says by the beginning of a subject in which store it may lie: ciphertext in backups, until they end.
    """
    stores = stores_of(settings, extra=extra)
    planted = control.Control.fresh()
    files: list[Path] = []
    try:
        if controls:  # (1)
            await planted.plant_row(dsn)
            files = [planted.plant_file(store.folder) for store in stores if store.name not in (DATABASE, WAL)]
        matcher = Matcher([*patterns, *planted.patterns()])
        report = await asyncio.to_thread(sweep_stores, stores, matcher, lawful=lawful)  # (2)
    finally:
        control.remove_files(files)  # (3)
        if controls:
            await control.remove_row(dsn)
    return report  # (4) is in the report


def sweep_stores(
    stores: Sequence[Store], matcher: Matcher, *, lawful: Mapping[str, str] = MappingProxyType({})
) -> SweepReport:
    """Search stores for what the matcher knows; controls are told from canaries by their subjects."""
    started = time.perf_counter()
    reports, places = [], []
    for store in stores:
        scanned = scan_folder(matcher, store.folder, leave_out=store.leave_out)
        allowed = tuple(subject for subject, where in lawful.items() if where == store.name)
        found = (hit for hit in scanned.hits if hit.pattern.subject not in _CONTROLS)
        hits = _single(hit for hit in found if not allowed or not hit.pattern.subject.startswith(allowed))
        places += [f"{hit.pattern.subject}: {hit.encoding} in {hit.file} at {hit.offset}" for hit in hits]
        reports.append(_report(store, scanned, hits))
    return SweepReport(reports, time.perf_counter() - started, places)


def _report(store: Store, scanned: Scanned, hits: Sequence[Hit]) -> StoreReport:
    controls = _single(hit for hit in scanned.hits if hit.pattern.subject in _CONTROLS)
    return StoreReport(
        store.name, scanned.files, scanned.bytes, _counted(hits), _counted(controls), scanned.unreadable
    )  # fmt: skip


def _counted(hits: Sequence[Hit]) -> dict[str, int]:
    return dict(Counter(f"{hit.pattern.subject}: {hit.encoding}" for hit in hits))


def _single(hits: Any) -> list[Hit]:
    """One hit a place: of those that overlap the first and longest (`+44...` also matches as `44...`)."""
    kept: list[Hit] = []
    ends: dict[tuple[str, tuple[str, ...], str], int] = {}
    for hit in sorted(hits, key=lambda hit: (hit.file, hit.inside, hit.offset, -len(hit.pattern.needle))):
        where = (hit.file, hit.inside, hit.pattern.subject)
        if hit.offset >= ends.get(where, -1):
            kept.append(hit)
            ends[where] = hit.offset + len(hit.pattern.needle)
    return kept
