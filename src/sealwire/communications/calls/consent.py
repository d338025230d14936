"""Consent before anything is recorded: a prompt that says so, or a question that must be answered with 1."""

from __future__ import annotations

import asyncio

from sealwire.communications import prompts
from sealwire.communications.control.port import Channel, RecordingImpossible, Sounds
from sealwire.governance.services import Consent, RecordingPolicy
from sealwire.ground import diagnostics

YES = "1"
ANSWER_SECONDS = 8.0
TRIES = 3


class ConsentRefused(RecordingImpossible):
    """The party did not agree to be recorded, so nothing is; do without, or ask for something else."""


class ConsentDesk:
    """Asks each channel once; its answer holds for the whole call."""

    def __init__(self, policy: RecordingPolicy, *, sounds: Sounds | None) -> None:
        self._policy = policy
        self._sounds = sounds
        self._answers: dict[Channel, bool] = {}
        self._asking = asyncio.Lock()

    def has(self, channel: Channel) -> bool:
        """This party may be recorded already."""
        return self._policy.consent is Consent.NONE or self._answers.get(channel, False)

    async def require(self, channel: Channel) -> None:
        """Ask unless it was asked before; ConsentRefused. ChannelEnded when the party hangs up instead."""
        if self._policy.consent is Consent.NONE:
            return
        async with self._asking:
            if channel not in self._answers:
                self._answers[channel] = await self._ask(channel)
        if not self._answers[channel]:
            diagnostics.event("recording.no-consent", call=channel.call_id)
            raise ConsentRefused

    async def _ask(self, channel: Channel) -> bool:
        text = await self._text()
        if self._policy.consent is Consent.PROMPT:
            for _ in range(TRIES):
                if not (await channel.play(text)).was_stopped:  # what was cut short was not said
                    return True
            return False
        await channel.play(text, stop_on="any")
        answer = await channel.collect(count_max=1, end_digits="", first_seconds=ANSWER_SECONDS)
        return answer.digits == YES

    async def _text(self) -> bytes:
        """The service's own words; ours when it has none or they cannot be spoken."""
        if self._policy.consent_text and self._sounds is not None:
            try:
                return await self._sounds.say(self._policy.consent_text)
            except Exception as error:
                diagnostics.failure("recording.consent-text-not-spoken", error)
        return prompts.sound(f"consent-{self._policy.consent.value}")
