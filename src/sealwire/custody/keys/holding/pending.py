"""Erasures of which the keys are destroyed here and not yet at every holder: no certificate before all have signed.

Kept in memory only: after a restart of the keeper the same request runs once more, which destroys nothing new and
asks everybody to sign again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from sealwire.custody.keys.holding.refusals import HoldersPending
from sealwire.custody.keys.receipts import EraseReceipt

PENDING_MAX = 10_000


@dataclass(slots=True)
class _Pending:
    receipts: list[EraseReceipt]
    missing: set[str]

    def text(self) -> str:
        signed = len(self.receipts)
        return f"pending ({signed}/{signed + len(self.missing)} holders)"


class PendingErasures:
    """By erasure and root over its paths."""

    def __init__(self) -> None:
        self._pending: OrderedDict[tuple[str, str], _Pending] = OrderedDict()

    def __len__(self) -> int:
        return sum(bool(one.missing) for one in self._pending.values())

    def settled(self, receipts: Sequence[EraseReceipt], holders: Sequence[str]) -> list[EraseReceipt]:
        """The receipts, when each of these holders has signed; HoldersPending, and remembered, when not."""
        missing = set(holders) - {receipt.holder for receipt in receipts}
        if not missing:
            return list(receipts)
        first = receipts[0]
        self._pending[first.erasure, first.paths_root] = pending = _Pending(list(receipts), missing)
        while len(self._pending) > PENDING_MAX:
            self._pending.popitem(last=False)
        raise _told(pending)

    def known(self, erasure: str, paths_root: str) -> list[EraseReceipt] | None:
        """The receipts of an erasure asked for again, once all have signed; None when it is not known."""
        pending = self._pending.get((erasure, paths_root))
        if pending is None:
            return None
        if pending.missing:
            raise _told(pending)
        del self._pending[erasure, paths_root]
        return pending.receipts

    def told_of(self, erasure: str) -> str | None:
        """`pending (2/3 holders)`; None when nobody is waited for."""
        of_it = (pending for (name, _), pending in self._pending.items() if name == erasure and pending.missing)
        return next((pending.text() for pending in of_it), None)

    def add(self, holder: str, receipt: EraseReceipt) -> None:
        """A holder that came back has signed."""
        pending = self._pending.get((receipt.erasure, receipt.paths_root))
        if pending is not None and holder in pending.missing:
            pending.missing.discard(holder)
            pending.receipts.append(receipt)

    def forget_holder(self, holder: str) -> None:
        """A holder was removed: nobody waits for it any more."""
        for pending in self._pending.values():
            pending.missing.discard(holder)


def _told(pending: _Pending) -> HoldersPending:
    return HoldersPending(
        f"{pending.text()}: the keys are destroyed here and not yet at every holder, so nothing is certified"
    )
