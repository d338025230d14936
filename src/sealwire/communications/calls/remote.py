"""What other processes ask of the switchboard over its socket, and the client they ask with.

Ids and configuration travel as text; numbers and arguments travel inside this machine only and are never logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from sealwire.communications.calls.channel import LiveChannel
from sealwire.communications.calls.live import LiveCall
from sealwire.communications.calls.switchboard import Switchboard
from sealwire.communications.control.actions import Action
from sealwire.communications.control.perform import MessageSender, perform
from sealwire.communications.control.port import ChannelEnded, Sounds
from sealwire.communications.control.programs.verbs import ChannelMissing
from sealwire.errors import Malformed
from sealwire.ground.clock import rfc3339
from sealwire.ground.wire import Handler, Peer, PeerLost, connect
from sealwire.vocabulary import AccountId, CallId, CredentialId, HangupCause, Party, ServiceId

ACT_SECONDS_MAX = 4 * 3600.0
INTERRUPTIONS = ("redirect", "action")


class ActionMalformed(Malformed):
    """This is no action: look at its fields in the reference of actions."""


class InterruptionUnknown(Malformed):
    """A running application can be interrupted by a redirect or an action, and by nothing else."""


class SwitchboardHandlers:
    """The verbs of switchboard.sock. Every id is looked up within the account that is named with it."""

    def __init__(self, switchboard: Switchboard, *, sounds: Sounds, messages: MessageSender | None) -> None:
        self._switchboard = switchboard
        self._sounds = sounds
        self._messages = messages

    def handlers(self) -> dict[str, Handler]:
        """For ground.wire.serve."""
        return {
            "start_call": self._start_call,
            "cancel_call": self._cancel_call,
            "call_status": self._call_status,
            "act": self._act,
            "interrupt": self._interrupt,
            "live_calls": self._live_calls,
        }

    async def _start_call(self, _: Peer, body: dict[str, Any]) -> dict[str, object]:
        call = await self._switchboard.start_call(
            AccountId.parse(body["account"]),
            ServiceId.parse(body["service"]),
            Party(body["to"]),
            caller=Party(body["caller"]) if body["caller"] is not None else None,
            arguments=body["arguments"],
            credential=CredentialId.parse(body["credential"]) if body["credential"] is not None else None,
        )
        return {"call": str(call.first.call_id), "application": str(call.application_id)}

    async def _cancel_call(self, _: Peer, body: dict[str, Any]) -> None:
        first = self._call(body).first
        up = first.line.answered_at is not None
        await first.hang_up(HangupCause.NORMAL if up else HangupCause.CANCELLED)

    async def _call_status(self, _: Peer, body: dict[str, Any]) -> dict[str, object]:
        return status_of(self._call(body))

    async def _live_calls(self, _: Peer, body: dict[str, Any]) -> list[dict[str, object]]:
        return [status_of(call) for call in self._switchboard.calls_of(AccountId.parse(body["account"]))]

    async def _act(self, _: Peer, body: dict[str, Any]) -> dict[str, object]:
        """Stop what is under way on the channel, do this, then let the application go on."""
        call = self._call(body)
        channel = call.channels.get(body["channel"])
        if not isinstance(channel, LiveChannel):
            raise ChannelMissing
        try:
            action = msgspec.convert(body["action"], Action)
        except msgspec.ValidationError as error:
            raise ActionMalformed(f"this is no action: {error}") from None
        if channel.line.ended.is_set():
            raise ChannelEnded(cause=channel.cause or HangupCause.NORMAL)
        with channel.turns.from_outside():
            if channel.turns.taken:
                await channel.stop()
            return await perform(call, channel, action, sounds=self._sounds, messages=self._messages)

    async def _interrupt(self, _: Peer, body: dict[str, Any]) -> None:
        if body["kind"] not in INTERRUPTIONS:
            raise InterruptionUnknown
        self._call(body).interrupt(body["kind"], body["body"])

    def _call(self, body: dict[str, Any]) -> LiveCall:
        return self._switchboard.call(AccountId.parse(body["account"]), CallId.parse(body["call"]))


def status_of(call: LiveCall) -> dict[str, object]:
    """A live call without the numbers of anybody."""
    return {
        "call": str(call.first.call_id),
        "application": str(call.application_id),
        "service": str(call.service),
        "direction": call.about.direction,
        "started_at": rfc3339(call.about.started_at),
        "recording": call.whole_call.state.value,
        "channels": [_channel(each) for each in call.channels.values() if isinstance(each, LiveChannel)],
    }


def _channel(channel: LiveChannel) -> dict[str, object]:
    line = channel.line
    return {
        "channel": channel.number,
        "call": str(channel.call_id),
        "direction": channel.direction,
        "state": channel.state.value,
        "doing": line.call.state.value,
        "held": line.held,
        "answered_at": rfc3339(line.answered_at) if line.answered_at is not None else None,
        "cause": int(channel.cause) if channel.cause is not None else None,
    }


class SwitchboardClient:
    """The switchboard, asked from another process. Connects when first used and again after a loss."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._peer: Peer | None = None
        self._connecting = asyncio.Lock()

    async def start_call(
        self,
        account: AccountId,
        service: ServiceId,
        to: Party,
        *,
        caller: Party | None = None,
        arguments: str = "",
        credential: CredentialId | None = None,
    ) -> dict[str, str]:
        """`call` and `application` of a call that is on its way; Refused, Missing or Unavailable when it is not."""
        answer = await self._ask(
            "start_call",
            account=str(account),
            service=str(service),
            to=to.text,
            caller=caller.text if caller is not None else None,
            arguments=arguments,
            credential=str(credential) if credential is not None else None,
        )
        return dict(answer)

    async def cancel_call(self, account: AccountId, call: CallId) -> None:
        """Take it back while it is not answered; hang up when it is. CallMissing."""
        await self._ask("cancel_call", account=str(account), call=str(call))

    async def call_status(self, account: AccountId, call: CallId) -> dict[str, Any]:
        """The state of every channel. CallMissing."""
        return dict(await self._ask("call_status", account=str(account), call=str(call)))

    async def live_calls(self, account: AccountId) -> list[dict[str, Any]]:
        """The state of every call of this account that is up."""
        return list(await self._ask("live_calls", account=str(account)))

    async def act(
        self, account: AccountId, call: CallId, channel: int, action: Mapping[str, object]
    ) -> dict[str, object]:
        """Do one action on one channel now, and wait for what comes of it."""
        answer = await self._ask(
            "act", account=str(account), call=str(call), channel=channel, action=dict(action), wait_s=ACT_SECONDS_MAX
        )
        return dict(answer)

    async def interrupt(self, account: AccountId, call: CallId, kind: str, body: Mapping[str, object]) -> None:
        """Tell the running application to do something else."""
        await self._ask("interrupt", account=str(account), call=str(call), kind=kind, body=dict(body))

    async def close(self) -> None:
        if self._peer is not None:
            self._peer.close()

    async def _ask(self, verb: str, *, wait_s: float = 60.0, **body: object) -> Any:
        peer = await self._connected()
        return await peer.call(verb, wait_s=wait_s, **body)

    async def _connected(self) -> Peer:
        async with self._connecting:
            if self._peer is None or self._peer.closed.is_set():
                self._peer = await connect(self._socket)
            return self._peer


__all__ = ["PeerLost", "SwitchboardClient", "SwitchboardHandlers", "status_of"]
