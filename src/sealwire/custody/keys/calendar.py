"""Which day it is, as far as the keeper believes it: a clock that jumps stops grants and sweeps, not the other way.

What is past due is destroyed for good, so a clock that is wrong by years must not be believed at a start either. The
folder knows when the keeper last ran: the time of the last tick, and the file `last-seen`, written daily. A clock more
than 31 days ahead of both waits for the operator's word: the file `clock-confirmed`, used up at the next start.
"""

from __future__ import annotations

from pathlib import Path

from sealwire.custody.keys.files import create_durably, sync_folder
from sealwire.custody.keys.refusals import ClockFarAhead, ClockSuspect
from sealwire.ground.clock import Clock
from sealwire.vocabulary import Day

JUMP_SECONDS_MAX = 300.0
BEHIND_SECONDS_MAX = 3600.0
AHEAD_SECONDS_MAX = 31 * 86_400.0
SEEN_EVERY_SECONDS = 86_400.0
LAST_SEEN, CONFIRMED = "last-seen", "clock-confirmed"
_FAR_AHEAD = (
    "the clock is more than 31 days ahead of when the keeper last ran, so it neither grants nor destroys by it. If the"
    f" clock is wrong, set it right and restart the keeper; if it is right, create the file {CONFIRMED} in the keeper"
    " folder and restart the keeper"
)


class Calendar:
    """Compares the wall clock with the monotonic one since the start, and with the last time in the keeper folder."""

    def __init__(self, clock: Clock, *, last_tick_s: float, folder: Path) -> None:
        self._clock = clock
        self._folder = folder
        self._wall_s = clock.now().timestamp()
        self._monotonic_s = clock.monotonic_s()
        self._seen_s = max(last_tick_s, _read_seen(folder))
        if self._wall_s < last_tick_s - BEHIND_SECONDS_MAX:
            raise ClockSuspect("the clock is behind the last entry in the vault; set it right, then start the keeper")
        self._is_far_ahead = self._wall_s > self._seen_s + AHEAD_SECONDS_MAX and not (folder / CONFIRMED).exists()
        if not self._is_far_ahead:
            self.note_seen()
        if (folder / CONFIRMED).exists():
            (folder / CONFIRMED).unlink()
            sync_folder(folder)

    @property
    def trusted(self) -> bool:
        return self._suspicion() is None

    @property
    def reason(self) -> str:
        """Why the clock is not trusted, and what to do; empty when it is."""
        return str(self._suspicion() or "")

    def today(self) -> Day:
        """The UTC day; ClockSuspect after a jump of more than five minutes, or when the clock is too far ahead."""
        if suspicion := self._suspicion():
            raise suspicion
        return Day.of(self._clock.now())

    def seen_s(self) -> float:
        """The latest time that is believed: now, or the last one before the clock became suspect."""
        if self.trusted:
            self._seen_s = max(self._seen_s, self._clock.now().timestamp())
        return self._seen_s

    def note_seen(self) -> None:
        """Write down once a day that the keeper runs, so that an idle one trusts its clock at the next start."""
        if self.trusted and self._clock.now().timestamp() > _read_seen(self._folder) + SEEN_EVERY_SECONDS:
            create_durably(self._folder / LAST_SEEN, b"%d\n" % int(self.seen_s()))

    def _suspicion(self) -> ClockSuspect | None:
        wall_s = self._clock.now().timestamp() - self._wall_s
        if abs(wall_s - (self._clock.monotonic_s() - self._monotonic_s)) > JUMP_SECONDS_MAX:
            return ClockSuspect()
        return ClockFarAhead(_FAR_AHEAD) if self._is_far_ahead else None


def _read_seen(folder: Path) -> float:
    """Seconds since 1970; 0 when there is no such file or it cannot be read, which believes the clock less."""
    try:
        return float(int((folder / LAST_SEEN).read_text()))
    except (OSError, ValueError):
        return 0.0
