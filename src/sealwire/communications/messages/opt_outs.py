"""Who wants no more messages from whom: records in custody, looked up by keyed hashes in memory.

The key is made when the process starts and never leaves it; no number is in a table. Every look asks the database for
the account's version first, so that what any process kept a moment ago counts; a hit counts only while its record is
alive, so that an erased wish is forgotten.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Any

from sealwire.communications.messages.queue import queries
from sealwire.custody.categories import OptOut, category_of
from sealwire.custody.lifecycle import Custody, Kept, RecordErased, RecordMissing, service_principal
from sealwire.custody.store import StoredRecord
from sealwire.errors import Refused
from sealwire.vocabulary import AccountId, Party, Purpose, RecordId

ACCOUNTS_MAX = 200
_PAGE = 500
_CATEGORY = category_of(OptOut)


class RecipientOptedOut(Refused):
    """This person asked for no more messages from this sender; only they can change that, by a message or in person."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """One opt-out record: which, since when, and whether messages are wanted."""

    record: RecordId
    said_at: Any
    wanted: bool


@dataclass(slots=True)
class _Known:
    """What is known of an account's opt-outs, as of a version."""

    version: int = -1
    wishes: defaultdict[bytes, list[_Wish]] = field(default_factory=lambda: defaultdict(list))
    records: set[RecordId] = field(default_factory=set)
    learning: asyncio.Lock = field(default_factory=asyncio.Lock)


class OptOuts:
    """One per process."""

    def __init__(self, custody: Custody) -> None:
        self._custody = custody
        self._key = secrets.token_bytes(32)
        self._accounts: OrderedDict[AccountId, _Known] = OrderedDict()

    async def require_wanted(
        self, account: AccountId, *, sender: Party, recipient: Party, version: int | None = None
    ) -> None:
        """RecipientOptedOut when the last that this person said to this sender was to stop.

        `version` when the caller has just read it; else it is asked for.
        """
        if not await self._is_wanted(account, sender, recipient, version):
            raise RecipientOptedOut

    async def _is_wanted(self, account: AccountId, sender: Party, recipient: Party, version: int | None) -> bool:
        if version is None:
            async with self._custody.database.account(account) as connection:
                version = await connection.fetchval(queries.opt_out_version, account.value)
        known = await self._known(account, version)
        pair = self._pair(sender, recipient)
        while wishes := known.wishes.get(pair):
            latest = max(wishes, key=lambda wish: wish.said_at)
            if await self._is_alive(account, latest.record):
                return latest.wanted
            known.wishes[pair] = [wish for wish in wishes if wish.record != latest.record]
        return True

    async def note(self, account: AccountId, *, sender: Party, recipient: Party, wanted: bool) -> Kept:
        """Keep somebody's wish. It counts in every process as soon as this returns."""
        wish = OptOut(said_at=self._custody.clock.now(), wanted=wanted, sender=sender, recipient=recipient)
        kept = await self._custody.keep(account, wish)
        await self.changed(account)
        return kept

    async def changed(self, account: AccountId) -> None:
        """Make every process look again."""
        async with self._custody.database.account(account) as connection:
            await connection.execute(queries.raise_opt_out_version, account.value)

    async def _known(self, account: AccountId, version: int) -> _Known:
        known = self._accounts.get(account)
        if known is None:
            known = self._accounts[account] = _Known()
            if len(self._accounts) > ACCOUNTS_MAX:
                self._accounts.popitem(last=False)
        self._accounts.move_to_end(account)
        async with known.learning:
            if version > known.version:
                await self._learn(account, known)
                known.version = version
        return known

    async def _learn(self, account: AccountId, known: _Known) -> None:
        """Forget what is not alive any more, open what is new: all of it under one leaf for each 500."""
        alive = await self._all(account)
        ids = {row.record for row in alive}
        for pair, wishes in list(known.wishes.items()):
            known.wishes[pair] = [wish for wish in wishes if wish.record in ids]
        new = [row for row in alive if row.record not in known.records]
        known.records &= ids
        if not new:
            return
        by = service_principal(account)
        for opened in await self._custody.open_stored(by, new, purpose=Purpose.SERVICE_OPERATION):
            content, stored = opened.content.reveal(), opened.stored
            pair = self._pair(content["sender"], content["recipient"])
            known.wishes[pair].append(_Wish(stored.record, stored.plain["said_at"], stored.plain["wanted"]))
            known.records.add(stored.record)

    async def _all(self, account: AccountId) -> list[StoredRecord]:
        found: list[StoredRecord] = []
        before = None
        while True:
            page = await self._custody.page(account, _CATEGORY, before=before, limit=_PAGE)
            found += page
            if len(page) < _PAGE:
                return found
            before = (page[-1].plain["said_at"], page[-1].record.value)

    async def _is_alive(self, account: AccountId, record: RecordId) -> bool:
        try:
            await self._custody.find(account, [record], category=_CATEGORY)
        except (RecordErased, RecordMissing):
            return False
        return True

    def _pair(self, sender: Party, recipient: Party) -> bytes:
        return hmac.digest(self._key, f"{sender.text}\n{recipient.text}".encode(), "sha256")
