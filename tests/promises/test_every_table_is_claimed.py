"""Promise 2: each table is a category's, or is listed here with a reason; so is each column that could hold a word.

A table that is new, or a column that is, fails here until somebody says why it holds nothing personal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from sealwire.custody.categories import CATALOGUE
from tests.conftest import ModuleDatabase

pytestmark = pytest.mark.asyncio
CLOSED = {
    "uuid", "uuid[]", "boolean", "integer", "smallint", "bigint", "double precision", "date",
    "timestamp with time zone",
}  # fmt: skip
"""Types that hold ids, counts and times. What holds a number as a count is the sweep's to find."""

TABLES = {
    "communications.message": "the queue: states and times by message id",
    "communications.message_part": "parts that wait for the others, by the id of their sealed record",
    "communications.message_segment": "what the centre took, by its own id",
    "communications.message_settings": "configuration",
    "communications.opt_out_change": "a counter",
    "communications.recipient": "public keys of the customer",
    "communications.report": "the state of reports; what they hold is a category",
    "communications.sender_name": "configuration by the operator",
    "communications.trunk": "configuration",
    "communications.webhook_endpoint": "configuration",
    "communications.webhook_outbox": "what is to be told: references",
    "custody.blind_index": "tokens, keyed by day, in no backup",
    "custody.blind_index_rebuilding": "a marker",
    "custody.blind_index_whole": "a marker",
    "custody.day_in_use": "days that have records",
    "custody.detached": "which bills lost their person",
    "custody.erasure": "erasures and their certificates",
    "custody.gone": "tombstones",
    "custody.gone_day": "tombstones of days",
    "custody.media_begun": "streams that are being sealed",
    "custody.passed": "where keys are of what was let go",
    "evidence.event_outbox": "payloads of opaque ids on their way into the log",
    "evidence.head": "the account's log",
    "evidence.kept_batch": "commitments",
    "evidence.kept_outbox": "commitments on their way into the log",
    "evidence.leaf_entry": "commitments",
    "evidence.mention": "which leaf names which record",
    "evidence.payload": "sealed payloads",
    "evidence.quarantine": "payloads of opaque ids that could not be sealed",
    "evidence.statement": "what certificates repeat",
    "evidence.tile": "hashes",
    "governance.account": "the controller, which is an organisation",
    "governance.agreement": "the agreement in force",
    "governance.allowed_destination": "configuration: prefixes and countries",
    "governance.credential": "configuration",
    "governance.credential_secret": "hashes",
    "governance.idempotency": "hashes keyed by the credential, for a day",
    "governance.number": "configuration: the operator's own numbers",
    "governance.operator_credential": "hashes",
    "governance.program": "configuration",
    "governance.program_certificate": "public certificates of the customer's programs",
    "governance.reservation": "money set aside",
    "governance.service": "configuration",
    "governance.spending": "limits and sums",
    "ground.migration": "which files were applied",
}
STATE = "a word of a list that is checked"
CONFIGURED = "configuration, by the customer or the operator; who writes names into it finds them in the list again"
COLUMNS = {
    "communications.message.direction": STATE,
    "communications.message.redaction": STATE,
    "communications.message.state": STATE,
    "communications.message_segment.centre_id": "the message centre's own id",
    "communications.message_segment.outcome": STATE,
    "communications.message_settings.help_reply": CONFIGURED,
    "communications.message_settings.help_words": CONFIGURED,
    "communications.message_settings.redaction": STATE,
    "communications.message_settings.start_reply": CONFIGURED,
    "communications.message_settings.start_words": CONFIGURED,
    "communications.message_settings.stop_reply": CONFIGURED,
    "communications.message_settings.stop_words": CONFIGURED,
    "communications.recipient.label": CONFIGURED,
    "communications.recipient.public_key": "a public key",
    "communications.report.failure": "the code of an error of ours",
    "communications.report.format": STATE,
    "communications.report.of": "the name of a category",
    "communications.report.purpose": "a word of the list of purposes",
    "communications.report.state": STATE,
    "communications.sender_name.name": "allowed by the operator; by its check no number with a +",
    "communications.trunk.secret": "sealed by the secret box",
    "communications.trunk.settings": CONFIGURED,
    "communications.trunk.sources": CONFIGURED,
    "communications.webhook_endpoint.address": CONFIGURED,
    "communications.webhook_endpoint.events": "names of events",
    "communications.webhook_endpoint.label": CONFIGURED,
    "communications.webhook_endpoint.secret": "sealed by the secret box",
    "communications.webhook_endpoint.secret_before": "sealed by the secret box",
    "communications.webhook_endpoint.state": STATE,
    "communications.webhook_outbox.event": "the name of an event",
    "communications.webhook_outbox.reference": "ids, codes and counts; ContentInEvent refuses anything else",
    "custody.blind_index.token": "a token under a key of its day",
    "custody.detached.commitment": "a salted hash",
    "custody.erasure.certificate": "ids and commitments",
    "custody.erasure.ground": STATE,
    "custody.erasure.receipts": "epochs and times",
    "custody.erasure.requested_by": "the id of a credential, or the name of a duty",
    "custody.erasure.state": STATE,
    "custody.gone.commitment": "a salted hash",
    "custody.gone.object_name": "made of random ids",
    "custody.media_begun.object_name": "made of random ids",
    "custody.passed.commitment": "a salted hash",
    "evidence.event_outbox.payload": "opaque ids, codes and times, until the sequencer seals it",
    "evidence.head.checkpoint": "public",
    "evidence.head.frontier": "hashes",
    "evidence.head.origin": "public",
    "evidence.head.root": "a hash",
    "evidence.head.vkey": "public",
    "evidence.kept_batch.commitments": "salted hashes",
    "evidence.kept_batch.payload": "a root of salted hashes",
    "evidence.kept_batch.salt": "random",
    "evidence.kept_outbox.commitment": "a salted hash",
    "evidence.leaf_entry.leaf": "a salted hash",
    "evidence.payload.sealed": "sealed under a leaf of the tree",
    "evidence.quarantine.payload": "opaque ids, codes and times",
    "evidence.statement.payload": "ids and commitments, which certificates repeat",
    "evidence.statement.salt": "random",
    "evidence.tile.hashes": "hashes",
    "governance.account.log_origin": "public",
    "governance.account.log_vkey": "public",
    "governance.account.name": "the name of an organisation, by the operator",
    "governance.account.object_prefix": "random",
    "governance.agreement.annex": "who agreed to what, as the law wants it kept",
    "governance.agreement.document": "the text of an agreement",
    "governance.agreement.document_sha256": "a hash",
    "governance.allowed_destination.destination": "a prefix or a country; by its check no whole number",
    "governance.credential.allowed_from": CONFIGURED,
    "governance.credential.default_purpose": "a word of the list of purposes",
    "governance.credential.label": CONFIGURED,
    "governance.credential.scopes": "words of the list of scopes",
    "governance.credential.secret_sha256": "a hash of a random secret",
    "governance.credential_secret.secret_sha256": "a hash of a random secret",
    "governance.idempotency.key_sha256": "a hash under the credential's secret",
    "governance.idempotency.request_sha256": "a hash under the credential's secret",
    "governance.idempotency.resource": "an id",
    "governance.number.number": "the operator's own number; it is nobody's who calls",
    "governance.operator_credential.secret_sha256": "a hash of a random secret",
    "governance.program.label": CONFIGURED,
    "governance.program_certificate.certificate": "public",
    "governance.program_certificate.fingerprint": "a hash",
    "governance.reservation.kind": STATE,
    "governance.reservation.state": STATE,
    "governance.reservation.terms": "items and prices of the tariff",
    "governance.service.direction": STATE,
    "governance.service.logic": CONFIGURED,
    "governance.service.name": CONFIGURED,
    "governance.service.page_secret": "sealed by the secret box",
    "governance.service.page_secret_before": "sealed by the secret box",
    "governance.service.recording": CONFIGURED,
    "governance.spending.card_policy": STATE,
    "governance.spending.suspended_for": STATE,
    "ground.migration.file": "a file of the program",
    "ground.migration.room": "a folder of the program",
    "ground.migration.sha256": "a hash",
}
EVERY_COLUMN = """
SELECT n.nspname || '.' || t.relname AS table, a.attname AS column, format_type(a.atttypid, NULL) AS type, t.relkind
FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE t.relkind IN ('r', 'p', 'm', 'v', 'f') AND NOT t.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
"""


