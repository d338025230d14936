"""Receipts are read however centres write them."""

from __future__ import annotations

import pytest
import smpp34

from sealwire.communications.messages.receipts import Receipt, is_receipt, read_receipt

USUAL = b"id:%s sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:%s err:%s text:Hello"
BY_ID = smpp34.Tlv(0x001E, b"tlv-7\x00")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(b"DELIVRD", "delivered"), (b"EXPIRED", "expired"), (b"UNDELIV", "failed"), (b"REJECTD", "failed"),
     (b"DELETED", "failed"), (b"ACCEPTD", None), (b"ENROUTE", None), (b"UNKNOWN", None)],
)  # fmt: skip
def test_the_usual_text_is_read(status: bytes, outcome: str | None) -> None:
    assert read_receipt(USUAL % (b"4a-1", status, b"012"), []) == Receipt("4a-1", outcome, 12)


def test_parameters_count_more_than_the_text() -> None:
    state = smpp34.Tlv(0x0427, b"\x05")
    assert read_receipt(USUAL % (b"text-1", b"DELIVRD", b"000"), [BY_ID, state]) == Receipt("tlv-7", "failed", 0)


def test_a_receipt_without_text_is_read_from_its_parameters() -> None:
    assert read_receipt(b"", [BY_ID, smpp34.Tlv(0x0427, b"\x02")]) == Receipt("tlv-7", "delivered", 0)


def test_the_order_and_case_of_the_fields_do_not_matter() -> None:
    assert read_receipt(b"stat:delivrd err:0 ID:0099", []) == Receipt("0099", "delivered", 0)


@pytest.mark.parametrize("name", [b"", b"\x00x\x00", b"a b\x00", b"\xff\xfe\x00", b"x" * 65 + b"\x00"])
def test_a_name_that_is_none_does_not_reach_the_database(name: bytes) -> None:
    """One that it cannot hold would hold up every receipt noted beside it."""
    assert read_receipt(b"", [smpp34.Tlv(0x001E, name)]) is None
    assert read_receipt(USUAL % (b"4a-1", b"DELIVRD", b"0"), [smpp34.Tlv(0x001E, name)]) == Receipt(
        "4a-1", "delivered", 0
    )


def test_what_names_no_message_is_no_receipt() -> None:
    assert read_receipt(b"hello", []) is None
    assert read_receipt(b"", []) is None


def test_a_message_that_looks_like_a_receipt_is_a_message() -> None:
    assert not is_receipt(0)
    assert not is_receipt(0x40)
    assert is_receipt(0x04)
    assert is_receipt(0x44)
    assert not is_receipt(0x08)
