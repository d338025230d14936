"""How one recording is encrypted: by the provider alone, to the customer's public keys, or with the call's cipher."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

from sealwire.communications.control.port import RecordingImpossible, RecordingWish
from sealwire.communications.encryption.aescbc import CbcEncryptor, CipherMalformed
from sealwire.communications.encryption.age import RECIPIENTS_MAX, AgeSealer, Recipient
from sealwire.communications.encryption.recipients import list_recipients
from sealwire.governance.services import Service
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId

PROVIDER, AGE, AES_CBC = "provider", "age", "aes-cbc"


class StreamSealer(Protocol):
    """Seals a stream; `update` as often as needed, `finalize` once."""

    def update(self, plaintext: bytes) -> bytes: ...

    def finalize(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Encryption:
    """What is done to a recording before custody seals it; nothing when custody's seal is all."""

    name: str = PROVIDER
    key_id: str | None = None
    """The recipients that can open it, separated by commas."""
    sealer: StreamSealer | None = None


async def choose(
    database: Database, account: AccountId, *, wish: RecordingWish, service: Service | None, now: dt.datetime
) -> Encryption:
    """RecordingImpossible when the service wants it sealed to the customer and that cannot be done."""
    is_sealed = service is not None and service.recording.sealed_to_customer
    if is_sealed and wish.cipher is not None:
        raise RecordingImpossible(
            "Nothing is recorded: this service seals recordings to the account's public keys, so a cipher of the "
            "call's own is not taken; leave one of the two out."
        )
    if wish.cipher is not None:
        try:
            return Encryption(AES_CBC, None, CbcEncryptor(wish.cipher))
        except CipherMalformed as error:
            raise RecordingImpossible(f"Nothing is recorded. {error}") from None
    return await _to_recipients(database, account, now=now) if is_sealed else Encryption()


async def _to_recipients(database: Database, account: AccountId, *, now: dt.datetime) -> Encryption:
    async with database.account(account) as connection:
        valid = [known for known in await list_recipients(connection, account) if known.is_valid(now)]
    if not valid:
        raise RecordingImpossible(
            "Nothing is recorded: the account has no valid public key to seal recordings to; add one at /v1/recipients."
        )
    valid = valid[-RECIPIENTS_MAX:]
    sealer = AgeSealer([Recipient.parse(known.public_key) for known in valid])
    return Encryption(AGE, ",".join(str(known.recipient) for known in valid), sealer)
