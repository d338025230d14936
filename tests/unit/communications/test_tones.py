"""No digit can be heard in what is recorded, and speech stays what it was."""

from __future__ import annotations

import subprocess
import time

import numpy as np
import pytest
from tests.sound_house import KEYS, digit, heard_by_multimon, keys, needs, pcm, through_g711, wave

from sealwire.communications.recordings.elimination import Eliminator
from sealwire.communications.recordings.likeness import likeness
from sealwire.communications.recordings.tones import digits
from sealwire.doors.caller import demo_speech

pytestmark = needs("multimon-ng", "sox", "espeak-ng")

VOICES = ("en-us+f3", "en-gb-scotland+m3", "de+f4", "fr+m1", "es+f2", "cmn", "ru+m7", "en-us+whisper")


def without_tones(data: bytes, *, chunk: int = 800) -> bytes:
    eliminator = Eliminator(1)
    rows = np.frombuffer(data, dtype="<i2")[None, :]
    out = [eliminator.put(rows[:, at : at + chunk]).copy() for at in range(0, rows.shape[1], chunk)]
    return np.concatenate([*out, eliminator.rest()], axis=1)[0].tobytes()


def names(data: bytes) -> str:
    return "".join(found.key for found in digits(data))


def test_both_detectors_hear_what_a_telephone_sends():
    said = pcm(keys(KEYS))
    assert names(said) == KEYS
    assert heard_by_multimon(said) == KEYS


@pytest.mark.parametrize("ms", [35, 40, 60, 300])
@pytest.mark.parametrize("dbfs", [-3, -10, -25, -45])
def test_within_the_limits_of_q24_every_digit_is_found_and_nothing_of_it_stays(ms, dbfs):
    for twist_db in (-8, 0, 4, 8):
        for off in (-0.018, 0, 0.015, 0.018):
            said = pcm(keys(KEYS, ms=ms, gap_ms=50, dbfs=dbfs, twist_db=twist_db, off=off))
            assert names(said) == KEYS, (twist_db, off)
            kept = wave(without_tones(said))
            assert len(kept) == len(wave(said))
            assert np.sum(kept**2) < 1e-4 * np.sum(wave(said) ** 2), (twist_db, off)


def test_a_second_detector_finds_no_digit_in_speech_with_digits_and_the_speech_is_still_there():
    speech = demo_speech("caller-one")
    said = wave(speech)
    for at in range(8000, len(said) - 2000, 9600):  # over the words, while the caller holds the key and is silent
        tone = digit(KEYS[at // 9600 % 16], ms=100)
        said[at : at + len(tone)] = tone
    line = through_g711(pcm(said))
    assert len(heard_by_multimon(line)) >= 3
    kept = without_tones(line)
    assert heard_by_multimon(kept) == ""
    assert names(kept) == ""
    assert heard_by_multimon(pcm(np.clip(wave(kept) * 8, -32768, 32767))) == ""
    words = wave(speech)[:8000]
    assert likeness(pcm(words), kept).correlation >= 0.9
    assert likeness(speech, kept).correlation >= 0.9


def test_digits_the_caller_speaks_over_are_gone_too():
    speech = wave(demo_speech("caller-one")) * 0.12
    said = speech.copy()
    for at in range(4000, len(said) - 2000, 8000):
        tone = digit(KEYS[at // 8000 % 16], ms=120, dbfs=-8)
        said[at : at + len(tone)] += tone
    assert len(heard_by_multimon(pcm(said))) >= 3
    assert heard_by_multimon(without_tones(pcm(said))) == ""


def test_ten_digits_a_second_leave_nothing():
    said = pcm(keys("8675309#" * 5, ms=50, gap_ms=50))
    assert heard_by_multimon(said)
    kept = without_tones(said)
    assert heard_by_multimon(kept) == names(kept) == ""


def test_a_digit_with_a_lost_packet_in_it_is_gone_on_both_sides_of_the_hole():
    tone = digit("7", ms=120)
    tone[320:480] = 0
    kept = wave(without_tones(pcm(np.concatenate([np.zeros(4000), tone, np.zeros(4000)]))))
    assert not kept.any()


@pytest.mark.parametrize("chunk", [80, 160, 797, 800, 8000])
def test_what_comes_out_does_not_depend_on_how_it_came_in(chunk):
    said = pcm(
        np.concatenate([wave(demo_speech("caller-two"))[:16_000], keys("159#"), wave(demo_speech("caller-two"))])
    )
    assert without_tones(said, chunk=chunk) == without_tones(said, chunk=1600)


def test_silence_and_single_tones_are_no_digits():
    time_s = np.arange(16_000) / 8000
    assert names(bytes(8000)) == ""
    assert names(b"") == ""
    for hertz in (440, 697, 1209, 1000, 2100):
        assert names(pcm(9000 * np.sin(2 * np.pi * hertz * time_s))) == ""
    noise = np.random.default_rng(1).normal(0, 3000, 80_000)
    assert names(pcm(noise)) == ""


def test_speech_in_many_voices_loses_next_to_nothing():
    text = "The quick brown fox jumps over the lazy dog. Please bring the yellow papers on Tuesday, at half past two."
    lost, total = 0, 0
    for voice in VOICES:
        spoken = subprocess.run(
            ["espeak-ng", "-v", voice, "--stdin", "--stdout"], input=text.encode(), capture_output=True, check=True
        )
        shape = ["-r", "8000", "-c", "1", "-b", "16", "-e", "signed", "-t", "raw", "-"]
        line = subprocess.run(
            ["sox", "-t", "wav", "-", *shape, "highpass", "300", "lowpass", "3400", "norm", "-4"],
            input=spoken.stdout,
            capture_output=True,
            check=True,
        )
        said, kept = wave(line.stdout), wave(without_tones(line.stdout))
        lost += int(np.sum((said != 0) & (kept == 0)))
        total += len(said)
        assert likeness(pcm(said), pcm(kept)).correlation > 0.95, voice
    assert lost < 0.01 * total


def test_an_rfc_4733_event_takes_the_leaked_sound_around_it():
    eliminator = Eliminator(2)
    loud = np.full((2, 400), 5000, dtype=np.int16)
    out = [eliminator.put(loud)]
    eliminator.event(0)
    out += [eliminator.put(np.full((2, 8000), 5000, dtype=np.int16)), eliminator.rest()]
    kept = np.concatenate(out, axis=1)
    assert not kept[0, : 400 + 800].any()
    assert kept[0, 1200:].all()
    assert kept[1].all()


@pytest.mark.parametrize(("held_ms", "silenced"), [(100, 1600), (400, 1600 + 3200)])
def test_what_is_said_until_a_moment_before_an_event_stays(held_ms: int, silenced: int):
    eliminator = Eliminator(1)
    out = [eliminator.put(np.full((1, 800), 5000, dtype=np.int16)) for _ in range(7)]
    eliminator.event(0, held_ms=held_ms)
    kept = np.concatenate([*out, eliminator.rest()], axis=1)
    assert kept[0, : 5600 - silenced].all()
    assert not kept[0, 5600 - silenced :].any()


def test_it_costs_little_enough_for_a_hundred_calls():
    speech = np.frombuffer(demo_speech("caller-one"), dtype="<i2")
    rows = np.stack([np.tile(speech, 10), np.tile(speech[::-1], 10)])
    eliminator, began = Eliminator(2), time.thread_time()
    for at in range(0, rows.shape[1], 800):
        eliminator.put(rows[:, at : at + 800])
    share = (time.thread_time() - began) / (rows.shape[1] / 8000) * 100
    assert share < 0.10, f"{share:.1%} of a core for 100 calls with both parties"
