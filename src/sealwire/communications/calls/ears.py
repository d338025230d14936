"""Who listens to a leg: no, one or several recordings. The engine hands audio over only while somebody does."""

from __future__ import annotations

import time

from sealwire.communications.calls.ports import Recorder
from sealwire.communications.switches.port import Leg, LegGone
from sealwire.ground import diagnostics


class Ears:
    """The recorders of one leg. `hear` is on the path of every audio tick and does nothing but pass on."""

    def __init__(self) -> None:
        self._recorders: tuple[Recorder, ...] = ()
        self._leg: Leg | None = None
        self._with_played = False

    def hear(self, spoken: bytes, read_at_s: float, played: bytes) -> None:
        """What the far end said, and was given to hear, up to this moment."""
        for recorder in self._recorders:
            recorder.take(spoken, read_at_s, played=played)

    def digit(self, held_ms: int) -> None:
        """An RFC 4733 event came; recorders leave out what may have leaked into the sound around it."""
        for recorder in self._recorders:
            recorder.digit(held_ms)

    async def add(self, recorder: Recorder, leg: Leg) -> None:
        """From now on this one listens too; LegGone when there is nothing to hear any more."""
        self._leg = leg
        needs_played = recorder.needs_played or any(each.needs_played for each in self._recorders)
        if not self._recorders or needs_played != self._with_played:
            started_s = await leg.listen(played=needs_played)
            self._with_played = needs_played
        else:
            started_s = time.monotonic()
        recorder.start(started_s)
        self._recorders = (*self._recorders, recorder)

    async def remove(self, recorder: Recorder) -> float:
        """This one has heard enough; the last one takes what the engine still holds. The moment it ended at."""
        ended_s = time.monotonic()
        if recorder in self._recorders and len(self._recorders) == 1 and self._leg is not None:
            try:
                ended_s = await self._leg.stop_listening()
            except LegGone:
                pass
            except Exception as error:  # what was heard until now is kept all the same
                diagnostics.failure("recording.end-not-heard", error)
        self._recorders = tuple(each for each in self._recorders if each is not recorder)
        return ended_s
