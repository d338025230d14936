"""Messages go out and come in through a real message centre of another code base, and nothing is lost or left over."""

from __future__ import annotations

import time

import pytest

from sealwire.communications.messages.alphabet import BASIC, EXTENSION
from sealwire.communications.messages.queue import State
from sealwire.custody.categories import MessageContent, category_of
from sealwire.doors.bench.scratch import CALLED
from sealwire.vocabulary import Party
from tests.promises.acts import SERVICE, ask_about
from tests.promises.messages_house import PERSON, House, attempted, house, kill_and_restart

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
__all__ = ["house"]


async def test_a_message_is_sent_and_its_receipt_makes_it_delivered(house: House) -> None:
    message = await house.send("Hello [you] €5")
    standing = await house.reached(message, State.DELIVERED)
    (seen,) = [each for each in house.centre.submits if each["text"] == "Hello [you] €5"]
    assert (seen["from"], seen["to"], seen["coding"]) == (CALLED.text[1:], PERSON.text[1:], 0)
    assert standing.sent_at is not None
    assert standing.final_at is not None
    assert standing.sent_at <= standing.final_at


async def test_another_code_base_reads_every_character_of_both_alphabets_and_every_segment(house: House) -> None:
    gsm = "".join(each for each in BASIC if each != "\x1b") + "".join(EXTENSION)
    for text in (gsm, "привет, 世界 😀", "x" * 152 + "€" + gsm, "я" * 66 + "😀" * 40):
        before = len(house.centre.submits)
        await house.reached(await house.send(text), State.DELIVERED)
        parts = house.centre.submits[before:]
        assert "".join(part["text"] for part in parts) == text
        if len(parts) > 1:
            assert [part["udh"][0][-2:] for part in parts] == [f"{n:02x}" for n in range(1, len(parts) + 1)]
            assert {part["udh"][0][-4:-2] for part in parts} == {f"{len(parts):02x}"}


async def test_no_table_and_no_log_of_the_messenger_holds_a_number_or_a_text(house: House) -> None:
    await house.reached(await house.send("a very secret sentence"), State.DELIVERED)
    for table in ("message", "message_segment", "message_part", "opt_out_change", "message_settings"):
        shown = str(await house.rows(f"SELECT t::text FROM communications.{table} t"))
        assert PERSON.text[1:] not in shown
        assert "secret" not in shown
    log = (house.scratch.settings.logs_dir / "messenger.log").read_text()
    assert PERSON.text[1:] not in log
    assert "secret" not in log


async def test_each_opening_for_sending_is_in_the_log_and_the_message_is_found_by_its_number(house: House) -> None:
    person = "+447700900999"
    message = await house.send("for the record", to=Party(person))
    await house.reached(message, State.DELIVERED)
    report = await ask_about(house.scratch, person)
    kinds = {holding.stored.category.name: holding for holding in report.holdings}
    assert {"message-record", "message-content"} <= set(kinds)
    looks = kinds["message-content"].looks
    assert any(look.principal == "cred_" + "0" * 32 and look.purpose == "service-operation" for look in looks)


async def test_the_receipt_may_come_before_the_answer_to_the_submission(house: House) -> None:
    await house.centre.order(set={"receiptBeforeAnswer": True, "answerDelayMs": 300})
    try:
        await house.reached(await house.send("quick receipt"), State.DELIVERED)
    finally:
        await house.centre.order(set={"receiptBeforeAnswer": False, "answerDelayMs": 0})


@pytest.mark.parametrize(("said", "state"), [("UNDELIV", State.FAILED), ("EXPIRED", State.EXPIRED)])
async def test_what_the_receipt_says_is_what_became_of_it(house: House, said: str, state: State) -> None:
    await house.centre.order(set={"receiptState": said})
    try:
        await house.reached(await house.send(f"will be {said}"), state)
    finally:
        await house.centre.order(set={"receiptState": "DELIVRD"})


async def test_a_message_that_the_centre_refuses_for_good_has_failed_with_its_error(house: House) -> None:
    await house.centre.order(set={"refuseWith": 0x0B})
    try:
        standing = await house.reached(await house.send("to nowhere"), State.FAILED)
    finally:
        await house.centre.order(set={"refuseWith": 0})
    assert standing.error == 0x0B


