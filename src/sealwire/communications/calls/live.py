"""One live call: its first channel, up to three that are dialled from it, its recording, and how each is seen out.

This is the CallControl an application drives. Whatever an application does, every leg leaves its records.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

from sealwire.communications import prompts
from sealwire.communications.accounting.port import Admission, Charge
from sealwire.communications.calls import commands as c
from sealwire.communications.calls import events as e
from sealwire.communications.calls.bridge import NotAsked, bridge
from sealwire.communications.calls.call import Step, call_out
from sealwire.communications.calls.channel import LiveChannel
from sealwire.communications.calls.consent import ConsentDesk, ConsentRefused
from sealwire.communications.calls.exchange import Exchange
from sealwire.communications.calls.line import Dial, Line
from sealwire.communications.calls.ports import LiveCallStarted, Recorder
from sealwire.communications.calls.seeing_out import seal, see_out
from sealwire.communications.calls.setting_up import ready_to_dial
from sealwire.communications.calls.whole_call import WholeCall
from sealwire.communications.control.port import (
    EXTRA_CHANNELS_MAX,
    Channel,
    ChannelEnded,
    ChannelState,
    Interruption,
    NotReached,
    Played,
    RecordingImpossible,
    RecordingWish,
    WrongMoment,
)
from sealwire.communications.recordings.desk import CallRecorder
from sealwire.communications.switches.port import Leg
from sealwire.communications.webhooks.events import Event
from sealwire.errors import Refused
from sealwire.governance.services import Service
from sealwire.ground import diagnostics
from sealwire.vocabulary import AccountId, ApplicationId, CredentialId, HangupCause, Party, RecordId, ServiceId

VERBS_MAX = 10_000
RING_SECONDS_MAX = 180.0
DIALS_MAX = 50


class TooManyActions(Refused):
    """The application has used more verbs than one call may have; its call is ended."""


class LiveCall:
    """See control.port.CallControl."""

    def __init__(
        self,
        exchange: Exchange,
        about: LiveCallStarted,
        service: Service,
        *,
        arguments: str = "",
        credential: CredentialId | None = None,
    ) -> None:
        assert about.application_id is not None
        self.exchange = exchange
        self.about = about
        self.of_service = service
        self.parameters = ""
        self.speech_seconds = 0.0
        self.frames_lost = 0
        self.legs = 0
        self.charges: list[Charge] = []
        self.credential = credential
        self.seeing_out: set[asyncio.Task[None]] = set()
        self.overdone = asyncio.Event()
        self.began_s = time.monotonic()
        self.consents = ConsentDesk(service.recording, sounds=exchange.sounds)
        self._application_id = about.application_id
        self._arguments = arguments
        self._interruptions: asyncio.Queue[Interruption] = asyncio.Queue()
        self._channels: dict[int, Channel] = {}
        self._verbs = 0
        self._dialling: set[int] = set()
        self.is_over = False
        """Its application has run: no leg is dialled any more."""
        self._policy_done = False
        self.first = self._new_channel(0, about)
        self.whole_call = WholeCall(
            self.first,
            consent=self._everybody_agrees,
            new_recorder=lambda on_end: self._recorder(self.first, on_end, two_sided=True),
            refused=self.recording_refused,
        )

    # --- what is known -------------------------------------------------------------------------------------

    @property
    def application_id(self) -> ApplicationId:
        return self._application_id

    @property
    def account(self) -> AccountId:
        return self.about.account

    @property
    def service(self) -> ServiceId | None:
        return self.of_service.service

    @property
    def arguments(self) -> str:
        return self._arguments

    @property
    def primary(self) -> Channel:
        return self.first

    @property
    def channels(self) -> Mapping[int, Channel]:
        return self._channels

    @property
    def seconds_left(self) -> float:
        """Of the longest life this call may have."""
        most = min(self.exchange.call_seconds_max, self.of_service.seconds_max)
        return max(0.0, most - (time.monotonic() - self.began_s))

    def live_channels(self) -> list[LiveChannel]:
        """Those that have not ended."""
        return [each for each in self._channels.values() if _is_live(each) and isinstance(each, LiveChannel)]

    # --- legs ----------------------------------------------------------------------------------------------

    def _new_channel(self, number: int, about: LiveCallStarted) -> LiveChannel:
        channel = LiveChannel(
            number,
            about,
            on_answered=self.came_up if number == 0 else _nothing_more,
            before_recording=self._party_agrees,
            new_recorder=lambda channel: self._recorder(channel, partial(_tell_line, channel), two_sided=False),
            count_verb=self._count_verb,
            hiding=self._hiding_digits,
            before_transfer=self._may_transfer,
            answers_itself=about.direction == "inbound" and not self.of_service.early_media,
        )
        self._channels[number] = channel
        return channel

    def take_leg(
        self,
        channel: LiveChannel,
        begun: Step,
        admission: Admission,
        *,
        leg: Leg | None = None,
        dial: Dial | None = None,
    ) -> None:
        """Give a channel its line; from here on it leaves its records whatever happens."""
        channel.line = Line(
            channel.call_id,
            clock=self.exchange.clock,
            begun=begun,
            seal=partial(seal, self, channel),
            leg=leg,
            dial=dial,
        )
        self.begin(see_out(self, channel, admission))

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that must be done before the call is let go."""
        task = asyncio.ensure_future(work)
        self.seeing_out.add(task)
        task.add_done_callback(self.seeing_out.discard)

    def free_number(self) -> int:
        """The number of a channel to be dialled; WrongMoment when all are up or too many were dialled."""
        if self.is_over:
            raise WrongMoment("the application of this call has ended")
        if self.legs >= DIALS_MAX:
            raise WrongMoment(f"not more than {DIALS_MAX} legs may be dialled in one call")
        for number in range(1, EXTRA_CHANNELS_MAX + 1):
            if number not in self._dialling and not _is_live(self._channels.get(number)):
                return number
        raise WrongMoment(f"not more than {EXTRA_CHANNELS_MAX} more channels may be up at once")

    async def dial(self, to: Party, *, caller: Party | None = None, seconds: float = 60.0) -> Channel:
        number = self.free_number()
        self._dialling.add(number)
        try:
            return await self._dial(number, to, caller=caller, seconds=min(seconds, RING_SECONDS_MAX))
        finally:
            self._dialling.discard(number)

    async def _dial(self, number: int, to: Party, *, caller: Party | None, seconds: float) -> LiveChannel:
        ready = await ready_to_dial(
            self.exchange, self.account, to, caller=caller, credential=self.credential, is_extra=True
        )
        self.legs += 1
        about = ready.about(
            self.application_id, leg=self.legs, service=None, retention_class=self.about.retention_class
        )
        await ready.keep(about)
        if self.is_over:  # whoever asked (the API) is no part of the application, and is late
            await ready.give_back(about)
            raise ChannelEnded
        beside = next((each.line.leg for each in self.live_channels()), None)
        channel = self._new_channel(number, about)
        begun = call_out(ring_seconds=seconds, seconds_max=self.seconds_left)
        dial = partial(self.exchange.engine.dial, ready.target, beside=beside)
        self.take_leg(channel, begun, ready.admission, dial=dial)
        try:
            await channel.answer()
        except ChannelEnded as ended:
            raise NotReached(cause=ended.cause) from None
        except asyncio.CancelledError:
            channel.line.feed(c.HangUp(HangupCause.CANCELLED))
            raise
        return channel

    async def _may_transfer(self, to: Party) -> None:
        """A far end that is told to call somebody may do so at this account's cost."""
        await self.exchange.spending.admit_transfer(self.account, to=to, credential=self.credential)

    async def bridge(self, one: Channel, other: Channel, *, stop_on: str = "") -> Played:
        parties = self._own(one), self._own(other)

        def may_meet() -> bool:
            return not self.whole_call.is_wanted or all(map(self.consents.has, parties))

        while True:
            if not may_meet():
                for channel in parties:
                    await self.consents.require(channel)
            with suppress(NotAsked):  # a recording began while this waited for its turn
                return await bridge(self.exchange.engine, *parties, stop_on=stop_on, may_meet=may_meet)

    async def unbridge(self, channel: Channel) -> None:
        if self._own(channel).line.call.state.value == "bridged":
            await channel.stop()

    def _own(self, channel: Channel) -> LiveChannel:
        if not isinstance(channel, LiveChannel) or self._channels.get(channel.number) is not channel:
            raise WrongMoment("this channel is not of this call, or has ended long ago")
        return channel

    def _count_verb(self) -> None:
        self._verbs += 1
        if self._verbs > VERBS_MAX:
            self.overdone.set()
            raise TooManyActions

    # --- recording -----------------------------------------------------------------------------------------

    async def came_up(self) -> None:
        """The first channel is up: what the service's policy wants is done before anything else is."""
        policy = self.of_service.recording
        if self._policy_done or not policy.whole_call:
            return
        self._policy_done = True
        wish = RecordingWish(
            seconds_max=float(self.of_service.seconds_max),
            beep=policy.beep,
            channels=policy.channels,
            eliminate_dtmf=policy.eliminate_dtmf,
        )
        try:
            await self.start_recording(wish)
        except ConsentRefused:
            return  # who said no needs not be told
        except RecordingImpossible:
            await self.first.play(prompts.sound("unrecorded"))

    async def start_recording(self, wish: RecordingWish) -> RecordId:
        try:
            return await self.whole_call.start(wish)
        except RecordingImpossible:
            await self.recording_refused()
            raise

    async def pause_recording(self, *, silence: bool = True) -> None:
        self.whole_call.pause(silence=silence)

    async def resume_recording(self) -> None:
        self.whole_call.resume()

    async def stop_recording(self) -> None:
        await self.whole_call.stop()

    def _hiding_digits(self) -> AbstractContextManager[None]:
        return self.whole_call.hiding()

    async def recording_refused(self) -> None:
        """Never silent: it is noted, announced, and said to the first party when that can be."""
        diagnostics.event("recording.refused", call=self.first.call_id)
        await self.announce(Event.RECORDING_REFUSED, call=str(self.first.call_id))

    async def _everybody_agrees(self) -> None:
        """Those who would be heard: the first party, and who is bridged with it; that one cannot be asked now."""
        await self.consents.require(self.first)
        for channel in self.live_channels():
            if channel.line.call.state.value == "bridged" and not self.consents.has(channel):
                raise RecordingImpossible("a party of this bridge was not asked; start recording before bridging")

    async def _party_agrees(self, channel: Channel) -> None:
        try:
            await self.consents.require(channel)
        except RecordingImpossible:
            await self.recording_refused()
            raise

    def _recorder(self, channel: LiveChannel, on_end: Callable[[str], None], *, two_sided: bool) -> Recorder:
        return CallRecorder(
            channel.about,
            keeper=self.exchange.keeper,
            clock=self.exchange.clock,
            service=self.of_service,
            whole_call=two_sided,
            on_ended=on_end,
        )

    # --- the rest ------------------------------------------------------------------------------------------

    def note_parameters(self, parameters: str) -> None:
        self.parameters = parameters

    def count_speech(self, seconds: float) -> None:
        self.speech_seconds += seconds

    async def next_interruption(self) -> Interruption:
        return await self._interruptions.get()

    def interrupt(self, kind: str, body: Mapping[str, object]) -> None:
        self._interruptions.put_nowait(Interruption(kind, body))

    async def announce(self, event: Event, **references: str | int | bool) -> None:
        """Tell the account's webhooks something about this call."""
        await self.exchange.announce(self.account, event, application=str(self.application_id), **references)

    async def guarded(self, text: str) -> str:
        """Without payment card numbers, where the account wants that; empty when that cannot be made sure."""
        try:
            return await self.exchange.guard(self.account, text)
        except Exception as error:
            diagnostics.failure("call.text-not-guarded", error, call=self.first.call_id)
            return ""


def _is_live(channel: Channel | None) -> bool:
    return channel is not None and channel.state is not ChannelState.ENDED


async def _nothing_more() -> None:
    return None


def _tell_line(channel: LiveChannel, why: str) -> None:
    match why:
        case "silence":
            channel.line.feed(e.SilenceHeard())
        case "length":
            channel.line.feed(e.TimerRang("record"))
        case _:
            channel.line.feed(e.CaptureFailed())
