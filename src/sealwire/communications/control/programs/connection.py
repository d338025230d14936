"""One connected program: its frames, its pulse, its limits. A program that breaks a rule is cut off, alone.

A program is there for as long as frames come from it. When its connection closes it is lost at once; when nothing
comes for SILENCE_S although it was asked, it is silent: its host is gone, or its event loop is blocked.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from sealwire.communications.control.programs import frames
from sealwire.communications.control.programs.frames import FrameWrong
from sealwire.errors import Malformed, Refused, SealwireError, Unavailable
from sealwire.governance.programs.authority import Identity
from sealwire.ground import diagnostics
from sealwire.vocabulary import ReturnCode

HELLO_S_MAX = 5.0
PING_S = 2.0
SILENCE_S = 7.0
FRAMES_A_SECOND = 1000
FRAMES_AT_ONCE = 2000
UNSENT_BYTES_MAX = 1 << 20


class ProgramRefused(Refused):
    """This certificate was revoked, or its account is closed; register the program anew."""


class VersionUnknown(Malformed):
    """This service speaks version 1 of the program protocol; use an SDK that does."""


class NoHello(Malformed):
    """The first frame is a hello, and comes within 5 seconds."""


class TooManyFrames(Refused):
    """More frames than any number of calls needs (1000 a second); the connection ends here."""


class TooManyPrograms(Refused):
    """The account has as many connected programs as it may have; stop one of them."""


class CloudStopping(Unavailable):
    """The service is being stopped; connect again in a moment."""


_FINAL = (ProgramRefused, VersionUnknown, NoHello, FrameWrong)


class CertificateEnded(Unavailable):
    """The certificate this connection was made with has ended; connect again with the renewed one."""


class RenewalRefused(Refused):
    """Certificates are renewed in their last 30 days, one at a time."""


class ProgramSession(Protocol):
    """What one call of a program must take."""

    def heard(self, frame: frames.FromProgram) -> None:
        """A frame of this call."""

    def lost(self, code: ReturnCode) -> None:
        """The program has gone."""


class ProgramConnection:
    """One connection, from its hello to its end."""

    def __init__(
        self,
        identity: Identity,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        renew: Callable[[str], Awaitable[str]],
    ) -> None:
        self.identity = identity
        self.applications: frozenset[str] = frozenset()
        self.turn = 0
        """When it was last offered a call, so that equals take turns."""
        self.is_doubted = False
        """It did not take the last call it was offered in time, so others are asked first."""
        self.is_draining = False
        self.is_lost = False
        self.sessions: dict[str, ProgramSession] = {}
        self._calls_max = 0
        self._reader, self._writer, self._renew = reader, writer, renew
        self._renewing: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._allowed, self._allowed_at = float(FRAMES_AT_ONCE), self._heard_at

    @property
    def takes_calls(self) -> bool:
        return not self.is_draining and not self.is_lost and len(self.sessions) < self._calls_max

    async def run(self, *, joined: Callable[[], None]) -> None:
        """Serve this program until it goes. `joined` is called when it has said which applications it runs."""
        pulse: asyncio.Task[None] | None = None
        code = ReturnCode.PROGRAM_LOST
        try:
            await self._greet()
            joined()
            self.send(self._welcome())
            pulse = self._loop.create_task(self._pulse())
            while not self.is_lost:
                self._take(await frames.read_frame(self._reader))
        except (asyncio.IncompleteReadError, OSError):
            code = ReturnCode.PROGRAM_SILENT if self._is_silent else ReturnCode.PROGRAM_LOST
        except SealwireError as error:
            self.dismiss(error)
        finally:
            if pulse is not None:
                pulse.cancel()
            self._end(code)

    def send(self, frame: frames.ToProgram) -> None:
        """Write one frame; nothing happens when the program has gone. One that does not read is cut off."""
        if self.is_lost:
            return
        self._writer.write(frames.encode(frame))
        if self._writer.transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            diagnostics.event("program.not-reading", program=self.identity.program)
            self._end(ReturnCode.PROGRAM_LOST)

    def dismiss(self, error: SealwireError) -> None:
        """Say why, and end the connection: its calls end too."""
        diagnostics.event("program.dismissed", program=self.identity.program, error=error.code())
        self.send(frames.Goodbye(code=error.code(), detail=str(error), final=isinstance(error, _FINAL)))
        self._end(ReturnCode.PROGRAM_LOST, politely=True)

    def drain_when_expired(self, at: dt.datetime) -> None:
        """A connection lives longer than its certificate only until its calls have ended."""
        if at >= self.identity.valid_until:
            self.is_draining = True
            if not self.sessions:
                self.dismiss(CertificateEnded())

    async def _greet(self) -> None:
        try:
            async with asyncio.timeout(HELLO_S_MAX):
                hello = await frames.read_frame(self._reader)
        except TimeoutError:
            raise NoHello from None
        if not isinstance(hello, frames.Hello):
            raise NoHello
        if hello.version != frames.VERSION:
            raise VersionUnknown
        self.applications, self._calls_max = frozenset(hello.applications), hello.calls_max

    def _welcome(self) -> frames.Welcome:
        return frames.Welcome(
            version=frames.VERSION, program=str(self.identity.program), ping_s=PING_S,
            valid_until=self.identity.valid_until.isoformat(),
        )  # fmt: skip

    def _take(self, frame: frames.FromProgram) -> None:
        self._heard_at = self._loop.time()
        self._allowed = min(
            FRAMES_AT_ONCE, self._allowed + (self._heard_at - self._allowed_at) * FRAMES_A_SECOND
        )  # fmt: skip
        self._allowed_at = self._heard_at
        if self._allowed < 1:
            raise TooManyFrames
        self._allowed -= 1
        match frame:
            case frames.Pong():
                pass
            case frames.Draining():
                self.is_draining = True
                diagnostics.event("program.draining", program=self.identity.program, calls=len(self.sessions))
            case frames.Renew():
                if self._renewing is None or self._renewing.done():
                    self._renewing = self._loop.create_task(self._renewed(frame.request))
            case frames.Hello():
                raise NoHello("a program says hello once")
            case _:
                session = self.sessions.get(frame.call)
                if session is not None:  # a call that has just ended is not the program's mistake
                    session.heard(frame)

    async def _renewed(self, request: str) -> None:
        try:
            self.send(frames.Renewed(certificate=await self._renew(request)))
        except SealwireError as error:
            self.send(frames.Renewed(certificate=None, code=error.code()))
        except Exception as error:
            diagnostics.failure("program.not-renewed", error, program=self.identity.program)
            self.send(frames.Renewed(certificate=None, code=Unavailable().code()))

    @property
    def _is_silent(self) -> bool:
        return self._loop.time() - self._heard_at > SILENCE_S

    async def _pulse(self) -> None:
        while True:
            await asyncio.sleep(PING_S)
            if self._is_silent:
                diagnostics.event("program.silent", program=self.identity.program, calls=len(self.sessions))
                self._end(ReturnCode.PROGRAM_SILENT)
                return
            self.send(frames.Ping())

    def _end(self, code: ReturnCode, *, politely: bool = False) -> None:
        """Once: the connection is cut and its calls are told. Politely lets the last words out first."""
        if self.is_lost:
            return
        self.is_lost = True
        for session in list(self.sessions.values()):
            session.lost(code)
        self.sessions.clear()
        with suppress(OSError, RuntimeError):
            if politely:
                self._writer.close()
                self._loop.call_later(2.0, self._writer.transport.abort)
            else:
                self._writer.transport.abort()
