"""Objects on a real S3 (SeaweedFS): whole or not at all, one bucket's credential only, and gone means every version."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from tests.seaweed_house import seaweed_house

from sealwire.config import Settings
from sealwire.errors import Unavailable
from sealwire.ground.objects.s3 import Bucket, BucketCredentialMissing, BucketMalformed, S3Objects
from sealwire.ground.objects.seaweed import Seaweed
from sealwire.ground.objects.signing import S3Credential, signed_headers
from sealwire.ground.objects.store import ObjectMissing, Objects, ObjectsUnavailable, new_prefix

PLAIN, VERSIONED = "plain", "versioned"
store = seaweed_house(first_port=27100, buckets=[PLAIN, VERSIONED])


@pytest.fixture(params=[PLAIN, VERSIONED])
def objects(store: Seaweed, request: pytest.FixtureRequest) -> S3Objects:
    if request.param == VERSIONED:
        turn_on_versions(store)
    return in_bucket(store, request.param)


def in_bucket(store: Seaweed, bucket: str) -> S3Objects:
    return S3Objects(Bucket(store.endpoint, bucket, store.credentials[bucket], compact=store.compact))


def turn_on_versions(store: Seaweed) -> None:
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    headers = signed_headers(
        store.admin, method="PUT", host=store.endpoint.removeprefix("http://"), path=f"/{VERSIONED}",
        query={"versioning": ""}, region="us-east-1", body=body, at=dt.datetime.now(dt.UTC),
    )  # fmt: skip
    answer = httpx.put(f"{store.endpoint}/{VERSIONED}?versioning=", content=body, headers=headers)
    assert answer.status_code == 200, answer.text


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def whole(objects: Objects, name: str) -> bytes:
    return b"".join([piece async for piece in objects.get_stream(name)])


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (11 << 20) + 7])
async def test_what_is_put_comes_back_to_the_byte(objects: S3Objects, size: int) -> None:
    content, name = os.urandom(size), f"{new_prefix()}/a"
    assert await objects.put_stream(name, pieces(content[: size // 3], content[size // 3 :])) == size
    assert await whole(objects, name) == content
    assert (await objects.head(name)).bytes == size
    assert [each.name async for each in objects.list(name.partition("/")[0])] == [name]


async def test_an_unfinished_object_is_seen_by_nobody_and_given_up_leaves_nothing(objects: S3Objects) -> None:
    name = f"{new_prefix()}/a"
    writer = await objects.open_writer(name)
    await writer.write(os.urandom(11 << 20))
    assert await uploads(objects, name)
    with pytest.raises(ObjectMissing):
        await objects.head(name)
    await writer.abort()
    assert await uploads(objects, name) == []


async def test_removed_means_every_version_and_every_delete_marker(store: Seaweed) -> None:
    turn_on_versions(store)
    objects, name = in_bucket(store, VERSIONED), f"{new_prefix()}/a"
    neighbour = name + "b"
    await objects.put_stream(neighbour, pieces(b"stays"))
    for text in (b"one", b"two"):
        await objects.put_stream(name, pieces(text))
    await hide(objects, name)  # as an S3 client does: leaves a marker over two versions
    assert sorted(each.is_marker for each in [each async for each in objects.versions(name)]) == [False, False, True]
    assert await objects.delete(name)
    assert [each async for each in objects.versions(name)] == []
    assert await whole(objects, neighbour) == b"stays"
    assert not await objects.delete(name)


async def test_after_removal_and_compaction_no_byte_is_left_in_the_volumes(objects: S3Objects, store: Seaweed) -> None:
    content, name = os.urandom(200_000), f"{new_prefix()}/a"
    kept, kept_name = os.urandom(200_000), f"{new_prefix()}/kept"
    await objects.put_stream(name, pieces(content))
    await objects.put_stream(kept_name, pieces(kept))
    assert lies_in(store.folder, content[5000:5064])
    assert await objects.delete(name)
    assert lies_in(store.folder, content[5000:5064]), "deleting alone removed it: the test looks in the wrong place"
    assert await objects.compact()
    assert not lies_in(store.folder, content[5000:5064])
    assert lies_in(store.folder, kept[5000:5064])
    assert await whole(objects, kept_name) == kept


async def test_a_credential_reaches_its_own_bucket_only(store: Seaweed) -> None:
    mine, name = in_bucket(store, PLAIN), f"{new_prefix()}/a"
    await mine.put_stream(name, pieces(b"mine"))
    stranger = S3Objects(replace(mine.bucket, credential=store.credentials[VERSIONED]))
    for act in (whole(stranger, name), stranger.put_stream(name, pieces(b"theirs")), stranger.delete(name)):
        with pytest.raises((Unavailable, PermissionError, ObjectsUnavailable)):
            await act
    assert await whole(mine, name) == b"mine"


async def test_what_is_stored_is_not_served_without_a_credential_on_any_port(store: Seaweed) -> None:
    objects, name = in_bucket(store, PLAIN), f"{new_prefix()}/a"
    await objects.put_stream(name, pieces(b"not for everybody"))
    first = int(store.endpoint.rpartition(":")[2])
    for port, path in ((first, f"/{PLAIN}/{name}"), (first + 2, f"/buckets/{PLAIN}/{name}")):
        answer = httpx.get(f"http://127.0.0.1:{port}{path}")
        assert answer.status_code in (401, 403), (port, answer.status_code)
        assert b"not for everybody" not in answer.content


async def test_a_killed_upload_is_swept_and_one_that_is_younger_stays(store: Seaweed) -> None:
    objects, name = in_bucket(store, PLAIN), f"{new_prefix()}/a"
    kill_in_mid_upload(objects.bucket, name)
    assert await uploads(objects, name), "nothing was left, so nothing is shown"
    now = dt.datetime.now(dt.UTC)
    assert await objects.abort_unfinished(before=now - dt.timedelta(hours=1)) == 0
    assert await objects.abort_unfinished(before=now + dt.timedelta(minutes=1)) == 1
    assert await uploads(objects, name) == []


async def test_removing_an_object_takes_its_killed_upload_too(store: Seaweed) -> None:
    objects, name = in_bucket(store, PLAIN), f"{new_prefix()}/a"
    kill_in_mid_upload(objects.bucket, name)
    assert not await objects.delete(name)
    assert await uploads(objects, name) == []


async def test_a_peer_that_hangs_is_given_up_in_bounded_time() -> None:
    with hanging_peer() as endpoint:
        objects = S3Objects(Bucket(endpoint, PLAIN, in_nobodys_name()), answers_s_max=1.0)
        for act in (objects.head("a"), objects.delete("a"), whole(objects, "a"), objects.put_stream("a", pieces(b"x"))):
            started = time.monotonic()
            with pytest.raises(ObjectsUnavailable):
                await act
            assert time.monotonic() - started < 8


async def test_a_store_that_is_not_there_says_so(store: Seaweed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    objects = S3Objects(Bucket(f"http://127.0.0.1:{port}", PLAIN, store.admin), answers_s_max=3.0)
    with pytest.raises(ObjectsUnavailable):
        await objects.put_stream("a", pieces(b"x"))


async def test_a_large_object_streams_in_bounded_memory(store: Seaweed) -> None:
    script = (
        "import asyncio, os, resource, sys\n"
        "from sealwire.ground.objects.s3 import Bucket, S3Objects\n"
        "from sealwire.ground.objects.signing import S3Credential\n"
        "async def pieces():\n"
        "    for _ in range(120): yield os.urandom(1 << 20)\n"
        "async def main():\n"
        "    o = S3Objects(Bucket(sys.argv[1], 'plain', S3Credential(sys.argv[2], sys.argv[3])))\n"
        "    await o.put_stream('small/a', one())\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "    assert await o.put_stream('large/a', pieces()) == 120 << 20\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
        "async def one():\n"
        "    yield b'x'\n"
        "asyncio.run(main())\n"
    )
    done = await asyncio.to_thread(run_script, script, in_bucket(store, PLAIN).bucket)
    assert int(done) < 60 << 10, f"{int(done) >> 10} MB more for 120 MB"


def test_the_secret_has_no_default_and_plain_http_is_for_loopback(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, objects_endpoint="http://127.0.0.1:1", objects_bucket="x")
    settings.secrets_dir.mkdir()
    with pytest.raises(BucketCredentialMissing):
        Objects.of(settings)
    (settings.secrets_dir / "objects.key").write_text("access\nsecret\n")
    assert isinstance(Objects.of(settings), S3Objects)
    assert "secret" not in repr(Bucket.from_settings(settings))
    for wrong in ("http://192.0.2.1:8333", "s3.example", "ftp://127.0.0.1"):
        elsewhere = Settings(data_dir=tmp_path, objects_endpoint=wrong, objects_bucket="x")
        with pytest.raises(BucketMalformed):
            Objects.of(elsewhere)


def kill_in_mid_upload(bucket: Bucket, name: str) -> None:
    script = (
        "import asyncio, os, sys\n"
        "from sealwire.ground.objects.s3 import Bucket, S3Objects\n"
        "from sealwire.ground.objects.signing import S3Credential\n"
        "async def main():\n"
        "    o = S3Objects(Bucket(sys.argv[1], 'plain', S3Credential(sys.argv[2], sys.argv[3])))\n"
        f"    w = await o.open_writer({name!r})\n"
        "    await w.write(os.urandom(12 << 20))\n"
        "    print('begun', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    credential = bucket.credential
    with subprocess.Popen(
        [sys.executable, "-c", script, bucket.endpoint, credential.access_key, credential.secret_key],
        stdout=subprocess.PIPE,
        env=with_our_path(),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGKILL)


def run_script(script: str, bucket: Bucket) -> str:
    credential = bucket.credential
    command = [sys.executable, "-c", script, bucket.endpoint, credential.access_key, credential.secret_key]
    return subprocess.run(command, capture_output=True, check=True, text=True, env=with_our_path()).stdout


def with_our_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}


async def uploads(objects: S3Objects, name: str) -> list[str]:
    return [upload async for upload, key, _ in objects._uploads(name) if key == name]


async def hide(objects: S3Objects, name: str) -> None:
    await objects._ask("DELETE", name, {})


def lies_in(folder: Path, needle: bytes) -> bool:
    return any(needle in file.read_bytes() for file in folder.rglob("*") if file.is_file())


def in_nobodys_name() -> S3Credential:
    return S3Credential("nobody", "nothing")


@contextmanager
def hanging_peer() -> Iterator[str]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
