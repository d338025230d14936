"""Sound for applications: texts spoken, media files opened for this one use.

What is opened does not outlive its file. Each time a file is wanted, the database is asked whether it still lives
(an erasure hides it in the transaction that asks for it), and what is held in memory to spare a second opening is
dropped 60 s after it was opened, used or not. What was encrypted before upload is never held: it is opened with the
secret that came with the action, and both are forgotten when it was decoded.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from weakref import WeakValueDictionary

from sealwire.communications.encryption.opening import open_uploaded
from sealwire.communications.media.decode import decode
from sealwire.communications.media.store import MEDIA, living, record_of, whole
from sealwire.communications.speech.port import SpeechEngine
from sealwire.custody.lifecycle import Custody, service_principal
from sealwire.custody.store import StoredRecord
from sealwire.errors import Malformed, Missing
from sealwire.vocabulary import AccountId, MediaId, Purpose, RecordId

HELD_S_MAX = 60.0
HELD_BYTES_MAX = 32 << 20
HELD_FILE_BYTES_MAX = 4 << 20
_FOR_CALLS = Purpose.SERVICE_OPERATION


class MediaMissing(Missing):
    """The account has no media file of this name or id."""


class HeldSounds:
    """Opened files for a short while: bounded in bytes and in time. The oldest gives way."""

    def __init__(self, *, seconds: float = HELD_S_MAX) -> None:
        self._held: OrderedDict[RecordId, bytes] = OrderedDict()
        self._seconds = seconds

    @property
    def bytes_held(self) -> int:
        return sum(map(len, self._held.values()))

    def get(self, record: RecordId) -> bytes | None:
        return self._held.get(record)

    def hold(self, record: RecordId, pcm: bytes) -> None:
        """Keep it in memory, for `seconds` from now and not longer."""
        if len(pcm) > HELD_FILE_BYTES_MAX or record in self._held:
            return
        while self._held and self.bytes_held + len(pcm) > HELD_BYTES_MAX:
            self._held.popitem(last=False)
        self._held[record] = pcm
        asyncio.get_running_loop().call_later(self._seconds, self._drop_if_same, record, pcm)

    def drop(self, record: RecordId) -> None:
        self._held.pop(record, None)

    def _drop_if_same(self, record: RecordId, pcm: bytes) -> None:
        if self._held.get(record) is pcm:
            del self._held[record]


class Names:
    """Which name an account's files have; opened when first needed, forgotten a minute after they were last."""

    def __init__(self, custody: Custody, *, seconds: float = HELD_S_MAX) -> None:
        self._custody = custody
        self._seconds = seconds
        self._known: dict[AccountId, dict[RecordId, str]] = {}
        self._timers: dict[AccountId, asyncio.TimerHandle] = {}
        self._locks: WeakValueDictionary[AccountId, asyncio.Lock] = WeakValueDictionary()

    async def find(self, account: AccountId, name: str) -> StoredRecord:
        """The newest living file of this name; MediaMissing without one."""
        lock = self._locks.setdefault(account, asyncio.Lock())
        async with lock:  # calls that begin at once open the names once
            return await self._find(account, name)

    async def _find(self, account: AccountId, name: str) -> StoredRecord:
        rows = await living(self._custody, account)
        known = self._known.get(account, {})
        if fresh := [row for row in rows if row.record not in known]:
            opened = await self._custody.open_stored(service_principal(account), fresh, purpose=_FOR_CALLS)
            known |= {record.stored.record: str(record.content.reveal()["name"]) for record in opened}
        self._remember(account, {row.record: known[row.record] for row in rows if row.record in known})
        for row in rows:
            if known.get(row.record) == name:
                return row
        raise MediaMissing

    def _remember(self, account: AccountId, names: dict[RecordId, str]) -> None:
        self._known[account] = names
        if (timer := self._timers.pop(account, None)) is not None:
            timer.cancel()
        self._timers[account] = asyncio.get_running_loop().call_later(self._seconds, self._forget, account)

    def _forget(self, account: AccountId) -> None:
        self._known.pop(account, None)
        self._timers.pop(account, None)


class MediaSounds:
    """The `Sounds` of applications, on custody and one speech engine."""

    def __init__(self, custody: Custody, speech: SpeechEngine, *, held_s: float = HELD_S_MAX) -> None:
        self._custody = custody
        self._speech = speech
        self._held = HeldSounds(seconds=held_s)
        self._names = Names(custody, seconds=held_s)
        self._locks: WeakValueDictionary[RecordId, asyncio.Lock] = WeakValueDictionary()

    async def say(self, text: str, *, voice: str = "") -> bytes:
        """Text to speech; neither the text nor its sound is kept."""
        return await self._speech.speak(text, voice=voice)

    async def file(self, account: AccountId, name: str, *, secret: Mapping[str, str] | None = None) -> bytes:
        """A media file by its name or id. Missing when there is none, Gone when it was erased."""
        stored = await self._find(account, name)
        encryption = str(stored.plain["encryption"])
        if encryption != "none":
            sealed = await self._open(account, stored.record)
            return await asyncio.to_thread(_decoded, sealed, encryption, secret)
        lock = self._locks.setdefault(stored.record, asyncio.Lock())
        async with lock:  # twenty calls that want it at once open it once
            if (pcm := self._held.get(stored.record)) is None:
                pcm = await asyncio.to_thread(decode, await self._open(account, stored.record))
                self._held.hold(stored.record, pcm)
            return pcm

    async def _find(self, account: AccountId, name: str) -> StoredRecord:
        if not name.startswith(f"{MediaId.prefix}_"):
            return await self._names.find(account, name)
        try:
            record = record_of(MediaId.parse(name))
        except Malformed:
            raise MediaMissing from None
        try:
            (stored,) = await self._custody.find(account, [record], category=MEDIA)
        except BaseException:
            self._held.drop(record)
            raise
        return stored

    async def _open(self, account: AccountId, record: RecordId) -> bytes:
        _, pieces = await self._custody.open_media(service_principal(account), record, purpose=_FOR_CALLS)
        return await whole(pieces)


def _decoded(sealed: bytes, encryption: str, secret: Mapping[str, str] | None) -> bytes:
    return decode(open_uploaded(sealed, encryption=encryption, secret=secret))
