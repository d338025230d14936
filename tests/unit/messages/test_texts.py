"""Texts become segments as the standards say, and become the same texts again."""

from __future__ import annotations

import pytest

from sealwire.communications.messages.alphabet import (
    BASIC,
    EXTENSION,
    Encoding,
    TextNotSendable,
    TextUnreadable,
    text_of,
)
from sealwire.communications.messages.segments import (
    SEGMENTS_MAX,
    Place,
    TextEmpty,
    TextTooLong,
    cut,
    read_header,
)


def joined(text: str) -> str:
    """Cut, take the headers off, decode each piece by itself, and put the pieces together."""
    parts = cut(text)
    pieces = [read_header(segment)[1] for segment in parts.segments(7)] if len(parts.pieces) > 1 else parts.pieces
    return "".join(text_of(parts.encoding.data_coding, piece) for piece in pieces)


def test_the_basic_table_has_128_places_and_no_character_twice() -> None:
    assert len(BASIC) == 128
    assert len(set(BASIC)) == 128
    assert not set(EXTENSION) & set(BASIC)


@pytest.mark.parametrize(
    ("text", "octets"),
    [("@", b"\x00"), ("A", b"A"), ("a", b"a"), ("Ü", b"\x5e"), ("à", b"\x7f"), ("Ω", b"\x15"), ("¿", b"\x60"),
     ("€", b"\x1b\x65"), ("[", b"\x1b\x3c"), ("|", b"\x1b\x40"), ("\f", b"\x1b\x0a"), ("_", b"\x11"), ("$", b"\x02")],
)  # fmt: skip
def test_characters_have_the_codes_of_the_gsm_alphabet(text: str, octets: bytes) -> None:
    assert cut(text).pieces == [octets]
    assert text_of(0, octets) == text


@pytest.mark.parametrize(
    ("text", "encoding", "segments"),
    [
        ("x" * 160, Encoding.GSM, 1),
        ("x" * 161, Encoding.GSM, 2),
        ("x" * 306, Encoding.GSM, 2),
        ("x" * 307, Encoding.GSM, 3),
        ("€" * 80, Encoding.GSM, 1),
        ("€" * 81, Encoding.GSM, 2),
        ("я" * 70, Encoding.UCS2, 1),
        ("я" * 71, Encoding.UCS2, 2),
        ("я" * 134, Encoding.UCS2, 2),
        ("я" * 135, Encoding.UCS2, 3),
        ("x" * 159 + "€", Encoding.GSM, 2),
        ("x" * 69 + "я", Encoding.UCS2, 1),
    ],
)
def test_segments_are_160_or_153_septets_and_70_or_67_units(text: str, encoding: Encoding, segments: int) -> None:
    found = cut(text)
    assert (found.encoding, len(found.pieces)) == (encoding, segments)
    assert joined(text) == text


def test_an_escaped_character_is_not_torn_apart_at_the_end_of_a_segment() -> None:
    text = "x" * 152 + "€" + "y" * 20
    assert [len(piece) for piece in cut(text).pieces] == [152, 22]
    assert joined(text) == text


def test_a_surrogate_pair_is_not_torn_apart_at_the_end_of_a_segment() -> None:
    text = "я" * 66 + "😀" + "я" * 20
    assert [len(piece) // 2 for piece in cut(text).pieces] == [66, 22]
    assert joined(text) == text


def test_no_segment_is_longer_than_140_octets_with_its_header() -> None:
    for text in ("x" * 1000, "€" * 500, "я" * 600, "😀" * 300):
        for segment in cut(text).segments(255):
            packed = -(-(len(segment) - 6) * 7 // 8) + 6 if cut(text).encoding is Encoding.GSM else len(segment)
            assert packed <= 140


def test_the_header_says_reference_total_and_number() -> None:
    segments = cut("x" * 400).segments(0xAB)
    assert [segment[:6] for segment in segments] == [bytes([5, 0, 3, 0xAB, 3, number]) for number in (1, 2, 3)]
    assert [read_header(segment)[0] for segment in segments] == [Place(0xAB, 3, number) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("octets", "place"),
    [
        (b"\x06\x08\x04\x01\x02\x03\x02rest", Place(0x0102, 3, 2)),
        (b"\x0b\x05\x04\x15\x81\x00\x00\x00\x03\x09\x02\x01rest", Place(9, 2, 1)),
        (b"\x05\x00\x03\x07\x02\x03rest", None),  # number 3 of 2
        (b"\x05\x00\x03\x07\x01\x01rest", None),  # alone
        (b"\x05\x00\x03\x07\x02\x00rest", None),  # number 0
        (b"\x04\x00\x02\x07\x02rest", None),  # too short
    ],
)
def test_headers_of_others_are_read_and_nonsense_is_no_place(octets: bytes, place: Place | None) -> None:
    assert read_header(octets) == (place, b"rest")


@pytest.mark.parametrize("octets", [b"", b"\x05", b"\xff\x00\x03", b"\x05\x00\xff\x01\x02\x03"])
def test_a_header_that_is_cut_off_is_no_error(octets: bytes) -> None:
    assert read_header(octets)[0] is None


def test_a_text_of_more_than_twenty_segments_is_refused_and_so_is_none() -> None:
    assert len(cut("x" * 153 * SEGMENTS_MAX).pieces) == SEGMENTS_MAX
    with pytest.raises(TextTooLong):
        cut("x" * (153 * SEGMENTS_MAX + 1))
    with pytest.raises(TextEmpty):
        cut("")


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(TextNotSendable):
        cut("\ud83d")


def test_what_came_in_is_read_by_its_data_coding_and_binary_is_refused() -> None:
    assert text_of(3, b"caf\xe9") == "café"
    assert text_of(8, "привет 😀".encode("utf-16-be")) == "привет 😀"
    assert text_of(0, b"\x1b\x7f") == " "
    assert text_of(0xF1, b"hello") == "hello"
    for binary in (2, 4, 0xF5):
        with pytest.raises(TextUnreadable):
            text_of(binary, b"\x00\x01")
