"""Telling the log of an act in the same transaction as the act: both are committed, or neither."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import uuid4

from sealwire.evidence.leaves import LeafClass, encode_payload
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, RecordId

_queries = load_queries(__package__)


async def post_event(
    connection: Connection,
    account: AccountId,
    leaf_class: LeafClass,
    payload: Mapping[str, object],
    *,
    mentions: Iterable[RecordId] = (),
) -> None:
    """Have one leaf written for this act. The payload holds opaque ids only."""
    encoded = encode_payload(account, leaf_class, payload)
    records = [record.value for record in mentions]
    await connection.execute(_queries.post_event, account.value, uuid4(), int(leaf_class), encoded, records)


async def post_kept(
    connection: Connection, account: AccountId, record: RecordId, *, category: int, commitment: bytes
) -> None:
    """Have a kept record's commitment written with the next batch."""
    await connection.execute(_queries.post_kept, account.value, record.value, category, commitment)
