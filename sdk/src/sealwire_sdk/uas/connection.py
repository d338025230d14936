"""One connection to the service: offers come in, commands go out, and both ends know when the other has gone."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import msgspec

from sealwire_sdk import __version__
from sealwire_sdk.errors import CallOver, ChannelEnded, CommandFailed, NotReached, ProgramRefused
from sealwire_sdk.uas import frames
from sealwire_sdk.uas.call import Call, Interruption

WELCOME_S_MAX = 15.0
PINGS_MISSED_MAX = 4
_log = logging.getLogger("sealwire_sdk.uas")

Handler = Callable[[Call], Coroutine[Any, Any, Any]]


class Dismissed(ConnectionError):
    """The service ended the connection and said why; connecting again may help."""


class Connection:
    """Frames in, frames out. `run` returns when the last call of a draining program has ended, or raises."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        applications: dict[str, Handler],
        calls_max: int,
        finish: Callable[[Call, Handler], Coroutine[Any, Any, frames.Done]],
        renewed: Callable[[str], None],
    ) -> None:
        self._reader, self._writer = reader, writer
        self._applications, self._calls_max, self._finish = applications, calls_max, finish
        self._renewed = renewed
        self._calls: dict[str, Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[tuple[str, int], asyncio.Future[dict[str, Any]]] = {}
        self._ids = itertools.count(1)
        self._silence_s = WELCOME_S_MAX
        self._is_draining = self._is_closed = False

    async def run(self, *, welcomed: Callable[[], None]) -> None:
        """Serve until the connection ends."""
        try:
            self._send(
                frames.Hello(
                    version=frames.VERSION, applications=list(self._applications), calls_max=self._calls_max,
                    sdk=f"sealwire-sdk/{__version__}",
                )
            )  # fmt: skip
            while not (self._is_draining and not self._calls):
                async with asyncio.timeout(self._silence_s):
                    frame = await frames.read_frame(self._reader)
                if isinstance(frame, frames.Welcome):
                    self._silence_s = frame.ping_s * PINGS_MISSED_MAX
                    _log.info("connected as %s", frame.program)
                    welcomed()
                self._take(frame)
            with suppress(OSError):
                await self._writer.drain()
        except asyncio.IncompleteReadError:
            if not self._is_draining or self._calls:
                raise ConnectionError("the service closed the connection") from None
        except TimeoutError:
            raise ConnectionError("the service is silent") from None
        finally:
            self._close()

    def drain(self) -> None:
        """No new calls; `run` ends with the last one."""
        if not self._is_draining:
            self._is_draining = True
            self._send(frames.Draining())
            _log.info("draining, %d calls", len(self._calls))
            self._leave_when_empty()

    def renew(self, request: str) -> None:
        """Ask for the next certificate."""
        self._send(frames.Renew(request=request))

    async def command(self, call: str, channel: int, action: dict[str, Any]) -> dict[str, Any]:
        """Have one verb carried out; raises what the service says against it, or CallOver."""
        if self._is_closed or call not in self._calls:
            raise CallOver
        number = next(self._ids)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[call, number] = future
        try:
            self._send(frames.Command(call=call, id=number, channel=channel, action=action))
            return await future
        except ChannelEnded as error:
            error.channel = channel
            raise
        finally:
            self._waiting.pop((call, number), None)

    def _take(self, frame: frames.ToProgram) -> None:
        match frame:
            case frames.Ping():
                self._send(frames.Pong())
            case frames.Offer():
                self._offered(frame)
            case frames.Result():
                self._settle(frame.call, frame.id, frame.result)
            case frames.Failure():
                self._settle(frame.call, frame.id, _error_of(frame))
            case frames.Event():
                self._happened(frame)
            case frames.Renewed():
                self._renewed_or_not(frame)
            case frames.Withdrawn():
                self._over(frame.call)
            case frames.Goodbye():
                raise ProgramRefused(f"{frame.code}: {frame.detail}") if frame.final else Dismissed(frame.code)

    def _renewed_or_not(self, frame: frames.Renewed) -> None:
        if frame.certificate is not None:
            self._renewed(frame.certificate)
        else:
            _log.warning("the certificate was not renewed: %s", frame.code)

    def _offered(self, offer: frames.Offer) -> None:
        handler = self._applications.get(offer.application)
        if handler is None or self._is_draining or len(self._calls) >= self._calls_max:
            self._send(frames.Decline(call=offer.call))
            return
        self._calls[offer.call] = call = Call(self, **msgspec.structs.asdict(offer))
        self._send(frames.Accept(call=offer.call))
        task = asyncio.ensure_future(self._run_application(call, handler))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_application(self, call: Call, handler: Handler) -> None:
        done = await self._finish(call, handler)
        if call.id in self._calls:
            self._send(done)
        self._over(call.id)

    def _happened(self, event: frames.Event) -> None:
        call = self._calls.get(event.call)
        if call is None:
            return
        if event.event == "ended":
            call.note_ended(event.channel, event.cause or "normal")
        elif event.event == "interruption":
            call.note_interruption(Interruption(event.kind or "", event.body or {}))

    def _settle(self, call: str, number: int, outcome: dict[str, Any] | CommandFailed) -> None:
        future = self._waiting.get((call, number))
        if future is None or future.done():
            return
        if isinstance(outcome, CommandFailed):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def _over(self, call: str) -> None:
        ended = self._calls.pop(call, None)
        if ended is not None:
            ended.note_interruption(None)
        for (owner, _), future in list(self._waiting.items()):
            if owner == call and not future.done():
                future.set_exception(CallOver())
        self._leave_when_empty()

    def _leave_when_empty(self) -> None:
        """Ends the read that `run` is waiting in."""
        if self._is_draining and not self._calls and not self._is_closed:
            with suppress(OSError, RuntimeError):
                self._writer.close()
            self._reader.feed_eof()

    def _send(self, frame: frames.FromProgram) -> None:
        if not self._is_closed:
            self._writer.write(frames.encode(frame))

    def _close(self) -> None:
        self._is_closed = True
        for call in list(self._calls):
            self._over(call)
        with suppress(OSError, RuntimeError):
            self._writer.close()


def _error_of(failure: frames.Failure) -> CommandFailed:
    match failure.code:
        case "channel-ended":
            return ChannelEnded(failure.code, failure.detail, cause=failure.cause or "normal")
        case "not-reached":
            return NotReached(failure.code, failure.detail, cause=failure.cause or "no-answer")
    return CommandFailed(failure.code, failure.detail)
