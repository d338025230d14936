"""Correct, restrict, object: each is carried out, stands in the log, and is seen in what comes after."""

from __future__ import annotations

import asyncio
import datetime as dt
import json

import asyncpg
import pytest

from sealwire.custody.categories import CallRecord, category_of
from sealwire.custody.requests import acting, records_of_number
from sealwire.custody.requests.answering import Answer
from sealwire.custody.requests.carrying import carry_out
from sealwire.custody.requests.objections import leave_out
from sealwire.custody.requests.workflow import Kind, Request, State
from sealwire.custody.resealing import NotResealable
from sealwire.doors.bench.scratch import Scratch
from sealwire.errors import SealwireError
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.reader import payload_rows
from sealwire.vocabulary import E164, Party, Purpose

from .acts import SERVICE, erasure_at
from .requests_house import (
    OTHER,
    SURROUNDINGS,
    answer_for,
    as_it_is,
    call_between,
    ids,
    message_between,
    recording_between,
    request_of,
    until_indexed,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
ASKED = Purpose.SUBJECT_REQUEST


async def carried_out(scratch: Scratch, kind: Kind, person: str, **details: object) -> Request:
    await until_indexed(scratch)
    request = await request_of(scratch, kind, person, **details)
    await carry_out(scratch.custody, scratch.principal, request, backup_cycle_days=28)
    return await as_it_is(scratch, request)


async def test_a_wrong_number_is_corrected_and_stays_nowhere(scratch: Scratch) -> None:
    custody, wrong, right = scratch.custody, "+441632960601", "+441632960602"
    kept = await call_between(scratch, wrong, OTHER)
    before = await custody.find(scratch.account, [kept.record])
    wish = {"record": str(kept.record), "field": "caller", "value": right}
    request = await carried_out(scratch, Kind.RECTIFICATION, wrong, rectify=wish)
    assert request.state is State.DONE
    for number, found in ((right, True), (wrong, False)):
        rows = await records_of_number(custody, scratch.principal, E164(number), purpose=ASKED)
        assert (kept.record in {row.record for row in rows}) is found
        assert bool(rows) is found
    done = await erasure_at(scratch, request.erasures[0], "removed")
    assert done.certificate is not None
    assert await custody.open_stored(scratch.principal, before, purpose=SERVICE) == []
    (opened,) = await custody.open(scratch.principal, [kept.record], purpose=SERVICE)
    content = opened.content.reveal()
    assert (content["caller"].text, content["callee"].text) == (right, OTHER)
    owner = await asyncpg.connect(scratch.cloud.cluster.dsn())
    try:
        old = await owner.fetch("SELECT FROM custody.call_record WHERE sealed = $1", before[0].sealed)
    finally:
        await owner.close()
    assert old == []


async def test_a_text_is_corrected_and_only_by_who_it_is_about(scratch: Scratch) -> None:
    custody, person = scratch.custody, "+441632960603"
    kept = await call_between(scratch, person, OTHER, digits="1")
    wish = {"record": str(kept.record), "field": "digits", "value": "2"}
    with pytest.raises(acting.NotAbout):
        await carried_out(scratch, Kind.RECTIFICATION, "+441632960604", rectify=wish)
    await carried_out(scratch, Kind.RECTIFICATION, person, rectify=wish)
    (opened,) = await custody.open(scratch.principal, [kept.record], purpose=SERVICE)
    assert opened.content.reveal()["digits"] == "2"


@pytest.mark.parametrize("field", ["hangup_cause", "nothing"])
async def test_what_is_no_sealed_text_is_not_corrected(scratch: Scratch, field: str) -> None:
    person = "+441632960605"
    kept = await call_between(scratch, person, OTHER)
    wish = {"record": str(kept.record), "field": field, "value": "2"}
    with pytest.raises(acting.FieldUnknown):
        await carried_out(scratch, Kind.RECTIFICATION, person, rectify=wish)


async def test_a_recording_is_not_sealed_anew(scratch: Scratch) -> None:
    person = "+441632960606"
    kept = await recording_between(scratch, person, OTHER, bytes(3200))
    wish = {"record": str(kept.record), "field": "caller", "value": OTHER}
    with pytest.raises(NotResealable):
        await carried_out(scratch, Kind.RECTIFICATION, person, rectify=wish)


async def test_what_is_restricted_opens_for_the_persons_sake_alone_and_is_not_erased(scratch: Scratch) -> None:
    custody, person = scratch.custody, "+441632960607"
    kept = await call_between(scratch, person, OTHER)
    until = (custody.clock.now() + dt.timedelta(days=30)).date().isoformat()
    wish = {"reason": "accuracy-contested", "until": until}
    request = await carried_out(scratch, Kind.RESTRICTION, person, restrict=wish)
    assert (request.state, request.counts and request.counts["restricted"]) == (State.DONE, 1)
    with pytest.raises(SealwireError, match=r"(?i)restrict"):
        await custody.open(scratch.principal, [kept.record], purpose=SERVICE)
    lines, summary = await answer_for(scratch, person)
    assert kept.record in ids(lines)
    assert summary["complete"]
    erasing = await request_of(scratch, Kind.ERASURE, person)
    seen = await acting.preview(custody, scratch.principal, erasing)
    assert (seen.held, seen.erased) == ({"call-record": 1}, {})
    await acting.erase_person(custody, scratch.principal, erasing, backup_cycle_days=28)
    assert (await as_it_is(scratch, erasing)).counts == {"erased": 1, "held": 1, "complete": True}
    assert await custody.open(scratch.principal, [kept.record], purpose=ASKED)


async def test_an_objection_is_shown_and_leaves_the_person_out_of_reports(scratch: Scratch) -> None:
    custody, person = scratch.custody, "+441632960608"
    mine, theirs = await call_between(scratch, OTHER, person), await call_between(scratch, OTHER, "+441632960609")
    rows = await custody.find(scratch.account, [mine.record, theirs.record])
    category = category_of(CallRecord)
    assert await leave_out(custody, scratch.principal, category) == set()
    request = await carried_out(scratch, Kind.OBJECTION, person)
    out = await leave_out(custody, scratch.principal, category)
    assert [row.record for row in rows if row.record not in out] == [theirs.record]
    lines, summary = await answer_for(scratch, person)
    assert summary["objects"] is True
    assert {line.get("state") for line in lines} == {None, "done"}
    assert request.counts == {"objects": True, "complete": True}


async def test_the_answer_says_when_it_is_not_complete(scratch: Scratch) -> None:
    person = "+441632960610"
    await until_indexed(scratch)
    await message_between(scratch, person, OTHER, "one")
    answer = Answer(scratch.custody, scratch.principal, Party(person), surroundings=SURROUNDINGS, mixed_audio=False)
    await answer.begin()
    await message_between(scratch, person, OTHER, "two")
    told = [one async for page in answer.told() for one in page]
    summary = await answer.end()
    assert (summary["complete"], len(told) in (1, 2)) == (False, True)
    assert "came or went" in summary["why_not"]


async def test_who_asked_and_what_was_done_stand_in_the_log_without_the_person(scratch: Scratch) -> None:
    person = "+441632960611"
    await call_between(scratch, OTHER, person)
    request = await carried_out(scratch, Kind.OBJECTION, person)
    async with asyncio.timeout(20):
        while len(leaves := await _leaves_about(scratch, request)) < 2:
            await asyncio.sleep(0.1)
    assert {LeafClass.SUBJECT_REQUESTED, LeafClass.SUBJECT_ANSWERED} <= leaves
    assert person not in json.dumps(request.counts)


async def _leaves_about(scratch: Scratch, request: Request) -> set[LeafClass]:
    async with scratch.custody.database.account(scratch.account) as connection:
        return {row.leaf_class for row in await payload_rows(connection, scratch.account, request.record)}
