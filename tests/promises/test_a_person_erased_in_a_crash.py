"""Killed anywhere while a person is erased: the call is never lost, and the old key always ends destroyed."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from sealwire.custody.categories import CallRecord
from sealwire.custody.requests import records_of_number, workflow
from sealwire.custody.requests.workflow import Kind, State
from sealwire.governance.principals import Principal, Scope
from sealwire.vocabulary import E164, CallId, CredentialId, HangupCause, Party, Purpose

from .backup_house import CLOCK, running_house
from .category_house import Story

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
PLACES = [
    "person-opened", "person-sealed-anew", "resealed-row", "resealed-noted", "person-not-committed", "person-hidden",
    "erasure-tokens-gone", "erasure-destroyed", "erasure-receipts-saved",
]  # fmt: skip
CALLER = "+441632960401"
SERVICE, ASKED = Purpose.SERVICE_OPERATION, Purpose.SUBJECT_REQUEST


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story() -> AsyncIterator[Story]:
    async with running_house() as house:
        principal = Principal(CredentialId.new(), house.account, frozenset({Scope.OWNER}), SERVICE)
        running = Story(house, principal)
        await running.rebuild_index()
        yield running


async def run(story: Story, request: str, crash_at: str) -> int:
    environment = {**os.environ, "SEALWIRE_CRASH_AT": crash_at, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [str(story.house.settings.data_dir), str(story.house.account), request]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.promises.person_process", *words, env=environment
    )
    return await asyncio.wait_for(process.wait(), 60)


@pytest.mark.parametrize("place", PLACES)
async def test_the_call_stays_with_its_caller_and_the_old_key_goes(story: Story, place: str) -> None:
    custody, account = story.house.custody, story.house.account
    callee, now = f"+4416329604{PLACES.index(place) + 10}", CLOCK.now()
    call = CallRecord(
        call_id=CallId.new(), direction="inbound", started_at=now - dt.timedelta(seconds=30), answered_at=now,
        ended_at=now, hangup_cause=HangupCause.NORMAL, caller=Party(CALLER), callee=Party(callee), digits="",
    )  # fmt: skip
    kept = await custody.keep(account, call)
    before = await custody.find(account, [kept.record])
    request = await workflow.receive(
        custody, story.principal, kind=Kind.ERASURE, person=Party(callee), details={}, received_at=now, months=1
    )
    assert await run(story, str(request), place) == 137
    (opened,) = await custody.open(story.principal, [kept.record], purpose=SERVICE)  # not lost, whatever was cut off
    assert opened.content.reveal()["caller"].text == CALLER
    assert await run(story, str(request), "nowhere") == 0
    (opened,) = await custody.open(story.principal, [kept.record], purpose=SERVICE)
    content = opened.content.reveal()
    assert (content["caller"].text, content["callee"].text) == (CALLER, "anonymous")
    assert await custody.open_stored(story.principal, before, purpose=SERVICE) == []  # the old key is destroyed
    assert kept.record in {
        row.record for row in await records_of_number(custody, story.principal, E164(CALLER), purpose=ASKED)
    }
    assert await records_of_number(custody, story.principal, E164(callee), purpose=ASKED) == []
    async with custody.database.account(account) as connection:
        assert (await workflow.find(connection, account, request)).state is State.DONE
    owner = await asyncpg.connect(story.house.owner_dsn())
    try:
        states = await owner.fetch("SELECT DISTINCT state FROM custody.erasure")
    finally:
        await owner.close()
    assert {row["state"] for row in states} == {"removed"}
