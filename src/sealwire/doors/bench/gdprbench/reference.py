"""The correctness metric that GDPRbench has and its code leaves out: is each answer one that may be given?

Sixteen clients at once have no single right order, so each value is a regular register: a read may answer what was
written last before it began, or what is being written while it runs, and nothing else. A record must be answered when
it was kept before and is not being erased, and must not once its erasure was acknowledged. Each store is judged by the
times of its own operations, after the clock has stopped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Any, TypeAlias

from sealwire.doors.bench.gdprbench.mixes import Kind, Operation
from sealwire.doors.bench.gdprbench.records import COUNTS, METADATA, record_of, user_of

Metadata: TypeAlias = tuple[int, ...]
Answer: TypeAlias = bool | int | dict[int, Metadata] | tuple[Metadata, int, str] | None


@dataclass(frozen=True, slots=True)
class Done:
    """An operation that was performed: when it began and ended, and what it answered."""

    operation: Operation
    began_s: float
    ended_s: float
    answer: Answer = None


@dataclass(slots=True)
class Register:
    """One value and who wrote it when."""

    writes: list[tuple[float, float, Any]] = field(default_factory=list)

    def write(self, began_s: float, ended_s: float, value: Any) -> None:
        self.writes.append((began_s, ended_s, value))

    def may_be(self, value: Any, began_s: float, ended_s: float) -> bool:
        """Whether a read of this interval may answer this value."""
        before = [write for write in self.writes if write[0] <= ended_s]
        last_s = max((began for began, ended, _ in before if ended < began_s), default=-inf)
        return any(written == value and ended >= last_s for _, ended, written in before)


@dataclass(slots=True)
class _Life:
    """When a record was kept, and when erased."""

    kept: tuple[float, float]
    erased: tuple[float, float] | None = None

    def may_be_there(self, began_s: float, ended_s: float) -> bool:
        return self.kept[0] <= ended_s and (self.erased is None or self.erased[1] >= began_s)

    def must_be_there(self, began_s: float, ended_s: float) -> bool:
        return self.kept[1] < began_s and (self.erased is None or self.erased[0] > ended_s)


class Reference:
    """Follows the operations of one store. `checked` answers were looked at, `wrong` of them could not be right."""

    def __init__(self, records: int) -> None:
        self._lives = {key: _Life((-inf, -inf)) for key in range(records)}
        self._of_purpose: dict[int, set[int]] = defaultdict(set)
        self._of_user: dict[int, set[int]] = defaultdict(set)
        self._data: dict[int, Register] = {}
        self._values: dict[tuple[str, int, str], Register] = defaultdict(Register)
        self._seen: dict[int, list[Done]] = defaultdict(list)
        self.checked = self.wrong = 0
        for key in range(records):
            self._index(key)

    @property
    def correctness(self) -> float:
        """The share of the answers that were looked at which may be given."""
        return 1 - self.wrong / self.checked if self.checked else 1.0

    def follow(self, done: Iterable[Done]) -> None:
        """Take in what was written, then judge what was answered meanwhile."""
        performed = list(done)
        for each in performed:
            self._write(each)
        for each in performed:
            if (is_right := self._judge(each)) is not None:
                self.checked, self.wrong = self.checked + 1, self.wrong + (not is_right)

    def living(self) -> set[int]:
        """The keys that are there when nothing is under way."""
        return {key for key, life in self._lives.items() if life.erased is None}

    def _index(self, key: int) -> None:
        self._of_purpose[key % COUNTS["pur"]].add(key)
        self._of_user[user_of(key)].add(key)

    def _write(self, done: Done) -> None:
        operation, span = done.operation, (done.began_s, done.ended_s)
        subject = operation.subject
        match operation.kind:
            case Kind.CREATE:
                self._lives[subject] = _Life(span)
                self._index(subject)
            case Kind.DELETE:
                self._lives[subject].erased = span
            case Kind.UPDATE:
                self._data_of(subject).write(*span, operation.value)
                self._seen[subject].append(done)
            case Kind.UPDATE_BY_PURPOSE | Kind.UPDATE_BY_USER:
                assert operation.field is not None
                which = "pur" if operation.kind is Kind.UPDATE_BY_PURPOSE else "usr"
                self._values[which, subject, operation.field].write(*span, operation.value)
        if operation.kind in (Kind.UPDATE_BY_USER, Kind.READ_BY_USER):
            for key in self._of_user[subject]:
                self._seen[key].append(done)
        if operation.kind is Kind.READ:
            self._seen[subject].append(done)

    def _judge(self, done: Done) -> bool | None:
        subject = done.operation.subject
        match done.operation.kind:
            case Kind.READ:
                return self._is_record(subject, done)
            case Kind.READ_BY_PURPOSE:
                return self._are_records(self._of_purpose[subject], done)
            case Kind.READ_BY_USER:
                return self._are_records(self._of_user[subject], done)
            case Kind.READ_LOG:
                return self._is_log(subject, done)
            case Kind.VERIFY_DELETION:
                return done.answer is not self._lives[subject].must_be_there(done.began_s, done.ended_s)
        return None

    def _is_record(self, key: int, done: Done) -> bool:
        life = self._lives[key]
        if done.answer is None:
            return not life.must_be_there(done.began_s, done.ended_s)
        if not isinstance(done.answer, tuple) or not life.may_be_there(done.began_s, done.ended_s):
            return False
        metadata, user, data = done.answer
        is_data = self._data_of(key).may_be(data, done.began_s, done.ended_s)
        return user == user_of(key) and is_data and self._is_metadata(key, metadata, done)

    def _are_records(self, keys: set[int], done: Done) -> bool:
        if not isinstance(done.answer, dict) or not done.answer.keys() <= keys:
            return False
        for key in keys:
            life = self._lives[key]
            given = done.answer.get(key)
            if given is None and life.must_be_there(done.began_s, done.ended_s):
                return False
            if given is not None and not (
                life.may_be_there(done.began_s, done.ended_s) and self._is_metadata(key, given, done)
            ):
                return False
        return True

    def _is_metadata(self, key: int, given: Metadata, done: Done) -> bool:
        made, purpose, user = record_of_cached(key), key % COUNTS["pur"], user_of(key)
        if len(given) != len(made):
            return False
        for name, value, at_first in zip(METADATA, given, made, strict=True):
            by_purpose = self._values.get(("pur", purpose, name))
            by_user = self._values.get(("usr", user, name))
            if by_purpose is None and by_user is None:
                if value != at_first:
                    return False
                continue
            writes = [(*self._lives[key].kept, at_first)]
            writes += (by_purpose.writes if by_purpose else []) + (by_user.writes if by_user else [])
            if not Register(writes).may_be(value, done.began_s, done.ended_s):
                return False
        return True

    def _is_log(self, key: int, done: Done) -> bool:
        """At least each completed opening of this record by its key; at most whatever may have opened it."""
        if done.answer is None:
            return True
        looks = self._seen[key]
        reads = [look for look in looks if look.operation.kind is Kind.READ and look.answer]
        least = sum(1 for look in reads if look.ended_s < done.began_s)
        most = sum(1 for look in looks if look.began_s <= done.ended_s)
        return isinstance(done.answer, int) and least <= done.answer <= most

    def _data_of(self, key: int) -> Register:
        if key not in self._data:
            self._data[key] = Register([(*self._lives[key].kept, record_of(key).data)])
        return self._data[key]


_made: dict[int, Metadata] = {}


def record_of_cached(key: int) -> Metadata:
    """The metadata a record is made with."""
    if key not in _made:
        _made[key] = record_of(key).metadata
    return _made[key]
