"""What people and accounts wish is done: opt-outs, senders, redaction, expiry, and the bill beside it."""

from __future__ import annotations

import datetime as dt

import asyncpg
import pytest

from sealwire.communications.accounting.port import DestinationNotAllowed
from sealwire.communications.messages.opt_outs import OptOuts, RecipientOptedOut
from sealwire.communications.messages.outbox import SenderNotAllowed, ValidityOutOfRange
from sealwire.communications.messages.queue import Redaction, State
from sealwire.communications.messages.settings import MessageSettings, allow_sender_name, put_settings
from sealwire.communications.webhooks.events import Event
from sealwire.custody.categories import BillingRecord, OptOut, category_of
from sealwire.custody.lifecycle import RecordErased
from sealwire.doors.bench.scratch import CALLED
from sealwire.vocabulary import ErasureId, Party, RecordId
from tests.promises.acts import ask_about, ask_to_erase, erasure_at
from tests.promises.messages_house import OURS, PERSON, House, attempted, house, redacted

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
__all__ = ["house"]


async def test_whoever_says_stop_gets_no_more_until_they_say_start(house: House) -> None:
    person = Party("+447700900600")
    base = {"from": person.text[1:], "to": CALLED.text[1:]}
    await house.send("before", to=person)
    assert await house.centre.deliver("stop", text=" Stop. ", **base) == 0
    with pytest.raises(RecipientOptedOut, match="no more messages"):
        await house.send("after", to=person)
    other = Party("+447700900601")
    await house.send("to somebody else", to=other)
    assert await house.centre.deliver("start", text="START", **base) == 0
    await house.reached(await house.send("again", to=person), State.DELIVERED)


async def test_an_opt_out_counts_for_a_process_that_starts_later_and_ends_with_its_erasure(house: House) -> None:
    person, custody, account = Party("+447700900602"), house.scratch.custody, house.scratch.account
    kept = await house.outbox._opt_outs.note(account, sender=OURS, recipient=person, wanted=False)
    later = OptOuts(custody)
    with pytest.raises(RecipientOptedOut):
        await later.require_wanted(account, sender=OURS, recipient=person)
    await later.require_wanted(account, sender=Party("+441632960177"), recipient=person)  # another sender
    erasure = await ask_to_erase(house.scratch, [kept.record])
    await erasure_at(house.scratch, erasure, "unreadable", "removed")
    await later.require_wanted(account, sender=OURS, recipient=person)
    await OptOuts(custody).require_wanted(account, sender=OURS, recipient=person)


async def test_words_and_replies_are_the_accounts_own(house: House) -> None:
    custody, account = house.scratch.custody, house.scratch.account
    person = Party("+447700900603")
    own = MessageSettings(stop_words=("STOPP",), stop_reply="Abgemeldet.")
    async with custody.database.account(account) as connection:
        await put_settings(connection, account, own, at=custody.clock.now())
    try:
        base = {"from": person.text[1:], "to": CALLED.text[1:]}
        assert await house.centre.deliver("stopp", text="stopp", **base) == 0
        await house.centre.until(lambda: any(each["text"] == "Abgemeldet." for each in house.centre.submits))
        with pytest.raises(RecipientOptedOut):
            await house.send("after", to=person)
    finally:
        async with custody.database.account(account) as connection:
            await put_settings(connection, account, MessageSettings(), at=custody.clock.now())


async def test_only_the_accounts_own_senders_are_taken_and_a_name_when_the_operator_allowed_it(house: House) -> None:
    custody, account = house.scratch.custody, house.scratch.account
    for foreign in ("+441632960999", "Sealwire"):
        with pytest.raises(SenderNotAllowed):
            await house.send("not me", sender=Party(foreign))
    async with custody.database.account(account) as connection:
        await allow_sender_name(connection, account, "Sealwire", at=custody.clock.now())
    await house.reached(await house.send("it is me", sender=Party("Sealwire")), State.DELIVERED)
    (seen,) = [each for each in house.centre.submits if each["text"] == "it is me"]
    assert (seen["from"], seen["ton"]) == ("Sealwire", 5)


async def test_a_card_number_is_masked_and_a_forbidden_destination_or_validity_refused(house: House) -> None:
    await house.reached(await house.send("card 4111 1111 1111 1111 ok"), State.DELIVERED)
    assert any(each["text"] == "card **** **** **** 1111 ok" for each in house.centre.submits)
    with pytest.raises(DestinationNotAllowed):
        await house.send("abroad", to=Party("+33612345678"))
    with pytest.raises(ValidityOutOfRange):
        await house.send("for a second", validity_s=1)


async def test_a_message_that_was_erased_before_it_was_sent_is_not_sent(house: House) -> None:
    await house.centre.order(set={"refuseWith": 0x14})
    message = await house.send("never leave")
    await house.until(lambda: attempted(house, message))
    standing = await house.standing(message)
    await ask_to_erase(house.scratch, [*standing.contents, RecordId(message.value)])
    await house.centre.order(set={"refuseWith": 0})
    assert (await house.reached(message, State.FAILED)).error == 0x10001
    assert not any(each["text"] == "never leave" for each in house.centre.submits)


