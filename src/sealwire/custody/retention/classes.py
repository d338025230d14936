"""Retention classes: what a customer's services leave can be kept for other periods than the rest.

Class 0 has no name: it is everything that is not said otherwise. Classes 1 to 15 are named by the customer.
"""

from __future__ import annotations

from dataclasses import dataclass

from sealwire.custody.retention import periods
from sealwire.errors import Malformed
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import AccountId, CredentialId

CLASS_MAX = 15


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """A class and what the customer calls it."""

    number: int
    name: str


async def classes_of(connection: Connection, account: AccountId) -> list[RetentionClass]:
    """The classes the account has named."""
    rows = await connection.fetch(periods.queries.classes, account.value)
    return [RetentionClass(row["retention_class"], row["name"]) for row in rows]


async def name_class(
    connection: Connection, account: AccountId, number: int, name: str, *, by: CredentialId, clock: Clock
) -> RetentionClass:
    """Name a class, or give it another name; a new one starts with the periods of class 0. `settle` has to follow."""
    if not 1 <= number <= CLASS_MAX:
        raise Malformed("a retention class that can be named is 1 to 15")
    named = RetentionClass(number, name.strip())
    if not 1 <= len(named.name) <= 100:
        raise Malformed("a retention class's name has 1 to 100 characters")
    await connection.execute(periods.queries.name_class, account.value, number, named.name, clock.now())
    await periods.admit_class(connection, account, number)
    payload = {"what": "retention-class.named", "class": number, "by": str(by), "at": rfc3339(clock.now())}
    await post_event(connection, account, LeafClass.CONFIGURATION_CHANGED, payload)
    return named
