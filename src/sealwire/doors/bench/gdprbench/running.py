"""The run: each role in slices, each slice on every store in turn, so that what loads the machine loads all of them.

(1) the stores are filled with the same records;
(2) a slice of operations is drawn once and performed on each store by sixteen clients; which is first goes round;
(3) the clock of a slice stops when the last of its erasures is unreadable: an erasure counts when it holds;
(4) before the next store's turn the cloud has come to rest: its background work is nobody else's handicap;
(5) the answers are judged after the clock, and at the end everything that lives is read once more, alone.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import asyncpg

from sealwire.doors.bench.calling import percentile
from sealwire.doors.bench.gdprbench.mixes import ROLES, Draw, Kind, Operation, Role
from sealwire.doors.bench.gdprbench.plain import Plain, connect
from sealwire.doors.bench.gdprbench.records import COUNTS, Record, record_of
from sealwire.doors.bench.gdprbench.reference import Answer, Done, Reference
from sealwire.doors.bench.gdprbench.sealed import Sealed
from sealwire.doors.bench.scratch import Scratch
from sealwire.ground.postgres.queries import load_queries

CLIENTS = 16
BEST_PUBLISHED = 0.61
SEED = 20_201_116
_queries = load_queries(__package__)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many records, and how many operations of each role in how many slices."""

    records: int
    operations: int
    slices: int


FULL = Plan(records=10_000, operations=500, slices=3)
QUICK = Plan(records=1_000, operations=150, slices=2)


class Store(Protocol):
    """What performs operations."""

    name: str

    async def load(self, records: list[Record]) -> None: ...
    async def perform(self, operation: Operation) -> Answer: ...
    async def settle(self) -> None: ...
    async def rest(self) -> None: ...


@dataclass(slots=True)
class _Figures:
    """What one store did in one role, slice by slice."""

    per_s: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    by_kind_s: dict[Kind, list[float]] = field(default_factory=lambda: defaultdict(list))


async def measure(scratch: Scratch, plan: Plan) -> dict[str, Any]:
    """Ratios to the compliant baseline by role (medians of paired slices), and the share of right answers."""
    began_at, draw = scratch.custody.clock.now(), Draw(plan.records, SEED)
    async with _stores(scratch) as (sealed, compliant, bare):
        stores: list[Store] = [sealed, compliant, bare]
        references = {store.name: Reference(plan.records) for store in stores}
        for store in stores:
            await store.load([record_of(key) for key in range(plan.records)])  # (1)
        await sealed.rest()
        roles = {}
        for role in ROLES:
            figures: dict[str, _Figures] = {store.name: _Figures() for store in stores}
            for number in range(plan.slices):
                operations = draw.operations(role, plan.operations)  # (2)
                for store in stores[number % 3 :] + stores[: number % 3]:
                    await _slice(store, operations, figures[store.name], references[store.name])
            roles[role.name] = _told(role, figures)
        for store in stores:
            await _read_all(store, references[store.name])
        waits_s = await sealed.unreadable_after_s(began_at)
        sizes = await sealed.sizes()
    return {
        "bench": "gdprbench", "clients": CLIENTS, "records": plan.records,
        "operations_per_role": plan.operations * plan.slices, "slices": plan.slices,
        "best_published": BEST_PUBLISHED,
        "ratio": {name: told["ratio"] for name, told in roles.items()},
        "ratio_to_bare": {name: told["ratio_to_bare"] for name, told in roles.items()},
        "correctness": references["sealed"].correctness,
        "correctness_of_baselines": {name: references[name].correctness for name in ("compliant", "bare")},
        "answers_checked": references["sealed"].checked,
        "certificates_verified": await sealed.verify_certificates(),
        "erasures": len(waits_s),
        "unreadable_after_s_median": round(statistics.median(waits_s), 3),
        "unreadable_after_s_p99": round(percentile(waits_s, 0.99), 3),
        "space_to_compliant": round(sizes["ours"] / sizes["compliant"], 2),
        "roles": roles,
    }  # fmt: skip


async def _slice(store: Store, operations: Sequence[Operation], figures: _Figures, reference: Reference) -> None:
    began_s = time.perf_counter()
    done = await perform_all(store, operations)
    await store.settle()  # (3)
    figures.per_s.append(len(operations) / (time.perf_counter() - began_s))
    for each in done:
        figures.latencies_s.append(each.ended_s - each.began_s)
        figures.by_kind_s[each.operation.kind].append(each.ended_s - each.began_s)
    await store.rest()  # (4)
    reference.follow(done)  # (5)


async def perform_all(store: Store, operations: Sequence[Operation], *, clients: int = CLIENTS) -> list[Done]:
    """Perform operations by so many clients, each taking the next one there is."""
    left, done = iter(operations), []

    async def client() -> None:
        for operation in left:
            began_s = time.perf_counter()
            answer = await store.perform(operation)
            done.append(Done(operation, began_s, time.perf_counter(), answer))

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return done


async def _read_all(store: Store, reference: Reference) -> None:
    """Every record that lives, by its purpose; and each of a sample by its key, with its data."""
    alone = [Operation(Kind.READ_BY_PURPOSE, purpose) for purpose in range(COUNTS["pur"])]
    alone += [Operation(Kind.READ, key) for key in sorted(reference.living())[::10]]
    reference.follow(await perform_all(store, alone))


def _told(role: Role, figures: dict[str, _Figures]) -> dict[str, Any]:
    ours = figures["sealed"]
    ratios = {
        name: [one / other for one, other in zip(ours.per_s, figures[name].per_s, strict=True)]
        for name in ("compliant", "bare")
    }
    return {
        "ratio": round(statistics.median(ratios["compliant"]), 3),
        "ratio_min": round(min(ratios["compliant"]), 3),
        "ratio_max": round(max(ratios["compliant"]), 3),
        "ratio_to_bare": round(statistics.median(ratios["bare"]), 3),
        "per_s": {name: round(statistics.median(each.per_s)) for name, each in figures.items()},
        "p99_ms": {name: round(percentile(each.latencies_s, 0.99) * 1000, 1) for name, each in figures.items()},
        "median_ms": {
            kind.value: {
                name: round(statistics.median(each.by_kind_s[kind]) * 1000, 2) for name, each in figures.items()
            }
            for kind in role.mix
        },
    }


@asynccontextmanager
async def _stores(scratch: Scratch) -> AsyncIterator[tuple[Sealed, Plain, Plain]]:
    dsn = scratch.cloud.cluster.dsn()
    watch = await asyncpg.connect(dsn)
    try:
        await watch.execute(_queries.prepare)
        sealed, pool = Sealed(scratch, watch), await connect(dsn, clients=CLIENTS)
        try:
            yield sealed, Plain("compliant", pool, scratch.custody.clock), Plain("bare", pool, None)
        finally:
            await sealed.close()
            await pool.close()
    finally:
        await watch.close()
