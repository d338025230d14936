"""Messages that are to go out: checked, kept in custody, put into the queue.

(1) the sender is the account's, the recipient a number who did not opt out, the text passes the card guard;
(2) money for its segments is set aside;
(3) content and record are sealed;
(4) both are kept and the queue row is written, with whatever the caller wants, all in one transaction, and the
    messenger is woken.

A crash before the end of (4) leaves nothing but the money, which lapses; after it the message is sent.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from sealwire.communications.cardguard import CardPolicy, guard, holds_card
from sealwire.communications.messages.centre import CentreMissing
from sealwire.communications.messages.charging import MessageSpending, Reserved
from sealwire.communications.messages.opt_outs import OptOuts
from sealwire.communications.messages.queue import Redaction, queries
from sealwire.communications.messages.segments import Cut, cut
from sealwire.custody.categories import MessageContent, MessageRecord
from sealwire.custody.keeping import Prepared
from sealwire.custody.lifecycle import Custody
from sealwire.errors import Malformed, Refused
from sealwire.governance.service_book import ServiceMissing
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import E164, AccountId, CredentialId, MessageId, Party, ServiceId

VALIDITY_S_MIN, VALIDITY_S_MAX, VALIDITY_S_DEFAULT = 60, 2 * 86_400, 86_400
WithRow = Callable[[Connection, MessageId], Awaitable[None]]


class SenderNotAllowed(Refused):
    """This account may not send under this sender: take one of its numbers, or a name that the operator allowed it."""


class SenderMissing(Refused):
    """The account has no number to send from; the operator assigns it one."""


class ValidityOutOfRange(Malformed):
    """A message is valid for 60 seconds to 2 days."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How one message is wanted, where it differs from what the account says."""

    redaction: Redaction | None = None
    validity_s: int = VALIDITY_S_DEFAULT
    credential: CredentialId | None = None
    with_row: WithRow | None = None
    is_reply: bool = False
    """An answer to an opt-out word, which the person asked for by sending it."""
    service: ServiceId | None = None
    """Kept as this service says; None: as the service says that answers the sender's number."""


@dataclass(frozen=True, slots=True)
class _Letter:
    """A message that passed every check."""

    message: MessageId
    sender: Party = field(repr=False)
    recipient: Party = field(repr=False)
    text: str = field(repr=False)
    cut: Cut = field(repr=False)
    redaction: Redaction
    retention_class: int
    accepted_at: dt.datetime
    expires_at: dt.datetime


class _Terms(msgspec.Struct, frozen=True):
    """What the database says of an account before a message is accepted."""

    redaction: Redaction
    opt_outs: int
    sender: str | None
    retention_class: int | None


_terms = msgspec.json.Decoder(_Terms)


class MessageOutbox:
    """One per process that sends: the API, and call control."""

    def __init__(
        self, custody: Custody, *, opt_outs: OptOuts, spending: MessageSpending | None, has_centre: bool = True
    ) -> None:
        self._custody, self._opt_outs, self._spending = custody, opt_outs, spending
        self._has_centre = has_centre

    async def send(
        self, account: AccountId, *, sender: Party | None, recipient: Party, text: str, wish: Wish | None = None
    ) -> MessageId:
        """Accept a message; it is sent when this returns, whatever happens next. See `Wish` for the rest.

        SenderNotAllowed, SenderMissing, ServiceMissing, RecipientOptedOut, CardNumberRefused, Malformed for a text
        or number, CentreMissing, and what `Spending.admit_message` refuses.
        """
        if not self._has_centre:
            raise CentreMissing
        chosen = wish or Wish()
        letter = await self._checked(account, sender, recipient, text, chosen)  # (1)
        admission: Reserved | None = None
        if self._spending is not None:  # (2)
            admission = await self._spending.admit_message(
                account, recipient=letter.recipient, segments=len(letter.cut.pieces), credential=chosen.credential
            )
        try:
            content, record = await self._sealed(account, letter)  # (3)
            queue_row = letter.expires_at, admission.reservation if admission is not None else None
            answers = await self._accept(content, record, queue_row, chosen.with_row)  # (4)
            for prepared, answer in zip((content, record), answers, strict=False):
                await self._custody.keeping.understood(prepared, str(answer))
        except BaseException:
            if admission is not None:
                await asyncio.shield(admission.settle(segments=0))
            raise
        return letter.message

    async def _checked(
        self, account: AccountId, sender: Party | None, recipient: Party, text: str, wish: Wish
    ) -> _Letter:
        if not VALIDITY_S_MIN <= wish.validity_s <= VALIDITY_S_MAX:
            raise ValidityOutOfRange
        to = Party(E164.parse(recipient.text).text)
        terms = await self._terms(account, sender, wish.service)
        if terms.sender is None:
            raise SenderMissing if sender is None else SenderNotAllowed
        if terms.retention_class is None:
            raise ServiceMissing
        own = Party(terms.sender)
        if not wish.is_reply:
            await self._opt_outs.require_wanted(account, sender=own, recipient=to, version=terms.opt_outs)
        passed = await self._guarded(account, text)
        now = self._custody.clock.now()
        return _Letter(
            MessageId.new(), own, to, passed, cut(passed), wish.redaction or terms.redaction,
            terms.retention_class, now, now + dt.timedelta(seconds=wish.validity_s),
        )  # fmt: skip

    async def _guarded(self, account: AccountId, text: str) -> str:
        """The text as the account's policy lets it pass; the policy is only asked for when there is a card number."""
        if not holds_card(text):
            return text
        return guard(text, CardPolicy.MASK if self._spending is None else await self._spending.card_policy(account))

    async def _terms(self, account: AccountId, sender: Party | None, service: ServiceId | None) -> _Terms:
        wanted = sender.text if sender is not None else None, service.value if service is not None else None
        return _terms.decode(await self._custody.database.call(queries.message_terms, account.value, *wanted))

    async def _sealed(self, account: AccountId, letter: _Letter) -> tuple[Prepared, Prepared]:
        parties = {"sender": letter.sender, "recipient": letter.recipient}
        content = MessageContent(message_id=letter.message, accepted_at=letter.accepted_at, text=letter.text, **parties)
        record = MessageRecord(
            message_id=letter.message, direction="out", accepted_at=letter.accepted_at,
            encoding=letter.cut.encoding.value, segments=len(letter.cut.pieces), redaction=letter.redaction.value,
            **parties,
        )  # fmt: skip
        prepare, of_class = self._custody.keeping.prepare, letter.retention_class
        return (
            await prepare(account, content, retention_class=of_class),
            await prepare(account, record, retention_class=of_class),
        )

    async def _accept(
        self, content: Prepared, record: Prepared, queue_row: tuple[object, ...], with_row: WithRow | None
    ) -> list[str | None]:
        """What was answered for content and record, and third None when one was refused, so that nothing is queued."""
        account, *of_content = content.arguments
        arguments = (account, *of_content, *record.arguments[1:], *queue_row)
        if with_row is None:
            return list(await self._custody.database.call(queries.accept_message, *arguments))
        async with self._custody.database.account(content.account) as connection:
            answers = list(await connection.fetchval(queries.accept_message, *arguments))
            if answers[2] is not None:
                await with_row(connection, MessageId(record.record.value))
        return answers
