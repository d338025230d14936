"""The customer's choice: how many days each category is kept in each retention class, and what is changed by whom.

To change periods:
(1) each is checked against the operator's bounds, or against a signed instruction; when one is refused, none is taken;
(2) rows and leaf are written in one transaction, in one order with keeps and erasures;
(3) the keeper is told, and only what it was told expires; when it does not answer, the worker tells it later;
(4) reports made with content go, as they are dated by the periods of then, and the worker is woken: what is past due
    now goes like anything else that is due.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sealwire.custody.categories import BY_CODE, BY_NAME, CATALOGUE, Category, Role
from sealwire.custody.erasure import Ground, request_records
from sealwire.custody.keys.client import KeeperClient
from sealwire.custody.retention.policy import Policy
from sealwire.custody.storage import statements
from sealwire.custody.store import StoredRecord
from sealwire.custody.store import queries as custody_queries
from sealwire.errors import Malformed, Refused, Unavailable
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339, today
from sealwire.ground.postgres.database import Connection, Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, CredentialId, InstructionId

CHANNEL = "sealwire_retention"
queries = load_queries(__package__)


class PeriodOutOfBounds(Malformed):
    """A retention period lies outside the bounds and no signed instruction covers it; nothing was changed."""


class PeriodNotYours(Refused):
    """How long this category is kept is not the customer's to say; nothing was changed."""


class RetentionClassMissing(Malformed):
    """This account has no such retention class; name it first. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """That a category of one retention class is kept for so many days; 0 is never."""

    category: Category
    retention_class: int
    days: int

    @property
    def key(self) -> str:
        return f"{self.category.code}/{self.retention_class}"


@dataclass(frozen=True, slots=True)
class Period:
    """How long a category is kept in a class, and whether the keeper knows."""

    category: Category
    retention_class: int
    days: int
    is_in_force: bool
    instruction: InstructionId | None


def wanted(category: str, retention_class: int, days: int) -> Wanted:
    """A setting as it was sent; Malformed when there is no such category or class."""
    if category not in BY_NAME:
        raise Malformed("there is no such category; GET /v1/retention lists them")
    if not 0 <= retention_class <= 15:
        raise Malformed("a retention class is 0 to 15")
    return Wanted(BY_NAME[category], retention_class, days)


def refuse_outside(settings: Iterable[Wanted], policy: Policy, covered: Iterable[Wanted] = ()) -> None:
    """PeriodOutOfBounds or PeriodNotYours at the first setting that neither policy nor an instruction allows. (1)"""
    instructed = set(covered)
    for setting in settings:
        name, allowed = setting.category.name, setting.category.retention
        bounds = policy.of(setting.category)
        if setting.category.role is Role.CONTROLLER:
            raise PeriodNotYours(f"{name} is kept by the operator as the law demands; nothing was changed")
        if bounds.days_min <= setting.days <= bounds.days_max:
            continue
        if setting.days == 0 and allowed.least > 0:
            raise PeriodNotYours(f"the service cannot work without {name}, so it is kept a day at least")
        if not allowed.least <= setting.days <= allowed.most:
            raise PeriodOutOfBounds(
                f"{name} for {setting.days} days: even an instruction is {allowed.least} to {allowed.most} days;"
                " nothing was changed"
            )
        if setting not in instructed:
            raise PeriodOutOfBounds(
                f"{name} for {setting.days} days: choose {bounds.days_min} to {bounds.days_max} days, or give a signed"
                " instruction for exactly this and cite it; nothing was changed"
            )


async def admit(connection: Connection, account: AccountId, periods: Mapping[str, int]) -> None:
    """Write down the periods with which the keeper made this account; those that stand already stay."""
    keys = [tuple(map(int, key.split("/"))) for key in periods]
    await connection.execute(
        queries.admit_periods, account.value, [code for code, _ in keys], [each for _, each in keys],
        list(periods.values()),
    )  # fmt: skip


async def periods_of(connection: Connection, account: AccountId) -> list[Period]:
    """The account's periods, category by category and class by class."""
    rows = await connection.fetch(queries.periods, account.value)
    return [
        Period(
            BY_CODE[row["category"]], row["retention_class"], row["days"], row["told_days"] == row["days"],
            InstructionId(row["instruction_id"]) if row["instruction_id"] else None,
        )
        for row in rows if row["category"] in BY_CODE
    ]  # fmt: skip


