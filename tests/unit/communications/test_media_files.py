"""What is uploaded to be played is a sound, or is refused with a sentence; nothing hostile reaches the decoder."""

from __future__ import annotations

import io
import math
import struct
import subprocess
import wave as wav_module

import numpy as np
import pytest
from tests.sound_house import needs, wave

from sealwire.communications.encryption.aescbc import CbcEncryptor
from sealwire.communications.media.decode import decode
from sealwire.communications.media.names import MediaNameWrong, checked_name
from sealwire.communications.media.resample import to_8k
from sealwire.communications.media.riff import (
    SECONDS_MAX,
    NotAWav,
    SoundEmpty,
    SoundTooLong,
    WavLies,
    WavUnsupported,
    read_wav,
)
from sealwire.communications.media.store import (
    BYTES_MAX,
    MediaTooLarge,
    NotAesCbc,
    NotAnAgeFile,
    check_upload,
    whole,
)
from sealwire.communications.recordings.likeness import likeness
from sealwire.communications.recordings.wav import wav_header
from sealwire.doors.caller import demo_speech

pytestmark = needs("sox")


def by_sox(pcm: bytes, *shape: str) -> bytes:
    """8 kHz PCM as sox writes it in another form."""
    raw = ["-t", "raw", "-r", "8000", "-c", "1", "-e", "signed", "-b", "16", "-"]
    done = subprocess.run(["sox", *raw, *shape, "-t", "wav", "-"], input=pcm, capture_output=True, check=True)
    return done.stdout


def chunk(name: bytes, body: bytes, *, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body


def form(*, tag: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16, width: int = 0, per_s: int = 0) -> bytes:
    width = width or channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, rate, per_s or rate * width, width, bits)


def riff(*chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, chunks))) + b"WAVE" + b"".join(chunks)


SOUND = chunk(b"data", bytes(1600))
GOOD = riff(chunk(b"fmt ", form()), SOUND)


@pytest.mark.parametrize(
    "shape",
    [
        ("-b", "16"),
        ("-e", "unsigned", "-b", "8"),
        ("-e", "a-law", "-b", "8"),
        ("-e", "mu-law", "-b", "8"),
        ("-r", "16000", "-b", "16"),
        ("-r", "16000", "-e", "a-law", "-b", "8"),
        ("-r", "22050", "-b", "16"),
        ("-r", "44100", "-b", "16", "-c", "2"),
        ("-r", "48000", "-b", "16"),
        ("-r", "11025", "-b", "16"),
    ],
    ids=" ".join,
)
def test_every_usual_form_plays_as_what_it_was(shape):
    said = demo_speech("caller-one")[:64_000]
    pcm = decode(by_sox(said, *shape))
    assert len(pcm) == pytest.approx(len(said), abs=20)
    assert likeness(said, pcm).correlation > 0.98
    assert abs(likeness(said, pcm).offset_s) < 0.002


def test_g711_is_decoded_as_sox_decodes_it():
    for law in ("a-law", "mu-law"):
        coded = by_sox(demo_speech("caller-two")[:32_000], "-e", law, "-b", "8")
        raw = ["-t", "raw", "-e", "signed", "-b", "16", "-"]
        theirs = subprocess.run(["sox", "-t", "wav", "-", *raw], input=coded, capture_output=True, check=True).stdout
        assert decode(coded) == theirs


def test_what_is_above_the_telephone_band_does_not_fold_back_into_it():
    at = np.arange(48_000)
    for rate in (16_000, 22_050, 44_100, 48_000):
        for hertz in (4600, 6000, 7900):
            folded = to_8k(np.sin(2 * np.pi * hertz * at / rate).astype(np.float32), rate=rate)
            assert np.sqrt(np.mean(folded[200:-200] ** 2)) < 0.004, (rate, hertz)
        kept = to_8k(np.sin(2 * np.pi * 3000 * at / rate).astype(np.float32), rate=rate)
        assert np.sqrt(np.mean(kept[200:-200] ** 2)) == pytest.approx(math.sqrt(0.5), rel=0.02)


