"""What keeping a record comes to on either side of its transaction: sealed before it, its answer understood after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sealwire.custody.answers import Kept, RecordErased
from sealwire.custody.categories import Category, category_of
from sealwire.custody.categories.codec import findable_values, pack_sealed, to_column
from sealwire.custody.keys.refusals import AccountClosed
from sealwire.custody.media import MediaKeeping
from sealwire.custody.sealing.sealer import Sealed, Sealer, Slot
from sealwire.governance.agreements import NoAgreement
from sealwire.governance.closing import AccountIsClosed, require_open
from sealwire.ground.clock import Clock
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId, Day, RecordId

KEPT_BEFORE = "kept-before"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A sealed record that is not written yet; `arguments` are those of its category's statement `keep`."""

    account: AccountId
    category: Category
    record: RecordId
    day: Day
    commitment: bytes
    arguments: list[Any]

    def not_kept(self) -> Kept:
        """What is answered when the account's period says never."""
        return Kept(self.record, self.commitment, self.day, is_kept=False)


class Keeping:
    """Of one process, beside its `Custody`."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database, self._sealer, self._clock = database, sealer, clock

    async def slot(self, account: AccountId, category: Category, day: Day, retention_class: int) -> Slot:
        """The next slot of this day; refused as `refuse_closing` does once the account's keys are gone."""
        try:
            return await self._sealer.slot(account, category=category.code, day=day, retention_class=retention_class)
        except AccountClosed:
            await self.refuse_closing(account)
            raise

    async def prepare(
        self,
        account: AccountId,
        record: object,
        *,
        media: MediaKeeping | None = None,
        retention_class: int = 0,
        record_id: RecordId | None = None,
    ) -> Prepared:
        """Lease a slot and seal the record under it; see `Custody.keep`."""
        category = category_of(type(record))
        if media is None:
            day = category.day_of(record)
            slot = await self.slot(account, category, day, retention_class)
            record_id = record_id or category.id_of(record)
        else:
            day, slot, record_id = media.day, media.slot, media.record
        sealed = slot.seal(pack_sealed(category, record), findable_values(category, record))
        arguments = [account.value, *self._row(category, record, record_id, sealed)]
        if media is not None:
            arguments[9:9] = [media.object_name, media.media_bytes]
        return Prepared(account, category, record_id, day, sealed.commitment, arguments)

    def _row(self, category: Category, record: object, record_id: RecordId, sealed: Sealed) -> list[Any]:
        where = sealed.context
        plain = [to_column(getattr(record, field.name)) for field in category.plain_fields]
        head = [record_id.value, where.retention_class, where.day, where.slot, self._clock.now()]
        return [*head, sealed.blob, sealed.commitment, sealed.tokens, *plain]

    async def understood(self, prepared: Prepared, answer: str) -> Kept:
        """What the database answered: kept, never to be kept, or refused. KEPT_BEFORE is the caller's to look up."""
        outcome, _, days = answer.partition(" ")
        if outcome == "kept":
            return Kept(prepared.record, prepared.commitment, Day(int(prepared.day) + int(days)))
        if outcome == "never":
            return prepared.not_kept()
        if outcome == "closing":
            await self.refuse_closing(prepared.account)
        raise NoAgreement if outcome == "no-agreement" else RecordErased

    async def refuse_closing(self, account: AccountId) -> None:
        """AccountIsClosing during the grace; after it whatever is kept counts as erased with all the rest."""
        try:
            async with self._database.account(account) as connection:
                await require_open(connection, account, self._clock.now())
        except AccountIsClosed as closed:
            raise RecordErased(str(closed), certificate=closed.certificate) from None
