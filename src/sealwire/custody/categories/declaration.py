"""What a category must say about itself, and what is refused at import when it does not.

A field is `sealed(...)` or `plain("why")`; there is no default exposure. Law of evolution: fields are only
appended, with defaults; anything else is a new category with a new code. Codes are never reused.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar, dataclass_transform, get_type_hints

from sealwire.vocabulary import Day, OpaqueId, RecordId

_CODES: dict[int, str] = {}
_DECLARED: dict[type, Category] = {}
TEN_YEARS_DAYS = 3653
_FINDABLE_CODE_MAX = 15  # the blind index's branch of the key tree has four bits for it
_RESERVED_CODES = {4: "audit payloads", 5: "blind index"}
T = TypeVar("T")


class OnErasure(StrEnum):
    """What happens to the record when the person in this field is erased."""

    DESTROY = "destroy"
    DETACH = "detach"


class Role(StrEnum):
    """The operator's role for this category (GDPR Art. 4(7), 4(8))."""

    PROCESSOR = "processor"
    CONTROLLER = "controller"


@dataclasses.dataclass(frozen=True, slots=True)
class Retention:
    """Storage limitation (GDPR Art. 5(1)(e)) in whole days, counted from the UTC day of the field `starts`.

    `at_year_end` counts from the end of that day's calendar year, as statutory periods do: one day of the tree a year.
    `days_min` and `days_max` are the standard policy's bounds; an operator's own policy, or a signed instruction of the
    customer, stays between `least` and `most`. `least` 0 means that it may be said never to store these.
    """

    starts: str
    days_default: int
    days_min: int
    days_max: int
    at_year_end: bool = False
    least: int = 1
    most: int = TEN_YEARS_DAYS


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field of a category: in the clear for a stated reason, or sealed."""

    name: str
    type: Any
    reason: str | None
    on_erasure: OnErasure | None
    findable: bool

    @property
    def is_sealed(self) -> bool:
        return self.reason is None


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Category:
    """One kind of record: everything the rest of the service needs to know about it. There is one object of each."""

    code: int
    name: str
    purpose: str
    role: Role
    retention: Retention
    has_media: bool
    survives_closure: bool
    passing: bool
    identified_by: str | None
    summary: str
    record: type
    fields: tuple[Field, ...]
    plain_fields: tuple[Field, ...] = dataclasses.field(init=False)
    sealed_fields: tuple[Field, ...] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain_fields", tuple(field for field in self.fields if not field.is_sealed))
        object.__setattr__(self, "sealed_fields", tuple(field for field in self.fields if field.is_sealed))

    @property
    def findable_positions(self) -> tuple[int, ...]:
        """Where the findable values stand among the sealed fields."""
        return tuple(at for at, field in enumerate(self.sealed_fields) if field.findable)

    @property
    def is_of_calls(self) -> bool:
        """Whether its records name the call they belong to."""
        return any(field.name == "call_id" for field in self.plain_fields)

    @property
    def is_of_messages(self) -> bool:
        """Whether its records name the message they belong to and are not the message's own."""
        return self.identified_by != "message_id" and any(field.name == "message_id" for field in self.plain_fields)

    @property
    def is_whole_call(self) -> bool:
        """Whether its record is the call itself, so that nothing of the call is kept once it is erased."""
        return self.identified_by == "call_id" or self.passing

    @property
    def is_extract(self) -> bool:
        """Whether its records may repeat what is sealed in others, and so go when any of those goes."""
        return any(field.name == "with_content" for field in self.plain_fields)

    @property
    def is_detachable(self) -> bool:
        """Whether all that is sealed in it goes with its person, so that the rest of it may stay."""
        return all(field.on_erasure is OnErasure.DETACH for field in self.sealed_fields)

    @property
    def is_resealable(self) -> bool:
        """Whether a record of it can be sealed anew without a person, or corrected: its key seals nothing but it."""
        return not self.has_media and not self.passing

    @property
    def table(self) -> str:
        return self.name.replace("-", "_")

    @property
    def permission(self) -> str:
        return f"{self.name}:open"

    def id_of(self, record: object) -> RecordId:
        """The id under which a record is kept: given by its own field where keeping it twice must keep it once."""
        if self.identified_by is None:
            return RecordId.new()
        given = getattr(record, self.identified_by)
        assert isinstance(given, OpaqueId)
        return RecordId(given.value)

    def clock_starts_at(self, record: object) -> dt.datetime:
        """The moment that starts this record's retention period."""
        moment = getattr(record, self.retention.starts)
        assert isinstance(moment, dt.datetime)
        return moment

    def day_of(self, record: object) -> Day:
        """The day of the key tree under which a record is kept, and from which its period counts."""
        return self.day_at(self.clock_starts_at(record))

    def day_at(self, moment: dt.datetime) -> Day:
        """The same, for a record whose clock starts at this moment."""
        if self.retention.at_year_end:
            return Day.of(dt.datetime(moment.astimezone(dt.UTC).year, 12, 31, tzinfo=dt.UTC))
        return Day.of(moment)


