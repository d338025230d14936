"""The two alphabets of short messages: GSM 7 bit (3GPP TS 23.038) and UCS-2; which one a text needs.

Over SMPP a septet travels in an octet of its own (data_coding 0), UCS-2 as UTF-16, big end first (data_coding 8).
"""

from __future__ import annotations

from enum import StrEnum

from sealwire.errors import Malformed

ESCAPE = 0x1B
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
_SEPTETS = {character: bytes([at]) for at, character in enumerate(BASIC) if at != ESCAPE}
_SEPTETS |= {character: bytes([ESCAPE, at]) for character, at in EXTENSION.items()}
_EXTENDED = {at: character for character, at in EXTENSION.items()}
GSM_CODING, ASCII_CODING, LATIN_1_CODING, UCS2_CODING = 0, 1, 3, 8


class Encoding(StrEnum):
    """How a text is sent; a message record says which."""

    GSM = "gsm"
    UCS2 = "ucs2"

    @property
    def data_coding(self) -> int:
        """SMPP 3.4, 5.2.19."""
        return GSM_CODING if self is Encoding.GSM else UCS2_CODING


class TextUnreadable(Malformed):
    """A message came in an encoding that is not text (data_coding); it is not kept."""


class TextNotSendable(Malformed):
    """The text holds half a character (a lone surrogate); send whole Unicode characters."""


def units_of(text: str) -> tuple[Encoding, list[bytes]]:
    """The encoding a text needs, and its characters one by one: what must not be torn apart is one entry."""
    try:
        return Encoding.GSM, [_SEPTETS[character] for character in text]
    except KeyError:
        pass
    try:
        return Encoding.UCS2, [character.encode("utf-16-be") for character in text]
    except UnicodeEncodeError:
        raise TextNotSendable from None


def text_of(data_coding: int, octets: bytes) -> str:
    """What arrived, as text; TextUnreadable for 8-bit data. An unknown septet becomes a space, as the standard says."""
    if data_coding in (UCS2_CODING, 0x18, 0x19):
        return octets.decode("utf-16-be", "replace")
    if data_coding in (ASCII_CODING, LATIN_1_CODING):
        return octets.decode("latin-1")
    if data_coding not in (GSM_CODING, 0x10, 0x11, 0xF0, 0xF1):
        raise TextUnreadable
    text, escaped = [], False
    for octet in octets:
        if escaped:
            text.append(_EXTENDED.get(octet, " "))
            escaped = False
        elif octet == ESCAPE:
            escaped = True
        else:
            text.append(BASIC[octet] if octet < len(BASIC) else " ")
    return "".join(text)
