"""Promises 2, 5, 6, 7, 12 for every category of the catalogue, from its declaration alone.

Kept, listed without content, opened under a leaf, found by every number in it, erased in every way there is; then
hidden, certified, unreadable also to the attacker with the backup, and removed. Each check must fail before that.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sealwire.custody import erasure as erasing
from sealwire.custody.categories import CATALOGUE, Category
from sealwire.custody.eraser import Eraser
from sealwire.custody.erasure import Ground
from sealwire.custody.forensics.attacker import attack
from sealwire.custody.forensics.sweep import sweep
from sealwire.custody.removal import Remover
from sealwire.custody.requests import records_of_number, subject_report
from sealwire.doors.supervisor import KEEPER
from sealwire.errors import Unavailable
from sealwire.governance.principals import Principal, Scope
from sealwire.vocabulary import E164, CredentialId

from .backup_house import running_house
from .category_house import (
    ASKED,
    CHECKS,
    SERVICE,
    Check,
    Story,
    check_removed,
    check_tokens_gone,
    check_unreadable,
    ways_of,
)
from .examples import Example, keep_example
from .test_forgetting_has_teeth import MutantPart

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
WINDOWS = 1000
"""Of every key that lies about; test_7 tries all that can be, for one call."""
VERIFIER = Path(__file__).parents[2] / "verifier" / "src"
EVERY = [pytest.param(category, id=category.name) for category in CATALOGUE]
FINDABLE = [
    pytest.param(category, one.name, id=f"{category.name}-{one.name}")
    for category in CATALOGUE
    for one in category.sealed_fields
    if one.findable
]


WAYS = [
    pytest.param(category, way, id=f"{category.name}-by {way}") for category in CATALOGUE for way in ways_of(category)
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def living() -> AsyncIterator[Story]:
    """Everything is kept and nothing erased yet."""
    async with running_house() as house:
        principal = Principal(CredentialId.new(), house.account, frozenset({Scope.OWNER}), SERVICE)
        story = Story(house, principal)
        await story.rebuild_index()
        await story.keep_all()
        yield story


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(living: Story) -> Story:
    """The same house after a backup, and after each record was erased in its way. Used by all that come later."""
    house = living.house
    for check in CHECKS:
        for key, one in living.going.items():
            if check is check_tokens_gone and not one.numbers:
                continue  # it never had any
            with pytest.raises(AssertionError):
                await check(living, one, living.rows[key])
    old_vault = house.copy_vault("old", with_epoch_slots=False)
    backup = await house.back_up()
    await living.ask_to_erase_all()
    async with house.eraser() as eraser:
        while await eraser.make_pending_unreadable():
            pass
        while await eraser.remove_pending():
            pass
    targets = [(house.account, one.record) for one in [*living.going.values(), *living.staying.values()]]
    possessions = house.possessions([backup.folder], [old_vault])
    living.attacked = await attack(possessions, targets, house.settings, workspace=house.copies, windows_max=WINDOWS)
    return living


@pytest.mark.parametrize("category", EVERY)
async def test_it_is_listed_without_content_and_a_list_leaves_no_look(living: Story, category: Category) -> None:
    one = living.staying[category.name]
    before = len(await living.looks(one))
    listed = await living.house.custody.page(living.house.account, category, before=None, limit=100)
    (row,) = [row for row in listed if row.record == one.record]
    assert set(row.plain) == {field.name for field in category.plain_fields}
    for value in one.sealed.values():
        raw = value if isinstance(value, bytes) else str(value).encode()
        assert raw not in row.sealed
        assert raw not in repr(row.plain).encode()
    assert len(await living.looks(one)) == before


@pytest.mark.parametrize("category", EVERY)
async def test_it_opens_as_it_was_kept_and_under_one_leaf_that_names_it(living: Story, category: Category) -> None:
    one, custody = living.staying[category.name], living.house.custody
    before = len(await living.looks(one))
    (opened,) = await custody.open(living.principal, [one.record], purpose=SERVICE)
    assert opened.content.reveal() == one.sealed
    looked = len(await living.looks(one))
    assert looked == before + 1
    if one.audio is not None:
        _, pieces = await custody.open_media(living.principal, one.record, purpose=SERVICE)
        assert b"".join([piece async for piece in pieces]) == one.audio
        assert len(await living.looks(one)) == looked + 1


async def test_without_the_log_no_category_opens(living: Story) -> None:
    custody, child = living.house.custody, living.house.cloud.child("sequencer")
    await child.stop()
    try:
        for one in living.staying.values():
            with pytest.raises(Unavailable):
                await custody.open(living.principal, [one.record], purpose=SERVICE)
    finally:
        child.start()
    async with asyncio.timeout(20):
        while True:
            try:
                await custody.open(living.principal, [one.record], purpose=SERVICE)
                break
            except Unavailable:
                await asyncio.sleep(0.1)


@pytest.mark.parametrize(("category", "name"), FINDABLE)
async def test_it_is_found_by_the_number_in_each_findable_field(living: Story, category: Category, name: str) -> None:
    one = living.staying[category.name]
    report = await subject_report(living.house.custody, living.principal, E164(one.numbers[name]), purpose=ASKED)
    (holding,) = report.holdings
    assert holding.stored.record == one.record
    assert str(holding.content.reveal()[name]) == one.numbers[name]


@pytest.mark.parametrize("category", EVERY)
async def test_it_is_due_when_its_declaration_says(living: Story, category: Category) -> None:
    for one in (living.staying[category.name], living.going[category.name, ways_of(category)[-1]]):
        (row,) = await living.house.custody.find(living.house.account, [one.record])
        assert int(row.due_day) == int(row.day) + category.retention.days_default


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize(("category", "way"), WAYS)
async def test_once_erased_it_is(story: Story, category: Category, way: str, check: Check) -> None:
    key = category.name, way
    await check(story, story.going[key], story.rows[key])


@pytest.mark.parametrize(("category", "way"), WAYS)
async def test_its_certificate_verifies_offline_and_repeats_its_commitment(
    story: Story, category: Category, way: str, tmp_path: Path
) -> None:
    account, custody = story.house.account, story.house.custody
    async with custody.database.account(account) as connection:
        erasure = await erasing.find(connection, account, story.erasures[category.name, way])
    assert (erasure.state, erasure.ground) == ("removed", Ground.INSTRUCTION)
    assert erasure.certificate is not None
    log, status = await custody.sequencer.open_log(account), await custody.keeper.status()
    (tmp_path / "policy.txt").write_text(f"log {log.vkey}\nholder {status.holder_vkey}\nquorum none\n")
    (tmp_path / "c").write_text(erasure.certificate)
    command = [sys.executable, "-m", "sealwire_verifier", "certificate", "c", "--policy", "policy.txt"]
    said = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PYTHONPATH": str(VERIFIER)},
    )  # fmt: skip
    assert said.returncode == 0, said.stdout
    body = base64.b64decode(erasure.certificate.splitlines()[1].removeprefix("extra ")).decode()
    one = story.going[category.name, way]
    if way != "day":
        assert json.loads(body)["commitments"] == [base64.b64encode(one.kept.commitment).decode()]
    assert not any(number.lstrip("+") in body for number in one.numbers.values())


@pytest.mark.parametrize("category", EVERY)
async def test_the_backup_made_before_opens_what_stayed_and_nothing_that_went(story: Story, category: Category) -> None:
    assert story.attacked is not None
    stayed = story.attacked.of(story.staying[category.name].record)
    assert (stayed.in_backup, stayed.readable) == (True, True)
    assert stayed.media_readable in (None, True)
    for way in ways_of(category):
        went = story.attacked.of(story.going[category.name, way].record)
        assert (went.in_backup, went.readable) == (True, False), way
        assert not went.media_readable


@pytest.mark.parametrize("category", EVERY)
async def test_what_stayed_still_opens_and_is_still_found(story: Story, category: Category) -> None:
    one, custody = story.staying[category.name], story.house.custody
    (opened,) = await custody.open(story.principal, [one.record], purpose=SERVICE)
    assert opened.content.reveal() == one.sealed
    for number in one.numbers.values():
        found = await records_of_number(custody, story.principal, E164(number), purpose=ASKED)
        assert [row.record for row in found] == [one.record]


@pytest.mark.parametrize(("category", "name"), FINDABLE)
async def test_what_went_is_not_found_by_any_number(story: Story, category: Category, name: str) -> None:
    for way in ways_of(category):
        number = E164(story.going[category.name, way].numbers[name])
        assert (await subject_report(story.house.custody, story.principal, number, purpose=ASKED)).holdings == [], way


@pytest.mark.slow
async def test_nothing_that_was_sealed_lies_anywhere_in_the_clear_and_planted_it_would_be_found(story: Story) -> None:
    house = story.house
    patterns = [pattern for one in [*story.going.values(), *story.staying.values()] for pattern in one.patterns]
    clean = await sweep(house.settings, patterns, dsn=house.owner_dsn())
    assert clean.is_valid, clean.missed
    assert clean.hits == 0, clean.places[:5]
    careless = house.settings.temp_dir / "careless"
    careless.write_bytes(b"\n".join(_plainly(one) for one in story.staying.values()))
    planted = await sweep(house.settings, patterns, dsn=house.owner_dsn())
    careless.unlink()
    found = {place.partition(":")[0] for place in planted.places}
    assert found == {pattern.subject for one in story.staying.values() for pattern in one.patterns}


def _plainly(one: Example) -> bytes:
    values = [value if isinstance(value, bytes) else str(value).encode() for value in one.sealed.values()]
    return b"\n".join([*values, one.audio or b""])


class LeavesRows(Remover):
    """Says removed and leaves the rows where they were."""

    async def remove_records(self, *_: Any) -> None:
        return

    async def remove_day(self, *_: Any) -> None:
        return


class LeavesObjects(Remover):
    """Removes the rows and leaves the objects they named."""

    async def remove_objects(self, *_: Any) -> None:
        return


class LeavesTokens(Eraser):
    """Destroys the keys and leaves the tokens in the index."""

    async def _drop_tokens(self, *_: Any) -> None:
        return


MUTANTS: list[tuple[type[Eraser], Check, Callable[[Category], bool]]] = [
    (type("Careless", (Eraser,), {"remover": LeavesRows}), check_removed, lambda category: True),
    (type("Careless", (Eraser,), {"remover": LeavesObjects}), check_removed, lambda category: category.has_media),
    (LeavesTokens, check_tokens_gone, lambda category: bool(category.findable_positions)),
]


@pytest.mark.parametrize(("eraser", "check", "concerns"), MUTANTS, ids=["rows", "objects", "tokens"])
async def test_z_an_eraser_that_leaves_something_is_caught_in_every_category(
    story: Story, eraser: type[Eraser], check: Check, concerns: Callable[[Category], bool]
) -> None:
    house = story.house
    concerned = [category for category in CATALOGUE if concerns(category)]
    for category in concerned:
        one = await keep_example(house.custody, house.account, category)
        (row,) = await house.custody.find(house.account, [one.record])
        story.rows[category.name, "mutant"], story.going[category.name, "mutant"] = row, one
        await story.ask(one, "record")
    async with house.eraser(eraser) as careless:
        while await careless.make_pending_unreadable():
            pass
        await careless.remove_pending()
    for category in concerned:
        key = category.name, "mutant"
        with pytest.raises(AssertionError):
            await check(story, story.going[key], story.rows[key])


@pytest.mark.slow
async def test_a_keeper_that_punctures_nothing_is_caught_in_every_category(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in (str(Path.cwd()), *sys.path) if path))
    async with running_house(MutantPart("keeper_without_puncture", KEEPER.is_ready)) as house:
        principal = Principal(CredentialId.new(), house.account, frozenset({Scope.OWNER}), SERVICE)
        bad = Story(house, principal)
        kept = [await keep_example(house.custody, house.account, category) for category in CATALOGUE]
        rows = [(await house.custody.find(house.account, [one.record]))[0] for one in kept]
        await house.erase([one.record for one in kept], to="unreadable")
        for one, row in zip(kept, rows, strict=True):
            with pytest.raises(AssertionError):
                await check_unreadable(bad, one, row)
