"""The operator's policy: bounds and default of each category's period, from a file. Form: docs/howto/set-retention.md.

What a file does not name is as its declaration says. No file reaches beyond what a declaration ever allows.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealwire.config import Settings
from sealwire.custody.categories import AUDIT_CODE, BY_CODE, BY_NAME, CATALOGUE, Category, standard_periods
from sealwire.errors import Malformed
from sealwire.governance.billing.statutory import StatutoryPeriod, load_statutory, period_of

FORMAT = 1
_HEAD = {"format"}
_WORDS = ("default", "min", "max")


class RetentionPolicyRefused(Malformed):
    """The retention policy cannot be used; correct the category that is named and start again."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Whole days that may be chosen for a category without an instruction, and those of a new account."""

    days_default: int
    days_min: int
    days_max: int


class Policy:
    """The bounds of every category, as this operator sets them."""

    def __init__(self, chosen: dict[int, Bounds] | None = None) -> None:
        self._chosen = chosen or {}

    def of(self, category: Category) -> Bounds:
        """The bounds of one category."""
        declared = category.retention
        standard = Bounds(declared.days_default, declared.days_min, declared.days_max)
        return self._chosen.get(category.code, standard)

    def require_lawful(self, period: StatutoryPeriod) -> None:
        """RetentionPolicyRefused where the file would let invoices go before the statute of this country does."""
        for code, bounds in self._chosen.items():
            if BY_CODE[code].survives_closure and min(bounds.days_min, bounds.days_default) < period.days:
                raise RetentionPolicyRefused(
                    f"retention policy, [{BY_CODE[code].name}]: the table of statutory periods asks for {period.years} "
                    f"years in [{period.country}]; set min to {period.days} days or more, or correct `country` or "
                    "`statutory`"
                )

    def periods(self) -> dict[str, int]:
        """The periods of a new account, keyed `category/class`, as the keeper enforces them."""
        return standard_periods() | {f"{code}/0": bounds.days_default for code, bounds in self._chosen.items()}


def load_policy(file: str = "") -> Policy:
    """Read the policy at this path, or take the declarations' own; RetentionPolicyRefused."""
    if not file:
        return Policy()
    try:
        return parse_policy(Path(file).read_text())
    except (OSError, UnicodeDecodeError):
        raise RetentionPolicyRefused(
            "the retention policy cannot be read; check the setting `retention_policy`"
        ) from None


def policy_of(settings: Settings) -> Policy:
    """The policy that the settings name, held against the statute of the operator's country."""
    policy = load_policy(settings.retention_policy)
    policy.require_lawful(period_of(load_statutory(settings.statutory), settings.country))
    return policy


def parse_policy(text: str) -> Policy:
    """Check the text of a policy file, all of it, before any of it counts."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RetentionPolicyRefused(f"the retention policy is not TOML: {error}") from None
    if document.get("format") != FORMAT:
        raise RetentionPolicyRefused(f"retention policy: write `format = {FORMAT}`")
    return Policy({BY_NAME[name].code: _bounds(BY_NAME[name], document[name]) for name in _categories(document)})


def _categories(document: dict[str, Any]) -> list[str]:
    named = [name for name in document if name not in _HEAD]
    for name in named:
        if name not in BY_NAME:
            raise RetentionPolicyRefused(f"retention policy: there is no category `{name}`")
    return named


def _bounds(category: Category, entry: Any) -> Bounds:
    name, allowed = category.name, category.retention
    if (
        not isinstance(entry, dict)
        or set(entry) != set(_WORDS)
        or any(type(each) is not int for each in entry.values())
    ):
        raise RetentionPolicyRefused(f"retention policy, [{name}]: write default, min and max in whole days")
    bounds = Bounds(*(entry[word] for word in _WORDS))
    if not bounds.days_min <= bounds.days_default <= bounds.days_max:
        raise RetentionPolicyRefused(f"retention policy, [{name}]: the default lies outside min and max")
    least = max(allowed.least, 1)
    if bounds.days_min < least or bounds.days_max > allowed.most:
        raise RetentionPolicyRefused(f"retention policy, [{name}]: stay within {least} and {allowed.most} days")
    return bounds


def name_of(code: int) -> str:
    """A category's name by its code in the tree; the log's own payloads have a code and no declaration."""
    return "evidence-payload" if code == AUDIT_CODE else BY_CODE[code].name


__all__ = [
    "CATALOGUE", "Bounds", "Policy", "RetentionPolicyRefused", "load_policy", "name_of", "parse_policy", "policy_of",
]  # fmt: skip
