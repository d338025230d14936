"""From the end of the grace to unreadable to removed: the closing ritual. Each step can be repeated after a crash.

(0) the grace began: the account is `closing`, its owner may still cancel; leaf closure.begun is in the outbox;
(1) the grace is over: one row says `closed`; the API answers 410, keeps are refused, calls and messages too (`hidden`);
(2) calls that are up are hung up, as far as the switchboard answers;
(3) the statutory period of invoices is set at the keeper, so that they go on their own day;
(4) the keeper destroys the whole tree but invoices, audit and what is held, in one tick, and signs receipts;
(5) the receipts are saved with what was kept and why, so that a crash after (4) loses none;
(6) statement closure.unreadable is included and the certificate is made: state `unreadable`. One tick, whatever is
    below it: within a minute after (1), live and in every backup;
(7) what was being spoken is removed, then rows and tokens, table by table, as the database's catalogue has them;
(8) objects under the account's prefix are removed;
(9) the keys of what the log said before (6) are destroyed and its payloads removed: hashes and statements stay;
(10) stores are compacted: tables rewritten, WAL segments retired;
(11) statement closure.removed is included and the certificate is made anew: state `removed`;
(12) whoever was still at work when (1) came may have written since: it is looked at again, and so is what was held.

Between (1) and (6) no certificate exists; after (6) it is true, whatever happens next.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from sealwire.config import Settings
from sealwire.custody.closure.allowed import KEPT_CODES, STATUTORY
from sealwire.custody.closure.book import Closure, find, queries
from sealwire.custody.closure.clearing import Clearing
from sealwire.custody.erasure import BACKUP_MARGIN_DAYS
from sealwire.custody.holds.book import require_none_placing
from sealwire.custody.keys.client import KeeperClient
from sealwire.evidence.client import SequencerClient
from sealwire.evidence.closure_certificates import ClosureCertificateRequest, make_closure_certificate
from sealwire.evidence.crash import crash_point
from sealwire.governance import closing
from sealwire.governance.billing.statutory import Statutory, StatutoryPeriod, load_statutory, period_of
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId, ClosureId, Day

PER_RUN_MAX = 64
RETRY_S_MIN, RETRY_S_MAX = 1.0, 60.0
END_CALLS_S_MAX = 10.0
SETTLING_MAX = dt.timedelta(minutes=10)
LOOKED_AT_AGAIN = dt.timedelta(minutes=10)
HELD = "held-records"
CRASH_POINTS = (
    "closure-hidden", "closure-calls-ended", "closure-periods-set", "closure-punctured", "closure-receipts-saved",
    "closure-unreadable", "closure-rows-removed", "closure-objects-removed", "closure-payloads-removed",
    "closure-compacted", "closure-removed",
)  # fmt: skip

Step = Callable[[Closure], Awaitable[bool]]
EndCalls = Callable[[AccountId], Awaitable[None]]
"""Hangs up every call of an account that is up."""


async def nobody_calls(_account: AccountId) -> None:
    """Where there is no switchboard."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decides about closures."""

    statutory: Statutory
    country: str
    backup_cycle_days: int

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """As the settings have them; StatutoryTableRefused when the table cannot be used."""
        return cls(load_statutory(settings.statutory), settings.country, settings.backup_cycle_days)

    def period(self, country: str | None) -> StatutoryPeriod:
        """How long invoices of an account stay: of its own country, or the operator's."""
        return period_of(self.statutory, country or self.country)


def statutory_days(period: StatutoryPeriod) -> dict[str, int]:
    """The same as the keeper takes it: of every category that a statute keeps."""
    return {f"{category.code}/0": period.days for category in STATUTORY}


