"""Webhook events about messages. They follow from the states that are stored, so that a crash loses none."""

from __future__ import annotations

from sealwire.communications.messages.queue import Queue, State, Untold
from sealwire.communications.webhooks.events import Announcer, Event
from sealwire.ground.clock import Clock
from sealwire.vocabulary import AccountId, MessageId

BATCH = 200
_SENT, _ALL = 1, 2
_ENDS = {
    State.DELIVERED: Event.MESSAGE_DELIVERED,
    State.FAILED: Event.MESSAGE_FAILED,
    State.EXPIRED: Event.MESSAGE_FAILED,
    State.RECEIVED: Event.MESSAGE_RECEIVED,
}
"""Nothing is announced of a message that stays unconfirmed: nothing is known of it."""


class Teller:
    """A duty of the messenger. An event may be announced twice when the process ends between telling and noting."""

    def __init__(self, queue: Queue, announcer: Announcer, *, clock: Clock) -> None:
        self._queue, self._announcer, self._clock = queue, announcer, clock

    async def tell_all(self) -> bool:
        """One batch for each account; True when there may be more."""
        accounts = await self._queue.accounts_with("untold", self._clock.now())
        return any([await self._tell(account) for account in accounts])

    async def _tell(self, account: AccountId) -> bool:
        untold = await self._queue.untold(account, limit=BATCH)
        told: list[tuple[MessageId, int]] = []
        has_listeners = await self._queue.is_listened_to(account)
        for one in untold:
            for event in _events(one) if has_listeners else ():
                await self._announcer.announce(
                    account, event, message=str(one.message), state=one.state.value, error=one.error,
                    is_partial=one.segments_missing > 0,
                )  # fmt: skip
            told.append((one.message, _ALL if one.is_final else _SENT))
        if told:
            await self._queue.put_told(account, told)
        return len(untold) == BATCH


def _events(one: Untold) -> list[Event]:
    events = []
    if one.direction == "out" and one.told < _SENT and one.state not in (State.FAILED, State.EXPIRED):
        events.append(Event.MESSAGE_SENT)
    if one.is_final and one.state in _ENDS:
        events.append(_ENDS[one.state])
    return events
