"""A customer's public keys: added, listed, retired. Recordings are sealed to all that are valid when they begin.

Rotation: add the new key, wait as long as you like (both open what is recorded meanwhile), retire the old one.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sealwire.communications.encryption.age import RECIPIENTS_MAX, AgeSealer, Recipient
from sealwire.errors import Malformed, Missing, Refused
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, RecipientId

_queries = load_queries(__package__)


class RecipientMissing(Missing):
    """Nothing is known under this id."""


class RecipientKnown(Refused):
    """This public key is in use already; retire it before you add it anew."""


class TooManyRecipients(Refused):
    """Recordings are sealed to at most 8 valid keys; retire one before you add another."""


class ExpiryPast(Malformed):
    """This key would expire before it is ever used; give a time to come, or none."""


@dataclass(frozen=True, slots=True)
class KnownRecipient:
    """One public key of an account."""

    recipient: RecipientId
    public_key: str
    label: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    retired_at: dt.datetime | None

    def is_valid(self, now: dt.datetime) -> bool:
        """Whether recordings that begin now are sealed to it."""
        return self.retired_at is None and (self.expires_at is None or self.expires_at > now)

    @classmethod
    def from_row(cls, row: Any) -> KnownRecipient:
        return cls(
            RecipientId(row["recipient_id"]), row["public_key"], row["label"], row["created_at"], row["expires_at"],
            row["retired_at"],
        )  # fmt: skip


async def add_recipient(
    connection: Connection,
    account: AccountId,
    *,
    public_key: str,
    label: str,
    expires_at: dt.datetime | None,
    now: dt.datetime,
) -> RecipientId:
    """Check a public key by sealing to it, and take it into use."""
    checked = Recipient.parse(public_key)
    if expires_at is not None and expires_at <= now:
        raise ExpiryPast
    await connection.execute(_queries.lock_recipients, str(account.value))
    if await connection.fetchval(_queries.count_valid_recipients, account.value, now) >= RECIPIENTS_MAX:
        raise TooManyRecipients
    recipient = RecipientId.new()
    added = await connection.fetchval(
        _queries.add_recipient, account.value, recipient.value, checked.text, label, now, expires_at
    )
    if added is None:
        raise RecipientKnown
    return recipient


async def list_recipients(connection: Connection, account: AccountId) -> list[KnownRecipient]:
    """All of them, oldest first, those that are not used any more included."""
    rows = await connection.fetch(_queries.list_recipients, account.value)
    return [KnownRecipient.from_row(row) for row in rows]


async def find_recipient(connection: Connection, account: AccountId, recipient: RecipientId) -> KnownRecipient:
    """One of them."""
    row = await connection.fetchrow(_queries.find_recipient, account.value, recipient.value)
    if row is None:
        raise RecipientMissing
    return KnownRecipient.from_row(row)


async def retire_recipient(
    connection: Connection, account: AccountId, recipient: RecipientId, *, now: dt.datetime
) -> None:
    """No recording that begins from now on is sealed to it. Retiring one that is retired already changes nothing."""
    await find_recipient(connection, account, recipient)
    await connection.execute(_queries.retire_recipient, account.value, recipient.value, now)


def trial(recipient: KnownRecipient) -> bytes:
    """A small age file for this key alone, so that its owner can try at once whether they can open it."""
    sealer = AgeSealer([Recipient.parse(recipient.public_key)])
    text = f"What you can read this with opens the recordings whose key_id names {recipient.recipient}.\n"
    return sealer.update(text.encode()) + sealer.finalize()
