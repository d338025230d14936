"""What a process may do to the database is what its duty needs: not rewrite, not un-hide, not look elsewhere."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.conftest import ModuleDatabase

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
MINE, THEIRS = uuid4(), uuid4()
ROLES = ("sealwire_service", "sealwire_sequencer", "sealwire_worker")
OURS = ("governance", "custody", "evidence", "ground", "communications")
Session: TypeAlias = "asyncpg.Connection[Any]"


@pytest.fixture
async def owner(module_database: ModuleDatabase) -> AsyncIterator[Session]:
    """As the owner, with one row of each account in tables of every room."""
    connection = await asyncpg.connect(module_database.dsn("sealwire_owner"))
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM governance.account)"):
        for account in (MINE, THEIRS):
            await _fill(connection, account)
    yield connection
    await connection.close()


@pytest.fixture
async def service(owner: Session, module_database: ModuleDatabase) -> AsyncIterator[Session]:
    """As the API and the switchboard connect, speaking for MINE."""
    assert owner
    connection = await asyncpg.connect(module_database.dsn("sealwire_service"))
    await connection.execute("SELECT set_config('sealwire.account', $1, false)", str(MINE))
    yield connection
    await connection.close()


ROWS = """
INSERT INTO governance.account (account_id, name, object_prefix, log_origin, log_vkey, created_at)
VALUES ($1, 'x', 'x', 'x', 'x', $2);
INSERT INTO governance.agreement (account_id, agreement_id, document, document_sha256, annex, accepted_by, accepted_at)
VALUES ($1, $1, 'x', 'x', '{"purposes": "few"}', $1, $2);
INSERT INTO governance.credential (account_id, credential_id, secret_sha256, label, scopes, created_at)
VALUES ($1, $1, uuid_send($1), 'x', '{read}', $2);
INSERT INTO governance.service
    (account_id, service_id, name, direction, logic, recording, seconds_max, early_media, created_at, changed_at)
VALUES ($1, $1, 'x', 'both', '{}', '{}', 1, false, $2, $2);
INSERT INTO governance.number (account_id, number, service_id, assigned_at) VALUES ($1, gen_random_uuid(), $1, $2);
INSERT INTO governance.credential_secret (account_id, credential_id, secret_sha256, created_at)
VALUES ($1, $1, uuid_send($1), $2);
INSERT INTO custody.erasure
    (account_id, erasure_id, ground, requested_by, requested_at, state, gone_from_backups_by)
VALUES ($1, $1, 'instruction', 'x', $2, 'hidden', $2);
INSERT INTO custody.gone (account_id, record_id, erasure_id, category, retention_class, day, slot, commitment)
VALUES ($1, $1, $1, 1, 0, 1, 1, '');
INSERT INTO custody.gone_day (account_id, category, retention_class, day, erasure_id) VALUES ($1, 1, 0, 1, $1);
INSERT INTO custody.blind_index (account_id, record_id, day, category, retention_class, bucket, token)
VALUES ($1, $1, 1, 1, 0, 0, 'token');
INSERT INTO custody.live_call
    (account_id, record_id, retention_class, day, slot, kept_at, sealed, commitment, call_id, started_at,
     seen_at)
