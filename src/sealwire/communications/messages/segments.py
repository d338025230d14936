"""Long messages: cut into segments with a user data header (3GPP TS 23.040, 9.2.3.24) and put together again."""

from __future__ import annotations

from dataclasses import dataclass, field

from sealwire.communications.messages.alphabet import Encoding, units_of
from sealwire.errors import Malformed

SEGMENTS_MAX = 20
HAS_HEADER = 0x40
_ALONE = {Encoding.GSM: 160, Encoding.UCS2: 140}
_JOINED = {Encoding.GSM: 153, Encoding.UCS2: 134}
_CONCATENATION_8, _CONCATENATION_16 = 0x00, 0x08


class TextTooLong(Malformed):
    """A message has 1 to 20 segments: at most 3,060 characters of the GSM alphabet, or 1,340 of any other."""


class TextEmpty(Malformed):
    """A message needs a text."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A text as it will travel: one piece is sent alone, several with a header each."""

    encoding: Encoding
    pieces: list[bytes] = field(repr=False)

    def segments(self, reference: int) -> list[bytes]:
        """The user data of every segment; `reference` (0 to 255) joins the segments of one message."""
        if len(self.pieces) == 1:
            return list(self.pieces)
        total = len(self.pieces)
        return [bytes([5, 0, 3, reference, total, at]) + piece for at, piece in enumerate(self.pieces, start=1)]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a segment stands in its message: `number` of `total`, joined by `reference`."""

    reference: int
    total: int
    number: int


def cut(text: str) -> Cut:
    """Cut a text; an escaped character or a surrogate pair is never torn. TextEmpty, TextTooLong."""
    if not text:
        raise TextEmpty
    encoding, units = units_of(text)
    if sum(map(len, units)) <= _ALONE[encoding]:
        return Cut(encoding, [b"".join(units)])
    pieces, piece = [], bytearray()
    for unit in units:
        if len(piece) + len(unit) > _JOINED[encoding]:
            pieces.append(bytes(piece))
            piece.clear()
        piece += unit
    pieces.append(bytes(piece))
    if len(pieces) > SEGMENTS_MAX:
        raise TextTooLong
    return Cut(encoding, pieces)


def read_header(user_data: bytes) -> tuple[Place | None, bytes]:
    """Take the user data header off: the segment's place (None when it is whole) and the text's octets."""
    length = user_data[0] if user_data else 0
    header, rest = user_data[1 : 1 + length], user_data[1 + length :]
    place, at = None, 0
    while at + 2 <= len(header):
        kind, size = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + size]
        if kind == _CONCATENATION_8 and len(value) == 3:
            place = Place(value[0], value[1], value[2])
        elif kind == _CONCATENATION_16 and len(value) == 4:
            place = Place(int.from_bytes(value[:2], "big"), value[2], value[3])
        at += 2 + size
    return sound(place), rest


def sound(place: Place | None) -> Place | None:
    """A place that makes sense: more than one segment, and a number among them."""
    return place if place is not None and place.total > 1 and 1 <= place.number <= place.total else None