class Closer:
    """Takes the steps. One runs, in the worker process, on the worker's own database role."""

    def __init__(
        self,
        *,
        database: Database,
        keeper: KeeperClient,
        sequencer: SequencerClient,
        clearing: Clearing,
        clock: Clock,
        rules: Rules,
        end_calls: EndCalls = nobody_calls,
    ) -> None:
        self._database, self._keeper, self._sequencer = database, keeper, sequencer
        self._clearing, self._clock, self._rules, self._end_calls = clearing, clock, rules, end_calls
        self._failures: dict[ClosureId, tuple[float, float]] = {}

    async def make_due_unreadable(self) -> bool:
        """Steps (1) to (6) for all whose grace is over; whether something could not be done yet."""
        outcomes = await self._each(["grace", "hidden"], self._unreadable)
        return not all(outcomes)

    async def remove_pending(self) -> bool:
        """Steps (7) to (12) for all that are unreadable; whether something has to wait."""
        outcomes = await self._each(["unreadable"], self._removed)
        await self._look_again()
        return not all(outcomes)

    async def _each(self, states: list[str], step: Step) -> list[bool]:
        """The oldest ones; what failed is passed over for a while, so that it holds up nobody else's."""
        now_s = self._clock.monotonic_s()
        waiting = [one for one, (_, at_s) in self._failures.items() if at_s > now_s]
        passed = [one.value for one in waiting]
        async with self._database.system() as connection:
            rows = await connection.fetch(queries.closures_to_do, states, self._clock.now(), passed, PER_RUN_MAX)
        return [*await asyncio.gather(*(self._guarded(row, step) for row in rows)), *[False for _ in waiting]]

    async def _guarded(self, row: Any, step: Step) -> bool:
        account, closure = AccountId(row["account_id"]), ClosureId(row["closure_id"])
        try:
            done = await step(await self._found(account, closure))
        except Exception as error:
            pause_s = min(2 * self._failures.get(closure, (RETRY_S_MIN / 2, 0.0))[0], RETRY_S_MAX)
            self._failures[closure] = (pause_s, self._clock.monotonic_s() + pause_s)
            diagnostics.failure("closure.step-failed", error, closure=closure, state=row["state"], again_in_s=pause_s)
            return False
        self._failures.pop(closure, None)
        return done

    async def _unreadable(self, found: Closure) -> bool:
        if found.state == "grace":
            await self.hide(found)
            found = await self._found(found.account, found.closure)
        if found.state == "hidden":
            await self.make_unreadable(found)
        return True

    async def _removed(self, found: Closure) -> bool:
        return await self.remove(found) if found.state == "unreadable" else True

    async def hide(self, found: Closure) -> None:
        """Step (1). Keeps under way are waited for; keeps after it are refused."""
        now = self._clock.now()
        gone_by = now.date() + dt.timedelta(days=self._rules.backup_cycle_days + BACKUP_MARGIN_DAYS)
        async with self._database.account(found.account) as connection:
            await connection.execute(queries.wait_for_keeps_of, found.account.value)
            closed_at = await closing.close(connection, found.account, now=now)
            if closed_at is None:
                return
            where = (found.account.value, found.closure.value)
            await connection.execute(queries.mark_hidden, *where, closed_at, gone_by)
        diagnostics.event("closure.hidden", closure=found.closure)
        crash_point("closure-hidden")

    async def make_unreadable(self, found: Closure) -> None:
        """Steps (2) to (6)."""
        receipts, kept = found.receipts, found.kept
        if not receipts:
            await self._hang_up(found.account)  # (2)
            crash_point("closure-calls-ended")
            period = await self._set_periods(found.account)  # (3)
            crash_point("closure-periods-set")
            async with self._database.account(found.account) as connection:
                await require_none_placing(connection, found.account)  # what is being held must be spared
            signed = await self._keeper.erase(
                found.account, erasure=str(found.erasure), leaves=[], close_keeping=KEPT_CODES, confirmed=True
            )  # (4)  # fmt: skip
            crash_point("closure-punctured")
            receipts = msgspec.to_builtins(signed)
            kept = await self._what_stays(found.account, period, receipts)
            where = (found.account.value, found.closure.value)
            async with self._database.account(found.account) as connection:  # (5)
                await connection.execute(
                    queries.save_closure_receipts, *where, json.dumps(receipts), json.dumps(kept)
                )  # fmt: skip
            crash_point("closure-receipts-saved")
        unreadable_at = self._clock.now()
        certificate = await self._certify(found, receipts, kept, unreadable_at)  # (6)
        async with self._database.account(found.account) as connection:
            where = (found.account.value, found.closure.value)
            await connection.execute(queries.mark_closure_unreadable, *where, unreadable_at, certificate)
        diagnostics.event("closure.unreadable", closure=found.closure)
        crash_point("closure-unreadable")

    async def remove(self, found: Closure) -> bool:
        """Steps (7) to (11); False when something has to be waited for."""
        assert found.unreadable_at is not None
        if not await self._is_settled(found):
            return False
        await self._clearing.remove_rows(found.account)  # (7)
        crash_point("closure-rows-removed")
        await self._clearing.remove_objects(found.account)  # (8)
        crash_point("closure-objects-removed")
        await self._clearing.remove_payloads(found.account, found.erasure)  # (9)
        crash_point("closure-payloads-removed")
        if not await self._clearing.compact():  # (10)
            return False
        crash_point("closure-compacted")
        left = await self._clearing.tables_left(found.account)
        now = self._clock.now()
        certificate = await self._certify(
            found, found.receipts, found.kept, found.unreadable_at, removed_at=now, left=left
        )  # (11)  # fmt: skip
        async with self._database.account(found.account) as connection:
            where = (found.account.value, found.closure.value)
            await connection.execute(queries.mark_closure_removed, *where, now, certificate)
        diagnostics.event("closure.removed", closure=found.closure, tables_left=len(left))
        crash_point("closure-removed")
        return True

    async def _look_again(self) -> None:
        """Step (12)."""
        async with self._database.system() as connection:
            rows = await connection.fetch(queries.closures_to_look_at_again, self._clock.now() - LOOKED_AT_AGAIN)
        for row in rows:
            account = AccountId(row["account_id"])
            if await self._clearing.remove_rows(account) + await self._clearing.remove_objects(account):
                diagnostics.event("closure.removed-late", closure=ClosureId(row["closure_id"]))

    async def _found(self, account: AccountId, closure: ClosureId) -> Closure:
        async with self._database.account(account) as connection:
            return await find(connection, account, closure)

    async def _hang_up(self, account: AccountId) -> None:
        """A switchboard that does not answer holds up no closure: the keeper takes its keys back anyway."""
        try:
            await asyncio.wait_for(self._end_calls(account), END_CALLS_S_MAX)
        except Exception as error:
            diagnostics.failure("closure.calls-not-ended", error, account=account)

    async def _set_periods(self, account: AccountId) -> StatutoryPeriod:
        async with self._database.account(account) as connection:
            period = self._rules.period((await closing.standing(connection, account)).country)
        await self._keeper.set_periods(account, statutory_days(period))
        async with self._database.account(account) as connection:
            for category in STATUTORY:
                await connection.execute(queries.set_billing_period, account.value, category.code, 0, period.days)
        return period

    async def _what_stays(
        self, account: AccountId, period: StatutoryPeriod, receipts: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """What the certificate says was kept: how much, on which ground, until when."""
        kept: list[dict[str, Any]] = []
        async with self._database.account(account) as connection:
            row = await connection.fetchrow(queries.statutory_records, account.value)
            assert row is not None
            for category in STATUTORY if row["records"] else ():
                until = Day(row["last_day"] + period.days).date
                kept.append(_entry(category.name, f"statutory retention, {period.country}: {period.basis}", until, row))
            if any(receipt.get("held") for receipt in receipts):
                held = await connection.fetchrow(queries.held_until, account.value)
                assert held is not None
                ground = "legal hold or restriction of processing"
                until = Day(held["last_day"]).date if held["last_day"] is not None else self._clock.now().date()
                kept.append(_entry(HELD, ground, until, {"records": max(r.get("held", 0) for r in receipts)}))
        return kept

    async def _is_settled(self, found: Closure) -> bool:
        """Whether what was under way at the end of the grace has been billed; it is waited for ten minutes at most."""
        assert found.hidden_at is not None
        if self._clock.now() - found.hidden_at > SETTLING_MAX:
            return True
        async with self._database.account(found.account) as connection:
            return not await connection.fetchval(queries.reservations_open, found.account.value)

    async def _certify(
        self,
        found: Closure,
        receipts: list[dict[str, Any]],
        kept: list[dict[str, Any]],
        unreadable_at: dt.datetime,
        *,
        removed_at: dt.datetime | None = None,
        left: list[str] | None = None,
    ) -> str:
        assert found.hidden_at is not None
        assert found.gone_from_backups_by is not None
        request = ClosureCertificateRequest(
            closure=found.closure, branches_kept=KEPT_CODES, kept=kept, receipts=receipts, hidden_at=found.hidden_at,
            gone_from_backups_by=found.gone_from_backups_by, unreadable_at=unreadable_at, removed_at=removed_at,
            tables_left=left or [],
        )  # fmt: skip
        return await make_closure_certificate(
            self._database, self._sequencer, found.account, request, clock=self._clock
        )  # fmt: skip


def _entry(what: str, ground: str, until: dt.date, row: Any) -> dict[str, Any]:
    return {"what": what, "ground": ground, "until": until.isoformat(), "records": int(row["records"])}
