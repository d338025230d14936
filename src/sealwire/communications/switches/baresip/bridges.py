"""Pairs of lines that hear each other: 20 ms frames, only while there is a pair."""

from __future__ import annotations

import asyncio
import time

from sealwire.communications.switches.baresip.line import Line
from sealwire.ground import diagnostics

FRAME_SECONDS = 0.02


class Bridges:
    """Relays between lines of this process. A line is in one pair at most."""

    def __init__(self) -> None:
        self._paired: set[Line] = set()
        self._relaying: asyncio.Task[None] | None = None

    def join(self, one: Line, other: Line) -> None:
        """Let them hear each other; what is played on both ends, and so do the pairs they were in."""
        for line in (one, other):
            self.part(line)
            line.mouth.stop()
            line.receive()  # said before they met
        one.other, other.other = other, one
        self._paired |= {one, other}
        if self._relaying is None or self._relaying.done():
            self._relaying = asyncio.ensure_future(self._relay())

    def part(self, line: Line) -> None:
        """End the pair this line is in, if any."""
        other, line.other = line.other, None
        if other is None:
            return
        other.other = None
        self._paired -= {line, other}
        for one in (line, other):
            if not one.mouth.is_playing:
                one.mouth.hush()

    async def _relay(self) -> None:
        due = time.monotonic()
        while self._paired:
            due = max(due + FRAME_SECONDS, time.monotonic() - FRAME_SECONDS)
            await asyncio.sleep(due - time.monotonic())
            for line in list(self._paired):
                try:
                    if line.answered:
                        line.receive()
                except Exception as error:
                    diagnostics.failure("engine.relay-failed", error, leg=line.leg)
                    self.part(line)
