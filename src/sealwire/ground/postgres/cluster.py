"""The embedded PostgreSQL: made, started, brought up to date and stopped by its own programs.

It listens on a Unix socket only, and its log never holds data: no statements, no parameters, no error details.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg

from sealwire.config import Settings
from sealwire.errors import Broken, Refused
from sealwire.ground.postgres.binaries import Binaries, binaries
from sealwire.ground.postgres.passwords import (
    DATABASE,
    OWNER,
    ROLES,
    dsn,
    ensure_passwords,
    passwords_file,
    scram_verifier,
    socket_folder,
)
from sealwire.ground.postgres.queries import load_queries
from sealwire.ground.postgres.schema import Migration, migrate
from sealwire.ground.process import Child, ChildFailed
from sealwire.ground.service_user import ServiceUser, require_reach, service_user

__all__ = ["DATABASE", "OWNER", "ROLES", "Cluster", "ClusterDamaged", "ClusterForeign", "dsn", "socket_folder"]

_queries = load_queries(__package__, "cluster.sql")
_START_SECONDS = 120.0  # replaying a large write-ahead log after a crash takes its time

SERVER_SETTINGS: Mapping[str, str] = MappingProxyType({
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "max_wal_size": "512MB",
    "io_method": "sync",
    "jit": "off",
    "max_worker_processes": "4",
    "autovacuum_max_workers": "2",
    "autovacuum_worker_slots": "2",
    "wal_level": "replica",
    "summarize_wal": "on",
    "wal_recycle": "off",  # a recycled file keeps its old bytes under a new name, for who knows how long
    "max_wal_senders": "4",
    "max_logical_replication_workers": "0",
    "idle_in_transaction_session_timeout": "120s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # What follows keeps data out of the log. Messages of ERROR quote values ("invalid input ... for type uuid"),
    # so only LOG and worse are written.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
})  # fmt: skip


class ClusterForeign(Refused):
    """The database folder holds something that is not a PostgreSQL cluster of ours; choose another data folder."""


class ClusterDamaged(Broken):
    """The database folder is incomplete: files PostgreSQL cannot do without are missing; restore a backup."""


class Cluster:
    """One embedded PostgreSQL cluster, in `settings.postgres_dir`."""

    def __init__(self, settings: Settings, *, server_settings: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.user: ServiceUser = service_user(settings.postgres_dir)
        self._server_settings = {**SERVER_SETTINGS, **(server_settings or {})}
        self._child: Child | None = None
        self._programs: Binaries | None = None

    @property
    def programs(self) -> Binaries:
        """PostgreSQL's own programs, where its user can reach them."""
        if self._programs is None:
            self._programs = binaries(self.settings.data_dir / "postgres-binaries", self.user)
        return self._programs

    @property
    def child(self) -> Child | None:
        """The server process, once started."""
        return self._child

    def dsn(self, role: str = OWNER, *, database: str = DATABASE) -> str:
        """How to connect to this cluster as `role`."""
        return dsn(self.settings, role, database=database)

    async def start(self, migrations: Sequence[Migration]) -> None:
        """Make the cluster when there is none, start it, apply `migrations`, set the passwords of the roles."""
        await self.start_server()
        try:
            await self.prepare_database(DATABASE, migrations)
        except BaseException:
            await self.stop()
            raise

    async def start_server(self) -> None:
        """Make the cluster when there is none and start it; recovers from a crash by itself."""
        folder = self.settings.postgres_dir
        _require_ours_or_empty(folder, self.programs.major)
        require_reach(self.settings.data_dir.parent, self.user)
        known = passwords_file(self.settings).exists()
        password = ensure_passwords(self.settings)[OWNER]
        self._prepare_socket_folder()
        if not _is_cluster(folder):
            self._initialise(folder, password)
        await _forget_stale_server(folder, socket_folder(self.settings))
        if not known:
            self._reset_owner(folder, password)
        self._child = self._server(folder)
        self._child.start()
        try:
            await self._child.until_ready(lambda: _is_ready(folder, self._child), seconds=_START_SECONDS)
        except BaseException as error:
            await self._child.stop()
            if self._child.return_code == -signal.SIGABRT:  # how PostgreSQL ends when it cannot trust its own files
                raise ClusterDamaged(f"the database does not start; restore a backup: {error}") from None
            raise

    async def prepare_database(self, name: str, migrations: Sequence[Migration]) -> None:
        """Make the database `name` when there is none, bring it up to date and admit our roles to it."""
        async with _connection(self.dsn(database="postgres")) as connection:
            if not await connection.fetchval(_queries.database_exists, name):
                await _execute_made(connection, _queries.statement_to_create_database, name)
                await _execute_made(connection, _queries.statement_to_close_database, name)
        async with _connection(self.dsn(database=name)) as connection:
            await migrate(connection, migrations)
            passwords = ensure_passwords(self.settings)
            for role in ROLES:
                verifier = scram_verifier(passwords[role])
                await _execute_made(connection, _queries.statement_to_set_password, role, verifier)
                await _execute_made(connection, _queries.statement_to_admit_role, name, role)

    async def stop(self) -> None:
        """Stop the server in good order (connections are ended, a checkpoint is written)."""
        if self._child is not None:
            await self._child.stop()

    def run(
        self, program: str, *arguments: str | Path, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one of PostgreSQL's programs to its end as the database user."""
        other = self.user if self.user.is_other else None
        return subprocess.run(
            [self.programs.program(program), *arguments], input=stdin, capture_output=True, check=False,
            cwd="/", umask=0o077, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            user=other.uid if other else None, group=other.gid if other else None,
            extra_groups=[] if other else None,
        )  # fmt: skip

    def begin(self, program: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Begin one of PostgreSQL's programs as the database user, with its output as a stream."""
        other = self.user if self.user.is_other else None
        return subprocess.Popen(
            [self.programs.program(program), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd="/", umask=0o077, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            user=other.uid if other else None, group=other.gid if other else None,
            extra_groups=[] if other else None,
        )  # fmt: skip

    def _server(self, folder: Path) -> Child:
        options = {**self._server_settings, "unix_socket_directories": str(socket_folder(self.settings))}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return Child(
            name="postgres",
            command=[self.programs.program("postgres"), "-D", folder, *arguments],
            log=self.settings.logs_dir / "postgres.log",
            environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            directory=Path("/"),
            user=self.user,
            stop_signal=signal.SIGINT,  # "fast": ends connections; SIGTERM would wait for them
            last_signal=signal.SIGQUIT,
        )

    def _prepare_socket_folder(self) -> None:
        run_dir, sockets = self.settings.run_dir, socket_folder(self.settings)
        for folder, mode in ((run_dir, 0o710 if self.user.is_other else 0o700), (sockets, 0o700)):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.lstat()
            if folder.is_symlink() or status.st_uid not in {os.getuid(), self.user.uid}:
                raise ClusterForeign(f"{folder} belongs to somebody else; remove it or choose another data folder")
            folder.chmod(mode)
        if self.user.is_other:
            os.chown(run_dir, os.getuid(), self.user.gid)
            os.chown(sockets, self.user.uid, self.user.gid)
            self._open_way(self.settings.data_dir)
        require_reach(sockets.parent, self.user)

    def _open_way(self, data_dir: Path) -> None:
        """Let the database user pass through the data folder, and no further than its own folders."""
        os.chown(data_dir, os.getuid(), self.user.gid)
        data_dir.chmod(0o710)

    def _initialise(self, folder: Path, password: str) -> None:
        """Make the cluster beside its place and move it there whole, so that an interruption leaves nothing half."""
        unfinished = folder.with_name("postgres.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password_file = socket_folder(self.settings) / "initdb-password"
        password_file.touch(mode=0o600)
        try:
            password_file.write_text(password)
            if self.user.is_other:
                os.chown(unfinished, self.user.uid, self.user.gid)
                os.chown(password_file, self.user.uid, self.user.gid)
            done = self.run(
                "initdb", "-D", unfinished, "-U", OWNER, "-E", "UTF8", "--no-locale", "--data-checksums",
                "--auth-local=scram-sha-256", "--auth-host=reject", f"--pwfile={password_file}", "--no-instructions",
            )  # fmt: skip
        finally:
            password_file.unlink()
        if done.returncode != 0:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise ChildFailed(f"the database cannot be made: {lines[-1] if lines else 'initdb failed'}")
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)

    def _reset_owner(self, folder: Path, password: str) -> None:
        """Give the owner our password in single-user mode: a restored database folder came with another one."""
        statement = f"ALTER ROLE {OWNER} PASSWORD '{scram_verifier(password)}'\n"
        done = self.run(
            "postgres", "--single", "-D", folder, "-c", "log_min_messages=log", "postgres", stdin=statement.encode()
        )
        if done.returncode != 0:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise ClusterDamaged(f"the database folder does not start: {lines[-1] if lines else 'no reason given'}")


class _connection:  # noqa: N801 - reads as the statement it is used in
    """`async with _connection(dsn)`: a connection that is closed at the end."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def __aenter__(self) -> asyncpg.Connection[Any]:
        self._connection: asyncpg.Connection[Any] = await asyncpg.connect(self._dsn)
        return self._connection

    async def __aexit__(self, *error: object) -> None:
        await self._connection.close()


async def _execute_made(connection: asyncpg.Connection[Any], maker: str, *names: str) -> None:
    """Run a statement that PostgreSQL itself put together from quoted names: such statements take no parameters."""
    await connection.execute(await connection.fetchval(maker, *names))


def _is_cluster(folder: Path) -> bool:
    return (folder / "PG_VERSION").exists()


def _require_ours_or_empty(folder: Path, major: str) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not _is_cluster(folder):
        raise ClusterForeign(f"{folder} is not empty and not a database of ours; choose another data folder")
    if (found := (folder / "PG_VERSION").read_text().strip()) != major:
        raise ClusterForeign(f"{folder} was made by PostgreSQL {found or 'unknown'}, this version brings {major}")
    for needed in ("global/pg_control", "base", "pg_wal", "pg_xact", "postgresql.conf", "pg_hba.conf"):
        if not (folder / needed).exists():
            raise ClusterDamaged(f"{folder} is incomplete: {needed} is missing; restore a backup")


def _is_ready(folder: Path, child: Child | None) -> bool:
    """Whether the server says so itself, in the 8th line of its pid file (the 1st is its process id)."""
    try:
        lines = (folder / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return child is not None and len(lines) >= 8 and lines[0] == str(child.pid) and lines[7].strip() == "ready"


async def _forget_stale_server(folder: Path, sockets: Path) -> None:
    """After a crash: wait for what still runs in the folder to end, then drop lock files that name a stranger.

    PostgreSQL itself only looks whether a process of that number lives, and numbers are soon used again.
    """
    for attempt in range(200):
        running = _processes_in(folder)
        if not running:
            break
        if attempt == 0:
            _tell_to_stop(folder, running)
        await asyncio.sleep(0.05)
    else:
        raise ChildFailed(f"a database still runs in {folder} (process {running[0]}); stop it and start again")
    (folder / "postmaster.pid").unlink(missing_ok=True)
    (sockets / ".s.PGSQL.5432.lock").unlink(missing_ok=True)


def _tell_to_stop(folder: Path, running: list[int]) -> None:
    try:
        leader = int((folder / "postmaster.pid").read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return
    if leader in running:
        os.kill(leader, signal.SIGINT)


def _processes_in(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == folder:
                    found.append(int(entry.name))
            except OSError:
                continue
    return sorted(found)
