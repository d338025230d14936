"""What the message centre delivers: receipts, and messages to our accounts. Acknowledged only when it is durable.

Whatever cannot be kept now is answered with ESME_RX_T_APPN, so that the centre tries again; what never can be (no
such number here, not a text) with ESME_RX_P_APPN; for an account without an agreement with ESME_RX_R_APPN.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import smpp34

from sealwire.communications.messages.alphabet import UCS2_CODING, Encoding, TextUnreadable, text_of
from sealwire.communications.messages.opt_outs import OptOuts
from sealwire.communications.messages.outbox import MessageOutbox, Wish
from sealwire.communications.messages.parts import Arrivals, Arrived
from sealwire.communications.messages.queue import Queue, queries
from sealwire.communications.messages.receipts import Receipt, is_receipt, read_receipt
from sealwire.communications.messages.segments import HAS_HEADER, Place, read_header, sound
from sealwire.communications.messages.sending import Sender
from sealwire.communications.messages.session import NEVER, OK, TRY_AGAIN
from sealwire.communications.messages.settings import Word, settings_of
from sealwire.custody.lifecycle import Custody, RecordErased
from sealwire.errors import SealwireError, Unavailable
from sealwire.governance.agreements import NoAgreement
from sealwire.governance.standing import AccountIsClosing
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock
from sealwire.vocabulary import AccountId, Party

REJECTED = 0x66
NAME = 5
MESSAGE_PAYLOAD = 0x0424
SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER = 0x020C, 0x020E, 0x020F
RECEIPTS_AT_ONCE = 200
GATHER_S = 0.02
SUBMISSIONS_S_MAX = 10.0


class ReceiptDesk:
    """Takes receipts, notes many at once, and answers each when it is noted."""

    def __init__(self, queue: Queue, sender: Sender, *, clock: Clock) -> None:
        self._queue, self._sender, self._clock = queue, sender, clock
        self._waiting: asyncio.Queue[tuple[Receipt, asyncio.Future[int]]] = asyncio.Queue()
        self._late: set[asyncio.Task[None]] = set()

    async def take(self, receipt: Receipt) -> int:
        """The status to answer."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        await self._waiting.put((receipt, answer))
        return await answer

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            batch = [await self._waiting.get()]
            await asyncio.sleep(GATHER_S)
            with suppress(asyncio.QueueEmpty):
                while len(batch) < RECEIPTS_AT_ONCE:
                    batch.append(self._waiting.get_nowait())
            unknown = await self._note(batch)
            if unknown:  # perhaps faster than the answer to the submission is written down
                task = asyncio.ensure_future(self._note_late(unknown))
                self._late.add(task)
                task.add_done_callback(self._late.discard)

    async def _note(
        self, batch: list[tuple[Receipt, asyncio.Future[int]]]
    ) -> list[tuple[Receipt, asyncio.Future[int]]]:
        """Answer what could be noted, or could not be now; the rest is of messages that are not known."""
        try:
            known = await self._queue.put_receipts([receipt for receipt, _ in batch], self._clock.now())
        except Exception as error:
            diagnostics.failure("message.receipts-not-noted", error, receipts=len(batch))
            for _, answer in batch:
                answer.set_result(TRY_AGAIN)
            return []
        for receipt, answer in batch:
            if receipt.segment_id in known:
                answer.set_result(OK)
        return [(receipt, answer) for receipt, answer in batch if receipt.segment_id not in known]

    async def _note_late(self, unknown: list[tuple[Receipt, asyncio.Future[int]]]) -> None:
        await self._sender.settled(seconds=SUBMISSIONS_S_MAX)
        never = await self._note(unknown)
        if never:
            diagnostics.event("message.receipts-unknown", receipts=len(never))
        for _, answer in never:
            answer.set_result(OK)


