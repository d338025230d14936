"""What tests share: one real PostgreSQL for each process of a run, and a database of its own for each test module."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import hypothesis  # early: its plugin would import it in the last moment of a run without properties
import pytest

from sealwire.config import Settings
from sealwire.doors.schemas import all_migrations
from sealwire.ground.postgres.cluster import OWNER, Cluster
from sealwire.ground.postgres.database import Database
from tests.turns import Turns

# How long an example takes says something about the machine, not about the rule.
hypothesis.settings.register_profile("house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("house")

TEMPLATE = "house_template"
OpenDatabase = Callable[..., Awaitable[Database]]


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):  # one of several processes of a run
        config.pluginmanager.register(Turns())


@dataclass(frozen=True)
class ModuleDatabase:
    """A fresh database with every room's tables, alive for one test module."""

    cluster: Cluster
    name: str

    def dsn(self, role: str = "sealwire_service") -> str:
        return self.cluster.dsn(role, database=self.name)


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    """A fresh folder that the database user can reach (pytest's own are closed to others)."""
    folder = Path(tempfile.mkdtemp(prefix="sealwire-test-")).resolve()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def reachable_dir() -> Iterator[Path]:
    """As `data_dir`, but one for each test, to be broken at will."""
    folder = Path(tempfile.mkdtemp(prefix="sealwire-test-")).resolve()
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def settings(data_dir: Path) -> Settings:
    """Settings on the session's data folder."""
    return Settings(data_dir=data_dir)


@pytest.fixture(scope="session")
def cluster(settings: Settings) -> Iterator[Cluster]:
    """The embedded PostgreSQL, running; databases are made from a template that has every room's tables."""
    running = Cluster(settings, server_settings={"fsync": "off"})

    async def start() -> None:
        await running.start_server()
        await running.prepare_database(TEMPLATE, all_migrations())

    try:
        asyncio.run(start())
        yield running
    finally:
        asyncio.run(running.stop())


@pytest.fixture(scope="module")
def module_database(cluster: Cluster) -> Iterator[ModuleDatabase]:
    """A database of this test module's own."""
    name = f"test_{uuid4().hex}"
    asyncio.run(_as_owner(cluster, f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE} OWNER {OWNER}'))
    yield ModuleDatabase(cluster, name)
    asyncio.run(_as_owner(cluster, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
async def database(module_database: ModuleDatabase) -> AsyncIterator[OpenDatabase]:
    """`await database("sealwire_worker")`: a pool as that role, closed when the test ends."""
    opened: list[Database] = []

    async def connect(role: str = "sealwire_service", *, size_max: int = 8) -> Database:
        opened.append(await Database.connect(module_database.dsn(role), size_max=size_max))
        return opened[-1]

    yield connect
    for each in opened:
        await each.close()


async def _as_owner(cluster: Cluster, statement: str) -> None:
    connection = await asyncpg.connect(cluster.dsn(database="postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
