"""Recordings sealed to the account's own keys: from the upload of a key to the plain age program on the download."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import io
import subprocess
import time
import uuid
import wave as wav_module
from typing import Any

import pyrage
import pytest
from tests.api_house import Answer, ApiHouse, Tenant, house  # noqa: F401 - a fixture
from tests.sound_house import needs

from sealwire.communications.calls.ports import CallEnded, LiveCallStarted
from sealwire.communications.control.port import RecordingImpossible, RecordingWish
from sealwire.communications.recordings.desk import CallRecorder
from sealwire.communications.recordings.likeness import likeness
from sealwire.communications.records import CallRecords
from sealwire.custody.lifecycle import Custody
from sealwire.doors.caller import demo_speech
from sealwire.governance.services import BuiltIn, Direction, RecordingPolicy, Service
from sealwire.ground.clock import SystemClock
from sealwire.vocabulary import AccountId, CallId, HangupCause, Party, ServiceId

pytestmark = needs("age")

SPEECH = demo_speech("caller-one")[:64_000]
OTHER = demo_speech("caller-two")[:64_000]
CIPHER = {"key": "1f" * 32, "iv": "2e" * 16}
PURPOSE = {"Sealwire-Purpose": "quality-assurance"}


def pair() -> tuple[str, str]:
    made = subprocess.run(["age-keygen"], capture_output=True, check=True, text=True)
    return made.stderr.split()[-1], made.stdout.splitlines()[-1]


def add(house: ApiHouse, tenant: Tenant, public: str, label: str = "key", **more: Any) -> Answer:  # noqa: F811
    body = {"public_key": public, "label": label} | more
    return house.ask("POST", "/v1/recipients", secret=tenant.secret, body=body)


def service_of(account: AccountId, *, sealed: bool = True) -> Service:
    return Service(
        account=account, service=ServiceId.new(), name="line", direction=Direction.BOTH,
        logic=BuiltIn(name="voicemail"), recording=RecordingPolicy(sealed_to_customer=sealed),
    )  # fmt: skip


async def record_call(custody: Custody, tenant: Tenant, *, sealed: bool, wish: RecordingWish) -> tuple[str, CallEnded]:
    """A call of four seconds, recorded as the switchboard records it, through real custody."""
    clock, records = SystemClock(), CallRecords(custody)
    about = LiveCallStarted(
        CallId.new(), tenant.account, Party("+441632960101"), Party("+441632960100"), "inbound", clock.now()
    )
    recorder = CallRecorder(about, keeper=records, clock=clock, service=service_of(tenant.account, sealed=sealed))
    record = await recorder.open(wish)
    recorder.start(0.0)
    for at in range(0, len(SPEECH), 1600):
        recorder.take(SPEECH[at : at + 1600], (at + 1600) / 16_000, played=OTHER[at : at + 1600])
    ended = await recorder.stop(len(SPEECH) / 16_000)
    assert ended is not None
    over = CallEnded(
        call_id=about.call_id, account=about.account, caller=about.caller, callee=about.callee, direction="inbound",
        started_at=about.started_at, answered_at=about.started_at, ended_at=clock.now(), cause=HangupCause.NORMAL,
        digits="", recordings=[ended],
    )  # fmt: skip
    await records.keep_call(over)
    return str(record), over


def recorded(house: ApiHouse, tenant: Tenant, *, sealed: bool = True, **wish: Any) -> str:  # noqa: F811
    asked = RecordingWish(**wish)
    return house.in_custody(lambda custody: record_call(custody, tenant, sealed=sealed, wish=asked))[0]


def audio(house: ApiHouse, tenant: Tenant, record: str, **headers: str) -> Answer:  # noqa: F811
    return house.ask("GET", f"/v1/recordings/{record}/audio", secret=tenant.secret, headers=PURPOSE | headers)


def with_age(data: bytes, identity: str, folder: Any) -> bytes:
    key = folder / f"{uuid.uuid4().hex}.txt"
    key.write_text(identity + "\n")
    return subprocess.run(["age", "-d", "-i", str(key)], input=data, capture_output=True, check=True).stdout


def samples(wav: bytes) -> tuple[int, bytes]:
    with wav_module.open(io.BytesIO(wav)) as file:
        return file.getnchannels(), file.readframes(file.getnframes())


def test_a_key_is_tried_when_it_comes_and_its_owner_can_try_it_too(house, tmp_path):  # noqa: F811
    tenant = house.tenant("keys")
    public, identity = pair()
    made = add(house, tenant, public, "the safe")
    assert made.status == 201, made
    assert (made.json["public_key"], made.json["valid"], made.json["retired_at"]) == (public, True, None)
    trial = with_age(base64.b64decode(made.json["trial"]), identity, tmp_path)
    assert made.json["id"] in trial.decode()
    listed = house.ask("GET", "/v1/recipients", secret=tenant.secret).json["items"]
    assert [one["id"] for one in listed] == [made.json["id"]]
    assert house.ask("GET", f"/v1/recipients/{made.json['id']}", secret=tenant.secret).json == listed[0]


def test_keys_that_are_none_secret_known_expired_or_too_many_are_refused(house):  # noqa: F811
    tenant = house.tenant("refusals")
    public, identity = pair()
    assert add(house, tenant, public + "q").code == "recipient-malformed"
    assert add(house, tenant, "ssh-ed25519 AAAA").code == "recipient-malformed"
    secret = add(house, tenant, identity)
    assert secret.code == "secret-key-sent"
    assert identity not in secret.body.decode()
    assert identity not in (house.settings.logs_dir / "api.log").read_text()
    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=5)
    assert add(house, tenant, public, expires_at=past.isoformat()).code == "expiry-past"
    assert add(house, tenant, public, expires_at="2031-01-01T00:00:00").code == "fields-wrong"
    assert add(house, tenant, public).status == 201
    assert add(house, tenant, public).code == "recipient-known"
    for _ in range(7):
        assert add(house, tenant, pair()[0]).status == 201
    assert add(house, tenant, pair()[0]).code == "too-many-recipients"


def test_the_same_key_sent_twice_under_one_idempotency_key_is_added_once(house):  # noqa: F811
    tenant, public = house.tenant("once"), pair()[0]
    body, headers = {"public_key": public, "label": "a"}, {"Idempotency-Key": str(uuid.uuid4())}
    first, again = (
        house.ask("POST", "/v1/recipients", secret=tenant.secret, body=body, headers=headers) for _ in range(2)
    )
    assert first.json["id"] == again.json["id"]
    assert again.headers["idempotent-replayed"] == "true"


def test_a_recording_sealed_while_the_call_ran_opens_with_the_age_program_and_not_here(house, tmp_path):  # noqa: F811
    tenant = house.tenant("sealed")
    (public, identity), (second, other) = pair(), pair()
    keys = [add(house, tenant, one).json["id"] for one in (public, second)]
    record = recorded(house, tenant)
    seen = house.ask("GET", f"/v1/recordings/{record}", secret=tenant.secret).json
    assert (seen["encryption"], seen["key_id"], seen["channels"]) == ("age", ",".join(keys), 1)
    assert seen["duration_ms"] == 4000
    download = audio(house, tenant, record)
    assert download.headers["content-type"] == "application/age"
    assert download.headers["content-disposition"].endswith('.wav.age"')
    assert len(download.body) == int(download.headers["content-length"]) == seen["audio_bytes"]
    for key in (identity, other):
        assert samples(with_age(download.body, key, tmp_path)) == (1, SPEECH)
    with pytest.raises(subprocess.CalledProcessError):
        with_age(download.body, pair()[1], tmp_path)
    assert audio(house, tenant, record, Accept="application/age").status == 200
    assert audio(house, tenant, record, Accept="audio/mpeg, */*;q=0.1").status == 200
    refused = audio(house, tenant, record, Accept="audio/wav")
    assert (refused.status, refused.code) == (409, "recording-sealed-to-customer")
    opened = house.ask("GET", f"/v1/recordings/{record}/content", secret=tenant.secret, headers=PURPOSE).json
    assert opened["content"]["caller"] == "+441632960101"


def test_at_rest_there_is_neither_sound_nor_even_the_age_file(house):  # noqa: F811
    tenant = house.tenant("at rest")
    add(house, tenant, pair()[0])
    record = recorded(house, tenant)
    name = house.cluster_rows(
        f"SELECT object_name, sealed_bytes FROM custody.recording WHERE record_id = '{record.removeprefix('rec_')}'"
    )[0]
    stored = (house.settings.objects_dir / name["object_name"]).read_bytes()
    assert name["sealed_bytes"] == len(audio(house, tenant, record).body)
    for trace in (b"age-encryption", b"X25519", b"RIFF", SPEECH[20_000:20_040]):
        assert trace not in stored
    on_disk = [file for file in house.settings.data_dir.rglob("*") if file.is_file() and "postgres" not in file.parts]
    assert not any(SPEECH[20_000:20_040] in file.read_bytes() for file in on_disk)


def test_rotation_old_recordings_keep_their_key_and_new_ones_take_the_new(house, tmp_path):  # noqa: F811
    tenant = house.tenant("rotation")
    (old_public, old), (new_public, new) = pair(), pair()
    old_id = add(house, tenant, old_public).json["id"]
    before = recorded(house, tenant)
    new_id = add(house, tenant, new_public).json["id"]
    assert house.ask("DELETE", f"/v1/recipients/{old_id}", secret=tenant.secret).status == 204
    assert house.ask("DELETE", f"/v1/recipients/{old_id}", secret=tenant.secret).status == 204
    after = recorded(house, tenant)
    seen = [house.ask("GET", f"/v1/recordings/{one}", secret=tenant.secret).json for one in (before, after)]
    assert [one["key_id"] for one in seen] == [old_id, new_id]
    assert samples(with_age(audio(house, tenant, after).body, new, tmp_path))[1] == SPEECH
    assert samples(with_age(audio(house, tenant, before).body, old, tmp_path))[1] == SPEECH
    with pytest.raises(subprocess.CalledProcessError):
        with_age(audio(house, tenant, after).body, old, tmp_path)
    retired = house.ask("GET", f"/v1/recipients/{old_id}", secret=tenant.secret).json
    assert (retired["valid"], retired["retired_at"] is not None) == (False, True)
    assert add(house, tenant, old_public).status == 201, "a retired key may be taken up again"


@pytest.mark.parametrize("why", ["none was added", "it was retired", "it has expired"])
def test_without_a_valid_key_nothing_is_recorded_and_that_is_said(house, why):  # noqa: F811
    tenant = house.tenant(f"closed: {why}")
    if why == "it was retired":
        recipient = add(house, tenant, pair()[0]).json["id"]
        house.ask("DELETE", f"/v1/recipients/{recipient}", secret=tenant.secret)
    if why == "it has expired":
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
        assert add(house, tenant, pair()[0], expires_at=soon.isoformat()).status == 201
        time.sleep(1.2)
    objects = {file for file in house.settings.objects_dir.rglob("*") if file.is_file()}
    with pytest.raises(RecordingImpossible, match="no valid public key"):
        recorded(house, tenant)
    assert {file for file in house.settings.objects_dir.rglob("*") if file.is_file()} == objects
    assert house.ask("GET", "/v1/recordings", secret=tenant.secret).json["items"] == []


def test_one_channel_each_in_a_sealed_stereo_file_and_in_one_of_the_provider(house, tmp_path):  # noqa: F811
    tenant = house.tenant("stereo")
    public, identity = pair()
    add(house, tenant, public)
    both = b"".join(SPEECH[at : at + 2] + OTHER[at : at + 2] for at in range(0, len(SPEECH), 2))
    sealed = recorded(house, tenant, channels=2, eliminate_dtmf=False)
    assert samples(with_age(audio(house, tenant, sealed).body, identity, tmp_path)) == (2, both)
    plain = recorded(house, tenant, sealed=False, channels=2, eliminate_dtmf=False)
    download = audio(house, tenant, plain)
    assert (download.headers["content-type"], samples(download.body)) == ("audio/wav", (2, both))
    seen = house.ask("GET", f"/v1/recordings/{plain}", secret=tenant.secret).json
    assert (seen["channels"], seen["encryption"], seen["key_id"]) == (2, "provider", None)


def test_a_recording_of_the_provider_is_the_default_and_plays(house):  # noqa: F811
    tenant = house.tenant("provider")
    download = audio(house, tenant, recorded(house, tenant, sealed=False), Accept="audio/wav")
    assert likeness(SPEECH, samples(download.body)[1]).correlation > 0.99


def test_an_aes_cbc_recording_opens_with_openssl_and_its_key_is_nowhere(house):  # noqa: F811
    tenant = house.tenant("migrated")
    record = recorded(house, tenant, sealed=False, cipher=CIPHER)
    seen = house.ask("GET", f"/v1/recordings/{record}", secret=tenant.secret).json
    assert (seen["encryption"], seen["key_id"]) == ("aes-cbc", None)
    download = audio(house, tenant, record)
    assert download.headers["content-type"] == "application/octet-stream"
    command = ["openssl", "enc", "-d", "-aes-256-cbc", "-K", CIPHER["key"], "-iv", CIPHER["iv"]]
    plain = subprocess.run(command, input=download.body, capture_output=True, check=True).stdout
    assert samples(plain) == (1, SPEECH)
    assert audio(house, tenant, record, Accept="audio/wav").code == "recording-encrypted-for-call"
    everything = str(house.cluster_rows("SELECT r.*, o.* FROM custody.recording r, evidence.kept_outbox o"))
    logs = "".join(file.read_text() for file in house.settings.logs_dir.glob("*.log"))
    assert CIPHER["key"] not in everything + logs


@pytest.mark.parametrize(
    ("sealed", "cipher", "sentence"),
    [(True, CIPHER, "leave one of the two out"), (False, {"key": "00", "iv": "00"}, "16, 24 or 32 bytes")],
)
def test_a_cipher_that_cannot_be_used_makes_the_recording_impossible(house, sealed, cipher, sentence):  # noqa: F811
    tenant = house.tenant("cipher")
    add(house, tenant, pair()[0])
    with pytest.raises(RecordingImpossible, match=sentence):
        recorded(house, tenant, sealed=sealed, cipher=cipher)


def test_recipients_of_others_and_those_that_never_were_look_alike(house):  # noqa: F811
    tenant, stranger = house.tenant("mine"), house.tenant("theirs")
    mine = add(house, tenant, str(pyrage.x25519.Identity.generate().to_public())).json["id"]
    for method in ("GET", "DELETE"):
        answers = [
            house.ask(method, f"/v1/recipients/{one}", secret=stranger.secret)
            for one in (mine, f"rcp_{uuid.uuid4().hex}")
        ]
        assert {(answer.status, answer.code, answer.json["detail"]) for answer in answers} == {
            (404, "recipient-missing", answers[0].json["detail"])
        }
    assert house.ask("GET", f"/v1/recipients/{mine}", secret=tenant.secret).json["valid"]
    assert house.ask("GET", "/v1/recipients/rec_1", secret=tenant.secret).code == "id-malformed"


def test_a_hundred_sealed_recordings_at_once_all_open(house, tmp_path):  # noqa: F811
    tenant = house.tenant("many")
    public, identity = pair()
    add(house, tenant, public)

    async def many(custody: Custody) -> list[str]:
        calls = (record_call(custody, tenant, sealed=True, wish=RecordingWish()) for _ in range(100))
        return [record for record, _ in await asyncio.gather(*calls)]

    for record in house.in_custody(many)[::20]:
        assert samples(with_age(audio(house, tenant, record).body, identity, tmp_path))[1] == SPEECH
