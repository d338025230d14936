"""What a number or a piece of speech looks like in every form in which it might have been left lying about."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import phonenumbers

from sealwire.custody.forensics.telephone_codes import (
    Samples,
    alaw_decode,
    alaw_encode,
    gsm7_inside,
    mulaw_decode,
    mulaw_encode,
    semi_octets,
)
from sealwire.errors import Malformed
from sealwire.vocabulary import E164

NEEDLE_BYTES_MIN = 6
WINDOW_BYTES = 64
WINDOW_EVERY_SAMPLES = 500
_SILENT_BELOW = 256
_DISTINCT_MIN = 12
_TEXT_WINDOW_BYTES = 24
_CIPHERTEXT_PIECE_BYTES = 32


class NothingAudible(Malformed):
    """This audio is too short or too quiet to be recognised again; sweep with a piece of louder speech."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Bytes to look for: what they are of (`subject`) and in which form they stand (`encoding`)."""

    needle: bytes
    subject: str
    encoding: str


def number_patterns(number: E164, *, subject: str) -> list[Pattern]:
    """A telephone number in every text, telephony, integer and hash form."""
    found: list[tuple[bytes, str]] = []
    for form, text in _written_forms(number):
        found += [(needle, f"{form}, {codec}") for needle, codec in _text_encodings(text)]
    digits, national = number.text[1:], _national(number)
    found += _telephony_forms("digits", digits)
    found += _telephony_forms("national with 0", "0" + national)
    found += list(_septets("national", national))
    found += [(int(digits).to_bytes(8, order), f"digits, 64-bit integer {order} endian") for order in ("little", "big")]
    found += list(_hashes(number.text))
    return distinct(found, subject)


