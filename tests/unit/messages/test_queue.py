"""What the queue's tables make of attempts and receipts, in a real database."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest
from tests.conftest import OpenDatabase

from sealwire.communications.messages.queue import RECEIPT_WAIT, Due, Outcome, Queue, State, queries, standings
from sealwire.communications.messages.receipts import Receipt
from sealwire.vocabulary import AccountId, MessageId, RecordId

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(minutes=1)


@pytest.fixture
async def queue(database: OpenDatabase) -> Queue:
    return Queue(await database())


async def put(queue: Queue, account: AccountId, *, segments: int = 1) -> MessageId:
    message = MessageId.new()
    await queue.database.call(
        queries.enqueue_message, account.value, message.value, "keep", RecordId.new().value, segments, NOW,
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