async def test_a_centre_that_is_full_for_a_moment_gets_the_message_again(house: House) -> None:
    await house.centre.order(set={"refuseWith": 0x14})
    message = await house.send("try me again")
    await house.until(lambda: attempted(house, message))
    await house.centre.order(set={"refuseWith": 0})
    assert (await house.reached(message, State.DELIVERED)).attempts >= 2


async def test_throttling_slows_down_and_loses_nothing(house: House) -> None:
    await house.centre.order(set={"throttleEvery": 7})
    try:
        messages = [await house.send(f"throttled {n}") for n in range(30)]
        for message in messages:
            await house.reached(message, State.DELIVERED, seconds=40)
    finally:
        await house.centre.order(set={"throttleEvery": 0})
    assert sum("throttled" in each and isinstance(each["throttled"], int) for each in house.centre.news) >= 4
    texts = [each["text"] for each in house.centre.submits if str(each["text"]).startswith("throttled ")]
    assert sorted(texts) == sorted(f"throttled {n}" for n in range(30))


async def test_a_lost_connection_is_made_again_and_the_queue_goes_on(house: House) -> None:
    bound = sum("bound" in each for each in house.centre.news)
    await house.centre.order(hangUp=True)
    message = await house.send("after the line was cut")
    await house.centre.bound(bound + 1)
    await house.reached(message, State.DELIVERED)


async def test_a_receipt_of_a_message_nobody_knows_is_acknowledged(house: House) -> None:
    await house.centre.order(receipt={"text": "id:never-heard-of stat:DELIVRD err:000", "tag": "unknown"})
    await house.centre.until(lambda: any(each.get("delivered") == "unknown" for each in house.centre.news))
    assert next(each["status"] for each in house.centre.news if each.get("delivered") == "unknown") == 0


async def test_a_message_in_is_kept_before_it_is_acknowledged(house: House) -> None:
    status = await house.centre.deliver("in-1", **{"from": "447700900555", "to": CALLED.text[1:], "text": "Hi, 5 €?"})
    assert status == 0
    records = await house.scratch.custody.page(
        house.scratch.account, category_of(MessageContent), before=None, limit=1
    )  # at once: no waiting
    (opened,) = await house.scratch.custody.open(house.scratch.principal, [records[0].record], purpose=SERVICE)
    content = opened.content.reveal()
    assert (str(content["sender"]), str(content["recipient"]), content["text"]) == (
        "+447700900555", CALLED.text, "Hi, 5 €?",
    )  # fmt: skip


async def test_a_message_for_nobody_here_or_of_no_text_is_refused_for_good(house: House) -> None:
    nobody = {"from": "447700900555", "to": "441632960999", "text": "hello?"}
    assert await house.centre.deliver("in-nobody", **nobody) == 0x65
    binary = {"from": "447700900555", "to": CALLED.text[1:], "octets": "00ff", "coding": 4}
    assert await house.centre.deliver("in-binary", **binary) == 0x65


async def test_parts_that_come_in_any_order_and_twice_become_one_message(house: House) -> None:
    text = "A long story, part by part. " * 12
    pieces = [text[at : at + 153] for at in range(0, len(text), 153)]
    for number in (2, 3, 1, 2):
        part = {"from": "447700900556", "to": CALLED.text[1:], "text": pieces[number - 1]}
        assert (
            await house.centre.deliver(f"part-{number}-{time.monotonic()}", udh=f"05000377{3:02x}{number:02x}", **part)
            == 0
        )
    _, standing = await house.received(text)
    assert standing.segments_missing == 0
    assert len(standing.contents) == 3
    waiting = await house.rows("SELECT * FROM communications.message_part")
    assert len(waiting) <= 1  # the second copy of part 2, when it came after the message was made


async def test_parts_survive_a_kill_of_the_messenger_and_are_sealed_while_they_wait(house: House) -> None:
    first, second = "The first half, " * 9, "and the second."
    base = {"from": "447700900557", "to": CALLED.text[1:]}
    assert await house.centre.deliver("half-1", text=first, udh="050003420201", **base) == 0
    shown = str(await house.rows("SELECT p::text FROM communications.message_part p"))
    assert "half" not in shown
    assert "447700900557" not in shown
    await kill_and_restart(house)
    assert await house.centre.deliver("half-2", text=second, udh="050003420202", **base) == 0
    _, standing = await house.received(first + second)
    assert standing.segments_missing == 0
