"""The clients as you use them: every operation, and what takes more than one of them.

with Sealwire("https://HOST:PORT", secret) as cloud: ...
async with AsyncSealwire() as cloud: ...  # SEALWIRE_API, SEALWIRE_CREDENTIAL and, if it needs one, SEALWIRE_CA
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sealwire_sdk import sealing
from sealwire_sdk.client.asynchronous import AsyncOperations
from sealwire_sdk.client.models import MediaSeen, ProgramMade, Purpose, RecipientMade
from sealwire_sdk.client.synchronous import Operations
from sealwire_sdk.errors import NotSealed
from sealwire_sdk.uas.renewal import new_request, write_certificate

AGE: Literal["application/age"] = "application/age"
_AGE_BEGINS = b"age-encryption.org/v1\n"


class Sealwire(Operations):
    """The API with one credential; each method waits for its answer."""

    def use_age_key(self, key: sealing.AgeKey, *, label: str) -> RecipientMade:
        """Have recordings sealed to this key, and prove at once that its identity opens what is sealed to it."""
        return _tried(self.create_recipient(public_key=key.recipient, label=label), key)

    def upload_sealed_media(self, content: bytes, *, name: str, recipients: Iterable[str]) -> MediaSeen:
        """Encrypt a sound to age recipients here, then upload it. To play it a call needs an identity."""
        return self.upload_media(content=sealing.encrypt(content, recipients), name=name, content_type=AGE)

    def download_sealed_media(
        self, media_id: str, identities: str | Iterable[str], *, purpose: Purpose | None = None
    ) -> bytes:
        """Download a sound that was encrypted before upload, and decrypt it here."""
        return sealing.decrypt(self.download_media(media_id, purpose=purpose), identities)

    def open_sealed_recording(
        self, record_id: str, identities: str | Iterable[str], *, purpose: Purpose | None = None
    ) -> bytes:
        """Download a recording and, when it is sealed to keys of yours, decrypt it here: a wav file."""
        return _opened(self.play_recording(record_id, purpose=purpose), identities)

    def enrol_program(self, folder: Path | str, *, label: str) -> ProgramMade:
        """Register a program: `program.key`, `program.pem` and `authority.pem` in this folder are all it needs.

        The key is made here, unless there is one, and does not leave the folder; `server` is where to connect.
        """
        made = self.register_program(label=label, request=_request(Path(folder)))
        return _written(Path(folder), made)


class AsyncSealwire(AsyncOperations):
    """The same for asyncio."""

    async def use_age_key(self, key: sealing.AgeKey, *, label: str) -> RecipientMade:
        """Have recordings sealed to this key, and prove at once that its identity opens what is sealed to it."""
        return _tried(await self.create_recipient(public_key=key.recipient, label=label), key)

    async def upload_sealed_media(self, content: bytes, *, name: str, recipients: Iterable[str]) -> MediaSeen:
        """Encrypt a sound to age recipients here, then upload it. To play it a call needs an identity."""
        sealed = await asyncio.to_thread(sealing.encrypt, content, recipients)
        return await self.upload_media(content=sealed, name=name, content_type=AGE)

    async def download_sealed_media(
        self, media_id: str, identities: str | Iterable[str], *, purpose: Purpose | None = None
    ) -> bytes:
        """Download a sound that was encrypted before upload, and decrypt it here."""
        sealed = await self.download_media(media_id, purpose=purpose)
        return await asyncio.to_thread(sealing.decrypt, sealed, identities)

    async def open_sealed_recording(
        self, record_id: str, identities: str | Iterable[str], *, purpose: Purpose | None = None
    ) -> bytes:
        """Download a recording and, when it is sealed to keys of yours, decrypt it here: a wav file."""
        audio = await self.play_recording(record_id, purpose=purpose)
        return await asyncio.to_thread(_opened, audio, identities)

    async def enrol_program(self, folder: Path | str, *, label: str) -> ProgramMade:
        """Register a program: `program.key`, `program.pem` and `authority.pem` in this folder are all it needs.

        The key is made here, unless there is one, and does not leave the folder; `server` is where to connect.
        """
        made = await self.register_program(label=label, request=_request(Path(folder)))
        return _written(Path(folder), made)


def _tried(made: RecipientMade, key: sealing.AgeKey) -> RecipientMade:
    try:
        sealing.decrypt(base64.b64decode(made.trial), key.identity)
    except NotSealed:
        raise NotSealed("the identity does not open what is sealed to this recipient; retire it") from None
    return made


def _opened(audio: bytes, identities: str | Iterable[str]) -> bytes:
    return sealing.decrypt(audio, identities) if audio.startswith(_AGE_BEGINS) else audio


def _request(folder: Path) -> str:
    file = folder / "program.key"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_bytes(
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return new_request(file)


def _written(folder: Path, made: ProgramMade) -> ProgramMade:
    write_certificate(folder / "program.pem", made.certificate)
    write_certificate(folder / "authority.pem", made.authority)
    return made
