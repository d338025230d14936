"""Promise 6 for messages on their way out: what is erased before the message centre has it is not sent any more."""

from __future__ import annotations

import pytest

from sealwire.communications.messages.queue import State
from sealwire.communications.messages.sending import NO_LONGER_THERE, WINDOW
from sealwire.custody.lifecycle import RecordErased
from sealwire.vocabulary import Party, RecordId
from tests.promises.acts import ask_to_erase, erasure_at
from tests.promises.messages_house import House, house

pytestmark = pytest.mark.asyncio(loop_scope="module")
__all__ = ["house"]


async def test_a_message_erased_while_it_waits_behind_a_lost_connection_is_not_sent_and_the_others_are(
    house: House,
) -> None:
    """More messages than the window takes: some were opened for sending and wait when the connection is lost."""
    await house.centre.order(set={"answerDelayMs": 20_000})
    sent = [await house.send(f"waiting {number}", to=Party("+447700900640")) for number in range(WINDOW + 20)]
    await house.centre.until(lambda: len(house.centre.submits) >= WINDOW)
    bound = sum("bound" in each for each in house.centre.news)
    await house.centre.stop()
    before = await house.rows("SELECT sum(amount_millicents)::bigint AS spent FROM custody.billing_record")
    erased, others = sent[-1], sent[:-1]
    text = (await house.standing(erased)).contents
    erasure = await ask_to_erase(house.scratch, [RecordId(erased.value)])
    await erasure_at(house.scratch, erasure, "removed")
    with pytest.raises(RecordErased):
        await house.scratch.custody.find(house.scratch.account, text)
    await house.centre.start()
    await house.centre.bound(bound + 1)
    for message in others:
        await house.reached(message, State.DELIVERED, seconds=40)
    assert (await house.reached(erased, State.FAILED)).error == NO_LONGER_THERE
    assert not [each for each in house.centre.submits if each["text"] == f"waiting {WINDOW + 19}"]

    async def is_settled() -> bool:
        return not await house.rows("SELECT FROM governance.reservation")

    await house.until(is_settled, seconds=20)
    (bill,) = await house.rows("SELECT count(*) AS n FROM custody.billing_record")
    assert (bill["n"], before[0]["spent"]) == (len(others), None)
