"""What the queue's tables make of attempts and receipts, in a real database."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from tests.conftest import ModuleDatabase, OpenDatabase

from sealwire.communications.messages.queue import RECEIPT_WAIT, Due, Outcome, Queue, State, queries, standings
from sealwire.communications.messages.receipts import Receipt
from sealwire.vocabulary import AccountId, MessageId, RecordId

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(minutes=1)
ENQUEUE = "SELECT communications.enqueue_message($1, $2, $3, $4, $5::smallint, $6, $7, $8)"
AN_ACCOUNT = """INSERT INTO governance.account (account_id, name, object_prefix, log_origin, log_vkey, created_at)
VALUES ($1, 'test', $1::uuid::text, $1::uuid::text, '', $2) ON CONFLICT DO NOTHING"""


@pytest.fixture
async def queue(database: OpenDatabase) -> Queue:
    return Queue(await database())


async def put(queue: Queue, account: AccountId, *, segments: int = 1) -> MessageId:
    message = MessageId.new()
    async with queue.database.account(account) as connection:
        await connection.execute(AN_ACCOUNT, account.value, NOW)
    await queue.database.call(
        ENQUEUE, account.value, message.value, "keep", RecordId.new().value, segments, NOW,
        NOW + dt.timedelta(hours=1), None,
    )  # fmt: skip
    return message


async def sent(queue: Queue, account: AccountId, *names: str) -> MessageId:
    """A message whose segments the centre has under these names."""
    message = await put(queue, account, segments=len(names))
    (due,) = [each for each in await queue.claim(account, at=NOW, limit=100) if each.message == message]
    await queue.settle_outcomes([Outcome(due, State.SENT, dict(enumerate(names, start=1)), NOW)], NOW)
    return message


async def state_of(queue: Queue, account: AccountId, message: MessageId) -> State:
    return (await standings(queue.database, account, [message]))[message].state


async def test_a_due_message_is_claimed_once_and_taken_back_after_a_crash(queue: Queue) -> None:
    account = AccountId.new()
    message = await put(queue, account)
    assert account in await queue.accounts_with("due", NOW)
    (claimed,) = await queue.claim(account, at=NOW, limit=10)
    assert claimed.message == message
    assert await queue.claim(account, at=NOW, limit=10) == []
    await queue.take_back(LATER)
    (again,) = await queue.claim(account, at=LATER, limit=10)
    assert again.message == message


async def test_the_segments_that_the_centre_has_are_not_sent_again(queue: Queue) -> None:
    account = AccountId.new()
    await put(queue, account, segments=3)
    (due,) = await queue.claim(account, at=NOW, limit=10)
    await queue.settle_outcomes([Outcome(due, State.ACCEPTED, {1: "q1", 2: "q2"}, NOW)], NOW)
    (again,) = await queue.claim(account, at=NOW, limit=10)
    assert again.taken == {1, 2}
    assert again.attempts == 1


async def test_a_message_is_not_due_before_its_time(queue: Queue) -> None:
    account = AccountId.new()
    await put(queue, account)
    (due,) = await queue.claim(account, at=NOW, limit=10)
    await queue.settle_outcomes([Outcome(due, State.ACCEPTED, {}, LATER, 0x14)], NOW)
    assert await queue.claim(account, at=NOW, limit=10) == []
    assert account not in await queue.accounts_with("due", NOW)
    assert len(await queue.claim(account, at=LATER, limit=10)) == 1


async def test_a_message_is_delivered_when_its_last_segment_is(queue: Queue) -> None:
    account = AccountId.new()
    message = await sent(queue, account, "a1", "a2", "a3")
    await queue.put_receipts([Receipt("a1", "delivered", 0), Receipt("a3", "delivered", 0)], LATER)
    assert await state_of(queue, account, message) is State.SENT
    assert await queue.put_receipts([Receipt("a2", "delivered", 0)], LATER) == {"a2"}
    assert await state_of(queue, account, message) is State.DELIVERED
    assert await queue.put_receipts([Receipt("a2", "delivered", 0)], LATER) == set()  # its ids are forgotten


async def test_receipts_of_one_message_that_are_noted_side_by_side_end_it(queue: Queue) -> None:
    account = AccountId.new()
    for at in range(15):
        names = [f"s{at}-{number}" for number in range(4)]
        message = await sent(queue, account, *names)
        await asyncio.gather(*(queue.put_receipts([Receipt(name, "delivered", 0)], LATER) for name in names))
        assert await state_of(queue, account, message) is State.DELIVERED


async def note_outcomes(queue: Queue, account: AccountId, messages: list[MessageId]) -> None:
    dues = [Due(account, message, RecordId.new(), LATER, 1, frozenset()) for message in messages]
    await queue.settle_outcomes([Outcome(due, State.SENT, {}, NOW) for due in dues], NOW)


async def note_told(queue: Queue, account: AccountId, messages: list[MessageId]) -> None:
    await queue.put_told(account, [(message, 1) for message in messages])


async def note_settled(queue: Queue, account: AccountId, messages: list[MessageId]) -> None:
    await queue.put_settled(account, [message.value for message in messages])


@pytest.mark.parametrize("note", [note_outcomes, note_told, note_settled])
async def test_whatever_else_is_noted_of_the_same_messages_receipts_are_noted(
    queue: Queue, module_database: ModuleDatabase, note: Callable[..., Awaitable[None]]
) -> None:
    """A receipt that could not be noted is refused: not every centre says it again."""
    account = AccountId.new()
    names = {await sent(queue, account, name): name for name in (f"{note.__name__}-{at}" for at in range(20))}
    messages = sorted(names)
    owner = await asyncpg.connect(module_database.dsn("sealwire_owner"))
    try:
        async with owner.transaction():  # in the middle, so that both have held some before they meet
            await owner.execute("SET LOCAL row_security = off")
            await owner.execute(queries.hold_messages, account.value, [messages[10].value])
            receipts = [Receipt(names[message], "delivered", 0) for message in messages]
            noting = [asyncio.ensure_future(queue.put_receipts(receipts, LATER))]
            await asyncio.sleep(0.2)
            noting.append(asyncio.ensure_future(note(queue, account, messages[::-1])))
            await asyncio.sleep(0.2)
        await asyncio.gather(*noting)
    finally:
        await owner.close()
    for message in messages:
        assert await state_of(queue, account, message) is State.DELIVERED


async def test_one_failed_segment_fails_the_message_with_its_error(queue: Queue) -> None:
    account = AccountId.new()
    message = await sent(queue, account, "b1", "b2")
    await queue.put_receipts([Receipt("b1", "delivered", 0), Receipt("b2", "failed", 17)], LATER)
    found = (await standings(queue.database, account, [message]))[message]
    assert (found.state, found.error, found.final_at) == (State.FAILED, 17, LATER)


async def test_a_receipt_on_the_way_changes_nothing_and_an_unknown_one_is_told(queue: Queue) -> None:
    account = AccountId.new()
    message = await sent(queue, account, "c1")
    assert await queue.put_receipts([Receipt("c1", None, 0), Receipt("zz", "delivered", 0)], LATER) == {"c1"}
    assert await state_of(queue, account, message) is State.SENT


async def test_receipts_of_many_accounts_are_noted_together_and_each_in_its_own(queue: Queue) -> None:
    one, other = AccountId.new(), AccountId.new()
    first, second = await sent(queue, one, "d1"), await sent(queue, other, "d2")
    await queue.put_receipts([Receipt("d1", "delivered", 0), Receipt("d2", "expired", 0)], LATER)
    assert await state_of(queue, one, first) is State.DELIVERED
    assert await state_of(queue, other, second) is State.EXPIRED
    assert await standings(queue.database, other, [first]) == {}


async def test_a_receipt_that_may_be_of_either_of_two_messages_is_of_none(queue: Queue) -> None:
    """A centre that gives an id twice must not have one account's receipt end the message of another."""
    one, other = AccountId.new(), AccountId.new()
    first, second = await sent(queue, one, "twice"), await sent(queue, other, "twice")
    assert await queue.put_receipts([Receipt("twice", "delivered", 0)], LATER) == {"twice"}
    assert await state_of(queue, one, first) is State.SENT
    assert await state_of(queue, other, second) is State.SENT


