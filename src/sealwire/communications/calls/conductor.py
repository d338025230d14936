"""Runs one call from its first channel to its application record: answer, policy, application, return code."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sealwire.communications.calls import commands as c
from sealwire.communications.calls.call import State
from sealwire.communications.calls.channel import until_ended
from sealwire.communications.calls.consent import ConsentRefused
from sealwire.communications.calls.live import LiveCall, TooManyActions
from sealwire.communications.calls.ports import ApplicationEnded
from sealwire.communications.calls.seeing_out import ended_so_far
from sealwire.communications.control.port import (
    Application,
    ChannelEnded,
    ChannelState,
    NotReached,
    RecordingImpossible,
)
from sealwire.communications.webhooks.events import Event
from sealwire.governance.services import Direction, Service, kind_of
from sealwire.ground import diagnostics
from sealwire.vocabulary import HangupCause, ReturnCode

FAREWELL_SECONDS = 30.0
"""How long an application may go on when all its channels have ended."""
CODE_MIN, CODE_MAX = -(1 << 31), (1 << 31) - 1
RESERVED = range(-99, 0)

_SERVICE_SPEAKS = {
    HangupCause.TOO_LONG: ReturnCode.CALL_TOO_LONG,
    HangupCause.SPEND_CAP: ReturnCode.SPEND_CAP_REACHED,
    HangupCause.ENGINE_FAILED: ReturnCode.ENGINE_FAILED,
    HangupCause.SERVICE_RESTARTED: ReturnCode.SERVICE_RESTARTED,
}
_LEFT_BY: dict[int, HangupCause] = {
    ReturnCode.APPLICATION_FAILED: HangupCause.SERVICE_UNAVAILABLE,
    ReturnCode.PROGRAM_LOST: HangupCause.PROGRAM_LOST,
    ReturnCode.PROGRAM_SILENT: HangupCause.PROGRAM_LOST,
}
_NEVER_UP = {
    HangupCause.BUSY: ReturnCode.BUSY,
    HangupCause.NO_ANSWER: ReturnCode.NO_ANSWER,
    HangupCause.REJECTED: ReturnCode.REJECTED,
    HangupCause.NUMBER_UNKNOWN: ReturnCode.NUMBER_UNKNOWN,
    HangupCause.CANCELLED: ReturnCode.CANCELLED,
    HangupCause.NOT_ALLOWED: ReturnCode.DESTINATION_NOT_ALLOWED,
    **_SERVICE_SPEAKS,
}


def takes(service: Service, direction: str) -> bool:
    """Whether this service takes calls of this direction."""
    return service.direction is Direction.BOTH or service.direction.value == direction


async def conduct(call: LiveCall) -> None:
    """Live the call to its end and keep its application record. Does not raise: a call that breaks is hung up."""
    try:
        code = await _code(call)
    except Exception as error:
        diagnostics.failure("call.failed", error, call=call.first.call_id)
        code = ReturnCode.APPLICATION_FAILED
    call.is_over = True
    for channel in call.live_channels():
        if channel.line.call.state is State.RINGING:
            cause = _LEFT_BY.get(code, HangupCause.REJECTED)
            channel.line.feed(c.Refuse(480, "the called service does not take this call", cause))
        else:
            channel.line.feed(c.HangUp(_LEFT_BY.get(code, HangupCause.NORMAL)))
    await until_ended(call.live_channels())
    while call.seeing_out:
        await asyncio.wait(set(call.seeing_out))
    await _charge_speech(call)
    await _keep(call, code)


async def _charge_speech(call: LiveCall) -> None:
    """Speech is charged when it has been made; what the cap no longer allows is not charged."""
    charge, seconds = call.exchange.charge_speech, call.speech_seconds
    if charge is None or not seconds:
        return
    try:
        charges = await charge(call.account, seconds)
    except Exception as error:
        diagnostics.failure("speech.not-charged", error, call=call.first.call_id)
        return
    ended = ended_so_far(call, call.first)
    await call.exchange.keep("charges", lambda: call.exchange.keeper.keep_charges(ended, charges), of=ended.call_id)
    call.charges += charges


async def _code(call: LiveCall) -> int:
    """What the application record says of how it ended."""
    application = None
    refusal: ReturnCode | None = None
    if not takes(call.of_service, call.about.direction):
        refusal = ReturnCode.WRONG_DIRECTION
    elif (application := call.exchange.applications.application(call.of_service)) is None:
        refusal = ReturnCode.APPLICATION_MISSING
    if application is None or refusal is not None:
        await _turn_away(call)
        return _of_cause(call) or refusal or ReturnCode.APPLICATION_MISSING
    try:
        await _come_up(call)
    except ChannelEnded as ended:
        return _NEVER_UP.get(ended.cause, ReturnCode.ENDED_BEFORE_START)
    code = await _run(call, application)
    return _of_cause(call) or code


def _of_cause(call: LiveCall) -> ReturnCode | None:
    """Where the service itself ended the call, that is what counts."""
    return _SERVICE_SPEAKS.get(call.first.cause) if call.first.cause is not None else None


async def _turn_away(call: LiveCall) -> None:
    with suppress(ChannelEnded):
        if call.first.line.call.state is State.RINGING:
            await call.first.reject(HangupCause.SERVICE_UNAVAILABLE)
        else:
            await call.first.hang_up(HangupCause.SERVICE_UNAVAILABLE)


async def _come_up(call: LiveCall) -> None:
    """An inbound call is left ringing: its first verb answers it. An outbound one is waited for."""
    first, service = call.first, call.of_service
    if first.state is ChannelState.ENDED:
        raise ChannelEnded(cause=_far_end_left(first.cause))
    if first.direction == "inbound":
        return
    if service.early_media:
        call.begin(_follow_answer(call))
    else:
        await first.answer()


async def _follow_answer(call: LiveCall) -> None:
    """An outbound call whose application started early: the policy is followed when it comes up."""
    up, gone = (asyncio.ensure_future(event.wait()) for event in (call.first.line.came_up, call.first.line.ended))
    await asyncio.wait((up, gone), return_when=asyncio.FIRST_COMPLETED)
    for task in (up, gone):
        task.cancel()
    if call.first.line.came_up.is_set():
        with suppress(ChannelEnded):
            await call.came_up()


def _far_end_left(cause: HangupCause | None) -> HangupCause:
    """An inbound caller who left is nobody who did not answer."""
    return cause if cause in _SERVICE_SPEAKS and cause is not None else HangupCause.NORMAL


async def _run(call: LiveCall, application: Application) -> int:
    """Run it; when all its channels have ended, or it has used too many verbs, it is given little time."""
    running = asyncio.ensure_future(application.run(call))
    watching = asyncio.ensure_future(_watch(call))
    try:
        await asyncio.wait((running, watching), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            diagnostics.event("application.stopped", application=call.application_id)
            running.cancel()
            await asyncio.wait((running,), timeout=FAREWELL_SECONDS)
        return _returned(call, running)
    finally:
        running.cancel()
        watching.cancel()


async def _watch(call: LiveCall) -> None:
    """Ends when the application has had its time: it is overdone, or no channel is up and none was dialled since."""
    overdone = asyncio.ensure_future(call.overdone.wait())
    try:
        while not overdone.done():
            channels = call.live_channels()
            ended = asyncio.ensure_future(until_ended(channels))
            await asyncio.wait((overdone, ended), return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            if not call.live_channels():
                await asyncio.wait((overdone,), timeout=FAREWELL_SECONDS)
                if not call.live_channels():
                    return
    finally:
        overdone.cancel()


def _returned(call: LiveCall, running: asyncio.Future[int]) -> int:
    if call.overdone.is_set():
        return ReturnCode.TOO_MANY_ACTIONS
    if not running.done() or running.cancelled():
        return ReturnCode.APPLICATION_FAILED
    error = running.exception()
    if error is not None:
        return _failed(call, error)
    code = running.result()
    if isinstance(code, ReturnCode):
        return code
    if type(code) is not int or not CODE_MIN <= code <= CODE_MAX:
        return ReturnCode.NOT_AN_INTEGER
    return ReturnCode.RESERVED_CODE_RETURNED if code in RESERVED else code


def _failed(call: LiveCall, error: BaseException) -> ReturnCode:
    """A hangup that an application does not care to catch is an end like any other."""
    match error:
        case ChannelEnded():
            return ReturnCode.DONE
        case TooManyActions():
            return ReturnCode.TOO_MANY_ACTIONS
        case ConsentRefused():
            return ReturnCode.CONSENT_REFUSED
        case RecordingImpossible():
            return ReturnCode.RECORDING_REFUSED
        case NotReached():
            return _NEVER_UP.get(error.cause, ReturnCode.APPLICATION_FAILED)
    diagnostics.failure("application.failed", error, application=call.application_id)
    return ReturnCode.APPLICATION_FAILED


async def _keep(call: LiveCall, code: int) -> None:
    exchange, account = call.exchange, call.account
    ended = ApplicationEnded(
        application_id=call.application_id,
        account=account,
        call_id=call.first.call_id,
        service_id=call.service,
        kind=kind_of(call.of_service),
        direction=call.about.direction,
        started_at=call.about.started_at,
        ended_at=exchange.clock.now(),
        return_code=int(code),
        extra_legs=call.legs,
        speech_seconds=round(call.speech_seconds),
        cost_millicents=sum(charge.amount_millicents for charge in call.charges),
        arguments=await call.guarded(call.arguments),
        parameters=await call.guarded(call.parameters),
        retention_class=call.about.retention_class,
    )
    diagnostics.event("application.ended", application=call.application_id, code=int(code))
    await exchange.keep("application", lambda: exchange.keeper.keep_application(ended), of=call.application_id)
    await exchange.announce(
        account, Event.APPLICATION_ENDED, application=str(call.application_id), call=str(call.first.call_id),
        return_code=int(code),
    )  # fmt: skip
