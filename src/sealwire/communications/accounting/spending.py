"""Default-deny for money, kept in PostgreSQL: what may still be spent is reserved before and settled after.

A leg is admitted for a first minute and extended minute by minute while it is up. Each step is one transaction that
holds the account's row, so that a hundred at once cannot spend more than one after another could. What the cap does not
allow ends within the minute that was paid for. `AccountSpending` is the `Spending` of port.py.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from uuid import UUID, uuid4

import msgspec

from sealwire.communications.accounting.port import (
    Charge,
    DestinationNotAllowed,
    OutboundSuspended,
    SpendCapReached,
    TooManyCalls,
)
from sealwire.communications.accounting.terms import Term, Terms, leg_terms
from sealwire.communications.cardguard import CardPolicy
from sealwire.communications.webhooks.events import Announcer, Event
from sealwire.governance import spending as rules
from sealwire.governance.billing.rating import Price
from sealwire.governance.billing.tariff import Tariff
from sealwire.governance.destinations import Callee, is_allowed
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId, CallId, CredentialId, Party

SLICE_S = 60
MARGIN_S = 5
"""A leg is told to end this much before what is reserved is used up, so that hanging up late costs nothing more."""
SHORT_CALL_S = 10
CALL_GRACE = dt.timedelta(minutes=5)
"""How long a leg may ring, or its process be silent, before its reservation lapses."""
MESSAGE_KEPT = dt.timedelta(days=3)


class StartsTooFast(TooManyCalls):
    """The account starts more calls a second than it may; wait a second and start fewer at once."""


class AccountSpending:
    """One per process, on the service's database role. `tariff` comes from governance.billing.tariff.load_tariff."""

    def __init__(self, database: Database, clock: Clock, tariff: Tariff, *, announcer: Announcer | None = None) -> None:
        self.database, self.clock, self.tariff, self._announcer = database, clock, tariff, announcer
        self._given_back: set[asyncio.Task[None]] = set()

    async def admit_call(
        self,
        account: AccountId,
        *,
        direction: str,
        callee: Party,
        credential: CredentialId | None = None,
        is_extra: bool = False,
        call: CallId | None = None,
    ) -> AccountAdmission:
        """A leg, `inbound` or `outbound`; `is_extra` for an outbound one beside the first channel of its call."""
        if direction == "inbound":
            price = self.tariff.inbound.of(callee.text) or self.tariff.internal
            terms = leg_terms(self.tariff, item="inbound-minute", price=price, is_extra=False)
            return await self._admit(account, "inbound", terms, terms.of_seconds(SLICE_S), is_premium=False, call=call)
        destination = await self._destination(account, callee, credential)
        if destination is None:
            item, price = "internal-minute", self.tariff.internal
        else:
            item, price = "pstn-minute", await self._priced(account, self.tariff.outbound.of(destination.number))
        terms = leg_terms(self.tariff, item=item, price=price, is_extra=is_extra)
        is_premium = destination is not None and destination.is_premium
        return await self._admit(
            account, "outbound", terms, terms.of_seconds(SLICE_S), is_premium=is_premium, call=call
        )

    async def admit_transfer(self, account: AccountId, *, to: Party, credential: CredentialId | None = None) -> None:
        """The rules of a leg of ours, at this moment. Never premium: who is transferred is counted by nobody here."""
        destination = await self._destination(account, to, credential)
        if destination is not None and destination.is_premium:
            await self._count_refused(account, is_premium=True)
        await (await self.admit_call(account, direction="outbound", callee=to, credential=credential)).settle()

    async def admit_message(
        self, account: AccountId, *, recipient: Party, segments: int, credential: CredentialId | None = None
    ) -> AccountAdmission:
        """The admission has `.reservation`: store it with a queued message, and `resume` it after a restart."""
        destination = await self._destination(account, recipient, credential)
        priced = self.tariff.sms.of(destination.number) if destination else self.tariff.internal
        terms = Terms(self.tariff.version, counted=(Term.of("sms-segment", await self._priced(account, priced)),))
        is_premium = destination is not None and destination.is_premium
        return await self._admit(account, "message", terms, terms.of_segments(segments), is_premium=is_premium)

    async def resume(self, account: AccountId, reservation: UUID) -> AccountAdmission | None:
        """The admission that another process, or this one before it restarted, was given; None when it is settled."""
        return (await self.resume_all(account, [reservation])).get(reservation)

    async def resume_all(self, account: AccountId, reservations: list[UUID]) -> dict[UUID, AccountAdmission]:
        """As `resume` for many at once; those that are settled are missing."""
        async with self.database.account(account) as connection:
            rows = await connection.fetch(rules.queries.find_reservations, account.value, reservations)
        return {
            row["reservation_id"]: AccountAdmission(
                self, account, row["reservation_id"], msgspec.json.decode(row["terms"], type=Terms)
            )
            for row in rows
        }

    async def charge_speech(self, account: AccountId, *, seconds: float) -> list[Charge]:
        """Speech that was made; SpendCapReached, and nothing charged, when the cap does not allow it."""
        terms = Terms(self.tariff.version, timed=(Term.of("speech-minute", self.tariff.speech),))
        spend = rules.queries.spend
        outcome = await self.database.call(spend, account.value, self.clock.now(), terms.of_seconds(seconds))
        if outcome != "held":
            await self.refuse(account, outcome)
        return terms.charges(uuid4(), seconds=seconds)

    async def card_policy(self, account: AccountId) -> CardPolicy:
        """What the owner wants done with card numbers in messages, parameters and digits."""
        async with self.database.account(account) as connection:
            return CardPolicy(await rules.card_policy(connection, account))

    async def refuse(self, account: AccountId, outcome: str) -> None:
        """Tell whom it concerns, and raise what this outcome of the database means."""
        if outcome == "suspended-now":
            diagnostics.event("outbound.suspended", account=account)
            await self._announce(account, Event.OUTBOUND_SUSPENDED)
        elif outcome == "cap-first":
            diagnostics.event("spend.cap-reached", account=account)
            await self._announce(account, Event.SPEND_CAP_REACHED)
        if outcome in ("suspended", "suspended-now"):
            raise OutboundSuspended
        if outcome == "refused":
            raise DestinationNotAllowed
        if outcome == "too-fast":
            raise StartsTooFast
        raise TooManyCalls if outcome == "too-many" else SpendCapReached

    async def _destination(self, account: AccountId, party: Party, credential: CredentialId | None) -> Callee | None:
        """The callee in the telephone network, allowed; None for a SIP user. The account's own number needs nobody's
        leave, and costs what the line costs: the call goes out by a trunk and comes back by one.
        """
        callee = Callee.of(party)
        if callee is None:
            return None
        is_own, allowed = await rules.rules_for(self.database, account, party)
        if is_own:
            return callee if self.tariff.outbound.of(callee.number) is not None else None
        if not is_allowed(callee, allowed):
            diagnostics.event("destination.refused", account=account, credential=credential)
            await self._count_refused(account, is_premium=callee.is_premium)
        return callee

    async def _priced(self, account: AccountId, price: Price | None) -> Price:
        if price is None:  # allowed, but the operator does not sell it
            await self._count_refused(account, is_premium=False)
            raise DestinationNotAllowed
        return price

    async def _count_refused(self, account: AccountId, *, is_premium: bool) -> None:
        now = self.clock.now()
        await self.refuse(
            account, await self.database.call(rules.queries.count_refused, account.value, is_premium, now)
        )

    async def _admit(
        self,
        account: AccountId,
        kind: str,
        terms: Terms,
        amount: int,
        *,
        is_premium: bool,
        call: CallId | None = None,
    ) -> AccountAdmission:
        """Whoever asked may have gone before the answer (a caller hung up); then what was held is given back."""
        holding = asyncio.ensure_future(self._hold(account, kind, terms, amount, is_premium=is_premium, call=call))
        try:
            return await asyncio.shield(holding)
        except asyncio.CancelledError:
            giving_back = asyncio.ensure_future(_give_back(holding))
            self._given_back.add(giving_back)
            giving_back.add_done_callback(self._given_back.discard)
            raise

    async def _hold(
        self, account: AccountId, kind: str, terms: Terms, amount: int, *, is_premium: bool, call: CallId | None
    ) -> AccountAdmission:
        reservation, now = uuid4(), self.clock.now()
        kept = MESSAGE_KEPT if kind == "message" else CALL_GRACE + dt.timedelta(seconds=SLICE_S)
        outcome = await self.database.call(
            rules.queries.admit, account.value, reservation, kind, is_premium, now, now + kept, amount,
            msgspec.json.encode(terms).decode(), call.value if call else None,
        )  # fmt: skip
        if outcome != "held":
            await self.refuse(account, outcome)
        return AccountAdmission(self, account, reservation, terms, is_metered=True)

    async def _announce(self, account: AccountId, event: Event) -> None:
        if self._announcer is not None:
            await self._announcer.announce(account, event)