async def test_an_end_counts_although_something_else_is_said_in_the_same_moment(queue: Queue) -> None:
    account = AccountId.new()
    message = await sent(queue, account, "f1")
    told = [Receipt("f1", None, 0), Receipt("f1", "delivered", 0), Receipt("f1", None, 0), Receipt("f1", "failed", 9)]
    await queue.put_receipts(told, LATER)
    assert await state_of(queue, account, message) is State.DELIVERED


async def test_a_message_without_receipt_is_unconfirmed_after_its_time(queue: Queue) -> None:
    account = AccountId.new()
    message = await sent(queue, account, "e1")
    await queue.end_unconfirmed(NOW + RECEIPT_WAIT)
    assert await state_of(queue, account, message) is State.SENT
    await queue.end_unconfirmed(NOW + RECEIPT_WAIT + dt.timedelta(hours=1))
    assert await state_of(queue, account, message) is State.UNCONFIRMED


async def test_states_are_forgotten_after_their_time_but_never_while_they_wait(queue: Queue) -> None:
    account = AccountId.new()
    over, waiting = await sent(queue, account, "f1"), await put(queue, account)
    await queue.put_receipts([Receipt("f1", "delivered", 0)], LATER)
    await queue.drop_old(LATER)
    assert set(await standings(queue.database, account, [over, waiting])) == {waiting}


async def test_an_outcome_of_a_message_that_is_not_being_sent_is_ignored(queue: Queue) -> None:
    account = AccountId.new()
    message = await sent(queue, account, "g1")
    due = Due(account, message, RecordId.new(), LATER, 0, frozenset())
    await queue.settle_outcomes([Outcome(due, State.FAILED, {}, LATER, 1)], LATER)
    assert await state_of(queue, account, message) is State.SENT
