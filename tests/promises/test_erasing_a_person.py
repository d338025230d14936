"""Erasing one person: what is theirs goes, what belongs to somebody else stays without them, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from sealwire.custody import erasure as erasing
from sealwire.custody.categories import CallRecord, OptOut, category_of
from sealwire.custody.lifecycle import Kept, RecordErased
from sealwire.custody.requests import acting, records_of_number
from sealwire.custody.requests.workflow import Kind, State
from sealwire.doors.bench.scratch import Scratch
from sealwire.vocabulary import E164, Purpose

from .acts import SERVICE, erasure_at
from .requests_house import (
    OTHER,
    answer_for,
    as_it_is,
    call_between,
    message_between,
    opt_out_of,
    request_of,
    until_indexed,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
ASKED = Purpose.SUBJECT_REQUEST


async def erase(scratch: Scratch, person: str):
    await until_indexed(scratch)
    request = await request_of(scratch, Kind.ERASURE, person)
    erasures = await acting.erase_person(scratch.custody, scratch.principal, request, backup_cycle_days=28)
    return request, erasures


async def test_a_call_is_sealed_anew_without_the_callee_and_the_caller_still_finds_and_opens_it(
    scratch: Scratch,
) -> None:
    custody, caller, callee = scratch.custody, "+441632960301", "+441632960302"
    kept = await call_between(scratch, caller, callee)
    (before,) = await custody.find(scratch.account, [kept.record])
    request, erasures = await erase(scratch, callee)
    (after,) = await custody.find(scratch.account, [kept.record])
    assert (after.day, after.retention_class) == (before.day, before.retention_class)
    assert after.slot != before.slot
    assert after.commitment != before.commitment
    (opened,) = await custody.open(scratch.principal, [kept.record], purpose=SERVICE)
    content = opened.content.reveal()
    assert (content["caller"].text, content["callee"].text, content["digits"]) == (caller, "anonymous", "5")
    found = await records_of_number(custody, scratch.principal, E164(caller), purpose=ASKED)
    assert [row.record for row in found] == [kept.record]
    assert await records_of_number(custody, scratch.principal, E164(callee), purpose=ASKED) == []
    for erasure in erasures:
        done = await erasure_at(scratch, erasure, "removed")
        assert done.certificate is not None
    assert await custody.open_stored(scratch.principal, [before], purpose=SERVICE) == []  # a copy made before is noise
    (opened,) = await custody.open(scratch.principal, [kept.record], purpose=SERVICE)
    assert opened.content.reveal()["caller"].text == caller
    assert (await as_it_is(scratch, request)).state is State.DONE


async def test_the_old_key_stands_in_the_certificate_and_the_new_commitment_in_the_log(scratch: Scratch) -> None:
    callee = "+441632960304"
    kept = await call_between(scratch, "+441632960303", callee)
    _, erasures = await erase(scratch, callee)
    first = await erasure_at(scratch, erasures[0], "removed")
    assert first.certificate is not None
    owner = await asyncpg.connect(scratch.cloud.cluster.dsn())
    try:
        rows = await owner.fetch("SELECT commitment FROM custody.resealing WHERE record_id = $1", kept.record.value)
        assert [row["commitment"] for row in rows] == [kept.commitment]
        tokens = await owner.fetch("SELECT token FROM custody.blind_index WHERE record_id = $1", kept.record.value)
        assert len(tokens) == 1  # the caller's alone
    finally:
        await owner.close()


async def test_what_the_person_did_themselves_is_destroyed(scratch: Scratch) -> None:
    custody, person = scratch.custody, "+441632960305"
    called = await call_between(scratch, person, OTHER)
    wrote = await message_between(scratch, person, OTHER, "x")
    await erase(scratch, person)
    for kept in (called, wrote):
        with pytest.raises(RecordErased):
            await custody.open(scratch.principal, [kept.record], purpose=SERVICE)


async def test_what_comes_while_a_person_is_erased_goes_too(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    person, came = "+441632960341", list[Kept]()
    first = await call_between(scratch, person, OTHER)
    _comes_after_each_search(scratch, monkeypatch, person, came, at_most=1)
    request, _ = await erase(scratch, person)
    assert len(came) == 1
    for kept in (first, *came):
        with pytest.raises(RecordErased):
            await scratch.custody.open(scratch.principal, [kept.record], purpose=SERVICE)
    after = await as_it_is(scratch, request)
    assert (after.state, (after.counts or {})["erased"]) == (State.DONE, 2)


async def test_a_request_is_not_done_while_more_and_more_comes(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, came = "+441632960342", list[Kept]()
    await call_between(scratch, person, OTHER)
    await until_indexed(scratch)
    request = await request_of(scratch, Kind.ERASURE, person)
    with monkeypatch.context() as patch:
        _comes_after_each_search(scratch, patch, person, came, at_most=100)
        with pytest.raises(acting.StillComing):
            await acting.erase_person(scratch.custody, scratch.principal, request, backup_cycle_days=28)
    again = await as_it_is(scratch, request)
    assert again.state is not State.DONE
    await acting.erase_person(scratch.custody, scratch.principal, again, backup_cycle_days=28)
    assert (await as_it_is(scratch, request)).state is State.DONE
    assert await records_of_number(scratch.custody, scratch.principal, E164(person), purpose=ASKED) == []


def _comes_after_each_search(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch, person: str, came: list[Kept], *, at_most: int
) -> None:
    """Somebody calls just when everything about this person was found."""
    found = acting.sorted_pages

    async def found_and_then_called(*given: Any, **named: Any) -> AsyncIterator[Any]:
        async for batch in found(*given, **named):
            yield batch
        if len(came) < at_most:
            came.append(await call_between(scratch, person, OTHER))

    monkeypatch.setattr(acting, "sorted_pages", found_and_then_called)


async def test_the_preview_says_beforehand_what_becomes_of_what(scratch: Scratch) -> None:
    custody, person = scratch.custody, "+441632960306"
    await until_indexed(scratch)
    await call_between(scratch, person, OTHER)
    await call_between(scratch, OTHER, person)
    await message_between(scratch, OTHER, person, "x")
    await opt_out_of(scratch, person, OTHER)
    request = await request_of(scratch, Kind.ERASURE, person)
    seen = await acting.preview(custody, scratch.principal, request)
    assert seen.erased == {"call-record": 1, "message-content": 1}
    assert seen.without_the_person == {"call-record": 1, "opt-out": 1}
    assert not seen.by_law
    lines, _ = await answer_for(scratch, person)
    assert len(lines) == 5  # the request itself too; nothing was changed


async def test_an_opt_out_loses_its_sender_and_keeps_the_person_who_said_it(scratch: Scratch) -> None:
    custody, sender, person = scratch.custody, "+441632960307", "+441632960308"
    kept = await opt_out_of(scratch, sender, person)
    await erase(scratch, sender)
    (opened,) = await custody.open(scratch.principal, [kept.record], purpose=SERVICE, category=category_of(OptOut))
    assert opened.content.reveal()["recipient"].text == person


async def test_erasing_somebody_of_whom_nothing_is_held_says_so_and_changes_nothing(scratch: Scratch) -> None:
    person = "+441632960309"
    await until_indexed(scratch)
    request = await request_of(scratch, Kind.ERASURE, person)
    before = await erasing.page(scratch.custody.database, scratch.account, before=None, limit=200)
    with pytest.raises(acting.NothingHeld):
        await acting.erase_person(scratch.custody, scratch.principal, request, backup_cycle_days=28)
    after = await erasing.page(scratch.custody.database, scratch.account, before=None, limit=200)
    assert [one.erasure for one in before] == [one.erasure for one in after]
    assert (await as_it_is(scratch, request)).state is State.RECEIVED


async def test_an_erased_person_leaves_the_request_its_state_and_its_dates_only(scratch: Scratch) -> None:
    person = "+441632960310"
    await call_between(scratch, person, OTHER)
    request, _ = await erase(scratch, person)
    after = await as_it_is(scratch, request)
    assert (after.state, after.received_at, after.due_on) == (State.DONE, request.received_at, request.due_on)
    with pytest.raises(acting.PersonForgotten):
        await acting.asked(scratch.custody, scratch.principal, after)
    lines, summary = await answer_for(scratch, person)
    assert (lines, summary["complete"]) == ([], True)


async def test_a_record_sealed_anew_and_erased_at_once_goes_with_both_of_its_keys(scratch: Scratch) -> None:
    """Who found it before it was sealed anew erases it as it is, not as it was."""
    custody, caller, callee = scratch.custody, "+441632960311", "+441632960312"
    kept = await call_between(scratch, caller, callee)
    stale = await custody.find(scratch.account, [kept.record])
    await erase(scratch, callee)
    anew = await custody.find(scratch.account, [kept.record])
    async with custody.database.account(scratch.account) as connection:
        erasure = await erasing.request_records(
            connection, scratch.account, stale, ground=erasing.Ground.INSTRUCTION, requested_by="test",
            backup_cycle_days=28, clock=custody.clock,
        )  # fmt: skip
    await erasure_at(scratch, erasure, "removed")
    assert await custody.open_stored(scratch.principal, [*stale, *anew], purpose=SERVICE) == []


async def test_two_who_erase_the_callee_at_once_seal_it_anew_once(scratch: Scratch) -> None:
    caller, callee = "+441632960313", "+441632960314"
    kept = await call_between(scratch, caller, callee)
    await until_indexed(scratch)
    requests = [await request_of(scratch, Kind.ERASURE, callee) for _ in range(2)]
    await asyncio.gather(
        *(acting.erase_person(scratch.custody, scratch.principal, one, backup_cycle_days=28) for one in requests),
        return_exceptions=True,
    )
    (opened,) = await scratch.custody.open(
        scratch.principal, [kept.record], purpose=SERVICE, category=category_of(CallRecord)
    )
    content = opened.content.reveal()
    assert (content["caller"].text, content["callee"].text) == (caller, "anonymous")
