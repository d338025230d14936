"""A connected process as a holder of leases: asked to drop, and if it does not answer, cut off and watched.

A process drops all keys when its connection ends, before it closes its own end (`KeeperClient`); and its end is closed
when it is gone. So the keeper shuts the line, keeps a handle on it, and waits for the end of file. A process that does
neither, because it is stopped or hangs, still has keys in its memory: what it holds stays in the book, and nothing of
that is certified as destroyed.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

from sealwire.custody.keys.leases import LeaseId
from sealwire.custody.keys.refusals import HolderDoesNotLetGo
from sealwire.ground import diagnostics
from sealwire.ground.wire import Peer

LET_GO_SECONDS_MAX = 5.0
_READ_BYTES = 1 << 16
_CREDENTIALS = struct.Struct("3i")


class PeerHolder:
    """One connection; its process counts as a holder until it has let go."""

    def __init__(self, peer: Peer, *, on_let_go: Callable[[PeerHolder], None]) -> None:
        self.is_cut_off = False
        self._peer = peer
        self._on_let_go = on_let_go
        self._line: socket.socket | None = None
        self._has_let_go = asyncio.Event()
        self._until_s = 0.0

    async def recall(self, lease: LeaseId, *, is_whole: bool, slots: Sequence[int]) -> bool:
        """Ask the process to drop a block; its answer says that it did, and whether slots of it stay in use."""
        return bool(await self._peer.call("recall", **lease_body(lease), is_whole=is_whole, slots=list(slots)))

    async def cut_off(self) -> None:
        """End the connection and wait for the process to let go; HolderDoesNotLetGo when it has not in five seconds.

        Asked again later, it answers at once: by then the process has let go or it has not.
        """
        if not self.is_cut_off:
            self._hang_up()
        try:
            async with asyncio.timeout_at(self._until_s):
                await self._has_let_go.wait()
        except TimeoutError:
            diagnostics.event("lease.holder-does-not-let-go", pid=self._pid())
            raise HolderDoesNotLetGo from None

    def _hang_up(self) -> None:
        loop = asyncio.get_running_loop()
        self._until_s = loop.time() + LET_GO_SECONDS_MAX
        self._line = self._peer.abort()
        self.is_cut_off = self._line is not None
        if self._line is None:  # the process closed it, or ended
            self._has_let_go.set()
        else:
            loop.add_reader(self._line.fileno(), self._heard, self._line)

    def _heard(self, line: socket.socket) -> None:
        try:
            if line.recv(_READ_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:  # closed with bytes of ours unread
            pass
        asyncio.get_running_loop().remove_reader(line.fileno())
        line.close()
        self._has_let_go.set()
        self._on_let_go(self)

    def _pid(self) -> int:
        assert self._line is not None
        credentials = self._line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return int(_CREDENTIALS.unpack(credentials)[0])


def lease_body(lease: LeaseId) -> dict[str, Any]:
    """A lease without its keys, as it goes over the wire."""
    return {
        "account": str(lease.account),
        "category": lease.day.category,
        "retention_class": lease.day.retention_class,
        "day": lease.day.day,
        "block": lease.block,
    }
