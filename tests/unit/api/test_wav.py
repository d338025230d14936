"""The length of a recording is told from its sealed size, before a byte of it is opened."""

from __future__ import annotations

import io
import os
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwire.communications.recordings.wav import wav_header
from sealwire.custody.sealing.envelope import Context, MediaSealer
from sealwire.doors.api.wav import MediaSizeWrong, audio_bytes
from sealwire.vocabulary import AccountId

CONTEXT = Context(account=AccountId.new(), category=2, retention_class=0, day=20_000, slot=7)
EDGES = [0, 1, 320, 16_383, 16_384, 16_385, 32_767, 32_768, 32_769, 49_152, 100_000]


def sealed_size(size: int) -> int:
    sealer = MediaSealer(os.urandom(32), CONTEXT)
    return len(sealer.update(b"a" * size)) + len(sealer.finalize())


@pytest.mark.parametrize("size", EDGES)
def test_the_formula_agrees_with_the_sealer_at_the_edges_of_chunks(size: int):
    assert audio_bytes(sealed_size(size)) == size


@given(st.integers(0, 200_000))
def test_the_formula_agrees_with_the_sealer(size: int):
    assert audio_bytes(sealed_size(size)) == size


@pytest.mark.parametrize("size", [0, 55, 56, 71, 56 + 16_400, 56 + 16_400 + 15])
def test_a_size_that_no_sealed_stream_has_is_refused(size: int):
    with pytest.raises(MediaSizeWrong):
        audio_bytes(size)


def test_the_header_makes_the_audio_a_wav_file_that_others_read():
    audio = os.urandom(16_000)
    with wave.open(io.BytesIO(wav_header(len(audio)) + audio)) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (8000, 2, 1)
        assert file.readframes(file.getnframes()) == audio
