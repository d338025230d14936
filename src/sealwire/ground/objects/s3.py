"""Objects on an S3: the same promises as in a folder, with what a bucket keeps behind one's back.

Removing an object is: (1) unfinished uploads of it are aborted; (2) each of its versions and delete markers is
deleted by its id; (3) the bucket is asked again, and what is still listed is an error. Its bytes leave the store's
own files when `compact` has been asked for: a SeaweedFS keeps them until a volume is vacuumed.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import httpx
from obstore.store import S3Store

from sealwire.config import Settings
from sealwire.errors import Malformed, Refused, Unavailable
from sealwire.ground.clock import SystemClock
from sealwire.ground.objects.signing import S3Credential, canonical_query, signed_headers
from sealwire.ground.objects.store import ObjectMissing, Objects, ObjectsUnavailable, plainly_told

CREDENTIAL_FILE = "objects.key"
PART_BYTES = 5 << 20
"""The least that S3 takes as a part; two of them are in memory for each object on its way."""
CONNECT_S_MAX, ANSWERS_S_MAX, COMPACTS_S_MAX = 5.0, 30.0, 600.0
SETTLES_S = 4.0
"""SeaweedFS marks the bytes of a deleted object a moment after it answered; what is not marked is not vacuumed."""
_REQUEST_S_MAX = 3600
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class BucketMalformed(Malformed):
    """The objects_* settings do not name a bucket: write https://HOST:PORT (http on loopback only) and its name."""


class BucketCredentialMissing(Unavailable):
    """The bucket's credential is missing: put access key and secret key, a line each, into secrets/objects.key."""


