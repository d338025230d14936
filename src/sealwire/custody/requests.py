"""Subject requests: everything held about one number, why, until when, and who has opened it (GDPR Art. 15)."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from sealwire.custody.categories import AUDIT_CODE, BY_CODE, Category
from sealwire.custody.lifecycle import Custody, SealedItem
from sealwire.custody.plaintext import Opened
from sealwire.custody.sealing.envelope import Context, lookup_commitment
from sealwire.custody.storage import statements
from sealwire.custody.store import OpenedRecord, StoredRecord, queries
from sealwire.errors import Unavailable
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.reader import payload_rows
from sealwire.governance.principals import Principal, Scope
from sealwire.vocabulary import E164, AccountId, Purpose, RecordId


class IndexRebuilding(Unavailable):
    """The index of numbers is being rebuilt after a crash or restore; ask again in a minute. Nothing is missing."""


@dataclass(frozen=True, slots=True)
class Look:
    """One opening of a record, as the evidence log has it."""

    at: str
    principal: str
    purpose: str
    leaf_index: int


@dataclass(frozen=True, slots=True)
class Holding:
    """One record about the person, opened, and who opened it before."""

    stored: StoredRecord
    content: Opened[dict[str, Any]]
    looks: list[Look]


@dataclass(frozen=True, slots=True)
class SubjectReport:
    """The complete answer for one number; `searched_days` says how many days of records were searched."""

    holdings: list[Holding]
    searched_days: int


async def find_by_number(
    custody: Custody, principal: Principal, number: E164, *, purpose: Purpose
) -> tuple[list[StoredRecord], int]:
    """Living records in which this number may occur (tokens are short: open them to be sure), and days searched."""
    account = principal.in_account()
    async with custody.database.account(account) as connection:
        if not await connection.fetchval(queries.index_is_whole):
            raise IndexRebuilding
        rows = await connection.fetch(queries.days_in_use, account.value)
    days = [(row["category"], row["retention_class"], row["day"]) for row in rows]
    salt = secrets.token_bytes(32)
    lookup = lookup_commitment(salt, number.text, days)
    proof = await custody.prove(
        principal, LeafClass.SUBJECT_SEARCHED, purpose=purpose, contexts=[], records=[], lookup=lookup
    )
    tokens = await custody.keeper.index_tokens(account, proof=proof, salt=salt, number=number.text, days=days)
    async with custody.database.account(account) as connection:
        found = await connection.fetch(
            queries.find_by_tokens, account.value, [token for token in tokens if token is not None]
        )
        if not await connection.fetchval(queries.index_is_whole):  # the database may have crashed since we looked
            raise IndexRebuilding
        stored: list[StoredRecord] = []
        for code in sorted({row["category"] for row in found}):
            wanted = [row["record_id"] for row in found if row["category"] == code]
            records = await connection.fetch(statements(BY_CODE[code]).by_ids, account.value, wanted)
            stored += [StoredRecord.from_row(account, BY_CODE[code], record) for record in records if record["sealed"]]
    return stored, len(days)


async def subject_report(custody: Custody, principal: Principal, number: E164, *, purpose: Purpose) -> SubjectReport:
    """Everything held about a number, in every category and either role of a call."""
    principal.require(Scope.OPEN)
    stored, days = await find_by_number(custody, principal, number, purpose=purpose)
    looks = await looks_at(custody, principal, [row.record for row in stored], purpose=purpose)
    opened = await custody.open_stored(principal, stored, purpose=purpose) if stored else []
    mine = [record for record in opened if names(record, number.text)]
    holdings = [Holding(record.stored, record.content, looks.get(record.stored.record, [])) for record in mine]
    return SubjectReport(holdings, days)


async def records_of_number(
    custody: Custody, principal: Principal, number: E164, *, purpose: Purpose
) -> list[StoredRecord]:
    """The records in which this number occurs for certain: found by token, confirmed by opening."""
    stored, _ = await find_by_number(custody, principal, number, purpose=purpose)
    opened = await custody.open_stored(principal, stored, purpose=purpose) if stored else []
    return [record.stored for record in opened if names(record, number.text)]


async def looks_at(
    custody: Custody, principal: Principal, records: list[RecordId], *, purpose: Purpose
) -> dict[RecordId, list[Look]]:
    """Who opened these records before: read from the log's sealed payloads, itself an act with a leaf."""
    account = principal.in_account()
    async with custody.database.account(account) as connection:
        rows = [(record, row) for record in records for row in await payload_rows(connection, account, record)]
    rows = [(record, row) for record, row in rows if row.leaf_class == LeafClass.RECORD_OPENED]
    unique = {row.index: row for _, row in rows}
    if not unique:
        return {}
    payloads = await _open_payloads(custody, principal, account, list(unique.values()), purpose)
    looks: dict[RecordId, list[Look]] = {}
    for record, row in rows:
        if (payload := payloads.get(row.index)) is not None:
            look = Look(payload["at"], payload["principal"], payload["purpose"], row.index)
            looks.setdefault(record, []).append(look)
    return looks


async def _open_payloads(
    custody: Custody, principal: Principal, account: AccountId, rows: list[Any], purpose: Purpose
) -> dict[int, dict[str, str]]:
    contexts = [Context(account, AUDIT_CODE, 0, row.day, row.slot, 1).text for row in rows]
    proof = await custody.prove(principal, LeafClass.LOG_OPENED, purpose=purpose, contexts=contexts, records=[])
    items = [SealedItem(context, row.sealed) for context, row in zip(contexts, rows, strict=True)]
    texts = await custody.keeper.open(account, proof=proof, items=items)
    return {row.index: json.loads(text[32:]) for row, text in zip(rows, texts, strict=True) if text is not None}


def names(record: OpenedRecord, number: str) -> bool:
    """Whether a findable field of an opened record holds this number."""
    category: Category = record.stored.category
    content = record.content.reveal()
    return any(str(content.get(field.name)) == number for field in category.sealed_fields if field.findable)
