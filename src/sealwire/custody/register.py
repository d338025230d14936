"""Papers that follow from the declarations: the records of processing (GDPR Art. 30), a retention table, a page.

One entry for each category: Art. 30(2) where the operator processes for the customer, Art. 30(1) where it decides
itself, as for invoices. Nothing is typed a second time; what only the operator knows (its name, its sub-processors)
is filled in by whoever asks.
"""

from __future__ import annotations

from dataclasses import dataclass

from sealwire.custody.categories import BY_NAME, CATALOGUE, Category, Role
from sealwire.custody.categories.declaration import Field
from sealwire.custody.retention.policy import Policy

MEASURES = (
    "sealed under a key of its own (XChaCha20-Poly1305), keys outside the database and every backup, each opening "
    "proved in a signed log, erasure by destruction of the key"
)


@dataclass(frozen=True, slots=True)
class RegisterEntry:
    """One category in the records of processing."""

    category: str
    article: str
    role: str
    purpose: str
    what: str
    personal_data: tuple[str, ...]
    in_the_clear: tuple[tuple[str, str], ...]
    data_subjects: str
    days_default: int
    days_min: int
    days_max: int
    counts_from: str
    after_closure: str
    measures: str


@dataclass(frozen=True, slots=True)
class RetentionLine:
    """One line of the table that a privacy policy shows."""

    what: str
    why: str
    how_long: str


def register(policy: Policy) -> list[RegisterEntry]:
    """The records of processing, category by category."""
    return [_entry(category, policy) for category in CATALOGUE]


def privacy_table(policy: Policy) -> list[RetentionLine]:
    """What is kept, why and for how long, in words for people."""
    return [RetentionLine(_words(category), category.purpose, _how_long(category, policy)) for category in CATALOGUE]


def _entry(category: Category, policy: Policy) -> RegisterEntry:
    bounds = policy.of(category)
    return RegisterEntry(
        category=category.name,
        article="30(1)" if category.role is Role.CONTROLLER else "30(2)",
        role=category.role.value,
        purpose=category.purpose,
        what=category.summary,
        personal_data=tuple(field.name for field in category.sealed_fields),
        in_the_clear=tuple((field.name, field.reason or "") for field in category.plain_fields),
        data_subjects=_subjects(category),
        days_default=bounds.days_default,
        days_min=bounds.days_min,
        days_max=bounds.days_max,
        counts_from=_counts_from(category),
        after_closure="kept, restricted, until its own day" if category.survives_closure else "unreadable at closure",
        measures=MEASURES,
    )


def _subjects(category: Category) -> str:
    people = [field.name for field in category.sealed_fields if field.on_erasure is not None]
    return ", ".join(people) if people else "whoever the customer's content names"


def _counts_from(category: Category) -> str:
    starts = category.retention.starts.removesuffix("_at").replace("_", " ")
    return f"the end of the calendar year in which it {starts}" if category.retention.at_year_end else f"it {starts}"


def _words(category: Category) -> str:
    return category.summary.rstrip(".")


def _how_long(category: Category, policy: Policy) -> str:
    bounds = policy.of(category)
    span = f"{bounds.days_default} days after {_counts_from(category)}"
    if bounds.days_min == bounds.days_max or category.role is Role.CONTROLLER:
        return span
    return f"{span}; the customer may choose {bounds.days_min} to {bounds.days_max} days"


def page() -> str:
    """The page docs/categories.md: every declaration under the standard bounds."""
    lines = ["# What is kept", ""]
    lines += [
        "Every kind of record, made from the declarations in the code by `python -m sealwire.custody.register`.",
        "",
    ]
    for entry in register(Policy()):
        category = BY_NAME[entry.category]
        lines += [f"## {entry.category}", "", entry.what, ""]
        facts = {
            "Code": str(category.code),
            "Why": entry.purpose,
            "Register": f"GDPR Art. {entry.article}, as a {entry.role}",
            "How long": _how_long(category, Policy()),
            "By signed instruction": _by_instruction(category),
            "After closure": entry.after_closure,
            "Permission": f"`{category.permission}`",
            "Sealed": ", ".join(map(_sealed, category.sealed_fields)),
        }
        lines += [f"* {name}: {text}" for name, text in facts.items()]
        lines += ["* In the clear:"] + [f"  * {name}: {reason}" for name, reason in entry.in_the_clear] + [""]
    return "\n".join(lines)


def _by_instruction(category: Category) -> str:
    if category.role is Role.CONTROLLER:
        return "not the customer's to say"
    least = "never" if category.retention.least == 0 else f"{category.retention.least} days"
    return f"{least} to {category.retention.most} days"


def _sealed(field: Field) -> str:
    words = [field.on_erasure.value] if field.on_erasure is not None else []
    words += ["findable"] if field.findable else []
    return f"{field.name} ({', '.join(words)})" if words else field.name


if __name__ == "__main__":
    print(page(), end="")
