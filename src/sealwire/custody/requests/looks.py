"""Who opened records before: read from the evidence log's sealed payloads, itself an act with a leaf."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sealwire.custody.categories import AUDIT_CODE
from sealwire.custody.lifecycle import Custody, SealedItem
from sealwire.custody.sealing.envelope import Context
from sealwire.evidence.leaves import LeafClass
from sealwire.governance.principals import Principal
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, Purpose, RecordId

PAYLOADS_AT_ONCE = 200
_queries = load_queries(__package__)


@dataclass(frozen=True, slots=True)
class Look:
    """One opening of a record, as the evidence log has it."""

    at: str
    principal: str
    purpose: str
    leaf_index: int


async def looks_at(
    custody: Custody, principal: Principal, records: list[RecordId], *, purpose: Purpose
) -> dict[RecordId, list[Look]]:
    """Who opened these records before."""
    account = principal.in_account()
    wanted = [record.value for record in records]
    async with custody.database.account(account) as connection:
        rows = await connection.fetch(_queries.looks_at_records, account.value, wanted, int(LeafClass.RECORD_OPENED))
    unique = list({row["idx"]: row for row in rows}.values())
    seen: dict[int, Look] = {}
    for at in range(0, len(unique), PAYLOADS_AT_ONCE):
        seen |= await _open_payloads(custody, principal, account, unique[at : at + PAYLOADS_AT_ONCE], purpose)
    looks: dict[RecordId, list[Look]] = {}
    for row in rows:
        if (look := seen.get(row["idx"])) is not None:
            looks.setdefault(RecordId(row["record_id"]), []).append(look)
    return looks


async def _open_payloads(
    custody: Custody, principal: Principal, account: AccountId, rows: list[Any], purpose: Purpose
) -> dict[int, Look]:
    contexts = [Context(account, AUDIT_CODE, 0, row["day"], row["slot"], 1).text for row in rows]
    proof = await custody.prove(principal, LeafClass.LOG_OPENED, purpose=purpose, contexts=contexts, records=[])
    items = [SealedItem(context, row["sealed"]) for context, row in zip(contexts, rows, strict=True)]
    texts = await custody.keeper.open(account, proof=proof, items=items)
    return {
        row["idx"]: _look(row["idx"], json.loads(text[32:]))
        for row, text in zip(rows, texts, strict=True)
        if text is not None
    }


def _look(index: int, payload: dict[str, str]) -> Look:
    return Look(payload["at"], payload["principal"], payload["purpose"], index)
