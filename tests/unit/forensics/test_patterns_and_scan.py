"""Whatever form a number or a voice was left in, the scan finds it; where nothing was left, it finds nothing."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import random
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from backports import zstd

from sealwire.custody.forensics.matcher import Matcher
from sealwire.custody.forensics.patterns import NothingAudible, Pattern, audio_patterns, number_patterns
from sealwire.custody.forensics.pglz import carved_values, pglz_unpack
from sealwire.custody.forensics.scan import scan_bytes, scan_folder
from sealwire.custody.forensics.telephone_codes import alaw_encode, gsm7_packed, mulaw_encode, semi_octets
from sealwire.vocabulary import E164

NUMBER = E164("+441632960123")
NEIGHBOUR = E164("+441632960124")
FORMS: dict[str, Callable[[str], bytes]] = {
    "raw": lambda text: text.encode(),
    "without plus": lambda text: text[1:].encode(),
    "national": lambda text: b"0" + text[3:].encode(),
    "in a SIP header": lambda text: f"From: <sip:{text}@example.net;user=phone>".encode(),
    "msgpack": lambda text: msgspec.msgpack.encode([text, 5, "x"]),
    "UTF-16LE": lambda text: text.encode("utf-16-le"),
    "UTF-16BE": lambda text: text.encode("utf-16-be"),
    "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    "base64 at 0": lambda text: base64.b64encode(b"" + text.encode() + b"tail"),
    "base64 at 1": lambda text: base64.b64encode(b"a" + text.encode() + b"tail"),
    "base64 at 2": lambda text: base64.b64encode(b"ab" + text.encode() + b"tail"),
    "base64url of digits at 1": lambda text: base64.urlsafe_b64encode(b"\xff" + text[1:].encode() + b"\xff"),
    "percent": lambda text: urllib.parse.quote(text).encode(),
    "all percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
    "JSON": lambda text: json.dumps({"caller": text}).encode(),
    "escaped JSON": lambda text: "".join(f"\\u{ord(c):04x}" for c in text).encode(),
    "semi-octets": lambda text: semi_octets(text[1:]),
    "BCD": lambda text: semi_octets(text[1:], low_nibble_first=False),
    "septets": lambda text: gsm7_packed("call " + text[1:] + " back"),
    "reversed": lambda text: text[::-1].encode(),
    "bigint": lambda text: int(text[1:]).to_bytes(8, "little"),
    "written with spaces": lambda text: b"+44 1632 960123",
}
WRAPPERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zlib best": lambda data: zlib.compress(data, 9),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
    "zstd best": lambda data: zstd.compress(data, 19),
    "gzip in gzip": lambda data: gzip.compress(b"--" + gzip.compress(data)),
}


def matcher() -> Matcher:
    return Matcher(number_patterns(NUMBER, subject="number"))


def speech(seed: int, *, seconds: float = 1.0) -> bytes:
    count = int(8000 * seconds)
    noise = np.random.default_rng(seed).normal(0, 3000, count)
    return np.clip(noise, -32000, 32000).astype("<i2").tobytes()


@pytest.mark.parametrize("form", FORMS)
def test_a_number_is_found_in_every_form_at_any_offset(form: str) -> None:
    for before in (0, 1, 7, (1 << 18) - 5, 1 << 18):
        data = os.urandom(before) + FORMS[form](NUMBER.text) + os.urandom(50)
        assert matcher_hits(data), (form, before)


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"written with spaces"}))
def test_the_number_next_to_it_is_not_taken_for_it(form: str) -> None:
    assert not matcher_hits(FORMS[form](NEIGHBOUR.text))


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_number_is_found_inside_compressed_streams(wrapper: str) -> None:
    text = b"".join(random.Random(line).randbytes(40).hex().encode() + b"\n" for line in range(3000))
    wrapped = WRAPPERS[wrapper](text + NUMBER.text.encode() + text)
    (hit,) = [hit for hit in matcher_hits(os.urandom(1001) + wrapped + b"tail") if "international, raw" in hit]
    assert " in " in hit


def test_a_number_is_found_in_a_member_of_a_zip_file() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("calls.csv", "when;who\n" * 200 + NUMBER.text)
    assert matcher_hits(packed.getvalue())


LZ4_TEXT = b"".join(b"call %d from +441632960123 to somebody\n" % number for number in range(40))
LZ4_FRAME = base64.b64decode(  # of that text, by the reference program
    "BCJNGGxADgYAAAAAAADd8gAAAPEXY2FsbCAwIGZyb20gKzQ0MTYzMjk2MDEyMyB0byBzb21lYm9keQomAB8xJgASHzImABIfMyYAEh80JgASHzUm"
    "ABIfNiYAEh83JgASHzgmABIfOSYAEh8xfQEUD34BEx8xfwETHzGAARMfMYEBEx8xggETHzGDARMfMYQBEx8xhQETHzGGARMfMoYBEx8yhgETHzKG"
    "ARMfMoYBEx8yhgETHzKGARMfMoYBEx8yhgETHzKGARMfMoYBEx8zhgETHzOGARMfM4YBEx8zhgETHzOGARMfM4YBEx8zhgETHzOGARMfM4YBEx8z"
    "hgEJUGJvZHkKAAAAAOz1FxI="
)
LZ4_BLOCK = LZ4_FRAME[19:-8]


def test_a_number_is_found_inside_an_lz4_frame_and_in_what_is_left_of_one() -> None:
    for left in (LZ4_FRAME, LZ4_FRAME[:90]):
        assert "international, raw in lz4" in matcher_hits(os.urandom(11) + left + bytes(30))


def test_a_value_that_postgresql_compressed_with_lz4_is_unpacked() -> None:
    for block in (LZ4_BLOCK, LZ4_BLOCK[:60]):
        head = (len(block) + 8 << 2 | 2).to_bytes(4, "little") + (len(LZ4_TEXT) | 1 << 30).to_bytes(4, "little")
        ((name, at, unpacked),) = carved_values(memoryview(bytes(16) + head + block + bytes(16)))
        assert (name, at) == ("lz4 value", 16)
        assert NUMBER.text.encode() in unpacked[: len(LZ4_TEXT)]
    assert "international, raw in lz4 value" in matcher_hits(bytes(16) + head + block + bytes(16))


def test_pglz_is_unpacked_and_what_is_not_pglz_is_not() -> None:
    # Eight literals, then "the last 8 bytes again, 18 + 6 bytes long".
    packed = b"\x00abcdefgh\x01" + bytes([0x0F, 8, 6])
    assert pglz_unpack(packed, 32) == b"abcdefgh" * 4
    assert pglz_unpack(b"\x01\x00\x05", 32) == b""


@pytest.mark.parametrize("form", ["s16le", "s16be", "alaw", "mulaw", "hex", "base64"])
def test_speech_is_found_in_every_form_it_travels_in(form: str) -> None:
    pcm = speech(1)
    samples = np.frombuffer(pcm, "<i2")
    forms = {
        "s16le": pcm,
        "s16be": samples.byteswap().tobytes(),
        "alaw": alaw_encode(samples),
        "mulaw": mulaw_encode(samples),
        "hex": pcm.hex().encode(),
        "base64": base64.b64encode(b"x" + pcm),
    }
    voice = Matcher(audio_patterns(pcm, subject="voice"))
    assert scan_bytes(voice, os.urandom(333) + forms[form], name="x")
    part = len(forms[form]) // 4
    assert scan_bytes(voice, forms[form][part + 1 : 3 * part], name="x")
    assert not scan_bytes(voice, speech(2), name="x")


def test_silence_is_not_searched_for() -> None:
    with pytest.raises(NothingAudible):
        audio_patterns(bytes(16000), subject="voice")


def test_noise_gives_no_hit_and_is_read_fast_enough() -> None:
    assert not matcher_hits(os.urandom(4 << 20))


def test_files_below_a_folder_are_scanned_and_links_out_of_it_are_not(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    (inside / "deep").mkdir(parents=True)
    (outside / "note").write_bytes(NUMBER.text.encode())
    (inside / "link").symlink_to(outside / "note")
    (inside / "deep" / "log").write_bytes(bytes(5000) + NUMBER.text.encode())
    (inside / "empty").touch()
    os.mkfifo(inside / "pipe")
    scanned = scan_folder(matcher(), inside)
    assert {Path(hit.file).name for hit in scanned.hits} == {"log"}
    assert scanned.files == 2
    assert scanned.unreadable == []
    assert scan_folder(matcher(), inside, leave_out=frozenset({inside / "deep"})).hits == []


def test_each_needle_has_enough_bytes_not_to_be_found_by_chance() -> None:
    patterns: list[Pattern] = number_patterns(NUMBER, subject="n")
    assert min(len(pattern.needle) for pattern in patterns) >= 6
    assert len({pattern.needle for pattern in patterns}) == len(patterns)


def matcher_hits(data: bytes) -> list[str]:
    return [hit.encoding for hit in scan_bytes(matcher(), data, name="x")]
