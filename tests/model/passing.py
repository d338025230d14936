"""A story as it goes: who there is, what was kept, and how time passes, with and without power."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Self

from sealwire.custody.categories import (
    BY_NAME,
    BillingRecord,
    CallRecord,
    MessageContent,
    MessageRecord,
    Recording,
)
from sealwire.custody.store import StoredRecord
from sealwire.evidence import crash
from sealwire.governance.principals import Principal
from sealwire.ground.clock import today
from sealwire.vocabulary import CallId, HangupCause, HoldId, MessageId, Party, RecordId

from .promise import Promise, Record
from .town import Town

ACCOUNTS = ("Ada", "Bob")
NUMBERS = ("+441632960101", "+441632960102", "+441632960103")
STATUTE_DAYS = 8 * 365 + 2


class PowerCut(BaseException):
    """The power went where a story said."""


@dataclass(frozen=True)
class Snapshot:
    """What a backup holds, as the promise has it."""

    name: str
    promise: Promise


@dataclass
class Passing:
    """One story: a town and what was promised in it, as time passes."""

    town: Town
    promise: Promise
    principals: dict[str, Principal] = field(default_factory=dict)
    ids: dict[str, RecordId] = field(default_factory=dict)
    copies: dict[str, list[StoredRecord]] = field(default_factory=dict)
    holds: dict[str, HoldId] = field(default_factory=dict)
    closing: dict[str, Any] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    async def begin(cls, town: Town) -> Self:
        """Two accounts on the first day."""
        await town.begin_anew()
        life = cls(town, Promise(int(today(town.clock)), STATUTE_DAYS))
        for name in ACCOUNTS:
            life.principals[name] = await town.move_in()
        return life

    def _next(self, what: str) -> str:
        self.counts[what] = self.counts.get(what, 0) + 1
        return f"{what} {self.counts[what]}"

    def is_open(self, account: str) -> bool:
        return account not in self.promise.leaving and account not in self.promise.closed

    # Keeping

    async def keep_call(self, account: str, caller: str, callee: str, *, recorded: bool, retention_class: int) -> str:
        call, now = self._next("call"), self.town.clock.now()
        call_id, parties = CallId.new(), {"caller": caller, "callee": callee}
        who = {"caller": Party(caller), "callee": Party(callee)}
        record = CallRecord(
            call_id=call_id, direction="inbound", started_at=now, answered_at=now, ended_at=now,
            hangup_cause=HangupCause.NORMAL, digits="5", **who,
        )  # fmt: skip
        await self._keep(Record(call, account, "call-record", retention_class, 0, call, parties), record)
        bill = BillingRecord(
            call_id=call_id, ended_at=now, seconds_charged=60, amount_millicents=4200, destination=Party(callee)
        )
        await self._keep(
            Record(f"the bill of {call}", account, "billing-record", 0, 0, call, {"destination": callee}), bill
        )
        if recorded:
            custody, at = self.town.custody, self.principals[account].in_account()
            media = await custody.begin_media(
                at, Recording, starts_at_day=today(self.town.clock), call=call_id, retention_class=retention_class
            )
            await media.write(b"\x01\x02" * 400)
            audio = Recording(call_id=call_id, started_at=now, duration_ms=50, audio_sha256=await media.finish(), **who)
            kept = Record(f"the recording of {call}", account, "recording", retention_class, 0, call, parties.copy())
            await self._keep(kept, audio, media=media)
        how = "a recorded call" if recorded else "a call"
        return f"{account} has {how} from {caller[-3:]} to {callee[-3:]} in class {retention_class}: {call}."

    async def keep_message(self, account: str, sender: str, recipient: str) -> str:
        message, now, message_id = self._next("message"), self.town.clock.now(), MessageId.new()
        who = {"sender": Party(sender), "recipient": Party(recipient)}
        parties = {"sender": sender, "recipient": recipient}
        record = MessageRecord(
            message_id=message_id, direction="outbound", accepted_at=now, encoding="gsm7", segments=1,
            redaction="none", **who,
        )  # fmt: skip
        await self._keep(Record(message, account, "message-record", 0, 0, message, parties), record)
        content = MessageContent(message_id=message_id, accepted_at=now, text="hello", **who)
        words = Record(f"the words of {message}", account, "message-content", 0, 0, message, parties.copy())
        await self._keep(words, content)
        return f"{account} sends a message from {sender[-3:]} to {recipient[-3:]}: {message}."

    async def _keep(self, record: Record, what: Any, *, media: Any = None) -> None:
        record.day = self.promise.today
        custody, account = self.town.custody, self.principals[record.account].in_account()
        kept = await custody.keep(account, what, media=media, retention_class=record.retention_class)
        assert kept.is_kept == self.promise.keep(record), f"{record.name} is kept: {kept.is_kept}"
        if kept.is_kept:
            self.ids[record.name] = kept.record
            await self.note(record.name)

    async def note(self, name: str) -> None:
        """A copy of the row as it is now, as every backup of this day has it."""
        record = self.promise.records[name]
        account, category = self.principals[record.account].in_account(), BY_NAME[record.category]
        (row,) = await self.town.custody.find(account, [self.ids[name]], category=category)
        copies = self.copies.setdefault(name, [])
        if not copies or copies[-1].slot != row.slot:
            copies.append(row)

    # Time

    async def wait(self, days: int) -> str:
        """Every night is lived through on which something is to happen; the others cannot differ."""
        last = self.promise.today + days
        while (at := min(self.promise.next_event() or last, last)) <= last:
            self.town.clock.advance(days=at - self.promise.today)
            self.promise.pass_to(at)
            await self._through(self.town.night)
            if at == last:
                break
        return f"{days} days pass, with their nights."

    async def miss(self, days: int) -> str:
        """The keeper runs and the worker does not."""
        self.town.clock.advance(days=days)
        await self.town.parts.keeper.sweep()
        self.promise.pass_to(self.promise.today + days)
        await self._through(self.town.night)
        return f"{days} days pass without a worker; then it catches up."

    async def sleep(self, days: int, *, is_killed: bool) -> str:
        await self.town.restart(is_killed=is_killed, dark_days=days)
        self.promise.pass_to(self.promise.today + days)
        await self._through(self.town.night)
        how = "is killed" if is_killed else "is stopped"
        return f"Everything {how} and starts again after {days} days."

    async def set_clock_wrong(self, days: int) -> str:
        usable = self.usable()
        self.town.clock.set_by(days=days)
        await self.town.night()
        assert self.usable() == usable, "a backup was destroyed by a clock that jumped"
        assert not self.town.parts.keeper.calendar.trusted, "the keeper trusts a clock that jumped"
        self.town.clock.set_by(days=-days)
        await self.town.night()
        return f"Somebody sets the clock {days} days wrong for a night, then right again."

    async def start_with_a_wrong_clock(self, days: int) -> str:
        """Nobody has looked at the clock, so nobody confirms it: a start alone makes no clock right."""
        usable = self.usable()
        for wrong in (days, -days):
            await self.town.stop()
            self.town.clock.set_by(days=wrong)
            await self.town.start()
            await self.town.night()
            assert self.usable() == usable, "a backup was destroyed by a clock that was wrong at the start"
        return f"Everything is started with a clock {days} days wrong, and again when it is right."

    def usable(self) -> list[int]:
        """The backups whose cycle has not ended."""
        there = {file.parent.name for file in self.town.settings.backups_dir.glob("*/manifest.json")}
        return [at for at, snapshot in enumerate(self.snapshots) if snapshot.name in there]

    def named(self, rows: list[StoredRecord]) -> set[str]:
        """The names of these rows."""
        ids = {row.record for row in rows}
        return {name for name, record in self.ids.items() if record in ids}

    # Crashes

    async def cut_at(self, point: str, act: Callable[[], Awaitable[str]]) -> str:
        """The same with the power cut where it comes to this point, if it does."""
        crash.os = SimpleNamespace(environ={"SEALWIRE_CRASH_AT": point}, _exit=_cut)  # type: ignore[attr-defined]
        try:
            told = await act()
        finally:
            was_cut = crash.os is REAL_OS  # type: ignore[attr-defined]
            crash.os = REAL_OS  # type: ignore[attr-defined]
        return told + (f" The power goes at {point}." if was_cut else "")

    async def _through(self, act: Callable[[], Awaitable[None]], *, again: bool = False) -> None:
        try:
            await act()
        except PowerCut:
            await self.town.restart(is_killed=True)
            await self.town.night()
            if again:
                await act()


REAL_OS = crash.os  # type: ignore[attr-defined]


def _cut(_code: int) -> None:
    crash.os = REAL_OS  # type: ignore[attr-defined]
    raise PowerCut
