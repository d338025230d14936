"""The answer for a person of whom little is held, in one piece; `answering` streams for those of whom much is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sealwire.custody.lifecycle import Custody
from sealwire.custody.plaintext import Opened
from sealwire.custody.requests.finding import names, pages, record_ids, search
from sealwire.custody.requests.looks import Look, looks_at
from sealwire.custody.store import StoredRecord
from sealwire.governance.principals import Principal, Scope
from sealwire.vocabulary import E164, Party, Purpose


@dataclass(frozen=True, slots=True)
class Holding:
    """One record about the person, opened, and who opened it before."""

    stored: StoredRecord
    content: Opened[dict[str, Any]]
    looks: list[Look]


@dataclass(frozen=True, slots=True)
class SubjectReport:
    """The complete answer for one number; `searched_days` says how many days of records were searched."""

    holdings: list[Holding]
    searched_days: int


async def subject_report(custody: Custody, principal: Principal, number: E164, *, purpose: Purpose) -> SubjectReport:
    """Everything held about a number, in every category and either role of a call."""
    principal.require(Scope.OPEN)
    found = await search(custody, principal, Party(number.text), purpose=purpose)
    holdings: list[Holding] = []
    async for page in pages(custody, found):
        if not page.living:
            continue
        looks = await looks_at(custody, principal, record_ids(page.living), purpose=purpose)
        opened = await custody.open_stored(principal, page.living, purpose=purpose)
        mine = [record for record in opened if names(record, number.text)]
        holdings += [Holding(record.stored, record.content, looks.get(record.stored.record, [])) for record in mine]
    return SubjectReport(holdings, len(found.days))
