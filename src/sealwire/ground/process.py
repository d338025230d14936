"""Child processes: each dies with its parent, writes to its own log, and is stopped politely before it is killed."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sealwire.errors import Unavailable
from sealwire.ground.service_user import ServiceUser

_LOG_BYTES_MAX = 16 << 20
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class ChildFailed(Unavailable):
    """A process of ours stopped by itself; its log says why."""


@dataclass(kw_only=True)
class Child:
    """One child process. Start it from the main thread: it is told to stop when the thread that made it ends."""

    name: str
    command: Sequence[str | Path]
    log: Path
    environment: Mapping[str, str] | None = None
    directory: Path | None = None
    user: ServiceUser | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    last_signal: signal.Signals = signal.SIGKILL
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _log_start: int = field(default=0, init=False)

    @property
    def pid(self) -> int | None:
        """Its process id, once started."""
        return self._process.pid if self._process else None

    @property
    def return_code(self) -> int | None:
        """How it ended, negative for a signal; None while it runs and before it is started."""
        return self._process.poll() if self._process else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it in a session of its own, so that a Ctrl-C at the terminal reaches the supervisor alone."""
        log = self._open_log()
        other = self.user if self.user is not None and self.user.is_other else None
        try:
            self._process = subprocess.Popen(
                [str(part) for part in self.command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=dict(self.environment) if self.environment is not None else None,
                cwd=self.directory,
                start_new_session=True,
                user=other.uid if other else None,
                group=other.gid if other else None,
                extra_groups=[] if other else None,
                umask=0o077,
                preexec_fn=_die_with(os.getpid(), self.stop_signal),  # noqa: PLW1509 - no other way to PR_SET_PDEATHSIG
            )  # fmt: skip
        except OSError as error:
            raise ChildFailed(f"{self.name} cannot be started: {error.strerror} ({self.command[0]})") from None
        finally:
            os.close(log)

    async def wait(self) -> int:
        """Wait until it ends, however it ends; its return code, negative for a signal."""
        assert self._process is not None
        while (code := self._process.poll()) is None:
            await _ended(self._process.pid)
        return code

    async def until_ready(self, is_ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until `is_ready()`; ChildFailed when the process ends first or takes too long."""
        deadline = asyncio.get_running_loop().time() + seconds
        pause = 0.005
        while not is_ready():
            if not self.is_running:
                raise ChildFailed(self.obituary())
            if asyncio.get_running_loop().time() > deadline:
                raise ChildFailed(f"{self.name} was not ready within {seconds:.0f} s; look into {self.log}")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.05)

    async def stop(self) -> None:
        """Ask it to stop, wait, then kill it; nothing happens when it is not running."""
        if self._process is None:
            return
        for number in (self.stop_signal, self.last_signal, signal.SIGKILL):
            if not self.is_running:
                break
            self._process.send_signal(number)
            try:
                await asyncio.wait_for(self.wait(), self.stop_seconds)
            except TimeoutError:
                continue
        await self.wait()

    def obituary(self) -> str:
        """One sentence: how it ended, and its own last words when it had some."""
        assert self._process is not None
        code = self._process.poll()
        if code is None:
            return f"{self.name} is running"
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"stopped with exit code {code}"
        words = self._last_words()
        return f"{self.name} {how}: {words} (log: {self.log})" if words else f"{self.name} {how}; look into {self.log}"

    def _open_log(self) -> int:
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".log.1"))
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self._log_start = os.fstat(descriptor).st_size
        return descriptor

    def _last_words(self) -> str:
        try:
            with self.log.open("rb") as file:
                file.seek(max(self._log_start, self.log.stat().st_size - 4096))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        spoken = [line.strip() for line in lines if line.strip() and not line.startswith("{")]
        return spoken[-1][:300].rstrip(".") if spoken else ""


def port_answers(address: str) -> bool:
    """Whether something listens on this TCP address (`host:port`)."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=0.2):
            return True
    except OSError:
        return False


def socket_answers(path: Path) -> bool:
    """Whether something listens on this Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def proportional_bytes(pids: Sequence[int]) -> int:
    """Memory of these processes with shared pages divided among their sharers (PSS); what may not be read counts 0."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def descendants(pid: int) -> list[int]:
    """This process and everything below it, parents first."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found.extend(int(child) for child in task.read_text().split())
            except OSError:
                continue
    return found


def _die_with(parent: int, number: signal.Signals) -> Callable[[], None]:
    """What the child runs between fork and exec. After the change of user, because that change clears the request."""

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return prepare


async def _ended(pid: int) -> None:
    """Wait until a child of ours has ended, without polling: a pidfd becomes readable (pidfd_open(2))."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def settle() -> None:
    """What is in memory at the end of a start stays: no later collection of garbage looks through it again."""
    gc.collect()
    gc.freeze()