def test_our_own_recording_with_its_length_left_open_can_be_uploaded():
    said = demo_speech("caller-one")[:16_000]
    assert decode(wav_header() + said) == said
    assert check_upload(wav_header() + said, encryption="none") == 1000


def test_python_reads_the_header_of_a_recording_and_sox_does_too():
    said = demo_speech("caller-one")[:16_000]
    stereo = wav_header(channels=2) + said
    with wav_module.open(io.BytesIO(stereo)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8000, 2)
        assert file.readframes(file.getnframes()) == said
    raw = ["-t", "raw", "-e", "signed", "-b", "16", "-"]
    done = subprocess.run(["sox", "-t", "wav", "-", *raw], input=stereo, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (said, b"")


REFUSED = {
    "nothing": (b"", NotAWav),
    "text": (b"hello, this is not a sound", NotAWav),
    "mp3": (b"ID3\x04" + bytes(2000), NotAWav),
    "an age file": (b"age-encryption.org/v1\n-> X25519", NotAWav),
    "a riff that is no wav": (b"RIFF" + bytes(4) + b"AVI " + bytes(100), NotAWav),
    "only a header": (GOOD[:12], NotAWav),
    "no audio": (riff(chunk(b"fmt ", form())), NotAWav),
    "audio before its form": (riff(SOUND, chunk(b"fmt ", form())), NotAWav),
    "an empty sound": (riff(chunk(b"fmt ", form()), chunk(b"data", b"")), SoundEmpty),
    "less than a sample": (riff(chunk(b"fmt ", form()), chunk(b"data", b"x")), SoundEmpty),
    "audio longer than the file": (riff(chunk(b"fmt ", form()), chunk(b"data", bytes(100), size=1 << 30)), WavLies),
    "a chunk of 4 GiB": (riff(chunk(b"LIST", b"", size=0xFFFFFFFE), chunk(b"fmt ", form()), SOUND), WavLies),
    "a form of 4 GiB": (riff(chunk(b"fmt ", form(), size=0xFFFFFFF0), SOUND), WavLies),
    "ten thousand chunks": (riff(*[chunk(b"LIST", b"")] * 10_000, chunk(b"fmt ", form()), SOUND), WavLies),
    "a short form": (riff(chunk(b"fmt ", form()[:10]), SOUND), WavLies),
    "a block that is too wide": (riff(chunk(b"fmt ", form(width=4)), SOUND), WavLies),
    "a byte rate of another rate": (riff(chunk(b"fmt ", form(per_s=44_100)), SOUND), WavLies),
    "ADPCM": (riff(chunk(b"fmt ", form(tag=2, bits=4, width=1)), SOUND), WavUnsupported),
    "MPEG inside": (riff(chunk(b"fmt ", form(tag=0x55)), SOUND), WavUnsupported),
    "float": (riff(chunk(b"fmt ", form(tag=3, bits=32)), SOUND), WavUnsupported),
    "24 bit": (riff(chunk(b"fmt ", form(bits=24)), SOUND), WavUnsupported),
    "no channel": (riff(chunk(b"fmt ", form(channels=0, width=2)), SOUND), WavUnsupported),
    "6 channels": (riff(chunk(b"fmt ", form(channels=6)), SOUND), WavUnsupported),
    "no rate": (riff(chunk(b"fmt ", form(rate=0, per_s=1)), SOUND), WavUnsupported),
    "1 Hz, which would last for hours": (riff(chunk(b"fmt ", form(rate=1)), SOUND), WavUnsupported),
    "too long": (riff(chunk(b"fmt ", form(bits=8)), chunk(b"data", bytes(8000 * SECONDS_MAX + 1))), SoundTooLong),
    "an extensible form of something else": (riff(chunk(b"fmt ", form(tag=0xFFFE) + bytes(24)), SOUND), WavUnsupported),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_sound_of_ours_is_refused_with_its_own_sentence(what):
    data, kind = REFUSED[what]
    with pytest.raises(kind) as told:
        check_upload(data, encryption="none")
    assert type(told.value) is kind
    assert len(str(told.value)) > 20


def test_every_cut_of_a_good_file_is_a_shorter_sound_or_refused():
    good = read_wav(by_sox(demo_speech("caller-one")[:3200], "-e", "a-law", "-b", "8")).plain_file()
    for size in range(0, len(good) - 1, 7):
        with pytest.raises((NotAWav, WavLies)):
            decode(good[:size])


def test_the_decoder_sees_a_file_of_our_making_only():
    hostile = riff(
        chunk(b"LIST", b"\xff" * 400), chunk(b"fmt ", form() + b"\xff" * 30), SOUND, chunk(b"cue ", b"\xff" * 90)
    )
    remade = read_wav(hostile).plain_file()
    assert b"\xff" not in remade
    assert len(remade) == 44 + 1600
    assert decode(hostile) == bytes(1600)


def test_random_bytes_behind_a_good_head_never_do_more_than_be_refused_or_be_noise():
    random = np.random.default_rng(7)
    for _ in range(300):
        data = bytearray(GOOD)
        for at in random.integers(12, 60, size=3):
            data[at] = int(random.integers(0, 256))
        try:
            decode(bytes(data))
        except (NotAWav, WavLies, WavUnsupported, SoundEmpty, SoundTooLong):
            continue


def test_what_is_encrypted_is_looked_at_as_far_as_it_can_be():
    assert check_upload(b"age-encryption.org/v1\nwhatever", encryption="age") is None
    cipher = CbcEncryptor({"key": "00" * 16, "iv": "00" * 16})
    assert check_upload(cipher.update(GOOD) + cipher.finalize(), encryption="aes-cbc") is None
    with pytest.raises(NotAnAgeFile):
        check_upload(GOOD, encryption="age")
    with pytest.raises(NotAnAgeFile):
        check_upload(b"-----BEGIN AGE ENCRYPTED FILE-----\n", encryption="age")
    for bad in (b"", b"x" * 17):
        with pytest.raises(NotAesCbc):
            check_upload(bad, encryption="aes-cbc")
    with pytest.raises(MediaTooLarge):
        check_upload(b"age-encryption.org/v1\n" + bytes(BYTES_MAX), encryption="age")


async def test_a_stored_file_that_would_be_too_large_is_not_read_into_memory():
    async def endless():
        while True:
            yield bytes(1 << 20)

    with pytest.raises(MediaTooLarge):
        await whole(endless())


@pytest.mark.parametrize(
    "name", ["welcome.wav", "menus/main_1.wav", "a", "x" * 200, "team@example.org/hello-2", "..a", "a..b"]
)
def test_good_names_are_taken(name):
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 201,
        "../../etc/passwd",
        "a/../b",
        "a/..",
        "./a",
        "a//b",
        "/etc/passwd",
        "a/",
        "..",
        ".",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\r\nX-Header: 1",
        "a b",
        "a%2e%2e",
        "wel\u202ecome.wav",
        "ｗelcome.wav",
        "café.wav",
        "caf\u0065\u0301.wav",
        "😀.wav",
        "a\n",
        "med_0123456789abcdef0123456789abcdef",
        "$(reboot)",
        "a;b",
        "<b>",
    ],
)
def test_hostile_names_are_refused_and_not_repeated(name):
    with pytest.raises(MediaNameWrong) as told:
        checked_name(name)
    assert len(name) < 6 or name not in str(told.value)


def test_loudness_is_kept():
    said = demo_speech("caller-one")[:32_000]
    for shape in (("-r", "16000", "-b", "16"), ("-r", "44100", "-b", "16", "-c", "2")):
        played = wave(decode(by_sox(said, *shape)))
        assert np.sqrt(np.mean(played**2)) == pytest.approx(np.sqrt(np.mean(wave(said) ** 2)), rel=0.05)
