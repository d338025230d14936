"""Out of the queue to the message centre: due messages are opened in batches, submitted with a window, noted.

Plaintext lives here from the opening of a batch to its submission, and only while there is a session. A message whose
submission was not answered is submitted again: SMPP cannot tell whether the centre had it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import smpp34

from sealwire.communications.messages.finding import living
from sealwire.communications.messages.queue import Due, Outcome, Queue, State
from sealwire.communications.messages.segments import HAS_HEADER, Cut, cut
from sealwire.communications.messages.session import (
    OK,
    QUEUE_FULL,
    SYSTEM_ERROR,
    THROTTLED,
    TRY_AGAIN,
    Session,
    SessionLost,
)
from sealwire.custody.categories import MessageContent, category_of
from sealwire.custody.lifecycle import Custody, service_principal
from sealwire.custody.store import OpenedRecord
from sealwire.ground import diagnostics
from sealwire.vocabulary import AccountId, MessageId, Party, Purpose

WINDOW = 32
BATCH = 200
GATHER_S = 0.1
"""Between two fetches while little is due: what comes in one by one is opened together, under one leaf."""
IDLE_S = 5.0
STORE_EVERY_S = 0.05
STORE_AT = 100
THROTTLE_S_MIN, THROTTLE_S_MAX = 0.25, 10.0
RETRY_S_MIN, RETRY_S_MAX = 2.0, 900.0
NO_LONGER_THERE = 0x10001
"""Our own error: the content was erased before the message could be sent. Others are the centre's (SMPP 3.4, 5.1.3)."""
_AGAIN = {SYSTEM_ERROR, QUEUE_FULL, TRY_AGAIN}
_CONTENT = category_of(MessageContent)
_INTERNATIONAL, _NAME, _ISDN = 1, 5, 1


@dataclass(frozen=True, slots=True)
class _Letter:
    """A message that is ready to go."""

    due: Due
    sender: Party = field(repr=False)
    recipient: Party = field(repr=False)
    cut: Cut = field(repr=False)


