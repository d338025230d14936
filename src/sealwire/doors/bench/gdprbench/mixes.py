"""The four roles and their operations, drawn from a seed: every store gets the same ones in the same order.

Controller, customer and processor are the files of the original repository; the regulator, of which it has no file,
is the paper's. Meta queries name what they say, which the original's do not always: by purpose a purpose, by user a
user. Keys are drawn among those that live, so that no operation is an empty one.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sealwire.doors.bench.gdprbench.records import CHANGEABLE, COUNTS, VALUES, data_of, user_of

ZIPFIAN_EXPONENT = 0.99


class Kind(StrEnum):
    """What one operation asks for."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    READ_BY_PURPOSE = "read-meta-by-purpose"
    READ_BY_USER = "read-meta-by-user"
    UPDATE_BY_PURPOSE = "update-meta-by-purpose"
    UPDATE_BY_USER = "update-meta-by-user"
    READ_LOG = "read-log"
    VERIFY_DELETION = "verify-deletion"


@dataclass(frozen=True, slots=True)
class Role:
    """One of the four, with its mix in per cent."""

    name: str
    mix: Mapping[Kind, int]
    is_zipfian: bool = False


CONTROLLER = Role("controller", {Kind.CREATE: 25, Kind.DELETE: 25, Kind.UPDATE_BY_PURPOSE: 25, Kind.UPDATE_BY_USER: 25})
CUSTOMER = Role(
    "customer",
    {
        Kind.READ: 20, Kind.READ_BY_PURPOSE: 10, Kind.READ_BY_USER: 10, Kind.UPDATE: 20, Kind.UPDATE_BY_PURPOSE: 10,
        Kind.UPDATE_BY_USER: 10, Kind.DELETE: 20,
    },
    is_zipfian=True,
)  # fmt: skip
PROCESSOR = Role("processor", {Kind.READ: 20, Kind.READ_BY_PURPOSE: 40, Kind.READ_BY_USER: 40})
REGULATOR = Role("regulator", {Kind.READ_BY_USER: 46, Kind.READ_LOG: 31, Kind.VERIFY_DELETION: 23})
ROLES = (CONTROLLER, CUSTOMER, PROCESSOR, REGULATOR)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: `subject` is a key, a purpose or a user, as its kind says; `value` is what is written."""

    kind: Kind
    subject: int
    field: str | None = None
    value: int | str | None = None


@dataclass(slots=True)
class Draw:
    """Draws operations and remembers what lives once they are done."""

    records: int
    seed: int
    living: list[int] = field(init=False)
    erased: list[int] = field(default_factory=list)
    _random: random.Random = field(init=False)
    _next: int = field(init=False)
    _versions: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _sums: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.living, self._next = list(range(self.records)), self.records
        self._random = random.Random(self.seed)  # noqa: S311 - drawn again alike, not secret
        weights = (1 / rank**ZIPFIAN_EXPONENT for rank in range(1, 2 * self.records + 1))
        self._sums = list(itertools.accumulate(weights))
        self._random.shuffle(self.living)  # which record is hot has nothing to do with its metadata

    def operations(self, role: Role, count: int) -> list[Operation]:
        """The next operations of this role, in exactly its mix as far as `count` allows."""
        kinds = [kind for kind, share in role.mix.items() for _ in range(round(count * share / 100))]
        kinds += self._random.choices(list(role.mix), k=max(0, count - len(kinds)))
        self._random.shuffle(kinds)
        operations = [self._operation(kind, role.is_zipfian) for kind in kinds[:count]]
        self.living += [each.subject for each in operations if each.kind is Kind.CREATE]  # asked for from now on
        return operations

    def _operation(self, kind: Kind, is_zipfian: bool) -> Operation:
        draw: dict[Kind, Callable[[bool], Operation]] = {
            Kind.CREATE: self._create, Kind.DELETE: self._delete, Kind.UPDATE: self._update,
            Kind.VERIFY_DELETION: self._verify,
        }  # fmt: skip
        if kind in draw:
            return draw[kind](is_zipfian)
        key = self.living[self._place(is_zipfian)]
        subjects = {
            Kind.READ_BY_PURPOSE: key % COUNTS["pur"], Kind.UPDATE_BY_PURPOSE: key % COUNTS["pur"],
            Kind.READ_BY_USER: user_of(key), Kind.UPDATE_BY_USER: user_of(key),
        }  # fmt: skip
        if kind in (Kind.UPDATE_BY_PURPOSE, Kind.UPDATE_BY_USER):
            name = self._random.choice(CHANGEABLE)
            return Operation(kind, subjects[kind], name, self._random.choice(VALUES[name]))
        return Operation(kind, subjects.get(kind, key))

    def _create(self, _: bool) -> Operation:
        key, self._next = self._next, self._next + 1
        return Operation(Kind.CREATE, key)

    def _delete(self, is_zipfian: bool) -> Operation:
        place = self._place(is_zipfian)
        key, self.living[place] = self.living[place], self.living[-1]
        self.living.pop()
        self.erased.append(key)
        return Operation(Kind.DELETE, key)

    def _update(self, is_zipfian: bool) -> Operation:
        key = self.living[self._place(is_zipfian)]
        return Operation(Kind.UPDATE, key, "data", data_of(key, next(self._versions)))

    def _verify(self, _: bool) -> Operation:
        """A key that is erased; before anything is, one that lives: the answer is no."""
        return Operation(Kind.VERIFY_DELETION, self._random.choice(self.erased or self.living))

    def _place(self, is_zipfian: bool) -> int:
        if not is_zipfian:
            return self._random.randrange(len(self.living))
        among = min(len(self.living), len(self._sums))
        return min(bisect.bisect(self._sums, self._random.random() * self._sums[among - 1]), among - 1)