VALUES ($1, $1, 0, 1, 1, $2, '', '', $1, $2, $2);
INSERT INTO evidence.mention (account_id, record_id, idx) VALUES ($1, $1, 1)
"""


async def _fill(owner: Session, account: UUID) -> None:
    for statement in ROWS.split(";"):
        await owner.execute(statement.replace("$1", f"'{account}'::uuid").replace("$2", f"'{NOW:%F}'::date"))


@pytest.mark.parametrize(
    "statement",
    [
        """UPDATE governance.agreement SET annex = '{}'""",
        "UPDATE governance.agreement SET ended_at = accepted_at",
        "UPDATE governance.account SET log_vkey = 'mine'",
        "UPDATE governance.account SET closed_at = NULL",
        "UPDATE governance.credential SET scopes = '{owner}'",
        "UPDATE governance.credential SET secret_sha256 = 'known'",
        "UPDATE governance.number SET number = '+441632960123'",
        "UPDATE governance.credential_secret SET secret_sha256 = 'known'",
        "SELECT secret_sha256 FROM governance.credential_secret",
        "UPDATE governance.service SET service_id = gen_random_uuid()",
        "DELETE FROM governance.agreement",
        "DELETE FROM governance.credential",
        "DELETE FROM governance.idempotency",
        "SELECT secret_sha256 FROM governance.credential",
        "SELECT * FROM governance.operator_credential",
        "INSERT INTO governance.operator_credential VALUES (gen_random_uuid(), 'known', now(), NULL)",
    ],
)
async def test_the_service_rewrites_nothing_that_was_agreed_or_issued(service: Session, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.execute(statement)


async def test_the_service_can_revoke_a_credential_and_that_is_all_that_changes(service: Session) -> None:
    assert await service.execute("UPDATE governance.credential SET revoked_at = $1", NOW) == "UPDATE 1"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM custody.gone",
        "DELETE FROM custody.gone_day",
        "UPDATE custody.gone SET record_id = gen_random_uuid()",
        "UPDATE custody.gone_day SET day = 2",
        "TRUNCATE custody.gone",
        "DELETE FROM custody.erasure",
        "UPDATE custody.erasure SET state = 'removed'",
        "UPDATE custody.erasure SET certificate = 'it was done'",
        "INSERT INTO custody.blind_index_whole VALUES (now())",
    ],
)
async def test_the_service_unhides_nothing_and_declares_nothing_done(service: Session, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.execute(statement)


async def tables_with_accounts(owner: Session) -> list[str]:
    rows = await owner.fetch(
        "SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_attribute a "
        "JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE a.attname = 'account_id' AND c.relkind IN ('r', 'p') AND n.nspname = ANY($1) ORDER BY 1",
        OURS,
    )
    return [row["name"] for row in rows]


async def test_the_service_sees_no_row_of_another_account_in_any_table(service: Session, owner: Session) -> None:
    seen, refused = [], []
    for table in await tables_with_accounts(owner):
        try:
            rows = await service.fetch(f"SELECT account_id FROM {table}")
        except asyncpg.InsufficientPrivilegeError:
            refused.append(table)
            continue
        assert {row["account_id"] for row in rows} <= {MINE}, table
        seen += [table] if rows else []
    assert {"governance.agreement", "governance.credential", "custody.gone", "custody.blind_index",
            "custody.live_call", "evidence.mention"} <= set(seen)  # fmt: skip
    assert {f"custody.blind_index_{remainder}" for remainder in range(128)} <= set(refused)


async def test_without_an_account_the_service_sees_no_row_at_all(service: Session, owner: Session) -> None:
    await service.execute("SELECT set_config('sealwire.account', '', false)")
    for table in await tables_with_accounts(owner):
        try:
            assert await service.fetch(f"SELECT account_id FROM {table}") == [], table
        except asyncpg.InsufficientPrivilegeError:
            continue


@pytest.mark.parametrize("table", ["governance.account", "custody.gone", "custody.blind_index", "custody.live_call"])
async def test_the_service_writes_no_row_into_another_account(service: Session, owner: Session, table: str) -> None:
    columns = await owner.fetchval(
        "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute "
        "WHERE attrelid = $1::text::regclass AND attnum > 0 AND attname <> 'account_id' AND attgenerated = '' "
        "AND NOT attisdropped", table,
    )  # fmt: skip
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await service.execute(
            f"INSERT INTO {table} (account_id, {columns}) SELECT gen_random_uuid(), {columns} FROM {table}"
        )


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE custody.gone DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE custody.gone NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY own_account ON custody.gone",
        "CREATE POLICY all_of_it ON custody.gone USING (true)",
        "ALTER ROLE sealwire_service BYPASSRLS",
        "SET ROLE sealwire_worker",
        "SET ROLE sealwire_owner",
        "SET SESSION AUTHORIZATION sealwire_owner",
        "CREATE TABLE public.copy (text text)",
        "CREATE SCHEMA copy",
        "COPY governance.number TO '/tmp/numbers'",
        "COPY governance.number TO PROGRAM 'cat'",
        "SELECT pg_read_file('PG_VERSION')",
        "SELECT pg_switch_wal()",
        "CHECKPOINT",
    ],
)
@pytest.mark.parametrize("role", ROLES)
async def test_no_role_takes_the_guards_down(
    owner: Session, module_database: ModuleDatabase, role: str, statement: str
) -> None:
    assert owner
    if role == "sealwire_worker" and statement in {"SET ROLE sealwire_worker", "SELECT pg_switch_wal()", "CHECKPOINT"}:
        pytest.skip("its duty, or itself")
    connection = await asyncpg.connect(module_database.dsn(role))
    try:
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError)):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_session_without_row_security_is_refused_its_rows(service: Session) -> None:
    async with service.transaction():
        await service.execute("SET LOCAL row_security = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await service.fetch("SELECT * FROM custody.gone")


DUTIES_OF = {
    "governance.find_credential": {"sealwire_service"},
    "governance.route_call": {"sealwire_service"},
    "communications.trunks_at": {"sealwire_service"},
    "governance.accounts_with_numbers": {"sealwire_service"},
    "governance.store_operator_credential": set(),
    "governance.programs_in_force": {"sealwire_service"},
    "communications.reports_to_make": {"sealwire_service"},
    "custody.rewrite_index_partition": {"sealwire_worker"},
    "custody.remove_index_day": {"sealwire_worker"},
    "custody.is_past": {"sealwire_worker"},
    "communications.accounts_with_messages": {"sealwire_service"},
    "communications.segments_of_receipts": {"sealwire_service"},
    "custody.closures_of_all": {"sealwire_service"},
    "custody.account_of_closure": {"sealwire_service"},
    "custody.remove_of_closed": {"sealwire_worker"},
    "custody.remove_payloads": {"sealwire_worker"},
    "custody.tables_left": {"sealwire_worker"},
    "custody.held_until": {"sealwire_worker"},
}


async def test_functions_that_act_as_the_owner_are_called_by_whose_duty_it_is_and_pin_their_names(
    owner: Session,
) -> None:
    rows = await owner.fetch(
        "SELECT p.oid, n.nspname || '.' || p.proname AS name, p.proconfig FROM pg_proc p "
        "JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prosecdef AND n.nspname = ANY($1)",
        OURS,
    )
    assert {row["name"] for row in rows} >= set(DUTIES_OF)
    for row in rows:
        assert any(setting.startswith("search_path=") for setting in row["proconfig"]), row["name"]
        callers = {
            role
            for role in ROLES
            if await owner.fetchval("SELECT has_function_privilege($1::text, $2::oid, 'EXECUTE')", role, row["oid"])
            and await owner.fetchval("SELECT has_schema_privilege($1::text, $2::text, 'USAGE')", role,
                                     row["name"].partition(".")[0])
        }  # fmt: skip
        assert callers == DUTIES_OF[row["name"]], row["name"]


@pytest.mark.parametrize(
    "call",
    [
        "governance.store_operator_credential(gen_random_uuid(), 'known', now())",
        "custody.rewrite_index_partition('custody.blind_index_0')",
        "custody.remove_index_day(gen_random_uuid(), 1::smallint, 0::smallint, 1)",
        "custody.is_past('1'::xid8)",
        "custody.remove_of_closed(gen_random_uuid(), 'governance.account', 1::smallint, '{}', 1)",
        "custody.remove_payloads(gen_random_uuid(), 1)",
    ],
)
async def test_the_service_is_refused_the_functions_of_others(service: Session, call: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.fetch(f"SELECT {call}")


@pytest.mark.parametrize(
    "table", ["account", "agreement", "credential", "credential_secret", "service", "number", "idempotency"]
)
async def test_the_sequencer_reads_nothing_of_governance(
    owner: Session, module_database: ModuleDatabase, table: str
) -> None:
    assert owner
    connection = await asyncpg.connect(module_database.dsn("sealwire_sequencer"))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"SELECT * FROM governance.{table}")
    finally:
        await connection.close()
