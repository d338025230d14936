"""Retention: how long what is kept is kept, what a change would take, and what expires on which day."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec
from litestar import get, post, put
from litestar.params import JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK
from msgspec import Meta

from sealwire.custody.categories import CATALOGUE, Role
from sealwire.custody.retention import classes, outlook, periods
from sealwire.custody.retention.outlook import WouldGo
from sealwire.custody.retention.periods import PeriodNotYours, PeriodOutOfBounds, RetentionClassMissing, Wanted
from sealwire.custody.retention.policy import Policy
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.parts import Here, Visit
from sealwire.errors import Malformed
from sealwire.governance.instructions import book
from sealwire.governance.instructions.book import InstructionMissing
from sealwire.governance.principals import Scope
from sealwire.ground.clock import today
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import Day, InstructionId

DAYS_AHEAD, DAYS_AHEAD_MAX = 31, 4_100
CategoryName = Annotated[str, Meta(description="As in the inventory.", examples=["recording"], max_length=40)]
ClassNumber = Annotated[int, Meta(ge=0, le=15, description="The retention class; 0 is the one without a name.",
                                  examples=[0])]  # fmt: skip
Days = Annotated[int, Meta(ge=0, le=40_000, description="Whole days; 0 is never.", examples=[60])]
Count = Annotated[int, Meta(description="How many records.", examples=[12431])]
InstructionText = Annotated[
    str,
    Meta(
        description="The signed instruction that covers it.", examples=["ins_5f0c1e2d9a7b4c6e8f10213243546576"],
        extra_json_schema={"pattern": "^ins_[0-9a-f]{32}$"},
    ),
]  # fmt: skip


class Setting(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """For how long one category is kept in one retention class."""

    category: CategoryName
    retention_class: ClassNumber = 0
    days: Days


Settings = Annotated[list[Setting], Meta(min_length=1, max_length=200)]


class RetentionChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Periods to be changed, all of them or none."""

    settings: Settings
    instruction: InstructionText | None = None


class BoundsSeen(msgspec.Struct, kw_only=True):
    """What may be chosen for one category."""

    category: CategoryName
    days_default: Days
    days_min: Annotated[int, Meta(description="The least without an instruction.", examples=[28])]
    days_max: Annotated[int, Meta(description="The most without an instruction.", examples=[180])]
    instructed_min: Annotated[int, Meta(description="The least by a signed instruction; 0 is never.", examples=[0])]
    instructed_max: Annotated[int, Meta(description="The most by a signed instruction.", examples=[3653])]
    is_yours: Annotated[bool, Meta(description="False where the law says how long the operator keeps it.")]


