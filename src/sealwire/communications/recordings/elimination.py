"""Takes DTMF tones out of what is recorded, onset included, by holding sound back until it is known to hold none.

A digit is known 40 ms after it began, and an event only when it has ended, so sound waits before it goes on. What is
taken out becomes silence: something merely quieter could be made loud again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sealwire.communications.recordings.timeline import GAP_SECONDS
from sealwire.communications.recordings.tones import HOP, NONE, WINDOW, keys_held

GUARD = 160
"""Samples around a digit that go with it: a key's click, the rise and the fall of its tone."""
BATCH = 4800
"""How much is looked at together: one matrix product for 600 ms of both parties is what makes this cheap."""
EVENT_SAMPLES, BEFORE_EVENT_SAMPLES = 800, 1600
"""After an RFC 4733 event, and before it, this much is silenced as well: what a gateway leaks as tone at its edges."""
HELD = max(3 * HOP + WINDOW + GUARD, BEFORE_EVENT_SAMPLES)
"""Samples that are held back: two windows up to two hops apart make a digit, and its guard lies before them; and what
an event that comes next would silence."""
UNFILLED_MS = round(GAP_SECONDS * 1000)
"""An event not longer than this leaves no gap that would be filled: the sound before it comes right after."""


class Eliminator:
    """For one recording; arrays have one row for each party. Once it has returned samples, they are settled."""

    def __init__(self, rows: int) -> None:
        self._waiting = np.empty((rows, 0), dtype=np.int16)
        self._quiet = np.empty((rows, 0), dtype=np.bool_)  # which of them will be silenced
        self._looked_at = 0  # where the next window to be measured begins
        self._seen: list[dict[int, int]] = [{} for _ in range(rows)]  # key -> where its latest window begins
        self._hush = [0] * rows  # samples still to come that will be silenced

    def put(self, fresh: NDArray[np.int16]) -> NDArray[np.int16]:
        """Take the next samples of every party; gives those that are settled."""
        self._append(fresh)
        length = self._waiting.shape[1]
        if length < HELD + BATCH:
            return self._waiting[:, :0]
        self._look()
        return self._release((length - HELD) // HOP * HOP)

    def rest(self) -> NDArray[np.int16]:
        """What is left when nothing more comes."""
        length = self._waiting.shape[1]
        self._append(np.zeros((len(self._seen), WINDOW + HOP), dtype=np.int16))
        self._look()
        return self._release(length)

    def event(self, row: int, *, held_ms: int = 0) -> None:
        """This party's RFC 4733 event has ended: whatever its gateway let through as sound around it does not stay.

        What was said until a moment before it does, although it is still held back here.
        """
        samples = BEFORE_EVENT_SAMPLES + (held_ms * 8 if held_ms > UNFILLED_MS else 0)
        self._quiet[row, max(0, self._quiet.shape[1] - samples) :] = True
        self._hush[row] = max(self._hush[row], EVENT_SAMPLES)

    def _append(self, fresh: NDArray[np.int16]) -> None:
        quiet = np.zeros(fresh.shape, dtype=np.bool_)
        for row, left in enumerate(self._hush):
            if left:
                quiet[row, :left] = True
                self._hush[row] = max(0, left - fresh.shape[1])
        self._waiting = np.concatenate([self._waiting, fresh], axis=1)
        self._quiet = np.concatenate([self._quiet, quiet], axis=1)

    def _look(self) -> None:
        start = self._looked_at
        held = keys_held(self._waiting[:, start:].astype(np.float32))
        self._looked_at = start + held.shape[1] * HOP
        for row, at in np.argwhere(held != NONE).tolist():
            self._found(row, int(held[row, at]), start + at * HOP)

    def _found(self, row: int, key: int, at: int) -> None:
        """A window holds a key: with an earlier one close by it is a digit."""
        before = self._seen[row].get(key)
        self._seen[row][key] = at
        if before is None or at - before > 2 * HOP:
            return
        end = at + WINDOW + GUARD
        self._quiet[row, max(0, before - GUARD) : end] = True
        self._hush[row] = max(self._hush[row], end - self._waiting.shape[1])

    def _release(self, samples: int) -> NDArray[np.int16]:
        out = self._waiting[:, :samples]
        quiet, self._quiet = self._quiet[:, :samples], self._quiet[:, samples:]
        self._waiting = self._waiting[:, samples:]
        if quiet.any():
            out = np.where(quiet, np.int16(0), out)
        self._looked_at = max(0, self._looked_at - samples)
        self._seen = [{key: at - samples for key, at in seen.items()} for seen in self._seen]
        return out
