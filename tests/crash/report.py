"""What a crash matrix found: how many points, and everything that did not hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

RITUALS = ("forget tick", "expiry", "closure", "backup", "restore")


class Broken(StrEnum):
    """What must never be."""

    LOST = "an acknowledged record is lost"
    FALSE = "a certificate or receipt is false"
    OPENS = "what was acknowledged as erased opens"
    TWICE = "a leaf was given out twice"
    STUCK = "it does not start or end again"
    OTHER_END = "it ended otherwise than without a crash"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that does not hold, and after which crash."""

    broken: Broken
    where: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.broken.value} {self.detail}".rstrip()


@dataclass(slots=True)
class Report:
    """Counts by ritual and kind of crash, and what was broken."""

    points: Counter[tuple[str, str]] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)

    def add(self, ritual: str, kind: str, violations: list[Violation]) -> None:
        """One crash that was judged."""
        self.points[ritual, kind] += 1
        self.violations += violations

    def join(self, other: Report) -> None:
        self.points += other.points
        self.violations += other.violations

    def of(self, ritual: str) -> int:
        return sum(count for (which, _), count in self.points.items() if which == ritual)

    @property
    def total(self) -> int:
        return self.points.total()

    @property
    def records_lost(self) -> int:
        return sum(one.broken is Broken.LOST for one in self.violations)

    @property
    def false_certificates(self) -> int:
        return sum(one.broken in (Broken.FALSE, Broken.OPENS) for one in self.violations)

    def table(self) -> str:
        """For people."""
        kinds = sorted({kind for _, kind in self.points})
        lines = [" | ".join(["ritual", *kinds, "points"])]
        for ritual in RITUALS:
            counts = [str(self.points.get((ritual, kind), 0)) for kind in kinds]
            lines.append(" | ".join([ritual, *counts, str(self.of(ritual))]))
        lines.append(f"{self.total} kill points: {self.records_lost} records lost, {self.false_certificates} false"
                     f" certificates, {len(self.violations)} violations")  # fmt: skip
        return "\n".join(lines)
