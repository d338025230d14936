"""The one port between calls and messages and the money they cost: asked before, settled after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from sealwire.errors import Refused
from sealwire.vocabulary import AccountId, CallId, CredentialId, Party


class DestinationNotAllowed(Refused):
    """The account may not call or write to this destination; the owner adds it to the allowed destinations."""


class SpendCapReached(Refused):
    """The account's spend cap is reached, so nothing that costs money is started; the operator can raise it."""


class TooManyCalls(Refused):
    """The account has as many calls up as it may have; wait for one to end."""


class OutboundSuspended(Refused):
    """Outbound calls and messages of this account are suspended after suspicious use; the operator lifts it."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What one leg or message cost. `item` and `units` are the tariff's words: pstn-minute, sms-segment, …"""

    item: str
    units: int
    amount_millicents: int
    tariff: str
    reservation: UUID | None = None
    """What it was settled from; the same charge told twice is kept once."""


class Admission(Protocol):
    """A leg or message that may go ahead: its cost is reserved up to a point."""

    @property
    def seconds(self) -> float:
        """How long the leg may last on what is reserved; `extend` before that, or hang up."""

    async def extend(self) -> bool:
        """Reserve for longer; False when the cap is reached: the leg must end now."""

    async def settle(self, *, answered_seconds: float = 0.0, segments: int = 0) -> list[Charge]:
        """Give back what was not used and tell what was charged. Once; a second call tells the same."""


class Spending(Protocol):
    """Default-deny for money."""

    async def admit_call(
        self,
        account: AccountId,
        *,
        direction: str,
        callee: Party,
        credential: CredentialId | None = None,
        is_extra: bool = False,
        call: CallId | None = None,
    ) -> Admission:
        """DestinationNotAllowed, SpendCapReached, TooManyCalls or OutboundSuspended when it may not be.

        By `call`, the leg's own id, what it cost is found again when its process dies.
        """

    async def admit_transfer(self, account: AccountId, *, to: Party, credential: CredentialId | None = None) -> None:
        """May the far end be told to call this number? It does so at the account's cost, so the same rules hold."""

    async def admit_message(
        self, account: AccountId, *, recipient: Party, segments: int, credential: CredentialId | None = None
    ) -> Admission: ...