def audio_patterns(pcm: bytes, *, subject: str) -> list[Pattern]:
    """Speech (8 kHz s16le) as 64-byte windows every 500 audible samples, as PCM of both byte orders and as G.711.

    What a telephone line did to it is looked for too: the samples after A-law and after mu-law.
    """
    samples = np.frombuffer(pcm[: len(pcm) & ~1], "<i2")
    found: list[tuple[bytes, str]] = []
    for name, stream, sample_bytes in _audio_forms(samples):
        for start in range(0, len(samples) - WINDOW_BYTES, WINDOW_EVERY_SAMPLES):
            window = stream[start * sample_bytes : start * sample_bytes + WINDOW_BYTES]
            if _is_audible(samples[start : start + WINDOW_BYTES // sample_bytes]):
                found.append((window, name))
                sample = window[:_TEXT_WINDOW_BYTES]
                found += [(text, f"{name}, {codec}") for text, codec in binary_as_text(sample, exact=False)]
    if not found:
        raise NothingAudible
    return distinct(found, subject)


def ciphertext_patterns(sealed: bytes, *, subject: str) -> list[Pattern]:
    """Ciphertext in pieces of 32 bytes, as stored: for stores from which it should be removed."""
    starts = range(0, max(len(sealed) - _CIPHERTEXT_PIECE_BYTES, 0) + 1, _CIPHERTEXT_PIECE_BYTES)
    pieces = ((sealed[start : start + _CIPHERTEXT_PIECE_BYTES], "as stored") for start in starts)
    return distinct(pieces, subject)


def _audio_forms(samples: Samples) -> list[tuple[str, bytes, int]]:
    alaw, mulaw = alaw_encode(samples), mulaw_encode(samples)
    lines = [("", samples), (" after A-law", alaw_decode(alaw)), (" after mu-law", mulaw_decode(mulaw))]
    forms = [("A-law", alaw, 1), ("mu-law", mulaw, 1)]
    forms.append(("mu-law after A-law", mulaw_encode(lines[1][1]), 1))
    forms.append(("A-law after mu-law", alaw_encode(lines[2][1]), 1))
    for suffix, line in lines:
        forms.append((f"PCM s16le{suffix}", line.astype("<i2").tobytes(), 2))
        forms.append((f"PCM s16be{suffix}", line.astype(">i2").tobytes(), 2))
    return forms


def _is_audible(window: Samples) -> bool:
    return int(np.abs(window.astype(np.int32)).max()) >= _SILENT_BELOW and len(np.unique(window)) >= _DISTINCT_MIN


def _written_forms(number: E164) -> Iterator[tuple[str, str]]:
    national = _national(number)
    yield "international", number.text
    yield "digits", number.text[1:]
    yield "national with 0", "0" + national
    yield "national", national
    parsed = phonenumbers.parse(number.text, None)
    for name in ("INTERNATIONAL", "NATIONAL", "RFC3966"):
        form = phonenumbers.format_number(parsed, getattr(phonenumbers.PhoneNumberFormat, name))
        yield f"written {name.lower()}", form


def _national(number: E164) -> str:
    return phonenumbers.national_significant_number(phonenumbers.parse(number.text, None))


def _text_encodings(text: str) -> Iterator[tuple[bytes, str]]:
    raw = text.encode()
    yield raw, "raw"
    yield raw[::-1], "reversed"
    yield text.encode("utf-16-le"), "UTF-16LE"
    yield text.encode("utf-16-be"), "UTF-16BE"
    yield from binary_as_text(raw)
    for plus in (b"%2B", b"%2b"):
        yield raw.replace(b"+", plus), "percent-encoded"
    yield b"".join(b"%%%02X" % byte for byte in raw), "percent-encoded"
    for plus in (rb"\u002b", rb"\u002B"):
        yield raw.replace(b"+", plus), "JSON-escaped"
    yield b"".join(rb"\u%04x" % byte for byte in raw), "JSON-escaped"


def binary_as_text(raw: bytes, *, exact: bool = True) -> Iterator[tuple[bytes, str]]:
    """Bytes as hexadecimal digits and as base64 at each alignment."""
    yield raw.hex().encode(), "hex"
    yield raw.hex().upper().encode(), "hex"
    for alignment in range(3):
        yield from ((text, f"base64 at alignment {alignment}") for text in _base64_inside(raw, alignment, exact=exact))


def _base64_inside(raw: bytes, alignment: int, *, exact: bool) -> Iterator[bytes]:
    """Base64 of bytes in the midst of others, without the character shared with what precedes.

    The last character may be shared with what follows. When the last byte matters (`exact`), there is one answer
    for each value of the bits not known; else that character is left out.
    """
    first, (whole, rest) = -(-8 * alignment // 6), divmod(8 * (alignment + len(raw)), 6)
    is_shared = exact and rest > 0
    for unknown in range(1 << 6 - rest) if is_shared else (0,):
        following = (unknown << 10 + rest).to_bytes(2, "big")
        aligned = bytes(alignment) + raw + following + b"\0"
        end = whole + is_shared
        yield base64.b64encode(aligned)[first:end]
        yield base64.urlsafe_b64encode(aligned)[first:end]


def _telephony_forms(form: str, digits: str) -> Iterator[tuple[bytes, str]]:
    yield semi_octets(digits), f"{form}, semi-octets low nibble first"
    yield semi_octets(digits, low_nibble_first=False), f"{form}, semi-octets high nibble first"
    yield from _septets(form, digits)


def _septets(form: str, digits: str) -> Iterator[tuple[bytes, str]]:
    for phase in range(8):
        yield from ((needle, f"{form}, GSM 7 bit packed") for needle in gsm7_inside(digits, phase=phase))


def _hashes(text: str) -> Iterator[tuple[bytes, str]]:
    for algorithm in ("md5", "sha1", "sha256"):
        digest = hashlib.new(algorithm, text.encode(), usedforsecurity=False)
        yield digest.digest(), f"international, unsalted {algorithm}"
        yield digest.hexdigest().encode(), f"international, unsalted {algorithm} in hex"


def text_patterns(text: str, *, subject: str) -> list[Pattern]:
    """A token of a text field in every text form."""
    return distinct([*_text_encodings(text), *_septets("text", text), *_hashes(text)], subject)


def bytes_patterns(raw: bytes, *, subject: str) -> list[Pattern]:
    """Bytes as they are and as text."""
    return distinct([(raw, "raw"), (raw[::-1], "reversed"), *binary_as_text(raw)], subject)


def distinct(found: Iterable[tuple[bytes, str]], subject: str) -> list[Pattern]:
    """Each needle once, under the first form that makes it; too short ones would be found by chance."""
    named: dict[bytes, str] = {}
    for needle, encoding in found:
        if len(needle) >= NEEDLE_BYTES_MIN:
            named.setdefault(needle, encoding)
    return [Pattern(needle, subject, encoding) for needle, encoding in named.items()]
