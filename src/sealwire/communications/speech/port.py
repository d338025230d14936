"""The one port to any speech engine."""

from __future__ import annotations

from typing import Protocol


class SpeechEngine(Protocol):
    """Turns text into sound: 8 kHz, mono, signed 16-bit little-endian PCM. The text is not logged or kept."""

    @property
    def name(self) -> str: ...

    async def speak(self, text: str, *, voice: str = "") -> bytes: ...
