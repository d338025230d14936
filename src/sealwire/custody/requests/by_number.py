"""Erasing a number without a request of its subject: the same road, as one erasure that is asked for in one go.

(1) everything that names the number is found, opened and sorted, as for a subject request (see `sorting`);
(2) what has to stay for somebody else is sealed anew without the number; nothing is written yet;
(3) one transaction hides what goes, changes over what was sealed anew and notes what was counted; the eraser goes on.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from sealwire.custody.erasure import RECORDS_PER_ERASURE_MAX, Ground, request_records
from sealwire.custody.holds import require_not_held
from sealwire.custody.lifecycle import Custody
from sealwire.custody.requests.sorting import NothingHeld, Preview, Sorted, sorted_pages
from sealwire.custody.resealing import seal_anew
from sealwire.errors import Malformed
from sealwire.governance.principals import Principal, Scope
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import ErasureId, Party, Purpose

PURPOSE_OF = {
    Ground.SUBJECT_REQUEST: Purpose.SUBJECT_REQUEST,
    Ground.INSTRUCTION: Purpose.SERVICE_OPERATION,
}
_queries = load_queries(__package__)


class TooManyAboutNumber(Malformed):
    """More than 10,000 records name this number: make a subject request of kind erasure, which takes any number."""


async def preview_number(custody: Custody, principal: Principal, person: Party, *, ground: Ground) -> Preview:
    """What erasing this number would do; changes nothing. NothingHeld when nothing names it."""
    principal.require(Scope.ERASE)
    seen = Preview()
    async for batch in sorted_pages(custody, principal, person, purpose=PURPOSE_OF[ground]):
        seen.add(batch)
    if not seen.in_all:
        raise NothingHeld
    return seen


async def erase_number(
    custody: Custody,
    principal: Principal,
    person: Party,
    *,
    ground: Ground,
    backup_cycle_days: int,
    agreed: Callable[[int], None],
    with_row: Callable[[Connection, ErasureId], Awaitable[None]],
) -> ErasureId:
    """The ritual above, with whatever the caller wants in its transaction. NothingHeld when nothing names the number,
    RecordsHeld when all that does is held; of what is held and what is not, the rest goes, and both are counted.
    `agreed` is told how many would go and raises when that is too many to go unasked.
    """
    principal.require(Scope.ERASE)
    account, seen, whole = principal.in_account(), Preview(), Sorted()
    async for batch in sorted_pages(custody, principal, person, purpose=PURPOSE_OF[ground]):  # (1)
        seen.add(batch)
        whole.destroy += batch.destroy
        whole.detach += batch.detach
        whole.anew += batch.anew
        whole.held += batch.held
        if len(whole) > RECORDS_PER_ERASURE_MAX:
            raise TooManyAboutNumber
    if not seen.in_all:
        raise NothingHeld
    if not len(whole):
        async with custody.database.account(account) as connection:
            await require_not_held(connection, account, whole.held)
    agreed(len(whole))
    anew = [await seal_anew(custody, record, changes) for record, changes in whole.anew]  # (2)
    async with custody.database.account(account) as connection:  # (3)
        erasure = await request_records(
            connection, account, whole.destroy + whole.detach, ground=ground, requested_by=str(principal.credential),
            backup_cycle_days=backup_cycle_days, clock=custody.clock, resealed=anew,
        )  # fmt: skip
        counts = json.dumps(seen.as_counts())
        await connection.execute(_queries.note_counts_of_erasure, account.value, erasure.value, counts)
        await with_row(connection, erasure)
    return erasure
