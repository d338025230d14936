"""What is sealed here opens with other programs, and what other programs sealed opens here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sealwire_sdk.errors import KeyWrong, NotSealed
from sealwire_sdk.sealing import AgeKey, CbcKey, decrypt, decrypt_cbc, encrypt, encrypt_cbc, new_age_key

AUDIO = bytes(range(256)) * 400


def test_media_sealed_to_two_recipients_open_with_either() -> None:
    one, other, stranger = new_age_key(), new_age_key(), new_age_key()
    sealed = encrypt(AUDIO, [one.recipient, other.recipient])
    assert AUDIO[:64] not in sealed
    assert decrypt(sealed, one.identity) == AUDIO
    assert decrypt(sealed, [stranger.identity, other.identity]) == AUDIO
    with pytest.raises(NotSealed):
        decrypt(sealed, stranger.identity)


@pytest.mark.parametrize("at", [0, 100, -1])
def test_a_sealed_file_that_was_changed_or_cut_does_not_open(at: int) -> None:
    key = new_age_key()
    sealed = bytearray(encrypt(AUDIO, [key.recipient]))
    sealed[at] ^= 1
    for wrong in (bytes(sealed), bytes(sealed[:-20]), b"", b"RIFF"):
        with pytest.raises(NotSealed):
            decrypt(wrong, key.identity)


def test_an_identity_does_not_show_itself() -> None:
    key = new_age_key()
    assert key.identity not in repr(key)
    assert "AGE-SECRET-KEY" not in repr(AgeKey("age1", "AGE-SECRET-KEY-1"))
    assert CbcKey("00" * 32, "11" * 16).key not in repr(CbcKey("00" * 32, "11" * 16))


@pytest.mark.parametrize("wrong", ["", "age1", "AGE-SECRET-KEY-1", "ssh-ed25519 AAAA"])
def test_what_is_no_recipient_is_refused(wrong: str) -> None:
    with pytest.raises(KeyWrong, match="begins with age1"):
        encrypt(AUDIO, [wrong])
    with pytest.raises(KeyWrong, match="at least one"):
        encrypt(AUDIO, [])
    with pytest.raises(KeyWrong, match="AGE-SECRET-KEY-1"):
        decrypt(b"", wrong)


@pytest.mark.skipif(shutil.which("age") is None, reason="the program age is not installed (Debian: age)")
def test_the_age_program_opens_what_is_sealed_here_and_seals_what_opens_here(tmp_path: Path) -> None:
    key = new_age_key()
    (tmp_path / "identity").write_text(key.identity + "\n")
    (tmp_path / "sealed").write_bytes(encrypt(AUDIO, [key.recipient]))
    opened = subprocess.run(
        ["age", "-d", "-i", tmp_path / "identity", tmp_path / "sealed"], capture_output=True, check=True
    )
    assert opened.stdout == AUDIO
    sealed = subprocess.run(["age", "-r", key.recipient], input=AUDIO, capture_output=True, check=True)
    assert decrypt(sealed.stdout, key.identity) == AUDIO


@pytest.mark.parametrize("size", [0, 1, 15, 16, 100_000])
def test_openssl_opens_what_is_encrypted_here_and_the_other_way(size: int) -> None:
    key, data = CbcKey.new(), AUDIO[:size]
    command = ["openssl", "enc", "-aes-256-cbc", "-K", key.key, "-iv", key.iv]
    opened = subprocess.run([*command, "-d"], input=encrypt_cbc(data, key), capture_output=True, check=True)
    assert opened.stdout == data
    sealed = subprocess.run(command, input=data, capture_output=True, check=True)
    assert decrypt_cbc(sealed.stdout, key) == data


@pytest.mark.parametrize(
    "key", [CbcKey("00" * 15, "00" * 16), CbcKey("00" * 32, "00" * 15), CbcKey("xx", "00" * 16), CbcKey("", "")]
)
def test_keys_of_another_size_are_refused(key: CbcKey) -> None:
    with pytest.raises(KeyWrong):
        encrypt_cbc(b"", key)


def test_what_is_no_whole_block_does_not_open() -> None:
    with pytest.raises(NotSealed):
        decrypt_cbc(b"x" * 17, CbcKey.new())
