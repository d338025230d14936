"""Recordings sealed to a customer open with the plain age program, and with nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pyrage
import pytest
from tests.sound_house import needs

from sealwire.communications.encryption.age import (
    CHUNK_BYTES,
    RECIPIENTS_MAX,
    AgeSealer,
    Recipient,
    RecipientMalformed,
    SecretKeySent,
)
from sealwire.communications.encryption.opening import (
    IdentityMalformed,
    NotForThisIdentity,
    SecretNeeded,
    SecretNotFitting,
    open_age,
    open_uploaded,
)

pytestmark = needs("age")

LOW_ORDER = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"


def keygen(folder: Path) -> tuple[str, Path]:
    """A pair made by age-keygen: the public key, and the file of the secret one."""
    file = folder / "key.txt"
    file.unlink(missing_ok=True)
    made = subprocess.run(["age-keygen", "-o", str(file)], capture_output=True, check=True, text=True)
    return made.stderr.split()[-1], file


def sealed_to(*recipients: str, data: bytes, piece: int = 1600) -> bytes:
    sealer = AgeSealer([Recipient.parse(recipient) for recipient in recipients])
    return b"".join(sealer.update(data[at : at + piece]) for at in range(0, len(data), piece)) + sealer.finalize()


def with_age(sealed: bytes, key: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["age", "-d", "-i", str(key)], input=sealed, capture_output=True, check=False)


@pytest.mark.parametrize("size", [0, 1, 44, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 300_001])
def test_the_age_program_opens_what_was_sealed_as_it_came(tmp_path, size):
    public, key = keygen(tmp_path)
    data = bytes(range(256)) * (size // 256 + 1)
    opened = with_age(sealed_to(public, data=data[:size]), key)
    assert (opened.returncode, opened.stdout) == (0, data[:size]), opened.stderr


def test_each_of_several_recipients_opens_it_and_a_stranger_does_not(tmp_path):
    pairs = [keygen(folder) for folder in (tmp_path / "a", tmp_path / "b", tmp_path / "c") if folder.mkdir() is None]
    sealed = sealed_to(pairs[0][0], pairs[1][0], data=b"said" * 1000)
    assert with_age(sealed, pairs[0][1]).stdout == with_age(sealed, pairs[1][1]).stdout == b"said" * 1000
    stranger = with_age(sealed, pairs[2][1])
    assert stranger.returncode != 0
    assert stranger.stdout == b""


def test_nothing_of_the_plaintext_and_no_key_twice_is_in_it():
    public = str(pyrage.x25519.Identity.generate().to_public())
    one, two = (sealed_to(public, data=b"the same words " * 100) for _ in range(2))
    assert b"same words" not in one
    assert one[:300] != two[:300]
    assert one[-500:] != two[-500:]


def test_ours_opens_what_the_age_program_sealed(tmp_path):
    public, key = keygen(tmp_path)
    data = b"welcome" * 30_000
    sealed = subprocess.run(["age", "-r", public], input=data, capture_output=True, check=True).stdout
    identity = key.read_text().splitlines()[-1]
    assert open_age(sealed, identity) == data
    assert open_uploaded(sealed, encryption="age", secret={"age_identity": identity}) == data


@pytest.mark.parametrize(
    "damage", ["flipped", "cut", "cut-at-a-chunk", "swapped", "longer", "header", "nothing", "text"]
)
def test_a_changed_file_gives_an_error_and_no_sound_at_all(damage):
    identity = pyrage.x25519.Identity.generate()
    data = bytes(3 * CHUNK_BYTES)
    sealed = sealed_to(str(identity.to_public()), data=data)
    begin = len(sealed) - 3 * (CHUNK_BYTES + 16)
    first, second = begin + CHUNK_BYTES + 16, begin + 2 * (CHUNK_BYTES + 16)
    bad = {
        "flipped": sealed[:-100] + bytes([sealed[-100] ^ 1]) + sealed[-99:],
        "cut": sealed[:-1000],
        "cut-at-a-chunk": sealed[:second],
        "swapped": sealed[:begin] + sealed[first:second] + sealed[begin:first] + sealed[second:],
        "longer": sealed + b"\0",
        "header": sealed[:60] + bytes([sealed[60] ^ 1]) + sealed[61:],
        "nothing": b"",
        "text": b"this is no age file",
    }[damage]
    with pytest.raises(NotForThisIdentity):
        open_age(bad, str(identity))


def test_another_key_gives_an_error_and_a_malformed_one_is_told_apart():
    one, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    sealed = sealed_to(str(one.to_public()), data=b"words")
    with pytest.raises(NotForThisIdentity):
        open_age(sealed, str(other))
    for text in ("", "AGE-SECRET-KEY-1NOT", str(one.to_public())):
        with pytest.raises(IdentityMalformed) as told:
            open_age(sealed, text)
        assert text == "" or text not in str(told.value)


def test_a_file_that_was_encrypted_wants_its_own_kind_of_secret():
    assert open_uploaded(b"wav", encryption="none", secret=None) == b"wav"
    for encryption in ("age", "aes-cbc"):
        with pytest.raises(SecretNeeded):
            open_uploaded(b"...", encryption=encryption, secret=None)
    with pytest.raises(SecretNotFitting):
        open_uploaded(b"...", encryption="age", secret={"key": "00" * 16, "iv": "00" * 16})
    with pytest.raises(SecretNotFitting):
        open_uploaded(b"...", encryption="aes-cbc", secret={"age_identity": "AGE-SECRET-KEY-1"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        "age1xyz",
        LOW_ORDER,
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ0",
        "age1" + "q" * 58,
        "x" * 10_000,
        "äge1",
    ],
)
def test_what_is_no_public_key_is_refused(text):
    with pytest.raises(RecipientMalformed):
        Recipient.parse(text)


def test_a_public_key_with_a_wrong_letter_is_refused():
    public = str(pyrage.x25519.Identity.generate().to_public())
    wrong = public[:-1] + ("q" if public[-1] != "q" else "p")
    with pytest.raises(RecipientMalformed):
        Recipient.parse(wrong)
    assert Recipient.parse(f"  {public}\n").text == public


def test_a_point_of_low_order_is_refused_for_anybody_could_open_what_is_sealed_to_it():
    with pytest.raises(RecipientMalformed):
        Recipient.parse(bech32(bytes(32)))
    assert bech32(Recipient.parse(public := str(pyrage.x25519.Identity.generate().to_public())).point) == public


def test_a_secret_key_sent_by_mistake_is_refused_with_its_own_sentence():
    with pytest.raises(SecretKeySent, match="make a new pair") as told:
        Recipient.parse(secret := str(pyrage.x25519.Identity.generate()))
    assert secret not in str(told.value)


def test_a_file_is_sealed_to_somebody_and_not_to_a_crowd():
    recipient = Recipient.parse(str(pyrage.x25519.Identity.generate().to_public()))
    with pytest.raises(ValueError, match="1 to 8"):
        AgeSealer([])
    with pytest.raises(ValueError, match="1 to 8"):
        AgeSealer([recipient] * (RECIPIENTS_MAX + 1))


def bech32(data: bytes) -> str:
    """BIP 173, for keys that no library would make."""
    letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    bits = "".join(format(byte, "08b") for byte in data)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]
    check = 1
    for value in [ord(sign) >> 5 for sign in "age"] + [0] + [ord(sign) & 31 for sign in "age"] + values + [0] * 6:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for at, part in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= part if top >> at & 1 else 0
    values += [(check ^ 1) >> 5 * (5 - at) & 31 for at in range(6)]
    return "age1" + "".join(letters[value] for value in values)
