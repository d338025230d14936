"""The restore gate in the order of a start: reconciled before the sequencer runs, told before anything else does."""

from __future__ import annotations

from sealwire.config import Settings
from sealwire.custody.backups.gate import Gate, Pending, Reconciled, pending
from sealwire.custody.lifecycle import keeper_client
from sealwire.evidence.client import SequencerClient
from sealwire.ground.clock import Clock
from sealwire.ground.objects.store import Objects


class RestoreGate:
    """Stands while something that was put back is not reconciled; otherwise it is open and does nothing."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._waiting: tuple[Pending, Reconciled, Gate] | None = None

    async def reconcile(self) -> None:
        """With database and keeper up."""
        if (restored := pending(self._settings)) is None:
            return
        keeper = keeper_client(self._settings)
        gate = Gate(self._settings, keeper=keeper, objects=Objects.of(self._settings), clock=self._clock)
        try:
            self._waiting = restored, await gate.reconcile(restored), gate
        finally:
            await keeper.close()

    async def tell(self) -> None:
        """With the sequencer up too."""
        if self._waiting is None:
            return
        restored, done, gate = self._waiting
        sequencer = SequencerClient(self._settings.sequencer_socket)
        try:
            await gate.tell(restored, done, sequencer)
        finally:
            await sequencer.close()
        self._waiting = None