async def change(
    connection: Connection,
    account: AccountId,
    settings: list[Wanted],
    *,
    instruction: InstructionId | None,
    by: CredentialId,
    backup_cycle_days: int,
    clock: Clock,
) -> None:
    """Write checked settings in the caller's transaction, with their leaf; `settle` has to follow its end. (2)"""
    await connection.execute(custody_queries.wait_for_keeps, account.value)
    before = {(each.category.code, each.retention_class): each.days for each in await periods_of(connection, account)}
    if any(each.retention_class and (each.category.code, each.retention_class) not in before for each in settings):
        raise RetentionClassMissing
    for each in settings:
        await connection.execute(
            queries.set_period, account.value, each.category.code, each.retention_class, each.days,
            instruction.value if instruction else None, int(today(clock)),
        )  # fmt: skip
    changes = [
        {
            "category": each.category.name, "class": each.retention_class, "days": each.days,
            "before": before.get((each.category.code, each.retention_class)),
        }
        for each in settings
    ]  # fmt: skip
    payload: dict[str, object] = {"changes": changes, "by": str(by), "at": rfc3339(clock.now())}
    if instruction is not None:
        payload["instruction"] = str(instruction)
    await post_event(connection, account, LeafClass.RETENTION_CHANGED, payload)
    await _let_extracts_go(connection, account, by=by, backup_cycle_days=backup_cycle_days, clock=clock)
    await connection.execute(queries.wake_worker)  # (4)


async def _let_extracts_go(
    connection: Connection, account: AccountId, *, by: CredentialId, backup_cycle_days: int, clock: Clock
) -> None:
    """Reports made with content: each was dated to go with the first of its records, by the periods of then."""
    for category in CATALOGUE:
        if not category.is_extract:
            continue
        found = await connection.fetch(statements(category).extracts, account.value)
        rows = await connection.fetch(statements(category).by_ids, account.value, [row["record_id"] for row in found])
        records = [StoredRecord.from_row(account, category, row) for row in rows]
        if records:
            await request_records(
                connection, account, records, ground=Ground.INSTRUCTION, requested_by=str(by),
                backup_cycle_days=backup_cycle_days, clock=clock,
            )  # fmt: skip


async def admit_class(connection: Connection, account: AccountId, retention_class: int) -> None:
    """Give a retention class the periods of class 0, to be told to the keeper by `settle`."""
    await connection.execute(queries.admit_class, account.value, retention_class)


async def settle(database: Database, keeper: KeeperClient, account: AccountId) -> bool:
    """Tell the keeper what it does not know yet; False when it does not answer, so that the worker does it. (3)

    One at a time for an account: what is told last is what was written last.
    """
    try:
        async with database.account(account) as connection:
            await connection.execute(queries.settle_in_turn, account.value)
            rows = await connection.fetch(queries.untold, account.value)
            if not rows:
                return True
            periods = {f"{row['category']}/{row['retention_class']}": row["days"] for row in rows}
            await keeper.set_periods(account, periods)
            columns = [[row[name] for row in rows] for name in ("category", "retention_class", "days")]
            await connection.execute(queries.told, account.value, *columns)
            await connection.execute(queries.wake_worker)
    except Unavailable:
        return False
    return True


async def settle_all(database: Database, keeper: KeeperClient) -> int:
    """What a process that died left untold; how many accounts. Run by the worker before anything expires."""
    async with database.system() as connection:
        accounts = [AccountId(row["account_id"]) for row in await connection.fetch(queries.accounts_untold)]
    settled = 0
    for account in accounts:
        try:
            settled += await settle(database, keeper, account)
        except Exception as error:
            diagnostics.failure("retention.settle-failed", error, account=account)
    return settled
