"""Finding everything about one person: by tokens, page by page, confirmed by opening. Never all of it in memory.

(1) the number becomes one token for each day of each category that has records: a lookup is an act with a leaf;
(2) the index says how many records each token leads to: that is what must be accounted for at the end;
(3) the records are read and opened in pages of at most 500, each page under a leaf of its own;
(4) tokens are short, so what does not name the person is counted and left.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sealwire.custody.categories import BY_CODE, Category
from sealwire.custody.holds.book import left_of_gone_days
from sealwire.custody.index import index_bucket, index_buckets
from sealwire.custody.lifecycle import Custody
from sealwire.custody.sealing.envelope import lookup_commitment
from sealwire.custody.storage import statements
from sealwire.custody.store import OpenedRecord, StoredRecord, queries
from sealwire.errors import Malformed, Unavailable
from sealwire.evidence.leaves import LeafClass
from sealwire.governance.principals import Principal
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import E164, AccountId, Party, Purpose, RecordId

PAGE = 500
IDENTIFIER_CHARACTERS_MAX = 64
_queries = load_queries(__package__)


class IndexRebuilding(Unavailable):
    """The index of numbers is being rebuilt after a crash or restore; ask again in a minute. Nothing is missing."""


class IdentifierMalformed(Malformed):
    """Nobody can be found by this: write a number with + and country code, or the name before the @ of an address."""


def person_of(text: str) -> Party:
    """Whom an identifier means, as records have it: a number in E.164, or the user of a SIP address."""
    text = text.strip()
    try:
        return Party(E164.parse(text).text)
    except Malformed:
        user = text.removeprefix("sip:").removeprefix("sips:").partition("@")[0]
        if (
            not user
            or len(user) > IDENTIFIER_CHARACTERS_MAX
            or (party := Party.from_sip_user(user)).text == "anonymous"
        ):
            raise IdentifierMalformed from None
        return party


@dataclass(frozen=True, slots=True)
class Search:
    """What the index said about one person: how many records each token leads to."""

    account: AccountId
    person: Party
    days: frozenset[tuple[int, int, int]]
    tokens: dict[bytes, int] = field(repr=False)
    day_of: dict[bytes, int] = field(repr=False)
    held: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """What is held of days that are gone: no index leads to it any more, so all of it is looked at."""

    @property
    def found(self) -> int:
        """How many records a token leads to, or are held without their day; some may be about somebody else."""
        return sum(self.tokens.values()) + len(self.held)

    def differs(self, later: Search) -> int:
        """How many records came or went since."""
        tokens = self.tokens.keys() | later.tokens.keys()
        return sum(abs(self.tokens.get(token, 0) - later.tokens.get(token, 0)) for token in tokens)


@dataclass(frozen=True, slots=True)
class Page:
    """Up to 500 of the records that were found: those that live, and how many do not."""

    living: list[StoredRecord]
    detached: int
    gone: int


async def search(custody: Custody, principal: Principal, person: Party, *, purpose: Purpose) -> Search:
    """Steps (1) and (2). IndexRebuilding, never "nothing", while the index is not whole."""
    account = principal.in_account()
    async with custody.database.account(account) as connection:
        await _require_whole(connection)
        rows = await connection.fetch(queries.days_in_use, account.value)
    days = [(row["category"], row["retention_class"], row["day"]) for row in rows]
    salt = secrets.token_bytes(32)
    lookup = lookup_commitment(salt, person.text, days)
    proof = await custody.prove(
        principal, LeafClass.SUBJECT_SEARCHED, purpose=purpose, contexts=[], records=[], lookup=lookup
    )
    tokens = await custody.keeper.index_tokens(account, proof=proof, salt=salt, number=person.text, days=days)
    async with custody.database.account(account) as connection:
        day_of = {token: day[2] for token, day in zip(tokens, days, strict=True) if token is not None}
        counts = await count_tokens(connection, account, day_of)
        held = await left_of_gone_days(connection, account)
    left = [{"category": code, "record_id": one.value} for code, records in held.items() for one in records]
    return Search(account, person, frozenset(days), counts, {token: day_of[token] for token in counts}, left)


async def count_tokens(connection: Connection, account: AccountId, day_of: dict[bytes, int]) -> dict[bytes, int]:
    """How many records each of these tokens leads to now; IndexRebuilding when that cannot be said."""
    tokens, days = list(day_of), list(day_of.values())
    rows = await connection.fetch(_queries.counts_of_tokens, account.value, tokens, days, index_buckets(account, days))
    await _require_whole(connection)  # the database may have crashed since we looked
    return {row["token"]: row["records"] for row in rows}


async def pages(custody: Custody, found: Search) -> AsyncIterator[Page]:
    """Step (3), without opening: the records of small tokens together, those of a large one from page to page."""
    small: list[bytes] = []
    for token, count in found.tokens.items():
        if count > PAGE:
            async for rows in _of_large(custody, found, token):
                yield await _page(custody, found.account, rows)
            continue
        if small and sum(found.tokens[one] for one in small) + count > PAGE:
            yield await _of_small(custody, found, small)
            small = []
        small.append(token)
    if small:
        yield await _of_small(custody, found, small)
    for at in range(0, len(found.held), PAGE):
        yield await _page(custody, found.account, found.held[at : at + PAGE])


async def _of_large(custody: Custody, found: Search, token: bytes) -> AsyncIterator[list[Any]]:
    after, account = UUID(int=0), found.account
    bucket = index_bucket(account, found.day_of[token])
    while True:
        async with custody.database.account(account) as connection:
            rows = await connection.fetch(_queries.page_of_token, account.value, token, after, PAGE, bucket)
            await _require_whole(connection)
        if not rows:
            return
        yield rows
        after = rows[-1]["record_id"]


async def _of_small(custody: Custody, found: Search, tokens: list[bytes]) -> Page:
    account, days = found.account, [found.day_of[token] for token in tokens]
    async with custody.database.account(account) as connection:
        rows = await connection.fetch(
            _queries.records_of_tokens, account.value, tokens, days, index_buckets(account, days)
        )
        await _require_whole(connection)
    return await _page(custody, account, rows)


async def _page(custody: Custody, account: AccountId, rows: list[Any]) -> Page:
    living: list[StoredRecord] = []
    async with custody.database.account(account) as connection:
        for code in sorted({row["category"] for row in rows}):
            wanted = [row["record_id"] for row in rows if row["category"] == code]
            found = await connection.fetch(statements(BY_CODE[code]).by_ids, account.value, wanted)
            living += [StoredRecord.from_row(account, BY_CODE[code], row) for row in found]
    whole = [row for row in living if not row.is_detached]
    return Page(whole, detached=len(living) - len(whole), gone=len(rows) - len(living))


async def _require_whole(connection: Connection) -> None:
    if not await connection.fetchval(queries.index_is_whole):
        raise IndexRebuilding


async def find_by_number(
    custody: Custody, principal: Principal, number: E164, *, purpose: Purpose
) -> tuple[list[StoredRecord], int]:
    """Living records in which this number may occur (tokens are short: open them to be sure), and days searched."""
    found = await search(custody, principal, Party(number.text), purpose=purpose)
    stored = [row async for page in pages(custody, found) for row in page.living]
    return stored, len(found.days)


async def records_of_number(
    custody: Custody, principal: Principal, number: E164, *, purpose: Purpose
) -> list[StoredRecord]:
    """The records in which this number occurs for certain: found by token, confirmed by opening."""
    found = await search(custody, principal, Party(number.text), purpose=purpose)
    named: list[StoredRecord] = []
    async for page in pages(custody, found):
        opened = await custody.open_stored(principal, page.living, purpose=purpose) if page.living else []
        named += [record.stored for record in opened if names(record, number.text)]
    return named


def names(record: OpenedRecord, number: str) -> bool:
    """Whether a findable field of an opened record holds this number."""
    return bool(roles_of(record, number))


def roles_of(record: OpenedRecord, number: str) -> list[str]:
    """In which findable fields of an opened record this person stands: caller, callee, sender ..."""
    category: Category = record.stored.category
    content = record.content.reveal()
    return [field.name for field in category.sealed_fields if field.findable and str(content.get(field.name)) == number]


def record_ids(records: list[StoredRecord]) -> list[RecordId]:
    """The ids of these records."""
    return [row.record for row in records]
