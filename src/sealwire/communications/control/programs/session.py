"""One call driven by a program: offered, accepted, then one command after another until it returns.

1. The call is offered to the program with the fewest calls; one that dies, declines or says nothing is passed over.
2. Commands are carried out, on each channel one at a time, channels side by side.
3. What the program returns is the return code. When the program is lost, every channel is hung up.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Coroutine
from contextlib import suppress
from typing import Any, Protocol

from sealwire.communications.control.perform import cause_name
from sealwire.communications.control.port import CallControl, Channel, ChannelEnded, ChannelState, NotReached
from sealwire.communications.control.programs import frames
from sealwire.communications.control.programs.connection import ProgramConnection
from sealwire.communications.control.programs.rules import return_code
from sealwire.communications.control.programs.verbs import AT_ONCE, Desk, carry_out, channel_of, read_action
from sealwire.errors import Refused, SealwireError
from sealwire.ground import diagnostics
from sealwire.vocabulary import AccountId, HangupCause, ReturnCode

ACCEPT_S_MAX = 2.0
WIND_UP_S_MAX = 25.0
"""How long an application may go on after its last channel has ended."""
COMMANDS_MAX = 64
"""Commands of one call that may be under way at once."""


class TooManyCommands(Refused):
    """More commands of this call are under way than a call can need (64); wait for their results."""


class Programs(Protocol):
    """Who gives the next program to ask."""

    def next_for(
        self, account: AccountId, name: str, *, without: Collection[ProgramConnection]
    ) -> ProgramConnection | None: ...


class ProgramApplication:
    """An application that connected programs run."""

    def __init__(self, account: AccountId, name: str, *, directory: Programs, desk: Desk) -> None:
        self._account, self._name = account, name
        self._directory, self._desk = directory, desk

    async def run(self, call: CallControl) -> int:
        """Offer the call until a program takes it, and let that program drive it."""
        tried: list[ProgramConnection] = []
        code = ReturnCode.APPLICATION_MISSING
        while (program := self._directory.next_for(self._account, self._name, without=tried)) is not None:
            tried.append(program)
            session = Session(call, program, desk=self._desk)
            try:
                if await session.offered(self._name):
                    return await session.driven()
            finally:
                await session.close()
            if call.primary.state is ChannelState.ENDED:
                return ReturnCode.ENDED_BEFORE_START
            code = session.why_not
        await _let_go(call, HangupCause.SERVICE_UNAVAILABLE)
        return code


class Session:
    """One call in the hands of one program."""

    def __init__(self, call: CallControl, program: ProgramConnection, *, desk: Desk) -> None:
        self._call, self._program, self._desk = call, program, desk
        self._key = str(call.application_id)
        loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[bool] = loop.create_future()
        self._returned: asyncio.Future[int] = loop.create_future()
        self.why_not = ReturnCode.PROGRAM_SILENT
        """What it means when the program did not take the call."""
        self._is_over = False
        self._commands: set[asyncio.Task[None]] = set()
        self._watches: set[asyncio.Task[None]] = set()
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def offered(self, name: str) -> bool:
        """Whether the program took the call."""
        self._program.sessions[self._key] = self
        primary = self._call.primary
        self._program.send(
            frames.Offer(
                call=self._key, application=name, call_id=str(primary.call_id), direction=str(primary.direction),
                state=str(primary.state), caller=str(primary.caller), callee=str(primary.callee),
                service=str(self._call.service) if self._call.service else None, arguments=self._call.arguments,
            )
        )  # fmt: skip
        ended = asyncio.ensure_future(primary.wait_ended())
        waiting: set[asyncio.Future[Any]] = {self._accepted, ended}
        try:
            await asyncio.wait(waiting, timeout=ACCEPT_S_MAX, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
        self._program.is_doubted = not (self._accepted.done() or ended.done())
        return self._accepted.done() and self._accepted.result()

    async def driven(self) -> int:
        """Let the program drive the call until it returns or is lost; its return code."""
        self._watch(self._watch_channel(self._call.primary))
        self._watch(self._pass_on_interruptions())
        self._watch(self._wind_up())
        code = await self._returned
        if code in (ReturnCode.PROGRAM_LOST, ReturnCode.PROGRAM_SILENT):
            await asyncio.gather(self._stop_commands(), _let_go(self._call, HangupCause.PROGRAM_LOST))
        return code

    async def close(self) -> None:
        """The call is no longer the program's: nothing of it is done any more, and the program is told."""
        self._is_over = True
        if self._program.sessions.pop(self._key, None) is not None:
            self._program.send(frames.Withdrawn(call=self._key))
        await self._stop_commands()

    def heard(self, frame: frames.FromProgram) -> None:
        """A frame of this call."""
        match frame:
            case frames.Accept() | frames.Decline() if not self._accepted.done():
                self.why_not = ReturnCode.APPLICATION_MISSING
                self._accepted.set_result(isinstance(frame, frames.Accept))
            case frames.Command() if self._drives:
                self._start(frame)
            case frames.Done() if self._drives:
                self._returned.set_result(return_code(frame.code, failed=frame.failed))

    def lost(self, code: ReturnCode) -> None:
        """The program has gone: another is asked, or the call ends."""
        if not self._accepted.done():
            self.why_not = code
            self._accepted.set_result(False)
        elif not self._returned.done():
            self._returned.set_result(code)

    @property
    def _drives(self) -> bool:
        return not self._is_over and self._accepted.done() and not self._returned.done()

    def _start(self, command: frames.Command) -> None:
        if len(self._commands) >= COMMANDS_MAX:
            self._fail(command, TooManyCommands())
            return
        task = asyncio.ensure_future(self._carry_out(command))
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)

    async def _carry_out(self, command: frames.Command) -> None:
        try:
            action, channel = read_action(command.action), channel_of(self._call, command.channel)
            if isinstance(action, AT_ONCE):
                result = await carry_out(self._call, channel, action, desk=self._desk)
            else:
                async with self._turns[command.channel]:
                    result = await carry_out(self._call, channel, action, desk=self._desk)
            if (added := result.get("channel")) is not None:
                self._watch(self._watch_channel(channel_of(self._call, added)))
            self._program.send(frames.Result(call=self._key, id=command.id, result=result))
        except SealwireError as error:
            self._fail(command, error)
        except Exception as error:
            diagnostics.failure("program.command-failed", error, application=self._key)
            self._fail(command, SealwireError("this failed inside the service; tell the operator the application id"))

    def _fail(self, command: frames.Command, error: SealwireError) -> None:
        cause = cause_name(error.cause) if isinstance(error, ChannelEnded | NotReached) else None
        self._program.send(
            frames.Failure(call=self._key, id=command.id, code=error.code(), detail=str(error), cause=cause)
        )

    def _watch(self, watching: Coroutine[Any, Any, None]) -> None:
        self._watches.add(asyncio.ensure_future(watching))

    async def _watch_channel(self, channel: Channel) -> None:
        cause = cause_name(await channel.wait_ended())
        self._program.send(frames.Event(call=self._key, event="ended", channel=channel.number, cause=cause))

    async def _pass_on_interruptions(self) -> None:
        while True:
            wanted = await self._call.next_interruption()
            self._program.send(
                frames.Event(call=self._key, event="interruption", kind=wanted.kind, body=dict(wanted.body))
            )

    async def _wind_up(self) -> None:
        """When no channel is left the application may tidy up, but not for ever."""
        while any(channel.state is not ChannelState.ENDED for channel in _channels(self._call)):
            for channel in _channels(self._call):
                await channel.wait_ended()
        await asyncio.sleep(WIND_UP_S_MAX)
        if not self._returned.done():
            self._returned.set_result(ReturnCode.PROGRAM_SILENT)

    async def _stop_commands(self) -> None:
        tasks = [*self._commands, *self._watches]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _channels(call: CallControl) -> list[Channel]:
    return list({channel.number: channel for channel in (call.primary, *call.channels.values())}.values())


async def _let_go(call: CallControl, cause: HangupCause) -> None:
    """End every channel, all at the same time; a call that still rings is turned away."""
    await asyncio.gather(*(_end(channel, cause) for channel in _channels(call)))


async def _end(channel: Channel, cause: HangupCause) -> None:
    with suppress(SealwireError):
        if channel.state is ChannelState.RINGING and channel.direction == "inbound":
            await channel.reject(cause)
        else:
            await channel.hang_up(cause)