class AccountAdmission:
    """A leg or message that goes ahead. `reservation` names it in the database."""

    def __init__(
        self,
        spending: AccountSpending,
        account: AccountId,
        reservation: UUID,
        terms: Terms,
        *,
        is_metered: bool = False,
    ) -> None:
        self._spending, self._account, self.reservation, self._terms = spending, account, reservation, terms
        self._is_metered = is_metered
        self._slices = 1
        self._charges: list[Charge] | None = None

    @property
    def seconds(self) -> float:
        """How long from its answer the leg may last on what is reserved, in all; `extend` before, or hang up."""
        return self._slices * SLICE_S - MARGIN_S

    async def extend(self) -> bool:
        """Reserve one minute more; False when the cap or a suspension says no: the leg must end in time."""
        reserved_s = self._slices * SLICE_S
        more = self._terms.of_seconds(reserved_s + SLICE_S) - self._terms.of_seconds(reserved_s)
        now = self._spending.clock.now()
        outcome = await self._spending.database.call(
            rules.queries.extend, self._account.value, self.reservation, now,
            now + dt.timedelta(seconds=SLICE_S) + CALL_GRACE, more,
        )  # fmt: skip
        if outcome == "held":
            self._slices += 1
            return True
        if outcome != "gone":
            try:
                await self._spending.refuse(self._account, outcome)
            except (OutboundSuspended, SpendCapReached):
                return False
        return False

    async def settle(
        self, *, answered_seconds: float = 0.0, segments: int = 0, is_short: bool | None = None
    ) -> list[Charge]:
        """Give back what was not used and tell what was charged. Once; a second call tells the same.

        `is_short` says otherwise than its length whether it counts as one of the short calls that are suspicious.
        """
        if self._charges is not None:
            return self._charges
        terms = self._terms
        if self._is_metered:  # ended in time: what is above is a hang-up that came late, or a clock that was set
            answered_seconds = min(answered_seconds, float(self._slices * SLICE_S))
        amount = terms.of_seconds(answered_seconds) + terms.of_segments(segments)
        if is_short is None:
            is_short = 0 < answered_seconds < SHORT_CALL_S and any(term.item == "pstn-minute" for term in terms.timed)
        charges = terms.charges(self.reservation, seconds=answered_seconds, segments=segments)
        outcome = await self._spending.database.call(
            rules.queries.settle, self._account.value, self.reservation, self._spending.clock.now(), amount, is_short,
            float(answered_seconds), bool(charges),
        )  # fmt: skip
        self._charges = charges
        if outcome == "suspended-now":
            try:
                await self._spending.refuse(self._account, outcome)
            except OutboundSuspended:
                return charges
        return charges


async def _give_back(holding: asyncio.Future[AccountAdmission]) -> None:
    try:
        admission = await holding
    except Exception:  # it was not held, and whoever would be told has gone
        return
    await admission.settle()
