"""A chain in a bucket of a real S3: sealed, found again, refused when it was spoilt, destroyed with its versions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sealwire.custody.backups.refusals import BackupDamaged
from sealwire.custody.backups.restore import scratch_instance
from sealwire.custody.backups.sealing import backup_key
from sealwire.custody.backups.take import take
from sealwire.custody.backups.target import PART_BYTES, Target
from sealwire.custody.backups.unpack import find_source, unpacked, verify_chain
from sealwire.ground.objects.s3 import Bucket, S3Objects
from sealwire.ground.objects.seaweed import Seaweed, turn_on_versions
from tests.promises.backup_house import CLOCK, House, running_house
from tests.seaweed_house import seaweed_house

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]
BUCKET = "backups"
store = seaweed_house(first_port=25100, buckets=[BUCKET])
WHERE = f"s3://{BUCKET}/sealwire"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(store: Seaweed) -> AsyncIterator[House]:
    async with running_house() as running:
        credential = store.credentials[BUCKET]
        told = {
            "endpoint": store.endpoint,
            "region": "us-east-1",
            "access_key_id": credential.access_key,
            "secret_access_key": credential.secret_key,
        }
        (running.settings.secrets_dir / "backup-target.json").write_text(json.dumps(told))
        yield running


async def taken(house: House) -> str:
    made = await take(
        house.settings, keeper_epoch=1, effaceability_class="unverified", clock=CLOCK, target=WHERE
    )  # fmt: skip
    return find_source(made.manifest, house.settings)


async def test_a_chain_in_a_bucket_restores_is_refused_when_spoilt_and_leaves_no_version(
    house: House, store: Seaweed
) -> None:
    await turn_on_versions(store, BUCKET)
    first = await house.keep_call("+441632960123", seed=1)
    base = await taken(house)
    second = await house.keep_call("+447700900456", seed=2)
    increment = await taken(house)
    key = backup_key(house.settings)
    chain = verify_chain(increment, house.settings, key).chain
    assert [f"{WHERE}/{member.name}" for member in chain.members] == [base, increment]
    async with (
        unpacked(chain, house.settings, workspace=house.settings.data_dir) as folder,
        scratch_instance(folder / "postgres", house.settings) as scratch,
    ):
        assert len(await scratch.records(house.account, [*first.records, *second.records])) == 4
    target = Target.open(WHERE, house.settings)
    name = f"{chain.members[0].name}/contents.age"
    content = target.read(name)
    with target.writing(name) as out:
        out.write(content[:-1])
    with pytest.raises(BackupDamaged, match="cut short"):
        verify_chain(increment, house.settings, key)
    for member in chain.members:
        target.remove(member.name)
        assert target.sizes(member.name) == {}
    bucket = S3Objects(Bucket(store.endpoint, BUCKET, store.credentials[BUCKET]))
    for file in ("contents.age", "postgres.tar.age", "manifest.json"):
        left = [each async for each in bucket.versions(f"sealwire/{chain.members[0].name}/{file}")]
        assert left == [], "a version outlives the backup"


async def test_what_was_uploaded_of_a_pack_that_failed_half_way_is_aborted_whatever_its_number(
    house: House, store: Seaweed
) -> None:
    target, bucket = (
        Target.open(WHERE, house.settings),
        S3Objects(Bucket(store.endpoint, BUCKET, store.credentials[BUCKET])),
    )
    name = "20260101T000000Z-00aaaaaa"

    async def unfinished() -> list[str]:
        return [key async for _, key, _ in bucket._uploads(f"sealwire/{name}/")]

    def fail_half_way() -> None:
        with target.writing(f"{name}/objects-00007.tar.age") as out:
            for _ in range(3):
                out.write(bytes(PART_BYTES))
            raise RuntimeError("the third part")

    with pytest.raises(RuntimeError, match="third part"):
        fail_half_way()
    assert await unfinished() == [f"sealwire/{name}/objects-00007.tar.age"]
    assert target.remove(name) == 0
    assert await unfinished() == []
