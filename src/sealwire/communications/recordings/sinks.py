"""Where recordings go: sealed to the customer when that is wished for, then sealed by custody, always.

What is encrypted for the customer is a wav file. Its length is not known when its header is written, so the header
says "until the end". What is sealed by custody alone is plain PCM, and its header is made when it is downloaded.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sealwire.communications.calls.ports import CallEnded, RecordingEnded
from sealwire.communications.control.port import RecordingWish
from sealwire.communications.encryption.choice import Encryption, choose
from sealwire.communications.recordings.wav import wav_header
from sealwire.custody.categories import Recording
from sealwire.custody.lifecycle import Custody, MediaKeeping
from sealwire.governance.services import Service
from sealwire.vocabulary import AccountId, CallId, Day, RecordId


@dataclass(frozen=True, slots=True)
class SealedAudio:
    """A finished stream of sealed audio, not yet a record."""

    media: MediaKeeping
    audio_sha256: bytes
    """Of what a download gives: PCM, or the file that was encrypted for the customer."""
    channels: int = 1
    encryption: str = "provider"
    key_id: str | None = None
    sealed_bytes: int | None = None


class CustodySink:
    """One recording on its way into custody. Its plaintext passes through memory and is nowhere else."""

    def __init__(self, media: MediaKeeping, *, encryption: Encryption, channels: int) -> None:
        self._media = media
        self._encryption = encryption
        self._channels = channels
        self._bytes = 0
        self._begun = False

    @property
    def record(self) -> RecordId:
        return self._media.record

    async def write(self, pcm: bytes) -> None:
        if self._encryption.sealer is not None:
            pcm = self._encryption.sealer.update(self._headed(pcm))
        await self._put(pcm)

    async def finish(self) -> SealedAudio:
        sealer = self._encryption.sealer
        if sealer is not None:
            await self._put(sealer.update(self._headed(b"")) + sealer.finalize())
        return SealedAudio(
            self._media,
            await self._media.finish(),
            channels=self._channels,
            encryption=self._encryption.name,
            key_id=self._encryption.key_id,
            sealed_bytes=self._bytes if sealer is not None else None,
        )

    async def abort(self) -> None:
        await self._media.abort()

    def _headed(self, pcm: bytes) -> bytes:
        header = b"" if self._begun else wav_header(channels=self._channels)
        self._begun = True
        return header + pcm

    async def _put(self, sealed: bytes) -> None:
        if sealed:
            self._bytes += len(sealed)
            await self._media.write(sealed)


async def open_sink(
    custody: Custody,
    account: AccountId,
    call: CallId,
    *,
    started_at: dt.datetime,
    wish: RecordingWish | None,
    service: Service | None,
) -> CustodySink:
    """A place for one recording. RecordingImpossible without a valid key, Unavailable without the keeper."""
    wish = wish or RecordingWish()
    encryption = await choose(custody.database, account, wish=wish, service=service, now=started_at)
    media = await custody.begin_media(
        account, Recording, starts_at_day=Day.of(started_at), call=call,
        retention_class=service.retention_class if service is not None else 0,
    )  # fmt: skip
    return CustodySink(media, encryption=encryption, channels=wish.channels)


def recording_of(ended: CallEnded, recording: RecordingEnded) -> Recording:
    """The record of one recording of a call."""
    kept = recording.kept
    assert isinstance(kept, SealedAudio)
    return Recording(
        call_id=ended.call_id,
        started_at=recording.started_at,
        duration_ms=recording.samples // 8,
        caller=ended.caller,
        callee=ended.callee,
        audio_sha256=kept.audio_sha256,
        channels=kept.channels,
        encryption=kept.encryption,
        key_id=kept.key_id,
        sealed_bytes=kept.sealed_bytes,
    )
