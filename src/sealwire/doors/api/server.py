"""The HTTPS server around the application: TLS 1.2 or later, quiet, and patient only for so long."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h11
import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from sealwire.config import Settings
from sealwire.doors.api.edge import SECURITY_HEADERS
from sealwire.doors.api.problems import MEDIA_TYPE, HttpMalformed, document
from sealwire.doors.api.transport import TransportSeen
from sealwire.errors import Malformed, Unavailable
from sealwire.ground import diagnostics

HEADERS_S_MAX = 15.0
KEEP_ALIVE_S = 30
STOP_S_MAX = 8


class AddressTaken(Unavailable):
    """The address of the API is in use; stop what listens there, or set api_listen."""


class AddressWrong(Malformed):
    """The setting api_listen is not an address to listen on; write host:port, as 127.0.0.1:8443."""


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with a limit on how long request headers may take and problems for what is not HTTP."""

    _headers_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": TransportSeen.of(transport)}
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete and self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._headers_timer is not None:
            self._headers_timer.cancel()

    def send_400_response(self, msg: str) -> None:
        del msg
        status, headers, body = document(HttpMalformed(), "req_none")
        listed = [(name.encode(), value.encode()) for name, value in headers.items()] + [*SECURITY_HEADERS.items()]
        listed += [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        event: Any
        for event in (
            h11.Response(status_code=status, headers=[*listed, (b"connection", b"close")], reason=b"Malformed"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _await_headers(self) -> None:
        if self._headers_timer is not None:
            self._headers_timer.cancel()
        self._headers_timer = self.loop.call_later(max(HEADERS_S_MAX, KEEP_ALIVE_S), self._headers_late)

    def _headers_late(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the process decides when it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Quiet(logging.Handler):
    """Libraries log text that may quote data: what is passed on is who spoke and how gravely."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            diagnostics.failure("library.failed", record.exc_info[1], logger=record.name)
        else:
            diagnostics.event("library.warned", logger=record.name, level=record.levelname)


def quieten_libraries() -> None:
    """Have what libraries log told by name only; once for the whole process."""
    logging.basicConfig(handlers=[_Quiet()], level=logging.WARNING, force=True)


def listen(settings: Settings) -> socket.socket:
    """The listening socket; AddressTaken or AddressWrong with a sentence."""
    host, _, port = settings.api_listen.rpartition(":")
    if not port.isdigit() or not host:
        raise AddressWrong
    host = host.strip("[]")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, int(port)), family=family, backlog=512)
    except OverflowError:
        raise AddressWrong from None
    except OSError as error:
        raise AddressTaken(
            f"the API cannot listen on {settings.api_listen}: {error.strerror}; stop what is there, or set api_listen"
        ) from None


def server_for(application: ASGIApp, *, certificate: Path, key: Path) -> Server:
    """A server that is ready to `serve`."""
    configuration = uvicorn.Config(
        application,
        http=PatientProtocol, ws="none", lifespan="off", interface="asgi3", log_config=None, access_log=False,
        server_header=False, date_header=True, proxy_headers=False, timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S_MAX, ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip
    configuration.load()
    assert configuration.ssl is not None
    configuration.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return Server(configuration)


async def serve_until_cancelled(server: Server, listening: socket.socket) -> None:
    """Serve; when cancelled, answer what is being answered and stop."""
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise
