"""Whatever a leg does, and whenever: every verb that was begun comes to an end, and so does the line."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from sealwire.communications.calls import commands as c
from sealwire.communications.calls import events as e
from sealwire.communications.calls.call import IllegalInCall, State, call_out, ring
from sealwire.communications.calls.line import Line
from sealwire.communications.calls.ports import RecordingEnded
from sealwire.communications.control.echo import EchoRecorder
from sealwire.communications.control.port import RecordingWish
from sealwire.communications.switches.port import Leg, LegGone, LegListener
from sealwire.ground.clock import SystemClock
from sealwire.vocabulary import CallId, HangupCause, Party

BYE = e.LegEnded(HangupCause.NORMAL)


class Shadow:
    """A leg that takes every command, or says that it is gone."""

    caller = callee = Party("anonymous")
    source = transport = ""

    def __init__(self, *, gone: bool) -> None:
        self.gone = gone

    def __getattr__(self, name: str) -> object:
        async def obey(*_: object, **__: object) -> float:
            await asyncio.sleep(0)
            if self.gone:
                raise LegGone
            return 0.0

        return obey


VERBS: list[c.Verb] = [
    *(c.Ring(), c.Answer(), c.Play(b"x"), c.Play(b"y", "any"), c.Gather(2, "#"), c.Gather(1, sensitive=True)),
    *(c.Record(RecordingWish(end_digits="#", beep=True)), c.Join("*"), c.SendDigits("1"), c.Transfer(Party("x"))),
]
EVENTS = [
    *(e.LegRinging(), e.LegAnswered(), e.DigitHeard("1"), e.DigitHeard("#"), e.DigitHeard("*"), BYE),
    *(e.PlayEnded(1), e.PlayEnded(2), e.LegHeld(True), c.Stop(), c.HangUp(), None),
    *(e.TimerRang(name) for name in ("gather", "record", "work", "no-answer")),
]


async def live(steps: list[object], *, outbound: bool, gone: bool) -> None:
    async def dial(_: LegListener) -> Leg:
        return Shadow(gone=gone)  # type: ignore[return-value]

    async def seal(recorder: object, _: float) -> RecordingEnded | None:
        assert isinstance(recorder, EchoRecorder)
        return await recorder.stop()

    begun = call_out(ring_seconds=60, seconds_max=60) if outbound else ring(seconds_max=60)
    leg: Leg | None = None if outbound else Shadow(gone=gone)  # type: ignore[assignment]
    line = Line(CallId.new(), clock=SystemClock(), begun=begun, seal=seal, leg=leg, dial=dial if outbound else None)
    verbs: list[asyncio.Task[c.Outcome]] = []
    for step in steps:
        if isinstance(step, c.Verb):
            if not verbs or verbs[-1].done():
                line.record_with(EchoRecorder(on_silence=line.silence_heard))
                verbs.append(asyncio.ensure_future(line.instruct(step)))
        elif step is None:
            await asyncio.sleep(0)
        elif isinstance(step, c.Instruction | e.TimerRang):
            line.feed(step)
        else:
            line.heard(step)  # type: ignore[arg-type]
        if verbs and len(steps) % 3 == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    line.heard(BYE)
    async with asyncio.timeout(5):
        await line.finished()
        outcomes = await asyncio.gather(*verbs, return_exceptions=True)
    assert all(isinstance(outcome, c.Outcome | IllegalInCall) for outcome in outcomes), outcomes
    assert line.call.state is State.ENDED
    assert line.call.cause is not None


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([*VERBS, *EVENTS]), max_size=25), st.booleans(), st.booleans())
def test_every_verb_and_every_line_comes_to_an_end(steps: list[object], outbound: bool, gone: bool) -> None:
    asyncio.run(live(steps, outbound=outbound, gone=gone))
