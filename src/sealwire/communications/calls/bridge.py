"""Two channels that hear each other: both hold their turn until one of them ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from sealwire.communications.calls import commands as c
from sealwire.communications.calls.channel import LiveChannel
from sealwire.communications.control.port import ChannelEnded, Played, WrongMoment
from sealwire.communications.switches.port import Engine, Leg, LegGone
from sealwire.errors import Refused


class NotAsked(Refused):
    """The call is being recorded by now, and one of these parties has not been asked."""


async def bridge(
    engine: Engine, one: LiveChannel, other: LiveChannel, *, stop_on: str, may_meet: Callable[[], bool]
) -> Played:
    """Until a digit of `stop_on`, `stop` on either, or a hangup (ChannelEnded).

    `may_meet` is asked when both stand in the bridge and do not hear each other yet; NotAsked when it says no.
    """
    if one is other:
        raise WrongMoment("a channel cannot be bridged with itself")
    first, second = sorted(
        (one, other), key=lambda channel: channel.number
    )  # in one order, so that none wait crosswise
    async with first.turns.turn(), second.turns.turn():
        joined = [asyncio.ensure_future(channel.join(stop_on)) for channel in (one, other)]
        await asyncio.sleep(0)  # both are in the bridge, as their tables see it
        legs = one.line.leg, other.line.leg
        try:
            if not may_meet():
                raise NotAsked
            if not any(task.done() for task in joined):
                await _connect(engine, *legs)
                await asyncio.wait(joined, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if legs[0] is not None:
                with suppress(LegGone):
                    await engine.unbridge(legs[0])
            for channel in (one, other):
                channel.line.feed(c.Stop())
            ends = await asyncio.gather(*joined, return_exceptions=True)
    return _what_ended(ends)


async def _connect(engine: Engine, one: Leg | None, other: Leg | None) -> None:
    if one is None or other is None:
        raise ChannelEnded
    try:
        await engine.bridge(one, other)
    except LegGone:
        return  # its channel tells why


def _what_ended(ends: list[Played | BaseException]) -> Played:
    errors = [end for end in ends if isinstance(end, BaseException)]
    if errors:
        raise errors[0]
    digits = [end.stopped_by for end in ends if isinstance(end, Played) and end.stopped_by is not None]
    return Played(digits[0] if digits else None)
