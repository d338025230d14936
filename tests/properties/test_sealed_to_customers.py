"""However audio is cut into pieces, what is sealed opens to the same bytes; whatever is changed, nothing opens."""

from __future__ import annotations

import pyrage
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwire.communications.encryption.aescbc import CbcEncryptor, open_cbc
from sealwire.communications.encryption.age import AgeSealer, Recipient
from sealwire.communications.encryption.opening import NotForThisIdentity, open_age

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = Recipient.parse(str(IDENTITY.to_public()))
CUTS = st.lists(st.integers(0, 70_000), max_size=6)


def pieces(cuts: list[int]) -> list[bytes]:
    return [bytes([at % 256]) * size for at, size in enumerate(cuts)]


@given(CUTS)
@settings(max_examples=80, deadline=None)
def test_pieces_do_not_matter(cuts):
    data, sealer = pieces(cuts), AgeSealer([RECIPIENT])
    sealed = b"".join(map(sealer.update, data)) + sealer.finalize()
    assert open_age(sealed, str(IDENTITY)) == b"".join(data)


@given(st.binary(max_size=2000), st.data())
@settings(max_examples=150, deadline=None)
def test_no_changed_bit_and_no_cut_goes_unnoticed(plain, data):
    sealer = AgeSealer([RECIPIENT])
    sealed = bytearray(sealer.update(plain) + sealer.finalize())
    at = data.draw(st.integers(0, len(sealed) - 1))
    if data.draw(st.booleans()):
        sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del sealed[at:]
    try:
        open_age(bytes(sealed), str(IDENTITY))
    except NotForThisIdentity:
        return
    raise AssertionError(f"a change at {at} of {len(sealed)} was not noticed")


@given(CUTS, st.sampled_from([16, 24, 32]), st.binary(min_size=16, max_size=16))
@settings(max_examples=60, deadline=None)
def test_aes_cbc_comes_back(cuts, size, iv):
    cipher = {"key": "a7" * size, "iv": iv.hex()}
    data, encryptor = pieces(cuts), CbcEncryptor(cipher)
    sealed = b"".join(map(encryptor.update, data)) + encryptor.finalize()
    assert open_cbc(sealed, cipher) == b"".join(data)