class BucketKeeps(Refused):
    """The bucket refuses to remove a version (object lock, or a credential without that right); take the lock off."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where an S3 is, which bucket is ours, and who we are there."""

    endpoint: str
    name: str
    credential: S3Credential
    region: str = "us-east-1"
    compact: str = ""

    @classmethod
    def from_settings(cls, settings: Settings) -> Bucket:
        """BucketMalformed or BucketCredentialMissing say what is wrong."""
        file = settings.secrets_dir / CREDENTIAL_FILE
        lines = file.read_text().split() if file.exists() else []
        if len(lines) != 2:
            raise BucketCredentialMissing
        bucket = cls(
            settings.objects_endpoint.rstrip("/"), settings.objects_bucket, S3Credential(lines[0], lines[1]),
            settings.objects_region, settings.objects_compact,
        )  # fmt: skip
        for address in filter(None, (bucket.endpoint, bucket.compact)):
            parts = urlsplit(address)
            if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
                raise BucketMalformed
        if not bucket.name:
            raise BucketMalformed
        return bucket


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or a delete marker."""

    name: str
    version: str
    is_marker: bool


class S3Objects(Objects):
    """Objects in one bucket. The names are the same as in a folder: an account's random prefix, a random id."""

    part_bytes, parts_at_once, answers_s_max = PART_BYTES, 2, ANSWERS_S_MAX

    def __init__(self, bucket: Bucket, *, answers_s_max: float = ANSWERS_S_MAX) -> None:
        self.bucket, self.answers_s_max = bucket, answers_s_max
        self._verify = httpx.create_ssl_context() if bucket.endpoint.startswith("https") else False
        super().__init__(
            S3Store(
                bucket.name,
                endpoint=bucket.endpoint,
                region=bucket.region,
                access_key_id=bucket.credential.access_key,
                secret_access_key=bucket.credential.secret_key,
                virtual_hosted_style_request=False,
                client_options={
                    "allow_http": bucket.endpoint.startswith("http:"),
                    "connect_timeout": dt.timedelta(seconds=CONNECT_S_MAX),
                    "timeout": dt.timedelta(seconds=_REQUEST_S_MAX),
                },
                retry_config={"max_retries": 3, "retry_timeout": dt.timedelta(seconds=answers_s_max)},
            )
        )

    async def delete(self, name: str) -> bool:
        """Remove an object for good: its unfinished uploads, every version, every delete marker."""
        self.check_name(name)
        await self.abandon(name)  # (1)
        versions = [each async for each in self.versions(name)]
        for each in versions:  # (2)
            await self._ask("DELETE", name, {"versionId": each.version})
        if versions and [each async for each in self.versions(name)]:  # (3)
            raise BucketKeeps
        return any(not each.is_marker for each in versions)

    async def versions(self, name: str) -> AsyncIterator[Version]:
        """All versions and delete markers of one object."""
        query = {"versions": "", "prefix": name}
        while True:
            page = await self._ask("GET", "", query)
            for kind in ("Version", "DeleteMarker"):
                for each in page.iterfind(f"{{*}}{kind}"):
                    if _text(each, "Key") == name:
                        yield Version(name, _text(each, "VersionId") or "null", kind == "DeleteMarker")
            if _text(page, "IsTruncated") != "true":
                return
            query |= {
                "key-marker": _text(page, "NextKeyMarker"), "version-id-marker": _text(page, "NextVersionIdMarker"),
            }  # fmt: skip

    async def abandon(self, name: str) -> None:
        """Abort the uploads of this object that were never finished."""
        async for upload, key, _ in self._uploads(name):
            if key == name:
                await self._abort(key, upload)

    async def abort_unfinished(self, *, before: dt.datetime) -> int:
        """Abort every upload that was begun before a moment: what killed processes left; how many there were."""
        aborted = 0
        async for upload, key, begun in self._uploads(""):
            if begun < before:
                await self._abort(key, upload)
                aborted += 1
        return aborted

    async def compact(self) -> bool:
        """Have the store rewrite the files that hold deleted bytes; False when it was not set how to ask."""
        if not self.bucket.compact:
            return False
        await asyncio.sleep(SETTLES_S)
        with plainly_told():
            async with httpx.AsyncClient(verify=self._verify, timeout=COMPACTS_S_MAX, trust_env=False) as client:
                answer = await _told(client.get(self.bucket.compact))
        if answer.status_code // 100 != 2:
            raise ObjectsUnavailable(f"the object store did not compact its volumes (HTTP {answer.status_code})")
        return True

    def sweep_unfinished(self) -> int:
        """Nothing: others may be uploading; see `abort_unfinished`."""
        return 0

    async def _uploads(self, prefix: str) -> AsyncIterator[tuple[str, str, dt.datetime]]:
        query = {"uploads": "", "prefix": prefix}
        while True:
            page = await self._ask("GET", "", query)
            for each in page.iterfind("{*}Upload"):
                begun = dt.datetime.fromisoformat(_text(each, "Initiated"))
                yield _text(each, "UploadId"), _text(each, "Key"), begun
            if _text(page, "IsTruncated") != "true":
                return
            query |= {
                "key-marker": _text(page, "NextKeyMarker"), "upload-id-marker": _text(page, "NextUploadIdMarker"),
            }  # fmt: skip

    async def _abort(self, name: str, upload: str) -> None:
        await self._ask("DELETE", name, {"uploadId": upload}, missing_is_fine=True)

    async def _ask(
        self, method: str, name: str, query: Mapping[str, str], *, missing_is_fine: bool = False
    ) -> ElementTree.Element:
        """One signed request; the document that answers it (empty where there is none)."""
        path = f"/{quote(self.bucket.name)}" + (f"/{quote(name)}" if name else "")
        headers = signed_headers(
            self.bucket.credential, method=method, host=urlsplit(self.bucket.endpoint).netloc, path=path,
            query=query, region=self.bucket.region, body=b"", at=SystemClock().now(),
        )  # fmt: skip
        url = f"{self.bucket.endpoint}{path}?{canonical_query(query)}"
        with plainly_told():
            timeout = httpx.Timeout(self.answers_s_max, connect=CONNECT_S_MAX)
            async with (
                asyncio.timeout(self.answers_s_max),
                httpx.AsyncClient(verify=self._verify, timeout=timeout, trust_env=False) as client,
            ):
                answer = await _told(client.request(method, url, headers=headers))
        if answer.status_code == 404 and missing_is_fine:
            return ElementTree.Element("Nothing")
        _require_done(answer.status_code, method)
        if not answer.content:
            return ElementTree.Element("Nothing")
        return ElementTree.fromstring(answer.content)  # noqa: S314 - the operator's own store; expat refuses bombs


def _require_done(status: int, method: str) -> None:
    if status == 404:
        raise ObjectMissing("the bucket or the object is not there")
    if status == 403 and method == "DELETE":
        raise BucketKeeps
    if status // 100 != 2:
        raise ObjectsUnavailable(f"the object store answered HTTP {status}; look at its log, then try again")


async def _told(answer: object) -> httpx.Response:
    """What httpx raises, as an OSError that `plainly_told` knows; its own texts quote addresses."""
    try:
        response: httpx.Response = await answer  # type: ignore[misc]
    except httpx.HTTPError as error:
        raise OSError(type(error).__name__) from None
    return response


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{{*}}{name}") or ""
