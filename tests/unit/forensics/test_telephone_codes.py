"""The codes of telephony, against published vectors and against the tables of the standard library."""

from __future__ import annotations

import warnings

import numpy as np

from sealwire.custody.forensics.telephone_codes import (
    alaw_decode,
    alaw_encode,
    gsm7_inside,
    gsm7_packed,
    mulaw_decode,
    mulaw_encode,
    semi_octets,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)
EVERY_CODE = bytes(range(256))


def test_semi_octets_are_those_of_the_pdu_examples() -> None:
    assert semi_octets("46708251358").hex() == "6407281553f8"
    assert semi_octets("1234", low_nibble_first=False).hex() == "1234"


def test_packed_septets_are_those_of_the_pdu_examples() -> None:
    assert gsm7_packed("hellohello").hex() == "e8329bfd4697d9ec37"


def test_packed_septets_are_found_wherever_in_a_message_they_start() -> None:
    number = "441632960123"
    for before in range(16):
        message = gsm7_packed("x" * before + number + "yz")
        assert any(needle in message for needle in gsm7_inside(number, phase=7 * before % 8))


def test_g711_is_that_of_the_standard_library_for_every_sample_and_code() -> None:
    pcm = EVERY_SAMPLE.tobytes()
    assert alaw_encode(EVERY_SAMPLE) == audioop.lin2alaw(pcm, 2)
    assert mulaw_encode(EVERY_SAMPLE) == audioop.lin2ulaw(pcm, 2)
    assert alaw_decode(EVERY_CODE).tobytes() == audioop.alaw2lin(EVERY_CODE, 2)
    assert mulaw_decode(EVERY_CODE).tobytes() == audioop.ulaw2lin(EVERY_CODE, 2)
