"""Promise 2, 9, 12: what is kept is sealed, opens for a purpose under a leaf, and is found by number."""

from __future__ import annotations

import secrets

import pytest

from sealwire.custody.inventory import inventory
from sealwire.custody.lifecycle import RecordMissing
from sealwire.doors.bench.scratch import Scratch
from sealwire.errors import Refused, Unavailable
from sealwire.evidence.reader import payload_rows
from sealwire.governance.principals import NotPermitted, Principal, Scope
from sealwire.vocabulary import CredentialId, RecordId

from .acts import SERVICE, ask_about, audio_of, call_from, keep_call, keep_recording

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_kept_call_opens_for_a_purpose_and_says_who_opened_it(scratch: Scratch) -> None:
    kept = await keep_call(scratch, "+441632960201")
    (opened,) = await scratch.custody.open(scratch.principal, [kept.record], purpose=SERVICE)
    assert opened.content.reveal()["caller"].text == "+441632960201"
    report = await ask_about(scratch, "+441632960201")
    (holding,) = report.holdings
    assert [look.purpose for look in holding.looks] == ["service-operation"]
    assert holding.looks[0].principal == str(scratch.principal.credential)


async def test_opening_leaves_a_leaf_before_plaintext_and_only_one_for_the_act(scratch: Scratch) -> None:
    kept = [await keep_call(scratch, f"+44163296030{n}") for n in range(3)]
    await scratch.custody.open(scratch.principal, [row.record for row in kept], purpose=SERVICE)
    async with scratch.custody.database.account(scratch.account) as connection:
        leaves = [await payload_rows(connection, scratch.account, row.record) for row in kept]
    assert len({rows[-1].index for rows in leaves}) == 1


async def test_audio_comes_back_exactly_as_it_was_spoken(scratch: Scratch) -> None:
    audio = secrets.token_bytes(200_000)
    kept = await keep_recording(scratch, "+441632960202", audio)
    assert await audio_of(scratch, kept.record) == audio


async def test_stored_bytes_hold_neither_number_nor_audio(scratch: Scratch) -> None:
    audio = secrets.token_bytes(50_000)
    kept = await keep_recording(scratch, "+441632960203", audio)
    (stored,) = await scratch.custody.find(scratch.account, [kept.record])
    assert b"441632960203" not in stored.sealed
    assert stored.object_name is not None
    ciphertext = (scratch.settings.objects_dir / stored.object_name).read_bytes()
    assert audio[1000:1064] not in ciphertext
    assert len(ciphertext) == stored.media_bytes


async def test_a_number_is_found_in_either_role_and_a_neighbour_is_not(scratch: Scratch) -> None:
    kept = await keep_call(scratch, "+441632960204")
    await keep_call(scratch, "+441632960205")
    report = await ask_about(scratch, "+441632960204")
    assert [holding.stored.record for holding in report.holdings] == [kept.record]
    callee = await ask_about(scratch, "+441632960100")
    assert kept.record in {holding.stored.record for holding in callee.holdings}


async def test_without_the_scope_nothing_opens(scratch: Scratch) -> None:
    kept = await keep_call(scratch, "+441632960206")
    lister = Principal(CredentialId.new(), scratch.account, frozenset({Scope.READ}), SERVICE)
    with pytest.raises(NotPermitted):
        await scratch.custody.open(lister, [kept.record], purpose=SERVICE)


async def test_a_random_id_is_missing(scratch: Scratch) -> None:
    with pytest.raises(RecordMissing):
        await scratch.custody.open(scratch.principal, [RecordId.new()], purpose=SERVICE)


async def test_the_inventory_counts_what_is_held_and_names_empty_categories(scratch: Scratch) -> None:
    before = {line.category: line.records for line in await inventory(scratch.custody, scratch.account)}
    await keep_call(scratch, "+441632960207")
    after = {line.category: line.records for line in await inventory(scratch.custody, scratch.account)}
    assert after["call-record"] == before["call-record"] + 1
    assert after["billing-record"] == 0


async def test_a_record_past_its_period_is_not_even_taken(scratch: Scratch) -> None:
    with pytest.raises(Refused, match="past its retention period"):
        await keep_call(scratch, "+441632960208", days_ago=120)


async def test_z_without_the_keeper_nothing_is_kept_and_nothing_opens(scratch: Scratch) -> None:
    kept = await keep_call(scratch, "+441632960209")
    await scratch.cloud.child("keeper").stop()
    with pytest.raises(Unavailable):
        await scratch.custody.open(scratch.principal, [kept.record], purpose=SERVICE)
    with pytest.raises(Unavailable):
        await scratch.custody.keep(scratch.account, call_from("+441632960210", ended_at=scratch.custody.clock.now()))
