"""Promise 8: numbers go while the amounts stay. The bill of an erased call keeps its sums and names nobody."""

from __future__ import annotations

import datetime as dt
from uuid import uuid4

import asyncpg
import pytest

from sealwire.communications.accounting.billing import Period, keep_charges, sums
from sealwire.communications.accounting.port import Charge
from sealwire.custody.categories import BillingRecord, MessageRecord, category_of
from sealwire.custody.erasure import ErasedMeanwhile
from sealwire.custody.lifecycle import RecordErased
from sealwire.doors.bench.scratch import Scratch
from sealwire.vocabulary import AccountId, CallId, MessageId, Party, RecordId

from .acts import CALLEE, SERVICE, ask_about, ask_to_erase, call_from, erasure_at

pytestmark = pytest.mark.asyncio(loop_scope="module")
BILLING = category_of(BillingRecord)
CHARGES = [Charge("pstn-minute", 60, 1000, "t@1"), Charge("platform-minute", 60, 100, "t@1")]


async def kept_bill(scratch: Scratch, number: str, call: CallId) -> list[RecordId]:
    before = await bills(scratch)
    await keep_charges(
        scratch.custody, scratch.account, CHARGES, call=call, message=None, destination=Party(number),
        ended_at=scratch.custody.clock.now(),
    )  # fmt: skip
    return [record for record in await bills(scratch) if record not in before]


async def bills(scratch: Scratch) -> list[RecordId]:
    rows = await scratch.custody.page(scratch.account, BILLING, before=None, limit=1000)
    return [row.record for row in rows]


async def total(scratch: Scratch, account: AccountId | None = None) -> int:
    now = scratch.custody.clock.now()
    async with scratch.custody.database.account(account or scratch.account) as connection:
        period = Period(now - dt.timedelta(hours=1), now + dt.timedelta(hours=1))
        return sum(row["amount_millicents"] for row in await sums(connection, account or scratch.account, period))


async def test_erasing_a_call_takes_the_number_from_its_bill_and_leaves_the_amounts(scratch: Scratch) -> None:
    custody, call, number = scratch.custody, CallId.new(), "+441632960701"
    kept = await custody.keep(scratch.account, call_from(number, ended_at=custody.clock.now(), call=call))
    billed = await kept_bill(scratch, number, call)
    other = await kept_bill(scratch, "+441632960702", CallId.new())
    assert len(billed) == 2
    rows = await custody.find(scratch.account, billed)
    before = await total(scratch)
    erasure = await ask_to_erase(scratch, [kept.record])
    assert await custody.open(scratch.principal, billed, purpose=SERVICE) == []
    assert await custody.find(scratch.account, billed)
    done = await erasure_at(scratch, erasure, "removed")
    assert await custody.open_stored(scratch.principal, rows, purpose=SERVICE) == []  # a copy made before is noise
    assert await total(scratch) == before
    assert len(await custody.open(scratch.principal, other, purpose=SERVICE)) == 2
    assert done.certificate is not None
    owner = await asyncpg.connect(scratch.cloud.cluster.dsn())
    try:
        sealed = await owner.fetch(
            "SELECT sealed FROM custody.billing_record WHERE record_id = ANY($1)", [each.value for each in billed]
        )
    finally:
        await owner.close()
    assert [row["sealed"] for row in sealed] == [b"", b""]


async def test_the_certificate_counts_the_bills_among_what_is_unreadable(scratch: Scratch) -> None:
    custody, call, number = scratch.custody, CallId.new(), "+441632960703"
    kept = await custody.keep(scratch.account, call_from(number, ended_at=custody.clock.now(), call=call))
    billed = await custody.find(scratch.account, await kept_bill(scratch, number, call))
    done = await erasure_at(scratch, await ask_to_erase(scratch, [kept.record]), "unreadable", "removed")
    (receipt,) = done.receipts
    assert len(billed) == 2
    assert len(str(receipt)) > 0
    async with custody.database.account(scratch.account) as connection:
        rows = await connection.fetch(
            "SELECT record_id FROM custody.detached WHERE account_id = $1 AND erasure_id = $2",
            scratch.account.value, done.erasure.value,
        )  # fmt: skip
    assert {row["record_id"] for row in rows} == {row.record.value for row in billed}


async def test_a_number_is_found_in_bills_and_after_erasure_it_is_not(scratch: Scratch) -> None:
    billed = await kept_bill(scratch, "+441632960704", CallId.new())
    report = await ask_about(scratch, "+441632960704")
    assert {holding.stored.record for holding in report.holdings} == set(billed)
    erasure = await ask_to_erase(scratch, billed)
    assert (await ask_about(scratch, "+441632960704")).holdings == []
    await erasure_at(scratch, erasure, "removed")
    assert await scratch.custody.find(scratch.account, billed)
    with pytest.raises(ErasedMeanwhile):
        await ask_to_erase(scratch, billed)


async def test_a_call_erased_while_it_went_on_is_still_billed_without_a_name(scratch: Scratch) -> None:
    custody, call, number = scratch.custody, CallId.new(), "+441632960705"
    kept = await custody.keep(scratch.account, call_from(number, ended_at=custody.clock.now(), call=call))
    await ask_to_erase(scratch, [kept.record])
    before = await total(scratch)
    billed = await kept_bill(scratch, number, call)
    assert await total(scratch) == before + 1100
    opened = await custody.open(scratch.principal, billed, purpose=SERVICE)
    assert {record.content.reveal()["destination"].text for record in opened} == {"anonymous"}
    assert {record.stored.plain["call_id"] for record in opened} == {None}
    with pytest.raises(RecordErased):
        await custody.of_call(scratch.account, call)


async def test_a_message_takes_the_number_out_of_its_bill_too(scratch: Scratch) -> None:
    custody, message, now = scratch.custody, MessageId.new(), scratch.custody.clock.now()
    number = Party("+441632960707")
    kept = await custody.keep(
        scratch.account,
        MessageRecord(
            message_id=message, direction="out", accepted_at=now, encoding="gsm-7", segments=1, redaction="keep",
            sender=CALLEE, recipient=number,
        ),
    )  # fmt: skip
    before = await bills(scratch)
    sms = [Charge("sms-segment", 1, 4000, "t@1")]
    told = {"call": None, "message": message, "destination": number, "ended_at": now}
    await keep_charges(custody, scratch.account, sms, **told)
    (billed,) = [record for record in await bills(scratch) if record not in before]
    await erasure_at(scratch, await ask_to_erase(scratch, [kept.record]), "unreadable", "removed")
    assert await custody.open(scratch.principal, [billed], purpose=SERVICE) == []
    late = [Charge("sms-segment", 1, 4000, "t@1", uuid4())]
    await keep_charges(custody, scratch.account, late, **told)  # settled after the message was erased
    (unnamed,) = [record for record in await bills(scratch) if record not in [*before, billed]]
    (opened,) = await custody.open(scratch.principal, [unnamed], purpose=SERVICE)
    assert opened.content.reveal()["destination"].text == "anonymous"
    assert opened.stored.plain["message_id"] is None


async def test_charges_told_twice_are_kept_once(scratch: Scratch) -> None:
    call = CallId.new()
    assert len(await kept_bill(scratch, "+441632960706", call)) == 2
    before = await total(scratch)
    assert await kept_bill(scratch, "+441632960706", call) == []
    assert await total(scratch) == before
