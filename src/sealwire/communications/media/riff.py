"""The container of a wav file, read with suspicion: RIFF WAVE with PCM or G.711, every length checked before use."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sealwire.errors import Malformed

SECONDS_MAX = 1800
RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000)
_CHUNKS_MAX = 64
_PCM, _ALAW, _ULAW, _EXTENSIBLE = 1, 6, 7, 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_UNTIL_THE_END = (0x7FFFF000, 0xFFFFFFFF)
"""Data lengths that mean "as long as there is more": sox's and ffmpeg's marks in a stream."""


class NotAWav(Malformed):
    """This is not a wav file (RIFF WAVE), or it is cut off; send one, or the Content-Type of what was encrypted."""


class WavUnsupported(Malformed):
    """Wav files are taken as PCM of 8 or 16 bit or G.711 (A-law, u-law), one or two channels, 8 to 48 kHz."""


class WavLies(Malformed):
    """The headers of this wav file contradict each other or the length of the file; write it anew with a sound tool."""


class SoundEmpty(Malformed):
    """There is no sound in this file."""


class SoundTooLong(Malformed):
    """A media file lasts at most 30 minutes; cut it."""


@dataclass(frozen=True, slots=True)
class Wav:
    """What a wav file says it is, and its audio."""

    tag: int
    channels: int
    rate: int
    bits: int
    audio: bytes

    @property
    def seconds(self) -> float:
        return len(self.audio) / (self.rate * self.channels * self.bits // 8)

    def plain_file(self) -> bytes:
        """The same sound in the simplest file there is: two chunks, true lengths, nothing else of what was sent."""
        width = self.channels * self.bits // 8
        form = struct.pack("<HHIIHH", self.tag, self.channels, self.rate, self.rate * width, width, self.bits)
        extra = b"" if self.tag == _PCM else struct.pack("<H", 0)
        fact = b"" if self.tag == _PCM else b"fact" + struct.pack("<II", 4, len(self.audio) // width)
        body = b"WAVE" + b"fmt " + struct.pack("<I", len(form + extra)) + form + extra + fact
        body += b"data" + struct.pack("<I", len(self.audio)) + self.audio + b"\0" * (len(self.audio) & 1)
        return b"RIFF" + struct.pack("<I", len(body)) + body


def read_wav(data: bytes) -> Wav:
    """Read the container; refuses with the sentence that fits."""
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise NotAWav
    chunks = _chunks(data)
    if b"fmt " not in chunks or b"data" not in chunks:
        raise NotAWav
    tag, channels, rate, bits = _form(chunks[b"fmt "])
    audio = chunks[b"data"]
    width = channels * bits // 8
    audio = audio[: len(audio) // width * width]
    wav = Wav(tag, channels, rate, bits, audio)
    if not audio:
        raise SoundEmpty
    if wav.seconds > SECONDS_MAX:
        raise SoundTooLong
    return wav


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """The first chunk of each name, up to the audio."""
    found: dict[bytes, bytes] = {}
    at = 12
    for _ in range(_CHUNKS_MAX):
        if at + 8 > len(data):
            return found
        name, (size,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        left = len(data) - at - 8
        if name == b"data" and size in _UNTIL_THE_END:
            size = left
        if size > left:
            raise WavLies
        found.setdefault(name, data[at + 8 : at + 8 + size])
        if name == b"data":
            return found
        at += 8 + size + (size & 1)
    raise WavLies


def _form(chunk: bytes) -> tuple[int, int, int, int]:
    if len(chunk) < 16:
        raise WavLies
    tag, channels, rate, byte_rate, width, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE:
        if len(chunk) < 40 or chunk[26:40] != _GUID_TAIL:
            raise WavUnsupported
        (tag,) = struct.unpack_from("<H", chunk, 24)
    is_known = (tag == _PCM and bits in (8, 16)) or (tag in (_ALAW, _ULAW) and bits == 8)
    if not is_known or channels not in (1, 2) or rate not in RATES:
        raise WavUnsupported
    if width != channels * bits // 8 or byte_rate != rate * width:
        raise WavLies
    return tag, channels, rate, bits