@pytest.mark.parametrize("redaction", [Redaction.CONTENT, Redaction.ALL])
async def test_after_delivery_the_keys_of_what_is_to_go_are_gone_and_the_bill_stays(
    house: House, redaction: Redaction
) -> None:
    custody, account = house.scratch.custody, house.scratch.account
    person = Party("+447700900700" if redaction is Redaction.ALL else "+447700900701")
    message = await house.send("forget me", to=person, redaction=redaction)
    await house.reached(message, State.DELIVERED)
    await house.until(lambda: redacted(house, message))
    standing = await house.standing(message)
    with pytest.raises(RecordErased):
        await custody.find(account, standing.contents)
    ids = f"'{standing.contents[0].value}'"
    erasures = await house.rows(f"SELECT erasure_id FROM custody.gone WHERE record_id = {ids}")
    done = await erasure_at(house.scratch, ErasureId(erasures[0]["erasure_id"]), "unreadable", "removed")
    assert done.certificate is not None
    if redaction is Redaction.ALL:
        with pytest.raises(RecordErased):
            await custody.find(account, [RecordId(message.value)])
    else:
        await custody.find(account, [RecordId(message.value)])
    bills = await custody.page(account, category_of(BillingRecord), before=None, limit=200)
    assert [row.plain["units"] for row in bills if row.plain["message_id"] == message] == [1]
    report = await ask_about(house.scratch, person.text)
    left = {holding.stored.category.name for holding in report.holdings}
    assert left == (set() if redaction is Redaction.ALL else {"message-record", "billing-record"})


async def test_each_segment_that_was_taken_is_charged_once(house: House) -> None:
    message = await house.send("y" * 400)
    await house.reached(message, State.DELIVERED)
    account = house.scratch.account

    async def charged() -> list[int]:
        rows = await house.scratch.custody.page(account, category_of(BillingRecord), before=None, limit=200)
        return [row.plain["units"] for row in rows if row.plain["message_id"] == message]

    async def is_charged() -> bool:
        return bool(await charged())

    await house.until(is_charged)
    assert await charged() == [3]
    assert (
        await house.rows("SELECT 1 FROM communications.message WHERE reservation IS NOT NULL AND state = 'delivered'")
        == []
    )


async def test_a_message_that_is_not_sent_in_time_has_expired_and_costs_nothing(house: House) -> None:
    await house.centre.order(set={"refuseWith": 0x14})
    message = await house.send("too late")
    await house.until(lambda: attempted(house, message))
    connection = await asyncpg.connect(house.scratch.cloud.cluster.dsn())
    await connection.execute(
        "UPDATE communications.message SET expires_at = $2 WHERE message_id = $1", message.value,
        dt.datetime.now(dt.UTC),
    )  # fmt: skip
    await connection.close()
    await house.reached(message, State.EXPIRED)
    await house.centre.order(set={"refuseWith": 0})
    rows = await house.scratch.custody.page(house.scratch.account, category_of(BillingRecord), before=None, limit=200)
    assert not [row for row in rows if row.plain["message_id"] == message]


async def test_opt_outs_are_records_of_custody(house: House) -> None:
    rows = await house.scratch.custody.page(house.scratch.account, category_of(OptOut), before=None, limit=50)
    assert rows
    assert all(PERSON.text.encode() not in row.sealed for row in rows)


async def test_webhooks_are_told_of_what_became_of_messages_by_reference_only(house: House) -> None:
    account, now = house.scratch.account, dt.datetime.now(dt.UTC)
    connection = await asyncpg.connect(house.scratch.cloud.cluster.dsn())
    await connection.execute(
        "INSERT INTO communications.webhook_endpoint "
        "(account_id, endpoint_id, address, label, events, state, secret, created_at, changed_at) "
        "VALUES ($1, $2, 'https://192.0.2.1/', 'test', $3, 'active', $4, $5, $5)",
        account.value, RecordId.new().value, [event.value for event in Event], b"secret", now,
    )  # fmt: skip
    message = await house.send("tell them")
    await house.reached(message, State.DELIVERED)
    base = {"from": "447700900558", "to": OURS.text[1:]}
    assert await house.centre.deliver("told", text="tell them too", **base) == 0

    async def told() -> bool:
        rows = await house.rows("SELECT event, reference::text FROM communications.webhook_outbox")
        about = {row["event"] for row in rows if str(message) in row["reference"]}
        assert all("+44" not in row["reference"] and "tell" not in row["reference"] for row in rows)
        received = any(row["event"] == "message.received" for row in rows)
        return about == {"message.sent", "message.delivered"} and received

    await house.until(told)
    await connection.close()