def plain(reason: str, *, default: Any = dataclasses.MISSING) -> Any:
    """A field kept in the clear, and why it must be. One that is appended later allows None and has it as default."""
    if len(reason.split()) < 3:
        raise TypeError(f"plain({reason!r}) gives no reason: say in three words or more why this is in the clear")
    return dataclasses.field(default=default, metadata={"reason": reason})


def sealed(subject: OnErasure | None = None, *, findable: bool = False, default: Any = dataclasses.MISSING) -> Any:
    """A sealed field; `subject` says what its person's erasure does, `findable` that a number can be looked up."""
    return dataclasses.field(default=default, metadata={"reason": None, "on_erasure": subject, "findable": findable})


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(plain, sealed))
def record_category(
    *,
    code: int,
    name: str,
    purpose: str,
    role: Role,
    retention: Retention,
    has_media: bool = False,
    survives_closure: bool = False,
    passing: bool = False,
    identified_by: str | None = None,
) -> Callable[[type[T]], type[T]]:
    """Declare a category; TypeError at import when something is open. `passing` ones may go before they are due."""

    def declare(cls: type[T]) -> type[T]:
        record = dataclasses.dataclass(frozen=True, kw_only=True, repr=False)(cls)
        hints = get_type_hints(record)
        entries = dataclasses.fields(record)  # type: ignore[arg-type]
        fields = tuple(_field(record, entry, hints[entry.name]) for entry in entries)
        summary = (cls.__doc__ or "").strip()
        category = Category(
            code,
            name,
            purpose,
            role,
            retention,
            has_media,
            survives_closure,
            passing,
            identified_by,
            summary,
            record,
            fields,
        )
        _refuse_if_open(category)
        _CODES[code] = name
        _DECLARED[record] = category
        return record

    return declare


def category_of(record: type) -> Category:
    """The declaration of a record class."""
    return _DECLARED[record]


def declared() -> tuple[Category, ...]:
    """Every declaration there is, by code."""
    return tuple(sorted(_DECLARED.values(), key=lambda category: category.code))


def _field(record: type, entry: dataclasses.Field[Any], hint: Any) -> Field:
    if "reason" not in entry.metadata:
        raise TypeError(f"{record.__name__}.{entry.name} is neither sealed(...) nor plain(...)")
    data = entry.metadata
    return Field(entry.name, hint, data["reason"], data.get("on_erasure"), data.get("findable", False))


def _refuse_if_open(category: Category) -> None:
    name, retention = category.name, category.retention
    if category.code in _CODES or category.code in _RESERVED_CODES or not 0 < category.code < 256:
        raise TypeError(f"{name}: code {category.code} is taken or out of range; codes are never reused")
    if not category.summary or "\n" in category.summary:
        raise TypeError(f"{name}: needs a docstring of one line")
    if not retention.days_min <= retention.days_default <= retention.days_max:
        raise TypeError(f"{name}: the default period lies outside its own bounds")
    if not 0 <= retention.least <= retention.days_min <= retention.days_max <= retention.most:
        raise TypeError(f"{name}: the standard bounds lie outside what may ever be asked for")
    if category.has_media and retention.at_year_end:
        raise TypeError(f"{name}: audio is dated by the day on which it begins, not by the end of a year")
    starts = {field.name: field for field in category.fields}.get(retention.starts)
    if starts is None or starts.is_sealed or starts.type is not dt.datetime:
        raise TypeError(f"{name}: the retention clock must start at a plain datetime field")
    if category.findable_positions and category.code > _FINDABLE_CODE_MAX:
        raise TypeError(f"{name}: a category that can be searched has a code up to {_FINDABLE_CODE_MAX}")
    if not category.sealed_fields:
        raise TypeError(f"{name}: nothing is sealed; what holds no personal data is no category")