@pytest_asyncio.fixture
async def owner(module_database: ModuleDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(module_database.dsn("sealwire_owner"))
    yield connection
    await connection.close()


def of_categories() -> dict[str, set[str]]:
    """The columns that declarations ask for, each with its reason there."""
    storage = {"sealed", "commitment", "object_name"}
    return {
        f"custody.{category.table}": storage | {field.name for field in category.plain_fields} for category in CATALOGUE
    }


async def unclaimed(owner: asyncpg.Connection) -> tuple[set[str], set[str]]:
    """The tables, and the columns that could hold a word, of which nobody says what they are for."""
    rows: list[Any] = await owner.fetch(EVERY_COLUMN)
    declared = of_categories()
    tables = {row["table"] for row in rows} - set(declared) - set(TABLES)
    columns = {
        f"{row['table']}.{row['column']}"
        for row in rows
        if row["type"] not in CLOSED and row["column"] not in declared.get(row["table"], set())
    }
    return tables, columns - set(COLUMNS)


async def test_every_table_is_a_categorys_or_has_a_reason(owner: asyncpg.Connection) -> None:
    tables, columns = await unclaimed(owner)
    assert (tables, columns) == (set(), set())


async def test_no_reason_is_left_for_what_is_no_longer_there(owner: asyncpg.Connection) -> None:
    rows: list[Any] = await owner.fetch(EVERY_COLUMN)
    assert set(TABLES) <= {row["table"] for row in rows}
    assert set(COLUMNS) <= {f"{row['table']}.{row['column']}" for row in rows}


async def test_a_column_or_table_that_nobody_claims_is_found(owner: asyncpg.Connection) -> None:
    async with owner.transaction():
        await owner.execute("ALTER TABLE communications.message ADD COLUMN note text")
        await owner.execute("ALTER TABLE custody.call_record ADD COLUMN caller_name text")
        await owner.execute("CREATE TABLE governance.contact (person text)")
        found = await unclaimed(owner)
        await owner.execute("ROLLBACK; BEGIN")
    assert found == (
        {"governance.contact"},
        {"communications.message.note", "custody.call_record.caller_name", "governance.contact.person"},
    )


async def test_what_is_said_to_be_a_word_of_a_list_is_checked_or_is_of_a_list_of_ours(
    owner: asyncpg.Connection,
) -> None:
    """A state is a word because the database refuses another; so no reason above is a mere claim."""
    rows = await owner.fetch(
        "SELECT conrelid::regclass::text AS table, pg_get_constraintdef(oid) AS says FROM pg_constraint"
        " WHERE contype = 'c'"
    )
    checks = {(row["table"], row["says"]) for row in rows}
    for column in (name for name, reason in COLUMNS.items() if reason is STATE):
        table, _, name = column.rpartition(".")
        assert any(where == table and f"({name} = ANY" in says for where, says in checks), column
