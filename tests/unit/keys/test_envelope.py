"""How a record is sealed: one spelling of its context, and no opening anywhere else."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from uuid import UUID

import pytest

from sealwire.custody.sealing.envelope import (
    BLOB_OVERHEAD,
    Context,
    ContextMalformed,
    MediaOpener,
    MediaSealer,
    SealBroken,
    items_root,
    open_record,
    seal_record,
)
from sealwire.errors import Malformed
from sealwire.vocabulary import AccountId

ACCOUNT = AccountId(UUID(int=1))
CONTEXT = Context(ACCOUNT, 1, 0, 20_780, 123_456)
TEXT = "acc_00000000000000000000000000000001|1|0|20780|123456|1"
KEY = b"k" * 32


def test_a_context_reads_back_what_it_prints() -> None:
    assert CONTEXT.text == TEXT
    assert Context.parse(TEXT) == CONTEXT


@pytest.mark.parametrize(
    "text",
    ["", TEXT + "|1", TEXT.replace("|0|", "|00|"), TEXT.replace("|0|", "|16|"), TEXT.replace("|0|", "|-1|"),
     TEXT.replace("123456", "16777216"), TEXT.replace("20780", "65536"), TEXT.replace("|0|", "|٠|"), TEXT + " ",
     TEXT.replace("acc_", "rec_"), TEXT.replace("|1|0", "|256|0")],
)  # fmt: skip
def test_a_context_has_one_spelling_and_fits_the_tree(text: str) -> None:
    with pytest.raises((ContextMalformed, Malformed)):
        Context.parse(text)


def test_a_record_opens_under_its_key_and_context() -> None:
    blob = seal_record(KEY, CONTEXT, b"hello")
    assert blob[0] == 1
    assert len(blob) == 5 + BLOB_OVERHEAD
    assert open_record(KEY, CONTEXT, blob) == b"hello"
    assert seal_record(KEY, CONTEXT, b"hello") != blob


def test_any_change_of_blob_key_or_context_breaks_the_seal() -> None:
    blob = seal_record(KEY, CONTEXT, b"hello")
    for place in range(len(blob)):
        changed = bytearray(blob)
        changed[place] ^= 1
        with pytest.raises(SealBroken):
            open_record(KEY, CONTEXT, bytes(changed))
    for key, context in ((b"x" * 32, CONTEXT), (KEY, Context(ACCOUNT, 1, 0, 20_780, 123_457))):
        with pytest.raises(SealBroken):
            open_record(key, context, blob)
    for length in range(len(blob)):
        with pytest.raises(SealBroken):
            open_record(KEY, CONTEXT, blob[:length])


def test_media_open_as_they_were_and_a_cut_end_is_told() -> None:
    sealer = MediaSealer(KEY, CONTEXT)
    sealed = sealer.update(b"a" * 40_000) + sealer.finalize()
    opener = MediaOpener(KEY, CONTEXT)
    assert opener.update(sealed) + opener.finalize() == b"a" * 40_000
    for data, context in ((sealed[:-1], CONTEXT), (sealed, Context(ACCOUNT, 2, 0, 20_780, 123_456))):
        opener = MediaOpener(KEY, context)
        with pytest.raises(SealBroken):
            opener.update(data), opener.finalize()


def test_the_items_root_is_of_a_set_in_any_order() -> None:
    expected = b64encode(sha256(b"sealwire/items/v1\na\nb").digest()).decode()
    assert items_root(["b", "a"]) == items_root(["a", "b"]) == expected
    assert items_root([CONTEXT]) == items_root([TEXT])
    assert items_root([]) != items_root(["a"])
