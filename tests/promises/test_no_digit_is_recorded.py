"""In a recording of a real call there is no digit: not of tones in the sound, not of events, not of their leaks.

Two detectors of different make listen. The controls: the same call with elimination switched off, and the speech.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sealwire.communications.control.port import CallControl, RecordingWish
from sealwire.communications.recordings.likeness import likeness
from sealwire.communications.recordings.tones import digits
from sealwire.doors.caller import FRAME_BYTES, Caller
from tests.sound_house import digit, heard_by_multimon, needs, pcm
from tests.telephony_house import SPEECH, Script, open_house

pytestmark = needs("multimon-ng", "sox")

PIECE = 24_000
IN_BAND, BY_EVENT = "4711", "80"


class Typist(Caller):
    """Says a piece, then types: first as tones in the sound, then as events whose first 60 ms leak as tone."""

    async def _talk(self, answered: float) -> None:
        self._due = answered
        await self._silent_until(lambda: False, 0.3)
        for at, key in enumerate(IN_BAND):
            await self._say(SPEECH[at * PIECE : (at + 1) * PIECE])
            await self._say(pcm(np.concatenate([digit(key, ms=100), np.zeros(400)])))
        for key in BY_EVENT:
            await self._say(pcm(digit(key, ms=60)))
            await self._type(key)
        await self._speak()

    async def _say(self, sound: bytes) -> None:
        for at in range(0, len(sound), FRAME_BYTES):
            await self._send(sound[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))


async def recording_of_a_call_with_digits(folder: Path, *, eliminate: bool, whole_call: bool, codec: str) -> bytes:
    async def records(call: CallControl) -> int:
        await call.primary.answer()
        wish = RecordingWish(eliminate_dtmf=eliminate)
        if whole_call:
            await call.start_recording(wish)
            typed = await call.primary.collect(count_max=len(BY_EVENT), first_seconds=20)
            assert typed.digits == BY_EVENT
            await call.primary.wait_ended()
        else:
            await call.primary.record(wish)
        return 0

    async with open_house(folder, application=lambda: Script(records)) as house:
        report = await Typist(house.plan(seconds=1.5, codec=codec)).run()
        ended, run = await house.keeper.next_call(), await house.keeper.next_run()
    (recording,) = ended.recordings
    assert recording.frames_lost == 0
    assert report.digits_sent == BY_EVENT
    assert run.return_code == 0
    return bytes(recording.kept)


@pytest.mark.slow
@pytest.mark.parametrize(("whole_call", "codec"), [(True, "pcma"), (False, "pcmu")])
async def test_two_detectors_find_no_digit_and_the_speech_is_as_it_was(tmp_path: Path, whole_call: bool, codec: str):
    kept = await recording_of_a_call_with_digits(tmp_path, eliminate=True, whole_call=whole_call, codec=codec)
    assert heard_by_multimon(kept) == ""
    assert digits(kept) == []
    for at in range(len(IN_BAND)):
        piece = SPEECH[at * PIECE + 3200 : (at + 1) * PIECE - 3200]
        assert likeness(piece, kept).correlation >= 0.9, at


@pytest.mark.slow
async def test_the_control_without_elimination_both_detectors_find_them(tmp_path: Path):
    kept = await recording_of_a_call_with_digits(tmp_path, eliminate=False, whole_call=True, codec="pcma")
    assert IN_BAND in heard_by_multimon(kept)
    assert IN_BAND in "".join(found.key for found in digits(kept))
