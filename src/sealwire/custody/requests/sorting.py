"""What erasing a person would do to each record about them: destroy it, detach it, seal it anew, or leave it held."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from sealwire.custody.holds import held_among
from sealwire.custody.lifecycle import Custody
from sealwire.custody.requests.finding import pages, roles_of, search
from sealwire.custody.resealing import fields_to_detach
from sealwire.custody.store import OpenedRecord, StoredRecord
from sealwire.errors import Missing
from sealwire.governance.principals import Principal
from sealwire.vocabulary import Party, Purpose, RecordId

BY_LAW = "invoices and their statutory retention: the amounts stay, the person goes"


class NothingHeld(Missing):
    """Nothing is held about this person, so nothing was changed; refuse the request as not held, and say so."""


@dataclass(slots=True)
class Sorted:
    """What an erasure would do to a batch of records."""

    destroy: list[StoredRecord] = field(default_factory=list)
    detach: list[StoredRecord] = field(default_factory=list)
    anew: list[tuple[OpenedRecord, dict[str, Any]]] = field(default_factory=list)
    held: list[StoredRecord] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.destroy) + len(self.detach) + len(self.anew)


@dataclass(slots=True)
class Preview:
    """What an erasure would do, counted by category."""

    erased: Counter[str] = field(default_factory=Counter)
    without_the_person: Counter[str] = field(default_factory=Counter)
    by_law: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)

    def add(self, batch: Sorted) -> None:
        self.erased.update(row.category.name for row in batch.destroy)
        self.without_the_person.update(one.stored.category.name for one, _ in batch.anew)
        self.without_the_person.update(row.category.name for row in batch.detach if not row.category.survives_closure)
        self.by_law.update(row.category.name for row in batch.detach if row.category.survives_closure)
        self.held.update(row.category.name for row in batch.held)

    def as_counts(self) -> dict[str, dict[str, int]]:
        """As it is told, category by category."""
        return {
            "erased": dict(self.erased), "without_the_person": dict(self.without_the_person), "held": dict(self.held),
            "kept_by_law": dict(self.by_law),
        }  # fmt: skip

    @property
    def in_all(self) -> int:
        return sum(sum(part.values()) for part in (self.erased, self.without_the_person, self.by_law, self.held))


async def sorted_pages(
    custody: Custody, principal: Principal, person: Party, *, purpose: Purpose, but: RecordId | None = None
) -> AsyncIterator[Sorted]:
    """Everything that names this person, opened page by page and sorted; `but` is left as it is."""
    found = await search(custody, principal, person, purpose=purpose)
    async for page in pages(custody, found):
        if not page.living:
            continue
        opened = await custody.open_stored(principal, page.living, purpose=purpose)
        async with custody.database.account(found.account) as connection:
            held = await held_among(connection, found.account, [record.stored for record in opened])
        batch = Sorted()
        for record in opened:
            if (roles := roles_of(record, person.text)) and record.stored.record != but:
                _sort(batch, record, roles, held)
        yield batch


def _sort(batch: Sorted, record: OpenedRecord, roles: list[str], held: set[RecordId]) -> None:
    if record.stored.record in held:
        batch.held.append(record.stored)
    elif record.stored.category.is_detachable:
        batch.detach.append(record.stored)
    elif changes := fields_to_detach(record, roles):
        batch.anew.append((record, changes))
    else:
        batch.destroy.append(record.stored)
