"""Media files through the API: checked, sealed, found again by applications, and gone when they are erased."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import time
import uuid

import pyrage
import pytest
from tests.api_house import Answer, ApiHouse, Tenant, house  # noqa: F401 - a fixture
from tests.sound_house import needs

from sealwire.communications.encryption.aescbc import CbcEncryptor
from sealwire.communications.encryption.opening import NotForThisIdentity, SecretNeeded, SecretNotFitting
from sealwire.communications.media.riff import NotAWav
from sealwire.communications.media.sounds import MediaMissing, MediaSounds
from sealwire.communications.recordings.likeness import likeness
from sealwire.communications.recordings.wav import wav_header
from sealwire.communications.speech.espeak import EspeakSpeech
from sealwire.custody.lifecycle import Custody, RecordErased
from sealwire.doors.caller import demo_speech

pytestmark = needs("age")

SPEECH = demo_speech("caller-one")[:40_000]
WAV = wav_header(len(SPEECH)) + SPEECH
CIPHER = {"key": "0a" * 16, "iv": "0b" * 16}


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:  # noqa: F811
    return house.tenant("media")


def upload(
    house: ApiHouse,  # noqa: F811
    tenant: Tenant,
    data: bytes = WAV,
    *,
    name: str | None = "welcome.wav",
    form: str = "audio/wav",
    **headers: str,
) -> Answer:
    named = {"Sealwire-Media-Name": name} if name is not None else {}
    return house.ask(
        "POST", "/v1/media", secret=tenant.secret, body=data, headers={"Content-Type": form} | named | headers
    )


def with_sounds(house: ApiHouse, act):  # noqa: F811
    async def run(custody: Custody):
        return await act(MediaSounds(custody, EspeakSpeech()))

    return house.in_custody(run)


def opened(house: ApiHouse, tenant: Tenant, path: str) -> Answer:  # noqa: F811
    return house.ask("GET", path, secret=tenant.secret, headers={"Sealwire-Purpose": "service-operation"})


def test_an_uploaded_file_is_listed_opened_downloaded_and_played(house, tenant):  # noqa: F811
    made = upload(house, tenant, name="menus/welcome-1.wav")
    assert made.status == 201, made
    media = made.json["id"]
    assert made.json["duration_ms"] == 2500
    assert made.json["bytes"] == len(WAV)
    assert made.json["encryption"] == "none"
    assert "name" not in made.json
    listed = house.ask("GET", "/v1/media", secret=tenant.secret)
    assert media in [item["id"] for item in listed.json["items"]]
    assert b"welcome-1" not in listed.body
    assert house.ask("GET", f"/v1/media/{media}", secret=tenant.secret).json == made.json
    content = opened(house, tenant, f"/v1/media/{media}/content").json["content"]
    assert content == {"name": "menus/welcome-1.wav", "sha256": hashlib.sha256(WAV).hexdigest()}
    downloaded = opened(house, tenant, f"/v1/media/{media}/audio")
    assert (downloaded.body, downloaded.headers["content-type"]) == (WAV, "audio/wav")

    async def play(sounds: MediaSounds) -> tuple[bytes, bytes]:
        by_name = await sounds.file(tenant.account, "menus/welcome-1.wav")
        return by_name, await sounds.file(tenant.account, media)

    assert with_sounds(house, play) == (SPEECH, SPEECH)


def test_nothing_of_it_is_in_the_database_or_the_objects_in_the_clear(house, tenant):  # noqa: F811
    assert upload(house, tenant, name="canary-kingfisher.wav").status == 201
    stored = b"".join(file.read_bytes() for file in house.settings.objects_dir.rglob("*") if file.is_file())
    assert SPEECH[4000:4100] not in stored
    assert b"RIFF" not in stored
    rows = house.cluster_rows("SELECT m.*, i.* FROM custody.media_file m LEFT JOIN governance.idempotency i ON true")
    assert rows
    assert all(b"kingfisher" not in bytes(row["sealed"]) for row in rows)
    assert "kingfisher" not in str(rows)
    assert "kingfisher" not in (house.settings.logs_dir / "api.log").read_text()


def test_the_newer_of_two_files_with_one_name_is_played(house, tenant):  # noqa: F811
    other = demo_speech("caller-two")[:16_000]
    assert upload(house, tenant, name="same.wav").status == 201
    assert upload(house, tenant, wav_header(len(other)) + other, name="same.wav").status == 201
    assert with_sounds(house, lambda sounds: sounds.file(tenant.account, "same.wav")) == other


def test_the_same_upload_sent_twice_is_kept_once(house, tenant):  # noqa: F811
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first, again = (upload(house, tenant, name="once.wav", **key) for _ in range(2))
    assert first.json == again.json
    assert again.headers["idempotent-replayed"] == "true"
    for other in (
        upload(house, tenant, name="twice.wav", **key),
        upload(house, tenant, WAV + b"\0\0", name="once.wav", **key),
    ):
        assert (other.status, other.code) == (409, "idempotency-conflict")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"hello", "not-a-wav"),
        (b"ID3" + bytes(5000), "not-a-wav"),
        (WAV[:36] + b"data\xff\xff\xff\x0f" + SPEECH, "wav-lies"),
        (WAV[:20] + b"\x55\x00" + WAV[22:], "wav-unsupported"),
        (wav_header(0), "sound-empty"),
        (wav_header(1801 * 8000)[:32] + b"\x01\x00\x08\x00data" + (1801 * 8000).to_bytes(4, "little"), "wav-lies"),
    ],
)
def test_what_is_no_sound_is_refused(house, tenant, data, code):  # noqa: F811
    before = house.ask("GET", "/v1/media", secret=tenant.secret).json
    refused = upload(house, tenant, data)
    assert (refused.status, refused.code) == (422, code)
    assert house.ask("GET", "/v1/media", secret=tenant.secret).json == before


@pytest.mark.parametrize("name", ["../../etc/passwd", "a//b", "x" * 300, "caf\u00e9.wav", "a b", "a;b", "%2e%2e"])
def test_hostile_names_are_refused(house, tenant, name):  # noqa: F811
    refused = upload(house, tenant, name=name)
    assert (refused.status, refused.code) == (422, "media-name-wrong")
    assert name not in refused.json["detail"]


def test_the_name_is_needed_and_never_in_the_address(house, tenant):  # noqa: F811
    assert upload(house, tenant, name=None).code == "query-wrong"
    asked = house.ask(
        "POST", "/v1/media?name=welcome.wav", secret=tenant.secret, body=WAV, headers={"Content-Type": "audio/wav"}
    )
    assert asked.code == "query-wrong"


@pytest.mark.parametrize("form", ["application/json", "multipart/form-data; boundary=x", "text/html", "audio/mpeg", ""])
def test_another_content_type_is_refused_before_the_body_is_read(house, tenant, form):  # noqa: F811
    refused = upload(house, tenant, form=form)
    assert (refused.status, refused.code) == (415, "content-type-wrong")


def test_only_media_may_be_large_and_not_boundlessly(house, tenant):  # noqa: F811
    long = bytes(15_000_000)
    assert upload(house, tenant, wav_header(len(long)) + long).status == 201
    assert upload(house, tenant, wav_header() + bytes(21 << 20)).code == "body-too-large"
    elsewhere = house.ask(
        "POST",
        "/v1/recipients",
        secret=tenant.secret,
        body=b" " * (2 << 20),
        headers={"Content-Type": "application/json"},
    )
    assert elsewhere.code == "body-too-large"
    sound = house.ask("POST", "/v1/recipients", secret=tenant.secret, body=WAV, headers={"Content-Type": "audio/wav"})
    assert sound.code == "content-type-wrong"


def test_a_file_encrypted_before_upload_is_played_with_its_own_secret_and_nothing_else(house, tenant, tmp_path):  # noqa: F811
    made = subprocess.run(["age-keygen"], capture_output=True, check=True, text=True)
    public, identity = made.stderr.split()[-1], made.stdout.splitlines()[-1]
    sealed = subprocess.run(["age", "-r", public], input=WAV, capture_output=True, check=True).stdout
    kept = upload(house, tenant, sealed, name="sealed.age", form="application/age")
    assert kept.status == 201, kept
    assert (kept.json["encryption"], kept.json["duration_ms"]) == ("age", None)
    back = opened(house, tenant, f"/v1/media/{kept.json['id']}/audio")
    assert (back.body, back.headers["content-type"]) == (sealed, "application/age")

    async def play(sounds: MediaSounds) -> bytes:
        secret = {"age_identity": identity}
        heard = await sounds.file(tenant.account, "sealed.age", secret=secret)
        for wrong, kind in (
            (None, SecretNeeded),
            ({"age_identity": str(pyrage.x25519.Identity.generate())}, NotForThisIdentity),
            (CIPHER, SecretNotFitting),
        ):
            with pytest.raises(kind):
                await sounds.file(tenant.account, "sealed.age", secret=wrong)
        assert sounds._held.bytes_held == 0
        return heard

    assert with_sounds(house, play) == SPEECH
    logs = "".join(file.read_text() for file in house.settings.logs_dir.glob("*.log"))
    assert identity not in logs


def test_what_is_inside_an_encrypted_file_is_checked_when_it_is_played(house, tenant):  # noqa: F811
    identity = pyrage.x25519.Identity.generate()
    sealed = pyrage.encrypt(b"no sound at all", [identity.to_public()])
    assert upload(house, tenant, sealed, name="bad.age", form="application/age").status == 201

    async def play(sounds: MediaSounds) -> None:
        with pytest.raises(NotAWav):
            await sounds.file(tenant.account, "bad.age", secret={"age_identity": str(identity)})

    with_sounds(house, play)
    assert upload(house, tenant, WAV, name="bad.age", form="application/age").code == "not-an-age-file"
    assert upload(house, tenant, WAV + b"x", name="bad.aes", form="application/octet-stream").code == "not-aes-cbc"


def test_an_aes_cbc_file_of_openssl_is_played_with_its_cipher(house, tenant):  # noqa: F811
    command = ["openssl", "enc", "-aes-128-cbc", "-K", CIPHER["key"], "-iv", CIPHER["iv"]]
    sealed = subprocess.run(command, input=WAV, capture_output=True, check=True).stdout
    encryptor = CbcEncryptor(CIPHER)
    assert sealed == encryptor.update(WAV) + encryptor.finalize()
    assert upload(house, tenant, sealed, name="old.aes", form="application/octet-stream").status == 201
    heard = with_sounds(house, lambda sounds: sounds.file(tenant.account, "old.aes", secret=CIPHER))
    assert likeness(SPEECH, heard).correlation == 1.0


def test_an_erased_file_plays_no_more_not_even_from_memory(house, tenant):  # noqa: F811
    media = upload(house, tenant, name="short-lived.wav").json["id"]

    async def play_erase_play(sounds: MediaSounds) -> None:
        assert await sounds.file(tenant.account, "short-lived.wav") == SPEECH
        assert await sounds.file(tenant.account, media) == SPEECH
        assert sounds._held.bytes_held >= len(SPEECH)
        erased = await asyncio.to_thread(house.ask, "DELETE", f"/v1/media/{media}", secret=tenant.secret)
        assert erased.status == 202, erased
        with pytest.raises(MediaMissing):
            await sounds.file(tenant.account, "short-lived.wav")
        with pytest.raises(RecordErased):
            await sounds.file(tenant.account, media)
        assert all(record.value.hex != media.removeprefix("med_") for record in sounds._held._held)

    with_sounds(house, play_erase_play)
    gone = house.ask("GET", f"/v1/media/{media}", secret=tenant.secret)
    assert (gone.status, gone.code) == (410, "record-erased")
    erasure = gone.json["certificate"].rpartition("/")[2]
    deadline = time.monotonic() + 20
    while not house.ask("GET", f"/v1/erasures/{erasure}", secret=tenant.secret).json["levels"]["unreadable"]["reached"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for path in ("/content", "/audio"):
        assert opened(house, tenant, f"/v1/media/{media}{path}").code == "record-erased"
    assert house.ask("DELETE", f"/v1/media/{media}", secret=tenant.secret).code == "record-erased"


def test_what_is_held_in_memory_is_dropped_in_time_used_or_not(house, tenant):  # noqa: F811
    assert upload(house, tenant, name="held.wav").status == 201

    async def run(custody: Custody) -> None:
        sounds = MediaSounds(custody, EspeakSpeech(), held_s=0.5)
        for _ in range(4):
            assert await sounds.file(tenant.account, "held.wav") == SPEECH
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.6)
        assert sounds._held.bytes_held == 0
        assert not sounds._names._known

    house.in_custody(run)


def test_playing_leaves_a_leaf_for_each_opening_and_none_for_what_is_held(house):  # noqa: F811
    other = house.tenant("leaves")
    assert upload(house, other, name="leaf.wav").status == 201

    async def play(sounds: MediaSounds) -> None:
        await asyncio.gather(*(sounds.file(other.account, "leaf.wav") for _ in range(10)))

    before = leaves(house, other)
    with_sounds(house, play)
    assert leaves(house, other) - before == 2, "the names once, the sound once, for ten calls that began together"


def leaves(house: ApiHouse, tenant: Tenant) -> int:  # noqa: F811
    time.sleep(1.5)
    checkpoint = house.ask("GET", "/v1/log/checkpoint", secret=tenant.secret)
    return int(checkpoint.body.decode().splitlines()[1])


def test_files_of_others_and_files_that_never_were_look_alike(house, tenant):  # noqa: F811
    media = upload(house, tenant, name="mine.wav").json["id"]
    stranger = house.tenant("stranger")
    for path, method in (("", "GET"), ("/content", "GET"), ("/audio", "GET"), ("", "DELETE")):
        answers = [
            house.ask(
                method, f"/v1/media/{one}{path}", secret=stranger.secret,
                headers={"Sealwire-Purpose": "service-operation"},
            )
            for one in (media, f"med_{uuid.uuid4().hex}")
        ]  # fmt: skip
        assert {(answer.status, answer.code, answer.json["detail"]) for answer in answers} == {
            (404, "record-missing", answers[0].json["detail"])
        }
    assert house.ask("GET", "/v1/media/rec_" + "0" * 32, secret=tenant.secret).code == "id-malformed"

    async def play(sounds: MediaSounds) -> None:
        for name in ("mine.wav", media, f"med_{uuid.uuid4().hex}", "med_nonsense"):
            with pytest.raises((MediaMissing, Exception)) as told:
                await sounds.file(stranger.account, name)
            assert told.value.code() in ("media-missing", "record-missing")

    with_sounds(house, play)


def test_each_operation_wants_its_scope(house, tenant):  # noqa: F811
    def credential(*scopes: str) -> Tenant:
        made = house.ask("POST", "/v1/credentials", secret=tenant.secret, body={"label": "x", "scopes": list(scopes)})
        return Tenant(tenant.account, made.json["secret"])

    lister, opener = credential("records:list"), credential("records:open")
    media = upload(house, tenant, name="scoped.wav").json["id"]
    assert upload(house, lister).code == "not-permitted"
    assert opened(house, lister, f"/v1/media/{media}/audio").code == "not-permitted"
    assert house.ask("DELETE", f"/v1/media/{media}", secret=opener.secret).code == "not-permitted"
    assert house.ask("GET", "/v1/media", secret=opener.secret).code == "not-permitted"
    no_purpose = house.ask("GET", f"/v1/media/{media}/audio", secret=opener.secret)
    assert no_purpose.code == "purpose-missing"


def test_without_an_agreement_nothing_is_kept(house):  # noqa: F811
    made = house.ask("POST", "/v1/accounts", secret=house.operator, body={"name": "no agreement"}).json
    refused = house.ask(
        "POST", "/v1/media", secret=made["credential"]["secret"], body=WAV,
        headers={"Content-Type": "audio/wav", "Sealwire-Media-Name": "a.wav"},
    )  # fmt: skip
    assert (refused.status, refused.code) == (403, "no-agreement")
