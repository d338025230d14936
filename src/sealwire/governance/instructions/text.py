"""The text of an instruction, `sealwire-instruction/v1`, read strictly: docs/formats/instruction.md.

sealwire-instruction/v1
account acc_5f0c1e2d9a7b4c6e8f10213243546576
date 2026-11-23
ground GDPR Art. 6(1)(c) with section 257 HGB
retention call-record 0 3650
retention recording 2 0
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from sealwire.errors import Malformed

FIRST_LINE = "sealwire-instruction/v1"
GROUND_MAX, LINES_MAX = 300, 200
_ACCOUNT = re.compile(r"acc_[0-9a-f]{32}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RETENTION = re.compile(r"([a-z]+(?:-[a-z]+)*) (0|[1-9][0-9]?) (0|[1-9][0-9]{0,4})")


class InstructionMalformed(Malformed):
    """This is not an instruction in the form of docs/formats/instruction.md; nothing was stored."""


@dataclass(frozen=True, slots=True)
class RetentionSetting:
    """That a category of one retention class is kept for so many days."""

    category: str
    retention_class: int
    days: int


@dataclass(frozen=True, slots=True)
class InstructionText:
    """What an instruction says."""

    account: str
    date: dt.date
    ground: str
    retention: tuple[RetentionSetting, ...]


def parse_instruction(text: str) -> InstructionText:
    """Read an instruction; InstructionMalformed says which line is wrong."""
    lines = text.split("\n")
    if lines.pop() or not 5 <= len(lines) <= LINES_MAX:
        raise InstructionMalformed("an instruction has 5 to 200 lines, each ended by a newline")
    if lines[0] != FIRST_LINE:
        raise InstructionMalformed(f"the first line must be {FIRST_LINE}")
    account, date, ground = (_word(lines, at, name) for at, name in ((1, "account"), (2, "date"), (3, "ground")))
    if not _ACCOUNT.fullmatch(account):
        raise InstructionMalformed("line 2: write `account` and the account's id")
    if not 10 <= len(ground) <= GROUND_MAX or ground != ground.strip():
        raise InstructionMalformed(f"line 4: write `ground` and the legal ground, 10 to {GROUND_MAX} characters")
    settings = tuple(_setting(line, number) for number, line in enumerate(lines[4:], 5))
    if len({(each.category, each.retention_class) for each in settings}) < len(settings):
        raise InstructionMalformed("a category of a class is named twice")
    return InstructionText(account, _date(date), ground, settings)


def _word(lines: list[str], at: int, name: str) -> str:
    head, _, rest = lines[at].partition(" ")
    if head != name or not rest:
        raise InstructionMalformed(f"line {at + 1}: write `{name}` and its value")
    return rest


def _date(text: str) -> dt.date:
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        return dt.date.fromisoformat(text)
    except ValueError:
        raise InstructionMalformed("line 3: write `date` and a day as 2026-11-23") from None


def _setting(line: str, number: int) -> RetentionSetting:
    head, _, rest = line.partition(" ")
    match = _RETENTION.fullmatch(rest)
    if head != "retention" or match is None:
        raise InstructionMalformed(
            f"line {number}: write `retention CATEGORY CLASS DAYS`, as `retention recording 0 0`"
        )
    return RetentionSetting(match[1], int(match[2]), int(match[3]))
