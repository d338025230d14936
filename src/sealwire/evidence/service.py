"""What the sequencer's process answers over its socket."""

from __future__ import annotations

from typing import Any

from sealwire.evidence.leaves import SALT_BYTES, LeafClass, PayloadMalformed, read_payload
from sealwire.evidence.sequencer import Sequencer
from sealwire.ground.wire import Handler, Peer
from sealwire.vocabulary import AccountId, RecordId


class Connections:
    """Who is connected, so that a clean stop can say goodbye."""

    def __init__(self) -> None:
        self._peers: set[Peer] = set()

    def remembering(self, calls: dict[str, Handler]) -> dict[str, Handler]:
        """The same calls; whoever uses one is remembered."""

        def remember(handler: Handler) -> Handler:
            async def remembered(peer: Peer, body: dict[str, Any]) -> Any:
                self._peers.add(peer)
                return await handler(peer, body)

            return remembered

        return {name: remember(handler) for name, handler in calls.items()}

    async def forget(self, peer: Peer) -> None:
        self._peers.discard(peer)

    async def close(self) -> None:
        """End every connection and wait until it has ended."""
        for peer in list(self._peers):
            peer.close()
            await peer.closed.wait()


def handlers(sequencer: Sequencer) -> dict[str, Handler]:
    """The calls: include, open_log, nudge, status."""

    async def include(_: Peer, body: dict[str, Any]) -> dict[str, Any]:
        try:
            leaf_class = LeafClass(body["leaf_class"])
            payload, salt = bytes(body["payload"]), bytes(body["salt"])
            named = read_payload(leaf_class, payload).get("records")  # who a leaf names finds it, whatever was asked
            mentions = [RecordId.parse(str(record)) for record in (body["mentions"] if named is None else named)]
        except (KeyError, ValueError, TypeError):
            raise PayloadMalformed from None
        if len(salt) != SALT_BYTES or leaf_class is LeafClass.RECORD_KEPT:
            raise PayloadMalformed
        included = await sequencer.include(
            AccountId.parse(body["account"]), leaf_class=leaf_class, payload=payload, salt=salt, mentions=mentions
        )
        return {
            "index": included.index,
            "size": included.size,
            "path": included.path,
            "checkpoint": included.checkpoint,
        }

    async def open_log(_: Peer, body: dict[str, Any]) -> dict[str, str]:
        origin, vkey = await sequencer.open_log(AccountId.parse(body["account"]))
        return {"origin": origin, "vkey": vkey}

    async def nudge(_: Peer, __: dict[str, Any]) -> None:
        sequencer.nudge()

    async def status(_: Peer, __: dict[str, Any]) -> dict[str, int]:
        return {"logs": sequencer.log_count}

    return {"include": include, "open_log": open_log, "nudge": nudge, "status": status}
