"""One sweep, from an empty folder to a score.

(1) an installation is made, and people are made up: in every category one for each way to erase, and a neighbour;
(2) control: what will be searched for is found now, where it lawfully lies; backup A; an attacker copies the vault;
(3) all are erased, by record, by number, by day, until they are unreadable;
(4) files and processes are searched for what they said and for their keys; backup B;
(5) the attacker tries every copy with every secret there is, except what was destroyed;
(6) the erasures go on until removed, and now their ciphertext is searched for too; the neighbours open;
(7) each step is switched off, one at a time, and must be caught; with none switched off, nothing must be.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sealwire.custody.categories import CATALOGUE, Category
from sealwire.custody.forensics.attacker import Possessions, attack, rows_in
from sealwire.custody.forensics.patterns import Pattern
from sealwire.custody.keys.tree import Tree
from sealwire.doors.demo.show import Round, Show, Step
from sealwire.doors.sweep import looking
from sealwire.doors.sweep.house import House, Subject, house
from sealwire.doors.sweep.trial import try_mutants
from sealwire.ground.objects.seaweed import Seaweed, seaweed, turn_on_versions
from sealwire.vocabulary import ErasureId, Purpose

FIRST_PORT, BUCKET = 27200, "sweep"
CANDIDATES_QUICK, CANDIDATES_FULL = 1_000, 20_000


@dataclass
class Tale:
    """What one sweep knows of its people."""

    house: House
    quick: bool
    going: list[Subject] = field(default_factory=list)
    staying: list[Subject] = field(default_factory=list)
    erasures: list[ErasureId] = field(default_factory=list)
    tree: Tree | None = None
    backups: list[Path] = field(default_factory=list)
    old_vault: Path | None = None
    _secrets: list[Pattern] = field(default_factory=list)

    def secrets(self) -> list[Pattern]:
        """What nobody may find once they are unreadable: what they said, and their keys."""
        assert self.tree is not None
        if not self._secrets:
            self._secrets = self.house.patterns(self.going) + looking.patterns_of_keys(self.tree, self.going)
        return self._secrets


async def run_sweep(show: Show, *, quick: bool, on_s3: bool) -> bool:
    """The whole of it; True when nothing was found that should not be, and every mutant was caught."""
    told = Round(show)
    async with _store(on_s3) as store, house(os.urandom(32), store=store) as running:
        tale = Tale(running, quick)
        await _keep(told, tale)
        await _control(told, tale)
        await _unreadable(told, tale)
        await _attack(told, tale)
        await _removed(told, tale)
        for opened in tale.backups:  # nothing that is kept from here on can lie in them
            shutil.rmtree(opened)
        await try_mutants(told, running, on_s3=on_s3)
    figures = told.figures
    hits = figures.pop("hits_unreadable") or figures.pop("hits_removed", 0)
    figures.pop("hits_removed", None)
    ok = (
        not hits and not figures["missed"] and bool(figures["control_hits"]) and not figures["erased_open"]
        and figures["neighbours_open"] == figures["neighbours"] and not figures["false_alarms"]
        and figures["certificates"] == figures["certificates_hold"]
        and figures["mutants"] == figures["mutants_caught"] and int(str(figures["mutants"])) >= 8
    )  # fmt: skip
    show.finished({"sweep": "quick" if quick else "full", "objects": "s3" if on_s3 else "folder", "ok": ok,
                   "hits": hits, **figures})  # fmt: skip
    return ok


@asynccontextmanager
async def _store(on_s3: bool) -> AsyncIterator[Seaweed | None]:
    if not on_s3:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="sealwire-sweep-s3-") as folder:
        async with seaweed(Path(folder).resolve(), first_port=FIRST_PORT, buckets=[BUCKET]) as server:  # noqa: ASYNC240 - once
            await turn_on_versions(server, BUCKET)
            yield server


async def _keep(told: Round, tale: Tale) -> None:
    """Step (1)."""
    with told.step(1, "People are made up, in every category") as step:
        for category in CATALOGUE:
            tale.staying.append(await tale.house.keep(f"{category.name} that stays", category))
            for way in ways_of(category):
                days_ago = 1 if way == "day" else 0
                subject = await tale.house.keep(f"{category.name} by {way}", category, way=way, days_ago=days_ago)
                tale.going.append(subject)
        step.figure("categories", len(CATALOGUE), f"{len(CATALOGUE)} categories, from their declarations alone")
        step.figure("erased", len(tale.going), f"{len(tale.going)} records that will be erased")
        step.figure("neighbours", len(tale.staying), f"{len(tale.staying)} that stay")


def ways_of(category: Category) -> list[str]:
    """How a record of this category can go. A day of those that last a year, or are kept by law, takes others along."""
    whole_day = not (category.survives_closure or category.retention.at_year_end)
    by_number = bool(category.findable_positions) and not category.is_detachable
    return ["record"] + ["number"] * by_number + ["day"] * whole_day


async def _control(told: Round, tale: Tale) -> None:
    """Step (2): what will be searched for is there to be found."""
    with told.step(2, "Control: the search finds what lies there now") as step:
        running = tale.house
        await running.flush()
        lying = [pattern for each in tale.going for pattern in await running.ciphertext(each)]
        found = await looking.look(running, lying)
        expected = {f"ciphertext: {each.name}" for each in tale.going}
        unseen = sorted(name for name in expected if not any(place.startswith(name) for place in found.places))
        step.figure("control_ciphertext", len(expected) - len(unseen), f"{len(found.places)} places of ciphertext")
        told.figures["control_hits"] = found.control_hits
        told.figures["missed"] = ", ".join(found.missed + unseen)
        tale.tree = looking.snapshot_tree(running, "before")
        tale.old_vault = running.copy_keeper("vault-before", with_epoch=False)
        tale.backups.append(await running.back_up("backup-a"))
        step.say(
            "backup A made and sealed; the attacker has its identity and opened it, and has the root key, and the "
            "vault as it is now without its epoch key"
        )


async def _unreadable(told: Round, tale: Tale) -> None:
    """Steps (3) and (4)."""
    with told.step(3, "Erased until unreadable; files and processes are searched") as step:
        running = tale.house
        tale.erasures = [each for one in tale.going if (each := await running.ask(one)) is not None]
        await running.go_on(tale.erasures, to="unreadable")
        await _work_on(tale)
        secret = tale.secrets()
        found = await looking.look(running, secret, memory=secret)
        _tell(told, step_name="unreadable", found=found)
        step.figure("patterns", len(secret), f"{len(secret)} patterns in {found.files.bytes / 1e6:.0f} MB of files")
        memory = sum(scan.bytes for scan in found.memory)
        step.figure("processes", len(found.memory), f"and {memory / 1e6:.0f} MB of {len(found.memory)} processes")
        _say_where(step, found)
        for place in found.places[:30]:
            step.say(place, tone="bad")
        tale.backups.append(await running.back_up("backup-b"))


async def _work_on(tale: Tale) -> None:
    """What every process does next: it keeps and finds others. What it held last is what it was last asked about."""
    running = tale.house
    for each in tale.staying[:4]:
        await running.keep("somebody else", each.category)
        if each.category.findable_positions:
            await running.find(each)
    await running.let_sealer_rest()


async def _attack(told: Round, tale: Tale) -> None:
    """Step (5)."""
    with told.step(4, "The attacker has every copy and every secret, except what was destroyed") as step:
        running, settings = tale.house, tale.house.settings
        assert tale.old_vault is not None
        targets = [(running.account, each.record) for each in [*tale.going, *tale.staying]]
        rows = await rows_in(tale.backups if not tale.quick else tale.backups[:1], targets, settings,
                             workspace=running.copies)  # fmt: skip
        present = [settings.keeper_dir, settings.logs_dir, settings.temp_dir, settings.run_dir, settings.secrets_dir]
        report = await attack(
            Possessions(root_keys=[running.root_key], backups=tale.backups, holdings=[tale.old_vault, *present]),
            targets, settings, rows=rows, windows_max=CANDIDATES_QUICK if tale.quick else CANDIDATES_FULL,
        )  # fmt: skip
        opened = [each.name for each in tale.going if report.of(each.record).readable]
        kept = [each.name for each in tale.staying if report.of(each.record).readable]
        step.figure("erased_open", len(opened), f"{len(opened)} of {len(tale.going)} erased records open",
                    tone="bad" if opened else "good")  # fmt: skip
        step.figure("attacker_opens_neighbours", len(kept), f"{len(kept)} of {len(tale.staying)} neighbours do: "
                    "the tool works", tone="good" if len(kept) == len(tale.staying) else "bad")  # fmt: skip
        if len(kept) < len(tale.staying):
            told.figures["missed"] = f"{told.figures['missed']} attacker".strip()
        step.say(f"{report.candidates} candidates for a key, {report.indexes} vault indexes, {report.trees} trees")


async def _removed(told: Round, tale: Tale) -> None:
    """Step (6)."""
    with told.step(5, "Removed: not even ciphertext is left in a living store") as step:
        running = tale.house
        await running.go_on(tale.erasures, to="removed")
        await running.flush()
        lying = [pattern for each in tale.going for pattern in await running.ciphertext(each)]
        secret = tale.secrets()
        found = await looking.look(running, secret + lying, memory=secret)
        _tell(told, step_name="removed", found=found)
        for place in found.places[:30]:
            step.say(place, tone="bad")
        step.say(f"{len(found.places)} places", tone="bad" if found.places else "good")
        holding = [await looking.certificate_holds(running, each) for each in tale.erasures]
        step.figure("certificates", len(holding))
        step.figure("certificates_hold", sum(holding), f"{sum(holding)} of {len(holding)} receipts are of their own")
        opened = await running.custody.open_stored(
            running.principal, [each.row for each in tale.staying], purpose=Purpose.SERVICE_OPERATION
        )
        step.figure("neighbours_open", len(opened), f"{len(opened)} of {len(tale.staying)} neighbours open")


def _say_where(step: Step, found: looking.Looked) -> None:
    """Where was searched, how much, and what could not be."""
    for store in found.files.stores:
        name = store.store.rpartition("/")[2]
        controls = sum(store.control_hits.values())
        step.say(f"{name:<18}{store.files:>7} files{store.bytes / 1e6:>10.1f} MB   control found {controls} times")
    for scan in found.memory:
        step.say(f"{'memory':<18}{scan.name:<16} {scan.bytes / 1e6:>6.1f} MB")
    beside = found.beside
    step.say(
        f"{'open elsewhere':<18}{beside.open_files:>7} files{beside.bytes / 1e6:>10.1f} MB   removed ones included"
    )
    step.say(f"{'core dumps':<18}{beside.core_dumps}")
    step.say(f"{'swap':<18}{beside.swap}")
    for told in beside.not_searched:
        step.say(f"not searched: {told}", tone="bad")
    step.figure("bytes_of_files", found.files.bytes)
    step.figure("bytes_of_memory", sum(scan.bytes for scan in found.memory))
    step.figure("open_elsewhere", beside.open_files)
    step.figure("core_dumps", beside.core_dumps)
    step.figure("swap", beside.swap)
    step.figure("not_searched", "; ".join(beside.not_searched))


def _tell(told: Round, *, step_name: str, found: looking.Looked) -> None:
    told.figures[f"hits_{step_name}"] = len(found.places)
    told.figures["control_hits"] = int(str(told.figures["control_hits"])) + found.control_hits
    told.figures["missed"] = ", ".join(filter(None, [str(told.figures["missed"]), *found.missed]))
