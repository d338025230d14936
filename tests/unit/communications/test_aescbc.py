"""AES-CBC files of people who migrate: `openssl enc` opens ours, ours opens those of `openssl enc`."""

from __future__ import annotations

import subprocess

import pytest

from sealwire.communications.encryption.aescbc import CbcEncryptor, CipherMalformed, CipherWrong, open_cbc

IV = "0102030405060708090a0b0c0d0e0f10"


def openssl(*arguments: str, key: str, data: bytes) -> bytes:
    command = ["openssl", "enc", *arguments, f"-aes-{len(key) * 4}-cbc", "-K", key, "-iv", IV]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 16_000])
@pytest.mark.parametrize("key_bytes", [16, 24, 32])
def test_openssl_opens_what_was_encrypted_as_it_came_and_the_other_way_round(key_bytes, size):
    key, data = "5c" * key_bytes, bytes(range(256)) * 63
    encryptor = CbcEncryptor({"key": key, "iv": IV})
    sealed = b"".join(encryptor.update(data[:size][at : at + 333]) for at in range(0, size, 333))
    sealed += encryptor.finalize()
    assert openssl("-d", key=key, data=sealed) == data[:size]
    assert sealed == openssl("-e", key=key, data=data[:size])
    assert open_cbc(sealed, {"key": key.upper(), "iv": IV}) == data[:size]


@pytest.mark.parametrize(
    "cipher",
    [
        {},
        {"key": "00" * 16},
        {"key": "00" * 15, "iv": IV},
        {"key": "00" * 16, "iv": "00" * 8},
        {"key": "zz" * 16, "iv": IV},
        {"key": "00" * 16, "iv": IV, "mode": "ecb"},
        {"key": None, "iv": IV},
    ],
)
def test_a_cipher_that_is_none_is_refused(cipher):
    with pytest.raises(CipherMalformed):
        CbcEncryptor(cipher)


@pytest.mark.parametrize("damage", ["wrong key", "cut", "empty", "end flipped"])
def test_a_wrong_key_or_a_damaged_end_is_an_error(damage):
    cipher = {"key": "00" * 16, "iv": IV}
    encryptor = CbcEncryptor(cipher)
    sealed = encryptor.update(b"words" * 100) + encryptor.finalize()
    if damage == "wrong key":
        cipher = {"key": "01" * 16, "iv": IV}
    bad = {"cut": sealed[:-5], "empty": b"", "end flipped": sealed[:-17] + bytes([sealed[-17] ^ 0xFF]) + sealed[-16:]}
    with pytest.raises(CipherWrong):
        open_cbc(bad.get(damage, sealed), cipher)
