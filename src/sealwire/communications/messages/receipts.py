"""Delivery receipts: what a message centre says became of a segment (SMPP 3.4, 5.2.12.1, 5.2.28 and appendix B)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import smpp34

IS_RECEIPT = 0x04
RECEIPTED_MESSAGE_ID, MESSAGE_STATE = 0x001E, 0x0427
_KIND = 0x3C
_ID = re.compile(rb"\bid:\s*([!-~]{1,64})", re.IGNORECASE)
_PLAIN = re.compile(r"[!-~]{1,64}")
_STAT = re.compile(rb"\bstat:\s*([A-Z]{1,10})", re.IGNORECASE)
_ERROR = re.compile(rb"\berr:\s*0*(\d{1,5})", re.IGNORECASE)
_BY_NUMBER = {2: "delivered", 3: "expired", 4: "failed", 5: "failed", 8: "failed"}
_BY_NAME = {
    b"DELIVRD": "delivered",
    b"EXPIRED": "expired",
    b"DELETED": "failed",
    b"UNDELIV": "failed",
    b"REJECTD": "failed",
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """The centre's id of a segment and, when the segment is at its end, its `outcome`; else None (still on its way)."""

    segment_id: str
    outcome: str | None
    error: int


def is_receipt(esm_class: int) -> bool:
    """Whether a deliver_sm is about a message of ours rather than a message to us."""
    return esm_class & _KIND == IS_RECEIPT


def read_receipt(short_message: bytes, tlvs: list[smpp34.Tlv]) -> Receipt | None:
    """Prefer the parameters made for it, else the text that everybody writes; None when neither names a message."""
    by_tag = {tlv.tag: tlv for tlv in tlvs}
    named = by_tag.get(RECEIPTED_MESSAGE_ID)
    found = _ID.search(short_message)
    segment_id = (named.as_string() or "").partition("\0")[0] if named is not None else None
    if segment_id is not None and not _PLAIN.fullmatch(segment_id):  # what the database cannot hold holds up all others
        segment_id = None
    if segment_id is None and found is not None:
        segment_id = found[1].decode("ascii")
    if not segment_id:
        return None
    stated = by_tag.get(MESSAGE_STATE)
    number = stated.as_int() if stated is not None else None
    status = _STAT.search(short_message)
    if number is not None:
        outcome = _BY_NUMBER.get(number)
    else:
        outcome = _BY_NAME.get(status[1].upper()) if status is not None else None
    error = _ERROR.search(short_message)
    return Receipt(segment_id, outcome, int(error[1]) if error is not None else 0)
