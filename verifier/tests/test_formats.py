"""The C2SP formats: the examples of the specifications, and what they forbid."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sealwire_verifier import note
from sealwire_verifier.checkpoint import Checkpoint, parse_checkpoint
from sealwire_verifier.errors import NotProved
from sealwire_verifier.note import COSIGNATURE, SigningKey, VerifierKey, parse_vkey
from sealwire_verifier.policy import Policy
from sealwire_verifier.proof import Proof
from sealwire_verifier.tiles import Tile, pack_entries, right_edge, tiles_of, unpack_entries

ROOT = b"\x05" * 32


def key(name="example.com/log"):
    return SigningKey(name, Ed25519PrivateKey.generate())


def cosign(private, name, text, time):
    vkey = VerifierKey(name, private.public_key().public_bytes_raw(), COSIGNATURE)
    signature = time.to_bytes(8) + private.sign(b"cosignature/v1\ntime %d\n%s" % (time, text))
    return vkey, f"— {name} {base64.b64encode(vkey.key_id + signature).decode()}\n".encode()


def test_a_vkey_is_printed_as_it_is_read_and_its_id_is_checked():
    # the key of the signed-note package of the Go checksum database, which everybody can compare
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert str(parse_vkey(text)) == text
    for wrong in (text.replace("c74f20a3", "c74f20a4"), text[:-2], "PeterNeumann", "a b+00000000+AQ==", ""):
        with pytest.raises(NotProved):
            parse_vkey(wrong)


def test_the_note_of_the_go_package_verifies():
    signed = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    vkey = parse_vkey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    assert note.verify(signed, [vkey]) == [vkey]
    with pytest.raises(NotProved):
        note.verify(signed.replace("answer", "Answer"), [vkey])


def test_unknown_signatures_are_ignored_and_a_false_one_of_a_known_key_refuses_the_note():
    mine, other = key(), key("other.example/log")
    signed = note.sign("text\n", other, mine)
    assert note.verify(signed, [mine.vkey]) == [mine.vkey]
    with pytest.raises(NotProved):
        note.verify(signed, [key("third.example/log").vkey])
    impostor = SigningKey(mine.name, other.private)
    line = note.sign("text\n", impostor).decode().split("\n")[2].split()
    forged = note.sign("other\n", mine).decode().split("\n")[2]
    assert line[1] == mine.name
    with pytest.raises(NotProved):
        note.verify(f"text\n\n{forged}\n", [mine.vkey])


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— name AAAAAAAA",
        "te\rxt\n\n— name AAAAAAAA\n",
        "text\n\n- name AAAAAAAA\n",
        "t\n\n— name AAAA\n",
    ],
)
def test_what_is_no_note_is_refused(bad):
    with pytest.raises(NotProved):
        note.parse(bad)


def test_sixteen_signatures_are_accepted():
    keys = [key(f"log{number}.example") for number in range(16)]
    assert len(note.verify(note.sign("text\n", *keys), [each.vkey for each in keys])) == 16


def test_a_checkpoint_is_of_the_log_whose_key_signed_it():
    log = key()
    signed = Checkpoint("example.com/log", 7, ROOT).sign(log)
    assert parse_checkpoint(signed, str(log.vkey)) == Checkpoint("example.com/log", 7, ROOT)
    for text in ("example.com/log\n07\n", "example.com/log\n-1\n", "other.example/log\n7\n", "example.com/log\n"):
        with pytest.raises(NotProved):
            parse_checkpoint(note.sign(text + "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=\n", log), log.vkey)
    with pytest.raises(NotProved):
        parse_checkpoint(note.sign("example.com/log\n7\nBQUF\n", log), log.vkey)


def test_the_paths_are_those_of_the_specification():
    assert str(Tile(None, 1234067)) == "tile/entries/x001/x234/067"
    assert str(Tile(0, 273, 112)) == "tile/0/273.p/112"
    for tile in (Tile(0, 0), Tile(63, 999), Tile(2, 1000, 1), Tile(None, 10**9, 255)):
        assert Tile.parse(str(tile)) == tile
    for bad in (
        "tile/0/1",
        "tile/00/001",
        "tile/64/001",
        "tile/0/x000/001",
        "tile/0/001.p/256",
        "tile/0/001.p/0",
        "tile/0/001.p/01",
        "tile/0/../001",
        "tile/x/001",
    ):
        with pytest.raises(NotProved):
            Tile.parse(bad)


def test_a_tree_of_seventy_thousand_has_the_tiles_the_specification_counts():
    tiles = list(tiles_of(70_000))
    partial = [tile for tile in tiles if tile.width < 256]
    assert partial == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert (sum(tile.level == 0 for tile in tiles), sum(tile.level == 1 for tile in tiles)) == (274, 2)
    assert right_edge(70_000) == [(0, 273), (1, 1), (2, 0)]
    assert list(tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]


def test_entry_bundles_are_read_as_they_are_written_and_not_when_cut():
    entries = [b"", b"x" * 34, b"y" * 65_535]
    assert unpack_entries(pack_entries(entries)) == entries
    for cut in (1, 2, 20, 60):
        with pytest.raises(NotProved):
            unpack_entries(pack_entries([b"a", b"x" * 34, b"y" * 34])[:cut])


def test_a_proof_file_is_read_as_it_is_written():
    checkpoint = Checkpoint("example.com/log", 7, ROOT).sign(key())
    for proof in (Proof(0, (), checkpoint), Proof(6, (ROOT, ROOT), checkpoint, b"extra")):
        assert Proof.parse(proof.render()) == proof
    good = Proof(6, (ROOT,), checkpoint, b"extra").render()
    for old, new in (
        (b"v1", b"v2"),
        (b"index 6", b"index 06"),
        (b"index 6\n", b""),
        (b"extra ZXh0cmE=", b"extra ZXh0cmF="),
        (b"BQUF\n", b"BQU=\n"),
    ):
        if old in good:
            with pytest.raises(NotProved):
                Proof.parse(good.replace(old, new))


def test_a_policy_counts_witnesses_through_groups():
    privates = {name: Ed25519PrivateKey.generate() for name in ("X1", "X2", "X3", "Y1")}
    log = key()
    checkpoint = Checkpoint("example.com/log", 7, ROOT)
    made = {
        name: cosign(private, f"{name}.example", checkpoint.text(), 1_700_000_000) for name, private in privates.items()
    }
    policy = Policy.parse(
        f"log {log.vkey}\n"
        + "".join(f"witness {name} {vkey} https://{name}.example/\n" for name, (vkey, _) in made.items())
        + "# comment\ngroup X 2 X1 X2 X3\n\tgroup both all X Y1\nquorum both\n"
    )

    def cosigned(*names):
        raw = checkpoint.sign(log) + b"".join(made[name][1] for name in names)
        _, signed = policy.signed_head(raw)
        return policy.cosigned(signed)

    assert cosigned("X1", "X3", "Y1") == ["X1", "X3", "Y1"]
    for too_few in ((), ("X1", "Y1"), ("X1", "X2", "X3")):
        with pytest.raises(NotProved):
            cosigned(*too_few)
    raw = checkpoint.sign(log) + made["X1"][1] + cosign(privates["X2"], "X2.example", b"other", 1)[1]
    _, signed = policy.signed_head(raw)
    with pytest.raises(NotProved):
        policy.cosigned(signed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log",
        "quorum nobody\n",
        "quorum none\nquorum none\n",
        "group G any W\nquorum none\n",
        "frobnicate x\nquorum none\n",
        "group none any\nquorum none\n",
    ],
)
def test_a_policy_that_is_not_exact_is_refused(text):
    with pytest.raises(NotProved):
        Policy.parse(text)


def test_a_policy_refuses_one_key_twice_and_keys_of_the_wrong_type():
    log = key()
    with pytest.raises(NotProved):
        Policy.parse(f"log {log.vkey}\nlog {log.vkey}\nquorum none\n")
    with pytest.raises(NotProved):
        Policy.parse(f"witness W {log.vkey}\nquorum W\n")
