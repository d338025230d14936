"""The operator's policy is read whole or refused with a sentence, and nothing passes what a declaration allows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sealwire.config import Settings
from sealwire.custody import register
from sealwire.custody.categories import BY_NAME, CATALOGUE, standard_periods
from sealwire.custody.retention.periods import PeriodNotYours, PeriodOutOfBounds, Wanted, refuse_outside
from sealwire.custody.retention.policy import (
    Bounds,
    Policy,
    RetentionPolicyRefused,
    load_policy,
    parse_policy,
    policy_of,
)
from sealwire.doors.api.resources.instructions import EXAMPLE_NOTE, EXAMPLE_VKEY
from sealwire.governance.instructions.text import InstructionMalformed, parse_instruction
from sealwire_sdk.instructions import InstructionKey, sign_instruction
from sealwire_verifier import note as notes

ROOT = Path(__file__).parents[3]
GOOD = "format = 1\n[recording]\ndefault = 30\nmin = 14\nmax = 365\n"
ACCOUNT = "acc_5f0c1e2d9a7b4c6e8f10213243546576"
TEXT = (
    f"sealwire-instruction/v1\naccount {ACCOUNT}\ndate 2026-11-23\nground a policy of ours\nretention recording 0 7\n"
)


def test_without_a_file_the_declarations_bounds_count() -> None:
    policy = load_policy()
    assert policy.of(BY_NAME["recording"]) == Bounds(28, 28, 180)
    assert policy.periods() == standard_periods()


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(GOOD)
    policy = load_policy(str(tmp_path / "policy.toml"))
    assert policy.of(BY_NAME["recording"]) == Bounds(30, 14, 365)
    assert policy.periods() == standard_periods() | {"2/0": 30}


@pytest.mark.parametrize(
    "text",
    [
        "", "format = 2\n", "format = 1\n[recordings]\ndefault = 1\nmin = 1\nmax = 1\n", "format = 1\nrecording = 3\n",
        GOOD.replace("30", "13"), GOOD.replace("365", "3654"), GOOD.replace("14", "0"), GOOD.replace("14", '"14"'),
        GOOD.replace("min = 14\n", ""), GOOD + "often = 1\n",
        "format = 1\n[live-call]\ndefault = 3\nmin = 1\nmax = 3\n",
        "format = 1\n[billing-record]\ndefault = 365\nmin = 365\nmax = 3650\n", "not toml",
    ],
)  # fmt: skip
def test_a_policy_with_a_mistake_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(RetentionPolicyRefused, match="retention policy"):
        parse_policy(text)


def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RetentionPolicyRefused, match="cannot be read"):
        load_policy(str(tmp_path / "none"))


@given(category=st.sampled_from(CATALOGUE), days=st.integers(0, 5000), is_covered=st.booleans())
def test_a_period_is_taken_within_the_bounds_or_by_an_instruction_and_never_beyond_the_declaration(
    category, days: int, is_covered: bool
) -> None:
    setting = Wanted(category, 0, days)
    bounds, allowed = Policy().of(category), category.retention
    try:
        refuse_outside([setting], Policy(), [setting] if is_covered else [])
        is_taken = True
    except (PeriodOutOfBounds, PeriodNotYours):
        is_taken = False
    is_chosen = bounds.days_min <= days <= bounds.days_max
    is_instructed = is_covered and allowed.least <= days <= allowed.most
    assert is_taken == (category.role.value == "processor" and (is_chosen or is_instructed))


def test_an_instruction_covers_exactly_what_it_says() -> None:
    recording = BY_NAME["recording"]
    for covered in (Wanted(recording, 1, 7), Wanted(recording, 0, 8), Wanted(BY_NAME["call-record"], 0, 7)):
        with pytest.raises(PeriodOutOfBounds):
            refuse_outside([Wanted(recording, 0, 7)], Policy(), [covered])
    refuse_outside([Wanted(recording, 0, 7)], Policy(), [Wanted(recording, 0, 7)])


def test_what_the_sdk_signs_is_read_here() -> None:
    key = InstructionKey.new("example.org/privacy")
    lines = [("recording", 0, 0), ("call-record", 15, 3650)]
    note = sign_instruction(key, account=ACCOUNT, ground="a policy of ours", retention=lines)
    notes.verify(note, [notes.parse_vkey(key.vkey)])
    says = parse_instruction(notes.parse(note).text.decode())
    assert says.account == ACCOUNT
    assert [(each.category, each.retention_class, each.days) for each in says.retention] == lines


def test_a_key_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    key = InstructionKey.new("example.org/privacy")
    key.save(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert InstructionKey.load(tmp_path / "key").vkey == key.vkey


def test_the_example_of_the_documents_verifies() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert InstructionKey("example.org/privacy", private).vkey == EXAMPLE_VKEY
    notes.verify(EXAMPLE_NOTE, [notes.parse_vkey(EXAMPLE_VKEY)])
    page = (ROOT / "docs/formats/instruction.md").read_text()
    assert EXAMPLE_VKEY in page
    assert notes.parse(EXAMPLE_NOTE).text.decode() in page
    assert parse_instruction(notes.parse(EXAMPLE_NOTE).text.decode()).date == dt.date(2026, 11, 23)


@pytest.mark.parametrize(
    "text",
    [
        TEXT[:-1], TEXT + "\n", TEXT.replace("v1", "v2"), TEXT.replace("acc_", "rec_"), TEXT.replace("-23", "-31"),
        TEXT.replace("a policy of ours", "short"), TEXT.replace(" 7", " 07"), TEXT.replace(" 0 7", " 0"),
        TEXT + "retention recording 0 8\n", TEXT + "delete everything 0 8\n", TEXT.replace("retention ", "Retention "),
        TEXT.replace("retention recording 0 7\n", ""), TEXT.replace("2026-11-23", "23.11.2026"),
    ],
)  # fmt: skip
def test_what_is_not_in_the_form_is_refused(text: str) -> None:
    with pytest.raises(InstructionMalformed):
        parse_instruction(text)


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    for each in (text, TEXT + text, TEXT.replace("recording 0 7", text)):
        try:
            parse_instruction(each)
        except InstructionMalformed:
            continue


def test_the_page_of_categories_is_what_the_declarations_say() -> None:
    assert (ROOT / "docs/categories.md").read_text() == register.page()


def test_the_register_names_the_article_of_each_role_and_every_reason() -> None:
    for entry in register.register(Policy()):
        category = BY_NAME[entry.category]
        assert entry.article == ("30(1)" if category.role.value == "controller" else "30(2)")
        assert dict(entry.in_the_clear) == {field.name: field.reason for field in category.plain_fields}
        assert set(entry.personal_data) == {field.name for field in category.sealed_fields}
    assert len(register.privacy_table(Policy())) == len(CATALOGUE)


@pytest.mark.parametrize(
    ("country", "days", "is_lawful"),
    [("DE", 2921, False), ("DE", 2922, True), ("GB", 2192, True), ("FR", 2922, False), ("FR", 3653, True)],
)
def test_invoices_are_never_kept_for_less_than_the_statute_of_the_operators_country(
    tmp_path: Path, country: str, days: int, is_lawful: bool
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f"format = 1\n[billing-record]\ndefault = {days}\nmin = {days}\nmax = 4015\n")
    settings = Settings(data_dir=tmp_path, country=country, retention_policy=str(file))
    if is_lawful:
        assert policy_of(settings).periods()["3/0"] == days
    else:
        with pytest.raises(RetentionPolicyRefused, match=r"\[billing-record\].*statutory periods asks for"):
            policy_of(settings)
