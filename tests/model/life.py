"""What people and customers do, each in the house and said to the promise; told as one plain sentence."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sealwire.custody.categories import BY_NAME
from sealwire.custody.closure import book as closures
from sealwire.custody.erasure import Ground, request_day, request_records
from sealwire.custody.holds.book import Because, Kind, Reason, RecordsHeld
from sealwire.custody.holds.meaning import records_to_hold
from sealwire.custody.holds.refusals import NothingToHold
from sealwire.custody.holds.ritual import NewHold
from sealwire.custody.keys.paths import DayPath
from sealwire.custody.requests import workflow
from sealwire.custody.requests.acting import NothingHeld, erase_person
from sealwire.custody.requests.restricting import restrict
from sealwire.custody.retention import periods
from sealwire.custody.retention.policy import Policy
from sealwire.custody.store import StoredRecord
from sealwire.governance.instructions import book as instructions
from sealwire.vocabulary import E164, Day, HoldId, Party, RecordId
from sealwire_verifier import note as notes

from .passing import ACCOUNTS, NUMBERS, Passing, Snapshot
from .promise import Hold, Record
from .town import CYCLE_DAYS

__all__ = ["ACCOUNTS", "NUMBERS", "Life"]


class Life(Passing):
    """Everything that can be done in a story."""

    # The customer's choice

    async def change_period(self, account: str, category: str, retention_class: int, days: int) -> str:
        custody, principal = self.town.custody, self.principals[account]
        wanted = [periods.wanted(category, retention_class, days)]
        policy, instruction, how = Policy(), None, ""
        async with custody.database.account(principal.in_account()) as connection:
            try:
                periods.refuse_outside(wanted, policy)
            except periods.PeriodOutOfBounds:
                instruction, how = await self._instructed(connection, account, wanted[0]), " by a signed instruction"
                periods.refuse_outside(wanted, policy, wanted)
            await periods.change(
                connection, principal.in_account(), wanted, instruction=instruction, by=principal.credential,
                backup_cycle_days=CYCLE_DAYS, clock=self.town.clock,
            )  # fmt: skip
        await periods.settle(custody.database, custody.keeper, principal.in_account())
        self.promise.set_period(account, category, retention_class, days)
        await self._through(self.town.night)
        return f"{account} keeps each {category} of class {retention_class} for {days} days from now on{how}."

    async def _instructed(self, connection: Any, account: str, wanted: periods.Wanted) -> Any:
        principal, clock = self.principals[account], self.town.clock
        key = notes.SigningKey(f"{account}.example", Ed25519PrivateKey.generate())
        await instructions.register_key(
            connection, principal.in_account(), str(key.vkey), by=principal.credential, clock=clock
        )
        text = (
            f"sealwire-instruction/v1\naccount {principal.in_account()}\ndate {clock.now().date()}\n"
            f"ground GDPR Art. 6(1)(c), our own duty\nretention {wanted.category.name} {wanted.retention_class} "
            f"{wanted.days}\n"
        )
        given = await instructions.give(
            connection, principal.in_account(), notes.sign(text, key).decode(), by=principal.credential, clock=clock
        )
        return given.id

    # Holds

    async def hold(
        self, account: str, names: list[str], places: list[tuple[str, int, int]], *, days: int, restricts: bool = False
    ) -> str:
        rows = [self.copies[name][-1] for name in names]
        paths = [DayPath(BY_NAME[category].code, at, day) for category, at, day in places]
        placed = await self._hold(account, rows, paths, days=days, restricts=restricts)
        what = names[0] if names else f"all {places[0][0]}s of day {places[0][2]}"
        if placed is None:
            return f"{account} wants to hold {what}, of which nothing is left."
        self.promise.holds[placed] = Hold(account, self.promise.today + days, restricts, set(names), set(places))
        return f"{account} {'restricts' if restricts else 'holds'} {what} for {days} days: {placed}."

    async def hold_number(self, account: str, number: str, *, days: int) -> str:
        rows = await records_to_hold(
            self.town.custody, self.principals[account], E164(number), Kind.LEGAL_HOLD
        )  # fmt: skip
        about = {one.name for one in self.promise.about(account, number)}
        assert self.named(rows) == about, f"found {sorted(self.named(rows))} about {number}, not {sorted(about)}"
        if (placed := await self._hold(account, rows, [], days=days)) is None:
            return f"{account} wants to hold everything about {number[-3:]}, of whom there is nothing."
        self.promise.holds[placed] = Hold(account, self.promise.today + days, restricts=False, records=about)
        return f"{account} holds everything about {number[-3:]} for {days} days: {placed}."

    async def _hold(
        self, account: str, rows: list[StoredRecord], days_held: list[DayPath], *, days: int, restricts: bool = False
    ) -> str | None:
        principal, holds = self.principals[account], self.town.parts.worker._holds
        kind, reason = Kind.LEGAL_HOLD, Reason.LITIGATION
        if restricts:
            kind, reason = Kind.RESTRICTION, Reason.ACCURACY_CONTESTED
        new = NewHold(kind, reason, Day(self.promise.today + days))
        begun: list[HoldId] = []

        async def place() -> None:
            async with self.town.custody.database.account(principal.in_account()) as connection:
                begun.append(
                    await holds.begin(
                        connection, principal.in_account(), new, records=rows, days=days_held, by="cred_1"
                    )
                )
            await holds.go_on(principal.in_account(), begun[0])

        try:
            await self._through(place)
        except NothingToHold:
            return None
        name = self._next("hold")
        self.holds[name] = begun[0]
        return name

    async def release(self, name: str) -> str:
        account = self.principals[self.promise.holds[name].account].in_account()

        async def let_go() -> None:
            async with self.town.custody.database.account(account) as connection:
                await self.town.parts.worker._holds.begin_releasing(
                    connection, account, self.holds[name], because=Because.SETTLED, by="cred_1"
                )
            await self.town.parts.worker._holds.go_on(account, self.holds[name])
            await self.town.night()

        await self._through(let_go)
        self.promise.release(name)
        return f"{name} is released."

    # Erasing

    async def erase(self, name: str) -> str:
        record = self.promise.records[name]
        account, category = self.principals[record.account].in_account(), BY_NAME[record.category]
        rows = await self.town.custody.find(account, [self.ids[name]], category=category)

        async def go() -> None:
            async with self.town.custody.database.account(account) as connection:
                await request_records(
                    connection, account, rows, ground=Ground.INSTRUCTION, requested_by="test",
                    backup_cycle_days=CYCLE_DAYS, clock=self.town.clock,
                )  # fmt: skip
            await self.town.erase_what_waits()

        if await self._refused(go, self.promise.holding(record)):
            return f"{record.account} wants to erase {name}, which is held."
        self.promise.erase(record)
        return f"{record.account} erases {name}."

    async def erase_day(self, name: str) -> str:
        """The day on which this record lies."""
        record = self.promise.records[name]
        account, place = record.account, (record.category, record.retention_class, record.day)
        where = self.principals[account].in_account()

        async def go() -> None:
            async with self.town.custody.database.account(where) as connection:
                await request_day(
                    connection, where, BY_NAME[place[0]], Day(place[2]), retention_class=place[1],
                    ground=Ground.INSTRUCTION, requested_by="test", backup_cycle_days=CYCLE_DAYS,
                    clock=self.town.clock,
                )  # fmt: skip
            await self.town.erase_what_waits()

        whole = [
            hold for hold in self.promise.holds.values()
            if hold.account == account and self.promise.today <= hold.until and place in hold.days
        ]  # fmt: skip
        if await self._refused(go, whole):
            return f"{account} wants to erase all {place[0]}s of day {place[2]}, which is held."
        self.promise.erase_day(account, *place)
        return f"{account} erases all {place[0]}s of class {place[1]} of day {place[2]}."

    async def _refused(self, act: Callable[[], Awaitable[None]], holding: list[Hold]) -> bool:
        try:
            await self._through(act)
        except RecordsHeld:
            assert holding, "refused as held, and nothing holds it"
            return True
        assert not holding, "erased although it is held"
        return False

    # People

    async def forget(self, account: str, number: str) -> str:
        about = [one.name for one in self.promise.about(account, number)]
        request = await self._request(account, number, workflow.Kind.ERASURE, {})

        async def go() -> None:
            as_it_is = await self._as_it_is(account, request)
            if as_it_is.closed_at is None:
                await erase_person(
                    self.town.custody, self.principals[account], as_it_is, backup_cycle_days=CYCLE_DAYS
                )  # fmt: skip
            await self.town.erase_what_waits()

        own = self.promise.records[self._named_request(request)]
        try:
            await self._through(go, again=True)
        except NothingHeld:
            assert not about, f"nothing found about {number}, and there is {about}"
            return f"{number[-3:]} asks {account} to be forgotten, and nothing is held about them."
        assert about, "something was found where there is nothing"
        parties, own.parties = own.parties, {}
        self.promise.forget(account, number)
        own.parties, own.nameless = parties, not self.promise.holding(own)
        for name in about:
            if self.promise.records[name] in self.promise.alive() and not self.promise.records[name].nameless:
                await self.note(name)  # it may lie in a new slot
        return f"{number[-3:]} asks {account} to be forgotten."

    async def restrict(self, account: str, number: str, days: int) -> str:
        until = (self.town.clock.now() + dt.timedelta(days=days)).date()
        names = {one.name for one in self.promise.about(account, number) if one.category != "subject-request"}
        wanted = {"restrict": {"until": until.isoformat(), "reason": "accuracy-contested"}}
        request = await self._request(account, number, workflow.Kind.RESTRICTION, wanted)
        try:
            (hold,) = await restrict(self.town.custody, self.principals[account], request, backup_cycle_days=CYCLE_DAYS)
        except NothingHeld:
            assert not names, f"nothing found about {number}, and there is {names}"
            return f"{number[-3:]} asks {account} for restriction, and nothing is held about them."
        name = self._next("hold")
        self.holds[name] = hold
        self.promise.holds[name] = Hold(account, self.promise.today + days, restricts=True, records=names)
        return f"{number[-3:]} asks {account} for restriction for {days} days: {name}."

    async def _request(self, account: str, number: str, kind: workflow.Kind, details: dict[str, Any]) -> Any:
        custody, principal = self.town.custody, self.principals[account]
        made = await workflow.receive(
            custody, principal, kind=kind, person=Party(number), details=details, received_at=self.town.clock.now(),
            months=1,
        )  # fmt: skip
        name = self._next("request")
        self.promise.keep(Record(name, account, "subject-request", 0, self.promise.today, name, {"subject": number}))
        self.ids[name] = RecordId(made.value)
        await self.note(name)
        async with custody.database.account(principal.in_account()) as connection:
            return await workflow.find(connection, principal.in_account(), made)

    async def _as_it_is(self, account: str, request: Any) -> Any:
        where = self.principals[account].in_account()
        async with self.town.custody.database.account(where) as connection:
            return await workflow.find(connection, where, request.request)

    def _named_request(self, request: Any) -> str:
        return next(name for name, record in self.ids.items() if record == request.record)

    # Closing

    async def close(self, account: str, grace_days: int) -> str:
        principal = self.principals[account]
        async with self.town.custody.database.account(principal.in_account()) as connection:
            begun, _ = await closures.begin(
                connection, principal.in_account(), grace_days=grace_days, confirmation=closures.CONFIRMATION,
                by=principal.credential, clock=self.town.clock,
            )  # fmt: skip
        self.closing[account] = begun.closure
        self.promise.leaving[account] = self.promise.today + grace_days
        self.promise.settle()
        await self._through(self.town.night)
        return f"{account} closes with a grace of {grace_days} days."

    async def stay(self, account: str) -> str:
        principal = self.principals[account]
        async with self.town.custody.database.account(principal.in_account()) as connection:
            await closures.cancel(
                connection, principal.in_account(), self.closing[account], by=principal.credential,
                clock=self.town.clock,
            )  # fmt: skip
        del self.promise.leaving[account]
        return f"{account} calls the closing off."

    # Backups

    async def back_up(self, *, wants_base: bool) -> str:
        made = await self.town.back_up(wants_base=wants_base)
        self.snapshots.append(Snapshot(made.folder.name, copy.deepcopy(self.promise)))
        return f"A backup is made: backup {len(self.snapshots)}."

    async def restore(self, at: int) -> str:
        """What was kept or sealed anew since is lost; what was erased, held or chosen since stays so."""
        snapshot = self.snapshots[at]
        await self.town.restore(snapshot.name)
        then, now = snapshot.promise, self.promise
        lost = [
            one.name for one in now.alive()
            if one.name not in then.records
            or (one.parties != then.records[one.name].parties and not one.rule.keeps_row)
        ]  # fmt: skip
        now.lose(lost)
        now.leaving = {account: ends for account, ends in then.leaving.items() if account in now.leaving}
        now.settle()
        await self._through(self.town.night)
        return f"Backup {at + 1} is put back."
