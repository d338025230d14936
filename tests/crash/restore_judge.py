"""A backup was put back, and the gate cut off before each thing it does; then the gate begins anew and ends."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from sealwire.config import Settings, load_settings
from sealwire.custody.backups.gate import pending
from sealwire.custody.backups.putback import put_back
from sealwire.doors.bench.scratch import scratch_cloud
from sealwire.doors.supervisor import KEEPER, SEQUENCER, Cloud
from sealwire.ground.postgres.cluster import DATABASE, OWNER
from tests.crash.killing import KILLED, Killing, killing
from tests.crash.report import Broken, Report, Violation
from tests.promises.backup_house import CLOCK, Call, House
from tests.promises.chain_house import taken

Pick = Callable[[Sequence[Any]], Sequence[Any]]
_TEMPLATE = "as_restored"


@dataclass(slots=True)
class Restored:
    """One call erased since the backup, one that was kept, one that came later and is lost with the old disk."""

    old: Settings
    source: Path
    erased: Call
    kept: Call
    killing: Killing


@asynccontextmanager
async def restored_house() -> AsyncIterator[Restored]:
    """The story, and its cloud stopped."""
    async with scratch_cloud(((KEEPER,), (SEQUENCER,))) as scratch:
        house = House(scratch.settings, scratch.custody, scratch.account, scratch.settings.data_dir, scratch.cloud)
        erased, kept = await house.keep_call("+441632960123", seed=1), await house.keep_call("+447700900456", seed=2)
        backup = await taken(house)
        await house.erase(erased.records)
        await house.keep_call("+447700900789", seed=3)
        await scratch.custody.close()
        await scratch.cloud.stop()
        async with killing(scratch.settings.data_dir) as kills:
            yield Restored(scratch.settings, backup.folder, erased, kept, kills)


def _empty(story: Restored, name: str) -> Settings:
    settings = load_settings(story.old.data_dir.parent / name, backup_every_hours=0)
    settings.data_dir.mkdir(mode=0o710)
    for folder in ("keeper", "evidence", "secrets"):
        shutil.copytree(story.old.data_dir / folder, settings.data_dir / folder)
    (settings.data_dir / "FORMAT").write_text("1\n")
    return settings


async def kill_put_back(story: Restored, report: Report, pick: Pick, scratch: Path) -> None:
    """Putting back, cut off: no database without the gate before it, and the same again ends well."""
    words = {"source": str(story.source), "ritual": "put back"}
    whole = _empty(story, "whole")
    steps = await story.killing.steps(
        words["ritual"], scratch / "put-back", data=str(whole.data_dir), source=words["source"]
    )
    expected = _below(whole)
    shutil.rmtree(whole.data_dir)
    for at in pick(range(len(steps))):
        settings, found = _empty(story, f"put-{at}"), list[tuple[Broken, str]]()
        if await story.killing.order(at=at, data=str(settings.data_dir), **words) == KILLED:
            has_database = settings.postgres_dir.exists() and any(settings.postgres_dir.iterdir())
            if has_database and pending(settings) is None:
                found.append((Broken.FALSE, "a database without a gate"))
            if not has_database and await story.killing.order(at=-1, data=str(settings.data_dir), **words) != 0:
                found.append((Broken.STUCK, "it cannot be put back again"))
            elif not has_database and _below(settings) != expected:
                found.append((Broken.OTHER_END, "other files than without a crash"))
            report.add(
                "restore",
                "killed",
                [Violation(broken, f"put back, before {steps[at]}", text) for broken, text in found],
            )
        shutil.rmtree(settings.data_dir)


def _below(settings: Settings) -> set[str]:
    folders = (settings.objects_dir, settings.postgres_dir)
    return {str(path.relative_to(settings.data_dir)) for folder in folders for path in folder.rglob("*")}


async def kill_gate(story: Restored, report: Report, pick: Pick, scratch: Path, *, mutant: str = "") -> None:
    """The gate, on a fresh copy of the restored database for each crash."""
    settings = _empty(story, f"gated{mutant}")
    await put_back(str(story.source), settings, clock=CLOCK)
    objects = scratch / f"objects{mutant}"
    shutil.copytree(settings.objects_dir, objects)
    mark = (settings.data_dir / "restore.pending").read_bytes()
    async with Cloud(settings, parts=((KEEPER,),)) as cloud:
        owner = await asyncpg.connect(cloud.cluster.dsn(database="postgres"))
        try:
            await owner.execute(f'ALTER DATABASE "{DATABASE}" RENAME TO {_TEMPLATE}')
            gate = _Gate(story, settings, cloud, owner, objects=objects, mark=mark, mutant=mutant)
            await gate.afresh()
            steps = await story.killing.steps("gate", scratch / "gate", data=str(settings.data_dir), **gate.more)
            expected = await gate.rows()
            for at in pick(range(1, len(steps))):
                await gate.afresh()
                found = await gate.judged(at, expected)
                report.add(
                    "restore",
                    "killed",
                    [Violation(broken, f"gate, before {steps[at]}", text) for broken, text in found],
                )
        finally:
            await owner.close()


@dataclass(slots=True)
class _Gate:
    story: Restored
    settings: Settings
    cloud: Cloud
    owner: Any
    objects: Path
    mark: bytes
    mutant: str

    @property
    def more(self) -> dict[str, str]:
        return {"mutant": self.mutant} if self.mutant else {}

    async def afresh(self) -> None:
        """Database, objects and the gate's mark as they were put back."""
        await self.owner.execute(f'DROP DATABASE IF EXISTS "{DATABASE}" WITH (FORCE)')
        await self.owner.execute(f'CREATE DATABASE "{DATABASE}" TEMPLATE {_TEMPLATE} OWNER {OWNER}')
        shutil.rmtree(self.settings.objects_dir)
        shutil.copytree(self.objects, self.settings.objects_dir)
        (self.settings.data_dir / "restore.pending").write_bytes(self.mark)

    async def judged(self, at: int, expected: Any) -> list[tuple[Broken, str]]:
        """Killed there, then once more to the end."""
        if await self.story.killing.order("gate", at=at, data=str(self.settings.data_dir), **self.more) != KILLED:
            return []
        found = list[tuple[Broken, str]]()
        erased_there, _, _ = await self.rows()
        if erased_there and pending(self.settings) is None:
            found.append((Broken.FALSE, "the gate was lifted while what was erased is there"))
        if await self.story.killing.order("gate", at=-1, data=str(self.settings.data_dir), **self.more) != 0:
            found.append((Broken.STUCK, "the gate does not pass"))
        erased_there, kept_there, _ = now = await self.rows()
        if erased_there:
            found.append((Broken.OPENS, "rows of what was erased"))
        if kept_there != expected[1]:
            found.append((Broken.LOST, "rows or objects of what was kept"))
        if now != expected:
            found.append((Broken.OTHER_END, "other rows than without a crash"))
        return found

    async def rows(self) -> tuple[int, list[Any], list[Any]]:
        """How much of what was erased is there, all of what was kept, and the logs with what is hidden."""
        connection = await asyncpg.connect(self.cloud.cluster.dsn())
        try:
            tables, erased, kept = ("call_record", "recording"), 0, list[Any]()
            for table in tables:
                ids = [record.value for record in self.story.erased.records]
                erased += await connection.fetchval(
                    f"SELECT count(*) FROM custody.{table} WHERE record_id = ANY($1)", ids
                )
                ids = [record.value for record in self.story.kept.records]
                kept += map(
                    dict, await connection.fetch(f"SELECT * FROM custody.{table} WHERE record_id = ANY($1)", ids)
                )
            logs = [
                dict(row)
                for row in await connection.fetch("SELECT account_id, size, root FROM evidence.head ORDER BY 1")
            ]
            logs += [dict(row) for row in await connection.fetch("SELECT record_id, slot FROM custody.gone ORDER BY 1")]
        finally:
            await connection.close()
        there = {str(row["object_name"]) for row in kept if row.get("object_name")}
        files = {
            str(path.relative_to(self.settings.objects_dir))
            for path in self.settings.objects_dir.rglob("*")
            if path.is_file()
        }
        return int(erased), [*kept, *sorted(there & files)], [*logs, len(files)]
