"""Both clients against a real cloud: real processes, real TLS, real records."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sdk.tests.client_house import Loop, a_site, opened
from tests.api_house import ApiHouse, Tenant, house  # noqa: F401 - a fixture
from tests.sites import Asked, response

from sealwire_sdk import sealing
from sealwire_sdk.client import (
    Erased,
    Malformed,
    NotAuthenticated,
    NotFound,
    Refused,
    Sealwire,
    Unavailable,
    models,
)
from sealwire_sdk.errors import NotSealed, SettingsMissing
from sealwire_sdk.sealing import AgeKey, new_age_key

CALLER = "+441632960123"


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    running = Loop()
    yield running
    running.close()


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:  # noqa: F811
    return house.tenant("Client")


@pytest.fixture(params=["sync", "async"])
def cloud(request: pytest.FixtureRequest, house: ApiHouse, tenant: Tenant, loop: Loop) -> Iterator[Any]:  # noqa: F811
    address, ca = f"https://{house.settings.api_listen}", house.cloud.certificates.ca  # type: ignore[union-attr]
    with opened(request.param, loop, address, tenant.secret, ca=ca) as client:
        yield client


def wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(8000))
    return file.getvalue()


def test_a_service_is_made_and_comes_back_as_what_it_is(cloud: Any) -> None:
    pages = models.Pages(first_page="https://example.org/first", final_page="https://example.org/final")
    policy = models.RecordingPolicy(whole_call=True, channels=2)
    made = cloud.create_service(name="reception", logic=pages, recording=policy)
    assert made.page_secret.startswith("whsec_")
    assert made.created_at.tzinfo is not None
    seen = cloud.get_service(made.id)
    assert (seen.logic, seen.recording, seen.direction, seen.seconds_max) == (pages, policy, "both", 14_400)
    changed = cloud.change_service(made.id, logic=models.Program(application="menu"), seconds_max=60)
    assert (changed.name, changed.logic, changed.seconds_max) == ("reception", models.Program(application="menu"), 60)
    cloud.remove_service(made.id)
    with pytest.raises(NotFound) as caught:
        cloud.get_service(made.id)
    assert (caught.value.status, caught.value.code) == (404, "service-missing")
    assert caught.value.request_id.startswith("req_")


def test_a_list_is_walked_page_after_page_and_each_item_comes_once(cloud: Any) -> None:
    logic = models.BuiltIn(name="echo")
    made = [cloud.create_service(name=f"page {number}", logic=logic).id for number in range(5)]
    page = cloud.list_services(limit=2)
    assert len(page.items) == 2
    assert page.next_cursor is not None
    walked = [service.id for service in cloud.iter_services(limit=2)]
    assert walked[:5] == made[::-1]
    assert len(set(walked)) == len(walked)
    for service in made:
        cloud.remove_service(service)


def test_null_and_leaving_out_are_told_apart_where_the_api_tells_them_apart(cloud: Any) -> None:
    bound = cloud.create_credential(label="bound", scopes=["records:list"], allowed_from=["192.0.2.0/24"])
    assert cloud.bind_credential(bound.id, allowed_from=None).allowed_from is None
    cloud.revoke_credential(bound.id)


def test_the_same_idempotency_key_makes_one_thing(cloud: Any) -> None:
    key = f"key-{id(cloud)}"
    first = cloud.create_service(name="once", logic=models.BuiltIn(name="echo"), idempotency_key=key)
    again = cloud.create_service(name="once", logic=models.BuiltIn(name="echo"), idempotency_key=key)
    other = cloud.create_service(name="once", logic=models.BuiltIn(name="echo"))
    assert first.id == again.id != other.id


def test_a_sound_goes_up_and_comes_back_byte_for_byte(cloud: Any, tmp_path: Path) -> None:
    sound = wav()
    media = cloud.upload_media(content=sound, name="prompts/welcome.wav")
    assert (media.encryption, media.duration_ms) == ("none", 500)
    assert cloud.open_media(media.id, purpose="service-operation").content.name == "prompts/welcome.wav"
    assert cloud.download_media(media.id, purpose="service-operation") == sound
    with (tmp_path / "sound.wav").open("wb") as file:
        assert cloud.download_media_into(media.id, file, purpose="service-operation") == len(sound)
    assert (tmp_path / "sound.wav").read_bytes() == sound


def test_a_sound_sealed_before_upload_is_opened_by_its_identity_only(cloud: Any) -> None:
    key, sound = new_age_key(), wav()
    media = cloud.upload_sealed_media(sound, name="sealed.wav", recipients=[key.recipient])
    assert (media.encryption, media.duration_ms) == ("age", None)
    assert sound not in cloud.download_media(media.id, purpose="service-operation")
    assert cloud.download_sealed_media(media.id, key.identity, purpose="service-operation") == sound
    with pytest.raises(NotSealed):
        cloud.download_sealed_media(media.id, new_age_key().identity, purpose="service-operation")


def test_media_for_those_who_migrate_goes_up_as_aes_cbc(cloud: Any) -> None:
    key = sealing.CbcKey.new()
    sealed = sealing.encrypt_cbc(wav(), key)
    media = cloud.upload_media(content=sealed, name="old.wav", content_type="application/octet-stream")
    assert media.encryption == "aes-cbc"
    assert sealing.decrypt_cbc(cloud.download_media(media.id, purpose="service-operation"), key) == wav()


def test_a_public_key_is_tried_before_anything_is_sealed_to_it(cloud: Any) -> None:
    key = new_age_key()
    made = cloud.use_age_key(key, label="this year")
    assert (made.public_key, made.valid) == (key.recipient, True)
    with pytest.raises(NotSealed, match="retire it"):
        cloud.use_age_key(AgeKey(new_age_key().recipient, key.identity), label="of somebody else")


def test_a_program_is_enrolled_with_a_key_that_stays_here(cloud: Any, tmp_path: Path) -> None:
    made = cloud.enrol_program(tmp_path, label="host 1")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["authority.pem", "program.key", "program.pem"]
    assert (tmp_path / "program.pem").read_text() == made.certificate
    assert (tmp_path / "program.key").stat().st_mode & 0o077 == 0
    assert made.server.count(":") == 1


def test_a_recording_that_is_not_sealed_to_a_key_is_simply_downloaded(
    cloud: Any,
    house: ApiHouse,  # noqa: F811
    tenant: Tenant,
) -> None:
    kept = house.keep_call(tenant, CALLER)
    (recording,) = cloud.iter_recordings(call_id=str(kept.call))
    audio = cloud.open_sealed_recording(recording.id, new_age_key().identity, purpose="service-operation")
    assert audio.endswith(kept.audio)
    assert audio == cloud.play_recording(recording.id, purpose="service-operation")


def test_times_are_times(cloud: Any, house: ApiHouse, tenant: Tenant) -> None:  # noqa: F811
    kept = house.keep_call(tenant, CALLER)
    seen = cloud.get_call(str(kept.call))
    assert dt.timedelta(0) < dt.datetime.now(dt.UTC) - seen.started_at < dt.timedelta(minutes=1)
    assert seen.due_on > dt.datetime.now(dt.UTC).date()
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    assert cloud.list_applications(since=tomorrow).items == []


def test_what_was_erased_says_so_and_where_the_proof_is(cloud: Any) -> None:
    media = cloud.upload_media(content=wav(), name="goes.wav")
    erasure = cloud.erase_media(media.id).erasure
    with pytest.raises(Erased) as caught:
        cloud.get_media(media.id)
    assert (caught.value.status, caught.value.erasure_id) == (410, erasure)
    assert caught.value.certificate == f"/v1/certificates/{erasure}"


def test_a_field_that_is_wrong_is_named(cloud: Any) -> None:
    with pytest.raises(Malformed) as caught:
        cloud.create_service(name="", logic=models.BuiltIn(name="echo"))
    assert caught.value.code == "fields-wrong"
    assert [each.field for each in caught.value.errors] == ["$.name"]


def test_a_rule_that_says_no_is_a_refusal_with_its_code(cloud: Any) -> None:
    key = new_age_key()
    cloud.create_recipient(public_key=key.recipient, label="one")
    with pytest.raises(Refused) as caught:
        cloud.create_recipient(public_key=key.recipient, label="again")
    assert caught.value.code == "recipient-known"


def test_a_part_that_is_away_is_unavailable(cloud: Any) -> None:
    with pytest.raises(Unavailable) as caught:
        cloud.list_live_calls()  # this cloud has no switchboard
    assert caught.value.status == 503


def test_text_is_text(cloud: Any) -> None:
    assert "sealwire" in cloud.get_log_key()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_answer_that_got_lost_on_the_way_is_asked_for_again_and_one_thing_was_made(
    kind: str,
    house: ApiHouse,  # noqa: F811
    loop: Loop,
    tmp_path: Path,
) -> None:
    tenant, lost = house.tenant("Lost answers"), []

    async def forward(asked: Asked, writer: asyncio.StreamWriter) -> None:
        """To the real cloud, which does it; then the line breaks before the answer is through."""
        headers = {name: asked.headers[name] for name in ("idempotency-key", "content-type")}
        answer = await asyncio.to_thread(
            house.ask, "POST", asked.path, secret=tenant.secret, body=asked.body, headers=headers
        )
        if len(lost) < 2:
            lost.append(answer.status)
            writer.transport.abort()
        else:
            writer.write(response(answer.body, status=answer.status))

    with a_site(loop, tmp_path) as site:
        site.does("/v1/services", forward)
        with opened(kind, loop, site.at(""), tenant.secret, ca=site.ca) as cloud:
            made = cloud.create_service(name="once", logic=models.BuiltIn(name="echo"))
    assert lost == [201, 201]
    listed = house.ask("GET", "/v1/services", secret=tenant.secret).json["items"]
    assert [each["id"] for each in listed] == [made.id]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_secret_that_is_not_one_is_not_authenticated(kind: str, house: ApiHouse, loop: Loop) -> None:  # noqa: F811
    ca = house.cloud.certificates.ca  # type: ignore[union-attr]
    with (
        opened(kind, loop, f"https://{house.settings.api_listen}", "sealwire_wrong", ca=ca) as stranger,
        pytest.raises(NotAuthenticated),
    ):
        stranger.list_services()


def test_settings_come_from_the_environment(
    house: ApiHouse,  # noqa: F811
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SettingsMissing, match="SEALWIRE_API"):
        Sealwire()
    monkeypatch.setenv("SEALWIRE_API", f"https://{house.settings.api_listen}")
    monkeypatch.setenv("SEALWIRE_CREDENTIAL", tenant.secret)
    monkeypatch.setenv("SEALWIRE_CA", str(house.cloud.certificates.ca))  # type: ignore[union-attr]
    with Sealwire() as cloud:
        assert cloud.get_account(str(tenant.account)).name == "Client"


def test_plain_http_is_refused() -> None:
    with pytest.raises(ValueError, match="https only"):
        Sealwire("http://127.0.0.1:8443", "secret")
