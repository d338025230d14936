"""Text becomes speech by a program that never sees it as an argument; what goes wrong is said."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from tests.sound_house import needs, wave

from sealwire.communications.recordings.likeness import likeness
from sealwire.communications.speech import espeak, speech_engine
from sealwire.communications.speech.espeak import (
    CommandSpeech,
    EspeakSpeech,
    SpeechEngineMissing,
    SpeechFailed,
    TextNotSpeakable,
    VoiceUnknown,
)
from sealwire.config import SettingsRefused

pytestmark = needs("espeak-ng")

SAID = "Good morning. Your appointment is on Tuesday at half past nine."


def program(folder: Path, script: str) -> str:
    file = folder / "engine"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


async def test_a_text_is_spoken_at_telephone_rate_and_loud_enough():
    pcm = await EspeakSpeech().speak(SAID)
    assert 2.0 < len(pcm) / 16_000 < 8.0
    assert np.abs(wave(pcm)).max() > 3000
    assert likeness(pcm, await EspeakSpeech().speak(SAID)).correlation > 0.95
    assert likeness(pcm, await EspeakSpeech().speak("Something else, and longer than that.")).correlation < 0.5


async def test_voices_differ_and_an_unknown_one_is_refused():
    engine = EspeakSpeech()
    assert await engine.speak("Guten Tag", voice="de") != await engine.speak("Guten Tag", voice="en-us+m3")
    for voice in ("xx", "en-us+nobody", "de; reboot", "../../etc/passwd", "-w/tmp/x", "EN", "en us", "x" * 90, "en\n"):
        with pytest.raises(VoiceUnknown) as told:
            await engine.speak("hello", voice=voice)
        assert len(voice) < 3 or voice not in str(told.value)


async def test_markup_is_read_out_and_not_obeyed():
    engine = EspeakSpeech()
    plain = await engine.speak("one two")
    assert len(await engine.speak('<break time="9s"/> one two')) > len(plain) * 1.2
    assert len(await engine.speak('<break time="60s"/> one')) < 16_000 * 20
    assert await engine.speak("[[h@'loU]] one two")


@pytest.mark.parametrize("text", ["", " ", "\n\n", "...!?", "\x00\x07", "x" * 3001])
async def test_what_cannot_be_spoken_is_refused(text):
    with pytest.raises(TextNotSpeakable):
        await EspeakSpeech().speak(text)


async def test_the_longest_text_that_is_taken_is_spoken():
    text = ("Please listen carefully, as our menu has changed. " * 70)[:3000]
    assert len(await EspeakSpeech().speak(text)) > 16_000 * 60


async def test_the_text_is_in_no_argument_and_no_environment(tmp_path):
    seen = tmp_path / "seen"
    spoken = Path(__file__).parents[3] / "src/sealwire/communications/prompts/tone.wav"
    engine = CommandSpeech(
        "test", [program(tmp_path, f"(tr '\\0' ' ' < /proc/$$/cmdline; env; cat >/dev/null) > {seen}; cat {spoken}")]
    )
    await engine.speak("the secret appointment", voice="en-us")
    assert "secret" not in seen.read_text()
    assert "en-us" in seen.read_text()


async def test_an_engine_that_is_not_there_says_what_to_install(monkeypatch):
    monkeypatch.setattr(EspeakSpeech, "_arguments", lambda self, voice: ["/nonexistent/espeak-ng"])
    with pytest.raises(SpeechEngineMissing, match="apt install espeak-ng"):
        await EspeakSpeech().speak("hello")


async def test_an_engine_that_hangs_fails_talks_for_ever_or_talks_nonsense_is_ended(tmp_path, monkeypatch):
    pid = tmp_path / "pid"
    hanging = CommandSpeech("test", [program(tmp_path, f"echo $$ > {pid}; exec sleep 600")], seconds_max=0.5)
    with pytest.raises(SpeechFailed):
        await hanging.speak("hello")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    monkeypatch.setattr(espeak, "WAV_BYTES_MAX", 1 << 20)
    for script in ("cat > /dev/null; exit 3", "exit 0", "cat > /dev/null; exec cat /dev/zero", "cat; exit 0"):
        with pytest.raises(SpeechFailed):
            await CommandSpeech("test", [program(tmp_path, script)], seconds_max=5).speak("hello")


async def test_a_call_that_ends_meanwhile_leaves_no_process(tmp_path):
    pid = tmp_path / "pid"
    engine = CommandSpeech("test", [program(tmp_path, f"echo $$ > {pid}; exec sleep 600")])
    speaking = asyncio.ensure_future(engine.speak("hello"))
    async with asyncio.timeout(5):
        while not pid.exists() or not pid.read_text().strip():
            await asyncio.sleep(0.01)
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


async def test_many_at_once_are_spoken_a_few_at_a_time():
    engine = EspeakSpeech()
    spoken = await asyncio.gather(*(engine.speak(f"number {at}") for at in range(8)))
    assert all(len(pcm) > 4000 for pcm in spoken)


def test_the_engine_is_chosen_by_configuration():
    assert speech_engine("espeak-ng").name == "espeak-ng"
    assert speech_engine("command:/opt/piper/say").name == "command"
    for wrong in ("", "piper", "command:piper", "command:"):
        with pytest.raises(SettingsRefused):
            speech_engine(wrong)
