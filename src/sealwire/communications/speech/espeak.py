"""Text to speech by a program of its own: espeak-ng, or any that reads text and writes a wav file.

The text goes in by stdin, never as an argument: arguments can be seen by every user of the machine.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from sealwire.communications.media.decode import decode
from sealwire.communications.media.riff import SoundEmpty
from sealwire.errors import Malformed, Unavailable

TEXT_MAX = 3000
WAV_BYTES_MAX = 40 << 20
"""A quarter of an hour at 22.05 kHz: more than 3000 characters take."""
SECONDS_MAX = 20.0
AT_ONCE_MAX = 4
VOICE = "en-us+f3"
_VOICE = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,16}){0,4}(\+[A-Za-z0-9_-]{1,24})?\Z")


class SpeechEngineMissing(Unavailable):
    """The speech engine is not installed: `apt install espeak-ng`, or name another one with speech_engine."""


class SpeechFailed(Unavailable):
    """The speech engine failed, or took too long; nothing is said. Try again, or look at the operator's settings."""


class VoiceUnknown(Malformed):
    """There is no voice of this name; espeak-ng's look like en-us, de+f3 or fr (see `espeak-ng --voices`)."""


class TextNotSpeakable(Malformed):
    """A text to be spoken has 1 to 3000 characters and is not only signs and spaces."""


class CommandSpeech:
    """Runs a program for each text: the voice is its only argument, text on stdin, a wav file on stdout."""

    def __init__(self, name: str, command: Sequence[str], *, seconds_max: float = SECONDS_MAX) -> None:
        self._name = name
        self._command = tuple(command)
        self._seconds_max = seconds_max
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)

    @property
    def name(self) -> str:
        return self._name

    async def speak(self, text: str, *, voice: str = "") -> bytes:
        """8 kHz mono PCM of a text; what is said is not kept."""
        plain = _plain(text)
        if voice and not _VOICE.match(voice):
            raise VoiceUnknown
        async with self._slots:
            wav = await self._run(self._arguments(await self._checked(voice)), plain.encode())
        try:
            return await asyncio.to_thread(decode, wav)
        except SoundEmpty:
            raise TextNotSpeakable from None
        except Malformed:
            raise SpeechFailed from None

    async def _checked(self, voice: str) -> str:
        return voice

    def _arguments(self, voice: str) -> list[str]:
        return [*self._command, *([voice] if voice else [])]

    async def _run(self, arguments: Sequence[str], given: bytes) -> bytes:
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            )
        except (FileNotFoundError, PermissionError):
            raise SpeechEngineMissing from None
        try:
            async with asyncio.timeout(self._seconds_max):
                return await _talk(process, given)
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            raise SpeechFailed from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


class EspeakSpeech(CommandSpeech):
    """espeak-ng (GPL, a program beside ours). Markup (SSML) is off: a text is read as it is written."""

    def __init__(self, *, voice: str = VOICE, seconds_max: float = SECONDS_MAX) -> None:
        super().__init__("espeak-ng", ("espeak-ng",), seconds_max=seconds_max)
        self._voice = voice
        self._languages: frozenset[str] | None = None

    async def _checked(self, voice: str) -> str:
        """A voice that is installed: espeak-ng takes the default for one it does not know, without a word."""
        if not voice:
            return self._voice
        if self._languages is None:
            listed = (await self._run(["espeak-ng", "--voices"], b"")).decode(errors="replace").splitlines()[1:]
            self._languages = frozenset(line.split()[1] for line in listed if len(line.split()) > 1)
        language, _, variant = voice.partition("+")
        if language not in self._languages or (variant and not await self._has_variant(variant)):
            raise VoiceUnknown
        return voice

    async def _has_variant(self, variant: str) -> bool:
        listed = (await self._run(["espeak-ng", "--voices=variant"], b"")).decode(errors="replace")
        return any(f"!v/{variant}" in line.split() for line in listed.splitlines())

    def _arguments(self, voice: str) -> list[str]:
        return ["espeak-ng", "-b", "1", "-v", voice, "--stdin", "--stdout"]


async def _talk(process: asyncio.subprocess.Process, given: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(given)
    process.stdin.close()
    heard = bytearray()
    while piece := await process.stdout.read(1 << 16):
        heard += piece
        if len(heard) > WAV_BYTES_MAX:
            raise SpeechFailed
    if await process.wait() != 0:
        raise SpeechFailed
    return bytes(heard)


def _plain(text: str) -> str:
    """As it is to be read: espeak-ng takes [[...]] for phonemes, and control characters for nothing good."""
    plain = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text).replace("[[", "[ [")
    if not 0 < len(text) <= TEXT_MAX or not any(sign.isalnum() for sign in plain):
        raise TextNotSpeakable
    return plain
