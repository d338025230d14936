"""The whole cloud as one thing: starts every process in order, watches them, and stops all when one ends."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from sealwire.config import Settings
from sealwire.custody.backups.apart import require_apart
from sealwire.custody.backups.gate import require_ledger
from sealwire.custody.backups.restore import remove_left_over
from sealwire.doors import readiness
from sealwire.doors.admission import admit_new_categories
from sealwire.doors.first_start import ensure_operator_credential
from sealwire.doors.process import worker_socket
from sealwire.doors.restore_gate import RestoreGate
from sealwire.doors.schemas import all_migrations
from sealwire.errors import Unavailable
from sealwire.ground.clock import Clock, SystemClock
from sealwire.ground.datafolder import DataFolder
from sealwire.ground.local_ca import LocalCertificates, local_certificates
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.cluster import Cluster
from sealwire.ground.process import Child, descendants, port_answers, proportional_bytes, socket_answers

_READY_SECONDS = 30.0
FREED_IS_OVERWRITTEN = {
    "PYTHONMALLOC": "malloc", "MALLOC_PERTURB_": "165", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0",
}  # fmt: skip
"""Every process overwrites memory as it frees it (glibc), so that no key stays in it by chance; see ADR 0028."""


class CloudStopped(Unavailable):
    """A process of the cloud ended by itself, so everything was stopped; its log says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process besides PostgreSQL: its name is its module in `doors`; how to know that it is ready."""

    name: str
    is_ready: Callable[[Settings], bool]
    is_wanted: Callable[[Settings], bool] = lambda _: True

    @property
    def module(self) -> str:
        return f"sealwire.doors.{self.name}"


@dataclass(frozen=True, slots=True)
class PartHealth:
    """Whether one process runs, and its memory with shared pages divided among their sharers."""

    name: str
    pid: int | None
    is_running: bool
    memory_bytes: int


def sip_is_open(settings: Settings) -> bool:
    """Whether somebody holds the SIP port."""
    return int(settings.sip_listen.rpartition(":")[2]) in readiness.udp_ports_held()


KEEPER = Part("keeper", lambda settings: socket_answers(settings.keeper_socket))
SEQUENCER = Part("sequencer", lambda settings: socket_answers(settings.sequencer_socket))
WORKER = Part("worker", lambda settings: socket_answers(worker_socket(settings)))
API = Part("api", lambda settings: port_answers(settings.api_listen))
SWITCHBOARD = Part("switchboard", sip_is_open)
MESSENGER = Part(
    "messenger", lambda settings: socket_answers(settings.messenger_socket), lambda settings: bool(settings.smsc)
)
PARTS = ((KEEPER,), (SEQUENCER,), (WORKER, API, SWITCHBOARD, MESSENGER))
"""Started group by group, each group when the one before is ready; stopped the other way round."""


class Cloud:
    """One running cloud on one data folder: `async with Cloud(settings) as cloud: ...`."""

    def __init__(
        self,
        settings: Settings,
        *,
        parts: tuple[tuple[Part, ...], ...] = PARTS,
        clock: Clock | None = None,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = settings
        self.cluster = Cluster(settings)
        self.certificates: LocalCertificates | None = None
        wanted = (tuple(part for part in group if part.is_wanted(settings)) for group in parts)
        self._parts = tuple(group for group in wanted if group)
        self._clock = clock or SystemClock()
        self._on_step = on_step or _silently
        self._folder = DataFolder(settings)
        self._children: list[Child] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start everything; when anything fails, or this is cancelled, whatever was started is stopped again."""
        self._folder.take()
        try:
            self._require_readiness()
            require_apart(self.settings)
            self._tidy()
            self.certificates = local_certificates(self.settings, clock=self._clock)
            self._on_step("database")
            await self._start_database()
            gate = RestoreGate(self.settings, self._clock)
            for group in self._parts:
                if SEQUENCER in group:
                    await gate.reconcile()
                await self._start_group(group)
                if SEQUENCER in group:
                    await gate.tell()
                    await admit_new_categories(self.settings, self.cluster.dsn(), self._clock)
        except BaseException:
            await asyncio.shield(self.stop())
            raise

    async def stop(self) -> None:
        """Stop everything that runs, the last started first; then the folder is free for another cloud."""
        for child in reversed(self._children):
            await child.stop()
        self._children.clear()
        await self.cluster.stop()
        self._folder.give_back()

    async def wait(self) -> None:
        """Wait until a process ends by itself: then CloudStopped, with its last words."""
        children = self._watched()
        watches = {asyncio.ensure_future(child.wait()): child for child in children}
        try:
            done, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for watch in watches:
                watch.cancel()
        raise CloudStopped(f"{watches[done.pop()].obituary()}; everything was stopped")

    def health(self) -> list[PartHealth]:
        """Every process: does it run, how much memory does it and what it started take."""
        found = []
        for child in self._watched():
            pids = descendants(child.pid) if child.pid is not None and child.is_running else []
            found.append(PartHealth(child.name, child.pid, child.is_running, proportional_bytes(pids)))
        return found

    def memory_bytes(self) -> int:
        """Memory of all processes of the cloud, the supervising one included (sum of PSS)."""
        return sum(part.memory_bytes for part in self.health()) + proportional_bytes([os.getpid()])

    def child(self, name: str) -> Child:
        """One process, by name; KeyError when there is none."""
        return {child.name: child for child in self._watched()}[name]

    def _watched(self) -> list[Child]:
        database = self.cluster.child
        return [*([database] if database is not None else []), *self._children]

    async def _start_database(self) -> None:
        await self.cluster.start(all_migrations())
        await ensure_operator_credential(self.settings, self.cluster.dsn(), self._clock)

    async def _start_group(self, group: tuple[Part, ...]) -> None:
        for part in group:
            self._on_step(part.name)
            child = self._child_for(part)
            self._children.append(child)
            child.start()
        for part, child in zip(group, self._children[-len(group) :], strict=True):
            await child.until_ready(lambda part=part: part.is_ready(self.settings), seconds=_READY_SECONDS)  # type: ignore[misc]

    def _child_for(self, part: Part) -> Child:
        return Child(
            name=part.name,
            command=[sys.executable, "-m", part.module, "--data", self.settings.data_dir],
            log=self.settings.logs_dir / f"{part.name}.log",
            environment=self.environment(),
        )

    def environment(self) -> dict[str, str]:
        """The settings as they are now, so that a choice on our command line holds in every process."""
        chosen = {
            f"SEALWIRE_{name.upper()}": str(getattr(self.settings, name))
            for name in self.settings.__struct_fields__
            if name != "data_dir"
        }
        ours = {"TMPDIR": str(self.settings.temp_dir), "PYTHONUNBUFFERED": "1"}
        return {**os.environ, **chosen, **ours, **FREED_IS_OVERWRITTEN}

    def _require_readiness(self) -> None:
        """Refused here with its sentence, not by each process in its log."""
        require_ledger(self.settings)
        for require in readiness.ALWAYS:
            require(self.settings)
        for part in (part for group in self._parts for part in group):
            if part is API:
                readiness.require_free(readiness.api_ports(self.settings))
            elif part is SWITCHBOARD:
                readiness.require_speech(self.settings)
                readiness.require_free(readiness.switchboard_ports(self.settings))
            elif part is MESSENGER:
                readiness.require_centre(self.settings)

    def _tidy(self) -> None:
        """Remove what a crash may have left half written."""
        for leftover in self.settings.temp_dir.iterdir():
            if leftover.is_file():
                leftover.unlink()
        Objects.open(self.settings.objects_dir).sweep_unfinished()
        remove_left_over(self.settings)


def _silently(_: str) -> None:
    """Tell nobody which part is being started."""
