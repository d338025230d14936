"""A program: its applications, and how it stays connected until it is told to stop."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import random
import re
import signal
import ssl
import traceback
from collections.abc import Callable
from pathlib import Path

from sealwire_sdk.errors import CallOver, ChannelEnded, ProgramRefused, ServerNotTrusted, SettingsMissing
from sealwire_sdk.uas import frames
from sealwire_sdk.uas.call import Call
from sealwire_sdk.uas.connection import Connection, Handler
from sealwire_sdk.uas.renewal import RENEWAL_DAYS, new_request, time_left, write_certificate

PATIENCE_S_MIN, PATIENCE_S_MAX = 0.2, 30.0
CONNECT_S_MAX = 10.0
RENEWAL_CHECK_S = 3600.0
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger("sealwire_sdk.uas")


class Program:
    """Your program. Settings not given are read from the environment.

    | Parameter | Variable | Meaning |
    |---|---|---|
    | server | SEALWIRE_UAS | host:port where the service takes programs |
    | certificate, key | SEALWIRE_UAS_CERTIFICATE, SEALWIRE_UAS_KEY | PEM files; read anew at each connection |
    | authority | SEALWIRE_UAS_AUTHORITY | PEM file of the authority that signed the server's certificate |

    With `debug`, an application that fails has its whole traceback logged, which may quote what callers typed.
    """

    def __init__(
        self,
        *,
        server: str | None = None,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
        authority: str | Path | None = None,
        calls_max: int = 400,
        debug: bool = False,
    ) -> None:
        self.server = _setting("server", server, "SEALWIRE_UAS")
        self._certificate = Path(_setting("certificate", certificate, "SEALWIRE_UAS_CERTIFICATE"))
        self._key = Path(_setting("key", key, "SEALWIRE_UAS_KEY"))
        self._authority = Path(_setting("authority", authority, "SEALWIRE_UAS_AUTHORITY"))
        self._calls_max, self._debug = calls_max, debug
        self._applications: dict[str, Handler] = {}
        self._connection: Connection | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._patience_s = PATIENCE_S_MIN

    def application(self, name: str) -> Callable[[Handler], Handler]:
        """Register a coroutine as the application of this name: `@program.application("menu")`."""
        if not _NAME.fullmatch(name):
            raise ValueError("an application's name has 1 to 64 letters, digits, dots, dashes and underscores")
        if name in self._applications:
            raise ValueError(f"two applications are named {name}")

        def register(handler: Handler) -> Handler:
            self._applications[name] = handler
            return handler

        return register

    def run(self) -> None:
        """Serve until SIGTERM or Ctrl-C: then no new calls, and the end with the last one. A second signal cuts."""
        asyncio.run(self._run())

    async def serve(self) -> None:
        """As `run`, inside a loop of yours; end it with `stop`."""
        if not self._applications:
            raise SettingsMissing("no application is registered: use @program.application(NAME) before run()")
        while not self._stopping.is_set():
            try:
                await self._connect_and_serve()
            except OSError as error:  # TimeoutError and SSLError are among them
                if isinstance(error, ssl.SSLError) and (refusal := _refusal_of(error)) is not None:
                    raise refusal from error
                if self._stopping.is_set():
                    return
                _log.warning("not connected (%s), trying again", type(error).__name__)
                await self._wait()

    def stop(self) -> None:
        """No new calls; `serve` returns when the last one has ended."""
        self._stopping.set()
        if self._connection is not None:
            self._connection.drain()

    async def _run(self) -> None:
        serving = asyncio.ensure_future(self.serve())

        def stop() -> None:
            if self._stopping.is_set():
                serving.cancel()
            self.stop()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        try:
            await serving
        except asyncio.CancelledError:
            _log.warning("cut off with calls up")

    async def _connect_and_serve(self) -> None:
        host, _, port = self.server.rpartition(":")
        async with asyncio.timeout(CONNECT_S_MAX):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=self._context())
        self._connection = Connection(
            reader, writer, applications=self._applications, calls_max=self._calls_max, finish=self._finish,
            renewed=self._renewed,
        )  # fmt: skip
        try:
            if self._stopping.is_set():
                writer.close()
                return
            await self._connection.run(welcomed=self._welcomed)
        finally:
            self._connection = None
            if self._renewing is not None:
                self._renewing.cancel()

    def _welcomed(self) -> None:
        self._patience_s = PATIENCE_S_MIN
        if self._connection is not None:
            self._renewing = asyncio.ensure_future(self._keep_renewed(self._connection))

    async def _wait(self) -> None:
        """Longer each time, and not all programs at once."""
        try:
            async with asyncio.timeout(self._patience_s * random.uniform(0.5, 1.5)):  # noqa: S311 - spreads load only
                await self._stopping.wait()
        except TimeoutError:
            self._patience_s = min(self._patience_s * 2, PATIENCE_S_MAX)

    def _context(self) -> ssl.SSLContext:
        for name, file in (("certificate", self._certificate), ("key", self._key), ("authority", self._authority)):
            if not file.is_file():
                raise SettingsMissing(f"the program's {name} is not at {file}")
        self._look_at_certificate()
        try:
            context = ssl.create_default_context(cafile=str(self._authority))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(self._certificate, self._key)
        except ssl.SSLError as error:
            raise ProgramRefused(f"certificate, key and authority do not fit together ({error.reason})") from error
        return context

    def _look_at_certificate(self) -> None:
        """Say clearly what TLS would say in a word."""
        if time_left(self._certificate) < dt.timedelta(0):
            raise ProgramRefused("the program's certificate has ended; renew it over the API")

    async def _keep_renewed(self, connection: Connection) -> None:
        """While connected: in the certificate's last 30 days ask for the next one."""
        while True:
            if time_left(self._certificate) < dt.timedelta(days=RENEWAL_DAYS):
                connection.renew(new_request(self._key))
            await asyncio.sleep(RENEWAL_CHECK_S)

    def _renewed(self, certificate: str) -> None:
        try:
            write_certificate(self._certificate, certificate)
            _log.info("the certificate was renewed")
        except OSError as error:
            _log.error("the certificate was renewed and cannot be written (%s)", type(error).__name__)

    async def _finish(self, call: Call, handler: Handler) -> frames.Done:
        """Run an application to its end and say with which code."""
        _log.info("call %s: %s begins", call.id, call.application)
        failed, code = False, None
        try:
            code = _integer(await handler(call))
            if code is None:
                _log.error("call %s: %s returned no integer of 32 bits", call.id, call.application)
        except ChannelEnded:
            code = 0
        except CallOver:
            failed = True
        except Exception as error:
            failed = True
            _log.error("call %s: %s failed: %s", call.id, call.application, _place(error), exc_info=self._debug)
        _log.info("call %s: %s ends with %s", call.id, call.application, "a failure" if failed else code)
        return frames.Done(call=call.id, code=code, failed=failed)


def _integer(returned: object) -> int | None:
    """Returning nothing is as good as 0; what cannot be a return code is None."""
    if returned is None:
        return 0
    is_one = isinstance(returned, int) and not isinstance(returned, bool) and -(1 << 31) <= returned < 1 << 31
    return int(returned) if is_one else None  # type: ignore[call-overload]


def _setting(name: str, value: str | Path | None, variable: str) -> str:
    found = str(value) if value is not None else os.environ.get(variable)
    if not found:
        raise SettingsMissing(f"{name} is missing: give it to Program({name}=...) or set {variable}")
    return found


def _refusal_of(error: ssl.SSLError) -> ProgramRefused | ServerNotTrusted | None:
    """What will not get better by trying again; None for a connection that was only cut."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ServerNotTrusted(f"the server is not trusted: {error.verify_message}")
    reason = error.reason or ""
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return ProgramRefused(f"the service does not accept the program's certificate ({reason})")
    return None


def _place(error: BaseException) -> str:
    """Type and place, never the message: it may quote what a caller typed or said."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