class Sender:
    """Runs for the life of the process; `session` gives the session there is, or None."""

    def __init__(self, custody: Custody, queue: Queue) -> None:
        self._custody, self._queue = custody, queue
        self._session: Session | None = None
        self._bound = asyncio.Event()
        self._wake = asyncio.Event()
        self._letters: asyncio.Queue[_Letter] = asyncio.Queue(maxsize=BATCH)
        self._outcomes: list[Outcome] = []
        self._stored = asyncio.Event()
        self._unstored: dict[MessageId, asyncio.Event] = {}
        self.idle = asyncio.Event()
        self._pause_until_s = 0.0
        self._throttle_s = THROTTLE_S_MIN

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    def use(self, session: Session | None) -> None:
        """Send by this session; None: there is none at the moment."""
        self._session = session
        if session is None:
            self._bound.clear()
        else:
            self._bound.set()
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._fetch())
            tasks.create_task(self._store())
            for _ in range(WINDOW):
                tasks.create_task(self._submit())

    async def settled(self, *, seconds: float) -> None:
        """Wait until what is being submitted at this moment is written down: its receipts may be here before."""
        waiting = [asyncio.ensure_future(event.wait()) for event in self._unstored.values()]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=seconds)
            for task in late:
                task.cancel()

    async def _fetch(self) -> None:
        while True:
            self._wake.clear()
            await self._bound.wait()
            try:
                found = await self._fetch_once()
            except Exception as error:
                diagnostics.failure("message.not-fetched", error)
                found = 0
            if found:
                self.idle.clear()
                if found < BATCH:
                    await asyncio.sleep(GATHER_S)
            else:
                self.idle.set()
                try:
                    await asyncio.wait_for(self._wake.wait(), IDLE_S)
                except TimeoutError:
                    continue

    async def _fetch_once(self) -> int:
        """One batch of each account in turn, so that a big sender does not hold up the others."""
        found, now = 0, self._custody.clock.now()
        for account in await self._queue.accounts_with("due", now):
            due = await self._queue.claim(account, at=now, limit=BATCH)
            found += len(due)
            try:
                letters = await self._open(account, due)
            except BaseException:
                self._put_off(due)
                raise
            for letter in letters:
                await self._letters.put(letter)
        return found

    def _put_off(self, due: list[Due]) -> None:
        later = self._custody.clock.now() + dt.timedelta(seconds=RETRY_S_MIN)
        self._outcomes += [Outcome(message, State.ACCEPTED, {}, later) for message in due]
        self._stored.set()

    async def _open(self, account: AccountId, due: list[Due]) -> list[_Letter]:
        """Open the contents of a batch under one leaf. What was erased meanwhile, or has expired, is not sent."""
        now = self._custody.clock.now()
        late = [message for message in due if message.expires_at <= now]
        self._outcomes += [Outcome(message, State.EXPIRED, {}, now) for message in late]
        fresh = [message for message in due if message.expires_at > now]
        stored = await living(self._custody, account, [message.content for message in fresh], category=_CONTENT)
        gone = [message for message in fresh if message.content not in {row.record for row in stored}]
        opened: dict[object, OpenedRecord] = {}
        if stored:
            by = service_principal(account)
            rows = await self._custody.open_stored(by, stored, purpose=Purpose.SERVICE_OPERATION)
            opened = {row.stored.record: row for row in rows}
            gone += [message for message in fresh if message not in gone and message.content not in opened]
        self._outcomes += [Outcome(message, State.FAILED, {}, now, NO_LONGER_THERE) for message in gone]
        self._stored.set()
        return [_letter(message, opened[message.content]) for message in fresh if message.content in opened]

    async def _submit(self) -> None:
        """One place in the window."""
        loop = asyncio.get_running_loop()
        while True:
            letter = await self._letters.get()  # without a session it goes back: what waits is sealed and can be erased
            await asyncio.sleep(max(0.0, self._pause_until_s - loop.time()))
            self._unstored[letter.due.message] = asyncio.Event()
            outcome = await self._send(letter)
            self._outcomes.append(outcome)  # looked up now: the list is another one after each storing
            if len(self._outcomes) >= STORE_AT:
                self._stored.set()

    async def _send(self, letter: _Letter) -> Outcome:
        """All segments that the centre does not have yet, in order."""
        due, taken, now = letter.due, dict[int, str](), self._custody.clock.now()
        reference = due.message.value.int & 0xFF
        for number, octets in enumerate(letter.cut.segments(reference), start=1):
            if number in due.taken:
                continue
            session = self._session
            try:
                if session is None:
                    raise SessionLost
                answer = await session.submit(_pdu(letter, octets, now))
            except SessionLost:
                return Outcome(due, State.ACCEPTED, taken, now + dt.timedelta(seconds=1))
            except (smpp34.SmppError, UnicodeError, ValueError):
                return Outcome(due, State.FAILED, taken, now, SYSTEM_ERROR)
            if answer.status != OK:
                return self._refused(due, taken, answer.status)
            self._throttle_s = THROTTLE_S_MIN
            taken[number] = answer.segment_id
        return Outcome(due, State.SENT, taken, now)

    def _refused(self, due: Due, taken: dict[int, str], status: int) -> Outcome:
        now = self._custody.clock.now()
        if status == THROTTLED:  # everybody waits, not this message alone
            self._pause_until_s = asyncio.get_running_loop().time() + self._throttle_s
            again, self._throttle_s = self._throttle_s, min(2 * self._throttle_s, THROTTLE_S_MAX)
        elif status in _AGAIN:
            again = min(RETRY_S_MIN * 2 ** min(due.attempts, 10), RETRY_S_MAX)
        else:
            return Outcome(due, State.FAILED, taken, now, status)
        return Outcome(due, State.ACCEPTED, taken, now + dt.timedelta(seconds=again), status)

    async def _store(self) -> None:
        """Write outcomes down, many at once; what cannot be written now is kept and tried again."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stored.wait(), STORE_EVERY_S)
            self._stored.clear()
            outcomes, self._outcomes = self._outcomes, []
            if not outcomes:
                continue
            try:
                await self._queue.settle_outcomes(outcomes, self._custody.clock.now())
            except Exception as error:
                diagnostics.failure("message.not-stored", error)
                self._outcomes = outcomes + self._outcomes
                await asyncio.sleep(1)
                continue
            for outcome in outcomes:
                if (waiting := self._unstored.pop(outcome.due.message, None)) is not None:
                    waiting.set()
            self._wake.set()


def _letter(due: Due, opened: OpenedRecord) -> _Letter:
    content = opened.content.reveal()
    return _Letter(due, content["sender"], content["recipient"], cut(content["text"]))


def _pdu(letter: _Letter, octets: bytes, now: dt.datetime) -> Callable[[int], smpp34.SubmitSm]:
    sender, is_number = letter.sender.text, letter.sender.text.startswith("+")
    valid = max(60, int((letter.due.expires_at - now).total_seconds()))
    return lambda number: smpp34.SubmitSm(
        sender.lstrip("+"),
        letter.recipient.text.lstrip("+"),
        octets,
        source_addr_ton=_INTERNATIONAL if is_number else _NAME,
        source_addr_npi=_ISDN if is_number else 0,
        dest_addr_ton=_INTERNATIONAL,
        dest_addr_npi=_ISDN,
        esm_class=HAS_HEADER if len(letter.cut.pieces) > 1 else 0,
        registered_delivery=1,
        data_coding=letter.cut.encoding.data_coding,
        validity_period=relative_time(valid),
        sequence_number=number,
    )


def relative_time(seconds: int) -> str:
    """A period as SMPP writes it (3.4, 7.1.1.2): YYMMDDhhmmss000R."""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"0000{days:02d}{hour:02d}{minute:02d}{second:02d}000R"
