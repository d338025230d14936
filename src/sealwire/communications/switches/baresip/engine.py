"""The embedded engine as the switchboard sees it: worker processes that are watched, and legs on them.

A worker that dies or stops answering is replaced; each of its legs ends with ENGINE_FAILED at that moment.
With more than one worker each has its own SIP port (two apart) and its share of the RTP ports, and a SIP
dispatcher in front spreads the calls.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from sealwire.communications.switches.baresip.certificate import sip_certificate
from sealwire.communications.switches.baresip.leg import BaresipLeg
from sealwire.communications.switches.baresip.stack_settings import StackSettings
from sealwire.communications.switches.baresip.watched import WatchedWorker
from sealwire.communications.switches.port import CallNotPlaced, DialTarget, Leg, LegListener, NotBridged
from sealwire.config import Settings, SettingsRefused
from sealwire.ground.clock import SystemClock


class BaresipEngine:
    """As many workers as the settings say. `start` returns when all of them listen."""

    def __init__(
        self,
        *,
        sip_listen: str,
        rtp_ports: str,
        work_dir: Path,
        workers: int = 1,
        media_timeout_s: int = 30,
        certificate: Path | None = None,
        authorities: Path | None = None,
        name_server: str | None = None,
    ) -> None:
        """`certificate` (PEM with its key) opens TLS at the SIP port + 1; `authorities` may vouch for trunks."""
        tls = {
            "certificate": str(certificate) if certificate else None,
            "authorities": str(authorities) if authorities else None,
        }
        stacks = divide(sip_listen, rtp_ports, workers=workers, media_timeout_s=media_timeout_s)
        self._stacks = [msgspec.structs.replace(stack, name_server=name_server, **tls) for stack in stacks]
        self._work_dir = work_dir
        self._workers: list[WatchedWorker] = []

    @classmethod
    def from_settings(cls, settings: Settings) -> BaresipEngine:
        certificate, authorities = sip_certificate(settings, clock=SystemClock()) if settings.sip_tls else (None, None)
        return cls(
            sip_listen=settings.sip_listen,
            rtp_ports=settings.rtp_ports,
            work_dir=settings.run_dir / "engine",
            workers=settings.engine_workers,
            certificate=certificate,
            authorities=authorities,
        )

    @property
    def worker_pids(self) -> list[int]:
        """The processes that are alive now."""
        return [worker.pid for worker in self._workers if worker.pid]

    async def start(self, on_arrival: Callable[[Leg], LegListener]) -> None:
        for number, stack in enumerate(self._stacks):
            self._workers.append(WatchedWorker(number, stack, self._work_dir / str(number), on_arrival))
        try:
            await asyncio.gather(*(worker.start() for worker in self._workers))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        self._workers.clear()
        shutil.rmtree(self._work_dir, ignore_errors=True)

    async def dial(self, target: DialTarget, listener: LegListener, *, beside: Leg | None = None) -> Leg:
        """See switches.port.Engine; without `beside` the worker with the fewest legs takes it."""
        able = [worker for worker in self._workers if worker.is_serving]
        if beside is not None:
            able = [worker for worker in able if worker.has(beside)]
        if not able:
            raise CallNotPlaced
        return await min(able, key=lambda worker: worker.legs).dial(target, listener)

    async def bridge(self, one: Leg, other: Leg) -> None:
        assert isinstance(one, BaresipLeg)
        assert isinstance(other, BaresipLeg)
        if not one.shares_worker_with(other):
            raise NotBridged
        await one.do("bridge", other=other.name)

    async def unbridge(self, leg: Leg) -> None:
        assert isinstance(leg, BaresipLeg)
        await leg.do("unbridge")


def divide(sip_listen: str, rtp_ports: str, *, workers: int, media_timeout_s: int = 30) -> list[StackSettings]:
    """Give each worker its SIP port and its share of the RTP ports; SettingsRefused when there is no such share."""
    host, _, port = sip_listen.rpartition(":")
    first, _, last = rtp_ports.partition("-")
    if not (host and port.isdigit() and first.isdigit() and last.isdigit()):
        raise SettingsRefused("write sip_listen as ADDRESS:PORT and rtp_ports as FIRST-LAST")
    share = (int(last) + 1 - int(first)) // max(workers, 1) & ~1
    if workers < 1 or share < 4 or int(last) > 65535:
        raise SettingsRefused("rtp_ports must leave each engine worker at least 4 ports below 65536")
    return [
        StackSettings(
            sip_host=host.strip("[]"),
            sip_port=int(port) + 2 * number,
            rtp_first=int(first) + share * number,
            rtp_last=int(first) + share * (number + 1) - 1,
            media_timeout_s=media_timeout_s,
        )
        for number in range(workers)
    ]
