"""Sealing a record anew: without the person who is erased, or with a corrected field. The rest of it stays.

(1) the record was opened under a leaf, for the person who asks;
(2) what stays is sealed in a new slot of the same class and day; nothing is written yet, a crash loses nothing;
(3) in one transaction, in which nothing is kept: the row changes over to the new slot, tokens that lead to what is
    not in it any more are removed, the new commitment goes into the log, and a row says which old key must go;
(4) the eraser destroys the old key and certifies that, however often it has to begin again.

Until (3) commits the record is the old one, from then on the new one: it is never lost and never there twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sealwire.custody.categories import Category, OnErasure
from sealwire.custody.categories.codec import pack_values, to_column
from sealwire.custody.index import index_buckets
from sealwire.custody.lifecycle import Custody
from sealwire.custody.sealing.sealer import Sealed
from sealwire.custody.storage import statements
from sealwire.custody.store import OpenedRecord, StoredRecord, queries
from sealwire.errors import Refused
from sealwire.evidence.crash import crash_point
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import AccountId, ErasureId, Party, RecordId

NOBODY = Party("anonymous")


class ChangedMeanwhile(Refused):
    """This record was erased or sealed anew a moment ago; look again and ask for what is left."""


class NotResealable(Refused):
    """A record with audio cannot be sealed anew, as its key seals the audio too: it can be erased or restricted."""


@dataclass(frozen=True, slots=True)
class Resealed:
    """A record in its new slot, before it is written."""

    before: StoredRecord
    sealed: Sealed


def fields_to_detach(record: OpenedRecord, roles: Sequence[str]) -> dict[str, Any]:
    """What a record is sealed anew without, when nobody but a party that it can lose is erased; else nothing."""
    category = record.stored.category
    of_person = [field for field in category.sealed_fields if field.name in roles]
    stays = category.is_resealable and not category.is_detachable
    if not stays or not of_person or any(field.on_erasure is not OnErasure.DETACH for field in of_person):
        return {}
    return {field.name: NOBODY for field in of_person}


async def seal_anew(custody: Custody, record: OpenedRecord, changes: Mapping[str, Any]) -> Resealed:
    """Step (2). NotResealable for what has audio."""
    stored, category = record.stored, record.stored.category
    if not category.is_resealable:
        raise NotResealable
    content = record.content.reveal() | dict(changes)
    values = [to_column(content[field.name]) for field in category.sealed_fields if field.name in content]
    numbers = {str(content[field.name]) for field in category.sealed_fields if field.findable} - {NOBODY.text}
    slot = await custody.sealer.slot(
        stored.account, category=category.code, day=stored.day, retention_class=stored.retention_class
    )
    return Resealed(stored, slot.seal(pack_values(values), sorted(numbers)))


async def put_resealed(
    connection: Connection, account: AccountId, erasure: ErasureId, resealed: Sequence[Resealed]
) -> list[RecordId]:
    """Step (3), in the transaction of the erasure that destroys the old keys, after `wait_for_keeps`."""
    in_order = sorted(resealed, key=lambda each: each.before.category.code)
    for _, group in groupby(in_order, key=lambda each: each.before.category.code):
        rows = list(group)
        await _put(connection, account, erasure, rows[0].before.category, rows)
    return [each.before.record for each in in_order]


async def _put(
    connection: Connection, account: AccountId, erasure: ErasureId, category: Category, rows: list[Resealed]
) -> None:
    old, new = [row.before for row in rows], [row.sealed for row in rows]
    records = [row.record.value for row in old]
    changed = await connection.fetch(
        statements(category).reseal, account.value, records, [row.slot for row in old],
        [row.context.slot for row in new], [row.blob for row in new], [row.commitment for row in new],
    )  # fmt: skip
    if len(changed) < len(rows):
        raise ChangedMeanwhile
    crash_point("resealed-row")
    pairs = [(row.before.record.value, token) for row in rows for token in row.sealed.tokens]
    of_pairs = [record for record, _ in pairs], [token for _, token in pairs]
    whose = [row.before for row in rows for _ in row.sealed.tokens]
    days = [int(row.day) for row in old]
    await connection.execute(
        queries.insert_resealing, account.value, erasure.value, category.code, records,
        [row.retention_class for row in old], days, [row.slot for row in old],
        [row.commitment for row in old], *of_pairs, index_buckets(account, days),
    )  # fmt: skip
    crash_point("resealed-noted")
    await connection.execute(
        queries.insert_tokens, account.value, category.code, *of_pairs,
        [int(row.day) for row in whose], [row.retention_class for row in whose],
    )  # fmt: skip
    await connection.execute(queries.keep_anew, account.value, category.code, records, [row.commitment for row in new])