class ClassSeen(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A retention class of the account."""

    retention_class: Annotated[int, Meta(ge=1, le=15, description="Services point to it.", examples=[1])]
    name: Annotated[str, Meta(min_length=1, max_length=100, description="In your words.", examples=["claims"])]


class PeriodSeen(msgspec.Struct, kw_only=True):
    """How long a category is kept in a class now."""

    category: CategoryName
    retention_class: ClassNumber
    days: Days
    in_force: Annotated[bool, Meta(description="The keeper knows; until it does, nothing of it expires.")]
    instruction: InstructionText | None


class RetentionSeen(msgspec.Struct, kw_only=True):
    """Bounds, classes and periods."""

    bounds: list[BoundsSeen]
    classes: list[ClassSeen]
    periods: list[PeriodSeen]


class WouldGoSeen(msgspec.Struct, kw_only=True):
    """What one setting takes of what is kept."""

    category: CategoryName
    retention_class: ClassNumber
    days: Days
    days_before: Days
    erased_now: Annotated[int, Meta(description="Records that go at once.", examples=[12431])]
    held: Annotated[int, Meta(description="Records that would go and stay because they are held.", examples=[0])]


class Preview(msgspec.Struct, kw_only=True):
    """What a change would do; nothing was changed by asking."""

    settings: list[WouldGoSeen]
    erased_now: Count
    held: Annotated[int, Meta(examples=[0])]
    refused: Annotated[str | None, Meta(description="Why it would be refused; null when not.", examples=[None])]


class RetentionChanged(msgspec.Struct, kw_only=True):
    """What a change did."""

    settings: list[WouldGoSeen]
    erased_now: Count
    held: Annotated[int, Meta(examples=[0])]
    in_force: Annotated[bool, Meta(description="The keeper was told; otherwise it is told as soon as it answers.")]


class ExpiringSeen(msgspec.Struct, kw_only=True):
    """Records that have the same last day."""

    last_day: Annotated[dt.date, Meta(description="The last day they are kept.", examples=["2026-12-21"])]
    category: CategoryName
    retention_class: ClassNumber
    records: Count
    held: Annotated[int, Meta(description="How many more are due and stay because they are held.", examples=[0])]


class RetentionCalendar(msgspec.Struct, kw_only=True):
    """What expires, the next first."""

    until: Annotated[dt.date, Meta(examples=["2026-12-24"])]
    days: list[ExpiringSeen]


@get("/v1/retention", **operation("get-retention", "Retention", Scope.READ, summary="How long is what kept?"))
async def get_retention(here: Here) -> RetentionSeen:
    """The bounds the operator sets, the classes you have named, and the periods in force."""
    policy = here.parts.retention_policy
    async with here.parts.database.account(here.account) as connection:
        named = await classes.classes_of(connection, here.account)
        found = await periods.periods_of(connection, here.account)
    return RetentionSeen(
        bounds=_bounds(policy),
        classes=[ClassSeen(retention_class=each.number, name=each.name) for each in named],
        periods=[
            PeriodSeen(
                category=each.category.name, retention_class=each.retention_class, days=each.days,
                in_force=each.is_in_force, instruction=str(each.instruction) if each.instruction else None,
            )
            for each in found
        ],
    )  # fmt: skip


@put(
    "/v1/retention/classes",
    **operation(
        "name-retention-class", "Retention", Scope.OWNER, summary="Name a retention class", raises=(Malformed,),
        body={"retention_class": 1, "name": "claims"},
    ),
)  # fmt: skip
async def name_retention_class(here: Here, data: JSONBody[ClassSeen]) -> ClassSeen:
    """A new class starts with the periods of class 0. Then set its own periods, and point services to it."""
    account, parts = here.account, here.parts
    async with parts.database.account(account) as connection:
        named = await classes.name_class(
            connection, account, data.retention_class, data.name, by=here.principal.credential, clock=parts.clock
        )
    await periods.settle(parts.database, parts.custody.keeper, account)
    return ClassSeen(retention_class=named.number, name=named.name)


@post(
    "/v1/retention/preview",
    status_code=HTTP_200_OK,
    **operation(
        "preview-retention", "Retention", Scope.READ, summary="What would a change erase?",
        raises=(Malformed, InstructionMissing),
        body={"settings": [{"category": "recording", "retention_class": 0, "days": 30}]},
    ),
)  # fmt: skip
async def preview_retention(here: Here, data: JSONBody[RetentionChange]) -> Preview:
    """Counts of what would go at once, held records apart. Opens nothing and changes nothing."""
    settings, refused = _wanted(data), None
    async with here.parts.database.account(here.account) as connection:
        covered = await _covered(connection, here, data)
        try:
            periods.refuse_outside(settings, here.parts.retention_policy, covered)
        except (PeriodNotYours, PeriodOutOfBounds) as refusal:
            refused = str(refusal)
        found = await outlook.preview(connection, here.account, settings, clock=here.parts.clock)
    return Preview(settings=_would_go(found), erased_now=_sum(found), held=_held(found), refused=refused)


@put(
    "/v1/retention/periods",
    **operation(
        "change-retention", "Retention", Scope.OWNER, summary="Change retention periods",
        raises=(PeriodOutOfBounds, PeriodNotYours, RetentionClassMissing, InstructionMissing, Malformed),
        body={"settings": [{"category": "recording", "retention_class": 0, "days": 30}]},
    ),
)  # fmt: skip
async def change_retention(here: Here, data: JSONBody[RetentionChange]) -> RetentionChanged:
    """All settings or none. Shorter: what is past due goes now. Longer: what is kept stays, unless it is gone already.

    Below or above the bounds a signed instruction has to say exactly this, and is cited.
    """
    settings, account, parts = _wanted(data), here.account, here.parts
    async with parts.database.account(account) as connection:
        covered = await _covered(connection, here, data)
        periods.refuse_outside(settings, parts.retention_policy, covered)
        found = await outlook.preview(connection, account, settings, clock=parts.clock)
        await periods.change(
            connection, account, settings, by=here.principal.credential, clock=parts.clock,
            backup_cycle_days=parts.settings.backup_cycle_days,
            instruction=InstructionId.parse(data.instruction) if data.instruction else None,
        )  # fmt: skip
    in_force = await periods.settle(parts.database, parts.custody.keeper, account)
    return RetentionChanged(settings=_would_go(found), erased_now=_sum(found), held=_held(found), in_force=in_force)


@get(
    "/v1/retention/calendar",
    **operation("get-retention-calendar", "Retention", Scope.READ, summary="What expires on which day?"),
)
async def get_retention_calendar(
    here: Here,
    days: Annotated[
        int, QueryParameter(ge=0, le=DAYS_AHEAD_MAX, description="How many days ahead; 31 when not said.")
    ] = DAYS_AHEAD,
) -> RetentionCalendar:
    """By last day, category and class. What is past due and on its way out stands first."""
    until = Day(int(today(here.parts.clock)) + days)
    async with here.parts.database.account(here.account) as connection:
        found = await outlook.calendar(connection, here.account, until=until)
    return RetentionCalendar(
        until=until.date,
        days=[
            ExpiringSeen(
                last_day=each.last_day.date, category=each.category.name, retention_class=each.retention_class,
                records=each.records, held=each.held,
            )
            for each in found
        ],
    )  # fmt: skip


def _bounds(policy: Policy) -> list[BoundsSeen]:
    seen = []
    for category in CATALOGUE:
        bounds, allowed = policy.of(category), category.retention
        line = BoundsSeen(
            category=category.name, days_default=bounds.days_default, days_min=bounds.days_min,
            days_max=bounds.days_max, instructed_min=allowed.least, instructed_max=allowed.most,
            is_yours=category.role is Role.PROCESSOR,
        )  # fmt: skip
        seen.append(line)
    return seen


def _wanted(data: RetentionChange) -> list[Wanted]:
    settings = [periods.wanted(each.category, each.retention_class, each.days) for each in data.settings]
    if len({each.key for each in settings}) < len(settings):
        raise Malformed("a category of a class is named twice; nothing was changed")
    return settings


async def _covered(connection: Connection, here: Visit, data: RetentionChange) -> list[Wanted]:
    """What the cited instruction says; nothing without one. Categories it names that we do not have cover nothing."""
    if data.instruction is None:
        return []
    given = await book.find(connection, here.account, InstructionId.parse(data.instruction))
    known = {category.name for category in CATALOGUE}
    return [
        periods.wanted(each.category, each.retention_class, each.days)
        for each in given.says.retention
        if each.category in known and each.retention_class <= classes.CLASS_MAX
    ]


def _would_go(found: list[WouldGo]) -> list[WouldGoSeen]:
    return [
        WouldGoSeen(
            category=each.wanted.category.name, retention_class=each.wanted.retention_class, days=each.wanted.days,
            days_before=each.days_before, erased_now=each.erased_now, held=each.held,
        )
        for each in found
    ]  # fmt: skip


def _sum(found: list[WouldGo]) -> int:
    return sum(each.erased_now for each in found)


def _held(found: list[WouldGo]) -> int:
    return sum(each.held for each in found)
