"""Asking the sequencer: a leaf with its proof, or nothing happens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealwire.errors import Unavailable
from sealwire.evidence.leaves import LeafClass, encode_payload, new_salt
from sealwire.evidence.sequencer import EvidenceUnavailable
from sealwire.ground import wire
from sealwire.vocabulary import AccountId, RecordId

INCLUDE_S_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Inclusion:
    """A leaf that stands in a signed checkpoint, with everything needed to prove it."""

    payload: bytes
    salt: bytes
    leaf_class: LeafClass
    index: int
    size: int
    path: list[bytes]
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class OpenedLog:
    """An account's log: its origin, and the vkey an auditor pins."""

    origin: str
    vkey: str


class SequencerClient:
    """One connection to the sequencer, made when needed and made again when lost."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._peer: wire.Peer | None = None
        self._connecting = asyncio.Lock()

    async def include(
        self,
        account: AccountId,
        *,
        leaf_class: LeafClass,
        payload: Mapping[str, object],
        mentions: Iterable[RecordId] = (),
    ) -> Inclusion:
        """Write this act into the account's log; EvidenceUnavailable when that cannot be done now."""
        encoded, salt = encode_payload(account, leaf_class, payload), new_salt()
        answer = await self._call(
            "include",
            account=str(account),
            leaf_class=int(leaf_class),
            payload=encoded,
            salt=salt,
            mentions=[str(record) for record in mentions],
        )
        return Inclusion(
            encoded, salt, leaf_class, answer["index"], answer["size"], answer["path"], answer["checkpoint"]
        )

    async def open_log(self, account: AccountId) -> OpenedLog:
        """The account's log; an empty one is made when there is none."""
        answer = await self._call("open_log", account=str(account))
        return OpenedLog(answer["origin"], answer["vkey"])

    async def nudge(self) -> None:
        """Have the outboxes drained now. Nothing is lost when nobody hears it."""
        try:
            (await self._connected()).tell("nudge")
        except Unavailable:
            return

    async def status(self) -> dict[str, Any]:
        """How many logs there are; EvidenceUnavailable when the sequencer is not running."""
        return dict(await self._call("status"))

    async def close(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    async def _call(self, name: str, **body: Any) -> Any:
        try:
            peer = await self._connected()
            return await asyncio.wait_for(peer.call(name, **body), INCLUDE_S_MAX)
        except (wire.PeerLost, TimeoutError) as error:
            raise EvidenceUnavailable from error

    async def _connected(self) -> wire.Peer:
        async with self._connecting:
            if self._peer is None or self._peer.closed.is_set():
                try:
                    self._peer = await wire.connect(self._socket)
                except Unavailable as error:
                    raise EvidenceUnavailable from error
            return self._peer