class Receiver:
    """Gives each deliver_sm its way and its answer."""

    def __init__(
        self, custody: Custody, *, desk: ReceiptDesk, arrivals: Arrivals, opt_outs: OptOuts, outbox: MessageOutbox
    ) -> None:
        self._custody, self._desk, self._arrivals = custody, desk, arrivals
        self._opt_outs, self._outbox = opt_outs, outbox
        self._replies: set[asyncio.Task[None]] = set()

    async def take(self, pdu: smpp34.DeliverSm) -> int:
        """The status to answer to the centre."""
        payload = _payload(pdu)
        if is_receipt(pdu.esm_class):
            receipt = read_receipt(payload, pdu.tlvs)
            return OK if receipt is None else await self._desk.take(receipt)
        try:
            return await self._take_message(pdu, payload)
        except (NoAgreement, AccountIsClosing):
            return REJECTED
        except (TextUnreadable, RecordErased):
            return NEVER
        except Unavailable as error:
            diagnostics.failure("message.not-kept", error)
            return TRY_AGAIN

    async def _take_message(self, pdu: smpp34.DeliverSm, payload: bytes) -> int:
        recipient = Party.from_sip_user(pdu.destination_addr)
        async with self._custody.database.system() as connection:
            route = await connection.fetchrow(queries.route_call, recipient.text)
        if route is None:
            return NEVER
        if not route["agreed"]:
            return REJECTED
        await self._custody.require_keeper()
        account = AccountId(route["account_id"])
        async with self._custody.database.account(account) as connection:
            of_class = await connection.fetchval(queries.class_of_arrival, account.value, recipient.text)
        place, octets = read_header(payload) if pdu.esm_class & HAS_HEADER else (_place_by_tlvs(pdu), payload)
        arrived = Arrived(
            account, _sender(pdu), recipient, text_of(pdu.data_coding, octets),
            Encoding.UCS2 if pdu.data_coding == UCS2_CODING else Encoding.GSM, self._custody.clock.now(),
            of_class,
        )  # fmt: skip
        if place is not None:
            await self._arrivals.take_part(arrived, place)
            return OK
        word, reply = await self._heed(arrived)
        await self._arrivals.take_whole(arrived)
        if word is not None and reply:
            self._reply(arrived, reply)
        return OK

    async def _heed(self, arrived: Arrived) -> tuple[Word | None, str]:
        """An opt-out counts before the message is acknowledged, so that no crash loses it."""
        async with self._custody.database.account(arrived.account) as connection:
            settings = await settings_of(connection, arrived.account)
        word = settings.word_in(arrived.text)
        if word in (Word.STOP, Word.START) and arrived.sender.text != "anonymous":
            await self._opt_outs.note(
                arrived.account, sender=arrived.recipient, recipient=arrived.sender, wanted=word is Word.START
            )
        return word, settings.reply_to(word) if word is not None else ""

    def _reply(self, arrived: Arrived, text: str) -> None:
        async def reply() -> None:
            try:
                await self._outbox.send(
                    arrived.account, sender=arrived.recipient, recipient=arrived.sender, text=text,
                    wish=Wish(is_reply=True),
                )  # fmt: skip
            except SealwireError as error:
                diagnostics.failure("message.not-replied", error, account=arrived.account)

        task = asyncio.ensure_future(reply())
        self._replies.add(task)
        task.add_done_callback(self._replies.discard)


def _payload(pdu: smpp34.DeliverSm) -> bytes:
    """The user data: in its field, or, when long, in the parameter message_payload."""
    if pdu.short_message:
        return pdu.short_message
    return next((tlv.value for tlv in pdu.tlvs if tlv.tag == MESSAGE_PAYLOAD), b"")


def _place_by_tlvs(pdu: smpp34.DeliverSm) -> Place | None:
    """Segments may be numbered by parameters (sar_*) in place of a header."""
    by_tag = {tlv.tag: tlv.as_int() for tlv in pdu.tlvs}
    reference, total, number = (by_tag.get(tag) for tag in (SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER))
    if reference is None or total is None or number is None:
        return None
    return sound(Place(reference, total, number))


def _sender(pdu: smpp34.DeliverSm) -> Party:
    """A number, a short code or a name (type of number 5), as the centre gives it."""
    if pdu.source_addr_ton == NAME and pdu.source_addr.strip():
        return Party(pdu.source_addr.strip())
    return Party.from_sip_user(pdu.source_addr)
