"""Objects and backups both on a real S3: what was kept comes back into a new bucket, what was erased does not."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sealwire.config import Settings, load_settings
from sealwire.custody.backups.gate import pending
from sealwire.custody.backups.putback import put_back
from sealwire.custody.backups.take import take
from sealwire.custody.lifecycle import Custody, RecordErased, RecordMissing, connect_custody
from sealwire.doors.bench.scratch import open_account
from sealwire.doors.supervisor import KEEPER, SEQUENCER, Cloud
from sealwire.ground.datafolder import DataFolder
from sealwire.ground.objects.s3 import CREDENTIAL_FILE
from sealwire.ground.objects.seaweed import Seaweed
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.cluster import dsn
from sealwire.vocabulary import Purpose
from tests.promises.backup_house import CLOCK, House
from tests.seaweed_house import seaweed_house

pytestmark = pytest.mark.slow
BACKUPS, OBJECTS, ANEW = "backups", "objects", "objects-anew"
store = seaweed_house(first_port=25120, buckets=[BACKUPS, OBJECTS, ANEW])
WHERE = f"s3://{BACKUPS}/sealwire"
PARTS = ((KEEPER,), (SEQUENCER,))


def settings_on(store: Seaweed, data: Path, bucket: str) -> Settings:
    settings = load_settings(data, objects_endpoint=store.endpoint, objects_bucket=bucket, backup_every_hours=0)
    with DataFolder(settings):  # makes what it needs in there
        credential = store.credentials[bucket]
        (settings.secrets_dir / CREDENTIAL_FILE).write_text(f"{credential.access_key}\n{credential.secret_key}\n")
        backups = store.credentials[BACKUPS]
        told = {
            "endpoint": store.endpoint, "region": "us-east-1",
            "access_key_id": backups.access_key, "secret_access_key": backups.secret_key,
        }  # fmt: skip
        (settings.secrets_dir / "backup-target.json").write_text(json.dumps(told))
    return settings


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[Cloud, Custody]]:
    async with Cloud(settings, parts=PARTS) as cloud:
        custody = await connect_custody(settings, dsn(settings, "sealwire_service"), CLOCK)
        try:
            yield cloud, custody
        finally:
            await custody.close()


def objects_in(settings: Settings) -> set[str]:
    listed: Any = Objects.of(settings).store.list()
    return {each["path"] for batch in listed for each in batch}


async def test_what_was_kept_comes_back_into_a_new_bucket_and_nothing_else(store: Seaweed) -> None:
    folder = Path(tempfile.mkdtemp(prefix="sealwire-restore-s3-")).resolve()
    folder.chmod(0o755)
    try:
        old = settings_on(store, folder / "old", OBJECTS)
        async with serving(old) as (cloud, custody):
            principal = await open_account(custody)
            copies = folder / "copies"
            copies.mkdir(mode=0o711)
            house = House(old, custody, principal.in_account(), copies, cloud)
            erased = await house.keep_call("+441632960123", seed=1)
            kept = await house.keep_call("+447700900456", seed=2)
            made = await take(old, keeper_epoch=1, effaceability_class="unverified", clock=CLOCK, target=WHERE)
            await house.erase(erased.records)
            late = await house.keep_call("+447700900789", seed=3)
            await custody.sequencer.nudge()
            assert len(objects_in(old)) == 2  # that of the erased call is gone already
        new = settings_on(store, folder / "new", ANEW)
        for name in ("keeper", "evidence"):
            shutil.copytree(old.data_dir / name, new.data_dir / name, dirs_exist_ok=True)
        for secret in old.secrets_dir.iterdir():
            if secret.is_file() and secret.name != CREDENTIAL_FILE:
                shutil.copy(secret, new.secrets_dir / secret.name)
        await put_back(f"{WHERE}/{made.folder.name}", new, clock=CLOCK)
        assert len(objects_in(new)) == 2  # as when the backup was made: the gate comes after
        async with serving(new) as (_, custody):
            for record in kept.records:
                assert await custody.find(principal.in_account(), [record])
            for records, gone in ((erased.records, RecordErased), (late.records, RecordMissing)):
                for record in records:
                    with pytest.raises(gone):
                        await custody.find(principal.in_account(), [record])
            assert len(objects_in(new)) == 1
            (recording,) = [
                row for row in await custody.find(principal.in_account(), list(kept.records)) if row.object_name
            ]
            _, chunks = await custody.open_media(principal, recording.record, purpose=Purpose.SERVICE_OPERATION)
            assert sum([len(chunk) async for chunk in chunks]) > 8_000
        assert pending(new) is None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
