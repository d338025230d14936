"""The end of a leg: what it leaves is kept, what it cost is settled, and whoever wants to know is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from sealwire.communications.accounting.port import Admission
from sealwire.communications.calls.channel import LiveChannel
from sealwire.communications.calls.metering import meter
from sealwire.communications.calls.ports import CallEnded, Recorder, RecordingEnded
from sealwire.communications.control.port import WrongMoment
from sealwire.communications.webhooks.events import Event
from sealwire.ground import diagnostics
from sealwire.vocabulary import HangupCause

if TYPE_CHECKING:
    from sealwire.communications.calls.live import LiveCall


async def see_out(call: LiveCall, channel: LiveChannel, admission: Admission) -> None:
    """Wait for the end of a leg, then keep what it leaves."""
    metering = asyncio.ensure_future(meter(channel.line, admission))
    await channel.line.ended.wait()
    metering.cancel()
    if channel is call.first:
        await _end_whole_call(call)
    await channel.line.finished()
    ended = ended_so_far(call, channel)
    ended = replace(ended, digits=await call.guarded(ended.digits))
    keeper, keep = call.exchange.keeper, call.exchange.keep
    call.frames_lost += ended.frames_lost
    diagnostics.event("call.ended", call=ended.call_id, cause=int(ended.cause), frames_lost=ended.frames_lost)
    await keep("call", lambda: keeper.keep_call(ended), of=ended.call_id)
    await keep("charges", lambda: _settle(call, ended, admission), of=ended.call_id)
    await call.announce(Event.CALL_ENDED, call=str(ended.call_id), cause=int(ended.cause), leg=ended.leg)


async def _end_whole_call(call: LiveCall) -> None:
    """Whatever goes wrong with its recording, a leg leaves its record."""
    try:
        await call.whole_call.stop()
    except WrongMoment:
        return
    except Exception as error:
        diagnostics.failure("recording.not-ended", error, call=call.first.call_id)


async def _settle(call: LiveCall, ended: CallEnded, admission: Admission) -> None:
    charges = await admission.settle(answered_seconds=ended.answered_seconds)
    await call.exchange.keeper.keep_charges(ended, charges)
    call.charges += charges


async def seal(call: LiveCall, channel: LiveChannel, recorder: Recorder, ended_s: float) -> RecordingEnded | None:
    """Finish a recording and keep it at once; what cannot be kept now is kept with the call record."""
    ended = await recorder.stop(ended_s)
    if ended is None:
        await call.recording_refused()
        return None
    if ended.kept is None:  # it was for the ear only
        return ended
    channel.recordings.append(ended)
    try:
        await call.exchange.keeper.keep_recording(ended_so_far(call, channel), ended)
    except Exception as error:
        diagnostics.failure("recording.not-kept-yet", error, call=channel.call_id)
    else:
        await call.announce(Event.RECORDING_KEPT, call=str(channel.call_id), seconds=ended.samples // 8000)
    return ended


def ended_so_far(call: LiveCall, channel: LiveChannel) -> CallEnded:
    """What is known of a leg; its end is now while it has none."""
    about, line = channel.about, channel.line
    return CallEnded(
        call_id=about.call_id,
        account=about.account,
        caller=about.caller,
        callee=about.callee,
        direction=about.direction,
        started_at=about.started_at,
        answered_at=line.answered_at,
        ended_at=line.ended_at or call.exchange.clock.now(),
        cause=line.call.cause or HangupCause.SERVICE_UNAVAILABLE,
        digits=line.call.digits,
        recordings=list(channel.recordings),
        frames_lost=line.frames_lost + sum(recording.frames_lost for recording in channel.recordings),
        leg=about.leg,
        application_id=about.application_id,
        retention_class=about.retention_class,
    )
