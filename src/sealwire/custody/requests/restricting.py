"""Restriction for a person (GDPR Art. 18): everything about them is held and opened to nobody but for their sake."""

from __future__ import annotations

import datetime as dt

from sealwire.custody.categories import SubjectRequest, category_of
from sealwire.custody.holds.book import Kind as HoldKind
from sealwire.custody.holds.book import Reason
from sealwire.custody.holds.ritual import HoldRitual, NewHold
from sealwire.custody.lifecycle import Custody
from sealwire.custody.requests.acting import NothingHeld, StillComing, asked, close
from sealwire.custody.requests.answering import PURPOSE
from sealwire.custody.requests.finding import pages, roles_of, search
from sealwire.custody.requests.notices import OnDone, nothing_else
from sealwire.custody.requests.workflow import Request
from sealwire.custody.store import StoredRecord
from sealwire.governance.principals import Principal, Scope
from sealwire.vocabulary import Day, HoldId

BATCH = 5_000
_REQUESTS = category_of(SubjectRequest)


async def restrict(
    custody: Custody,
    principal: Principal,
    request: Request,
    *,
    backup_cycle_days: int,
    on_done: OnDone = nothing_else,
) -> list[HoldId]:
    """One hold for each 5,000 records, until the day that was asked for; then the request is done."""
    principal.require(Scope.ERASE)
    person, details = await asked(custody, principal, request)
    wanted = details["restrict"]
    until = Day.of(dt.datetime.combine(dt.date.fromisoformat(wanted["until"]), dt.time(), dt.UTC))
    new = NewHold(HoldKind.RESTRICTION, Reason(wanted["reason"]), until)
    ritual = HoldRitual(
        database=custody.database, keeper=custody.keeper, clock=custody.clock, backup_cycle_days=backup_cycle_days
    )
    found = await search(custody, principal, person, purpose=PURPOSE)
    waiting: list[StoredRecord] = []
    holds: list[HoldId] = []
    held = 0
    async for page in pages(custody, found):
        opened = await custody.open_stored(principal, page.living, purpose=PURPOSE) if page.living else []
        named = [one.stored for one in opened if roles_of(one, person.text)]
        waiting += [row for row in named if row.category is not _REQUESTS]
        if len(waiting) >= BATCH:
            holds.append(await _hold(ritual, custody, principal, new, waiting))
            held, waiting = held + len(waiting), []
    if waiting:
        holds.append(await _hold(ritual, custody, principal, new, waiting))
    if not holds:
        raise NothingHeld
    if (await search(custody, principal, person, purpose=PURPOSE)).differs(found):
        raise StillComing("records about this person came or went while theirs were restricted; ask again for the rest")
    counts = {"restricted": held + len(waiting), "holds": [str(hold) for hold in holds], "complete": True}
    await close(custody, principal, request, counts=counts, on_done=on_done)
    return holds


async def _hold(
    ritual: HoldRitual, custody: Custody, principal: Principal, new: NewHold, records: list[StoredRecord]
) -> HoldId:
    account = principal.in_account()
    async with custody.database.account(account) as connection:
        hold = await ritual.begin(connection, account, new, records=records, days=[], by=str(principal.credential))
    return (await ritual.go_on(account, hold)).hold
