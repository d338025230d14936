"""The one way out to customers' own servers (pages and webhooks): HTTPS to a checked address, with caps on everything.

(1) The address is read strictly: https, no user name in it, no fragment. (2) Its name is resolved, and what came of
that is judged by `addresses`. (3) The connection goes to the very address that was judged, while TLS checks the
certificate against the name: whoever changes the name's answer in between (DNS rebinding) changes nothing. (4) What
comes back is read up to caps on time and size; a redirect is an answer like any other, and is not followed.

Connections are kept for the next request to the same name and port; they stay at the address that was checked.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import httpcore
import httpx

from sealwire import __version__
from sealwire.communications.addresses import AddressRefused, Reach
from sealwire.config import Settings, SettingsRefused
from sealwire.errors import Malformed, Refused, Unavailable

ADDRESS_CHARACTERS_MAX = 2000
ADDRESSES_TRIED_MAX = 3
CONNECT_S_MAX = 5.0
IDLE_S = 30.0
HEADERS_MAX = 100
RESOLVERS = 128
NAMES_AT_ONCE_MAX = 8
"""Names of one account that are looked up at once: servers of names that never answer hold up nobody else's."""
_PORTS = {"https": 443, "http": 80}
_SENT_ALWAYS = {"User-Agent": f"Sealwire/{__version__}", "Accept-Encoding": "identity"}


class AddressMalformed(Malformed):
    """This is not an address to reach a server at: write https://name/path, without user name and fragment."""


class AddressPlain(Refused):
    """Plain http can be read and changed on its way; write https. The operator may allow http to certain networks."""


class ServerUnreachable(Unavailable):
    """The customer's server could not be reached: unknown name, nobody there, or a certificate that is not its own."""


class ServerTooSlow(Unavailable):
    """The customer's server did not answer in time."""


class ServerAnswerTooLarge(Refused):
    """The customer's server answered with more than is read."""


class ServerAnswerBroken(Refused):
    """What the customer's server answered is not HTTP/1.1 without content coding, or it ended half way."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a customer's server answered. Its body does not show itself in a repr."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Egress:
    """Connections to customers' servers. One per process."""

    def __init__(self, reach: Reach, *, trusted: Path | None = None) -> None:
        self._reach = reach
        self._resolvers = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolve")
        self._pools = {
            "https": self._pool(_PinnedBackend(reach, self._resolvers, is_plain=False), _tls(trusted)),
            "http": self._pool(_PinnedBackend(reach, self._resolvers, is_plain=True), None),
        }

    @classmethod
    def of(cls, settings: Settings) -> Egress:
        """As the operator has set it up."""
        return cls(Reach.parse(settings.egress_allow), trusted=Path(settings.egress_ca) if settings.egress_ca else None)

    @staticmethod
    def check(settings: Settings) -> None:
        """SettingsRefused when the operator's settings for this way out cannot be used."""
        Reach.parse(settings.egress_allow)
        if settings.egress_ca:
            _tls(Path(settings.egress_ca))

    async def post(
        self,
        address: str,
        body: bytes,
        *,
        headers: Mapping[str, str],
        seconds_max: float,
        bytes_max: int,
        whose: str = "",
    ) -> Answered:
        """POST a body and read the answer whole; Malformed, Refused or Unavailable (see above) when that failed."""
        url = read_address(address)  # (1)
        _whose.set(whose)
        sent = [(name.encode(), value.encode()) for name, value in {**_SENT_ALWAYS, **headers}.items()]
        sent.append((b"Host", url.netloc))
        try:
            async with asyncio.timeout(seconds_max):
                try:
                    return await self._exchange(url, sent, body, bytes_max=bytes_max)
                except _StaleConnection:  # the other end closed a kept connection as we wrote: it has read nothing
                    return await self._exchange(url, sent, body, bytes_max=bytes_max)
        except (TimeoutError, httpcore.TimeoutException):
            raise ServerTooSlow from None
        except (_StaleConnection, httpcore.ConnectError, httpcore.NetworkError, ssl.SSLError):
            raise ServerUnreachable from None
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol):
            raise ServerAnswerBroken from None

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    async def _exchange(
        self, url: httpx.URL, headers: list[tuple[bytes, bytes]], body: bytes, *, bytes_max: int
    ) -> Answered:
        target = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port or _PORTS[url.scheme], target=url.raw_path
        )
        seen: set[str] = set()

        async def note(event: str, _: Mapping[str, Any]) -> None:
            seen.add(event)

        extensions = {"trace": note, "timeout": {"connect": CONNECT_S_MAX}}
        try:
            pool = self._pools[url.scheme]
            async with pool.stream("POST", target, headers=headers, content=body, extensions=extensions) as response:
                return await _read(response, bytes_max=bytes_max)
        except (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError):
            is_kept = "connection.connect_tcp.started" not in seen
            if is_kept and "http11.receive_response_headers.complete" not in seen:
                raise _StaleConnection from None
            raise

    @staticmethod
    def _pool(backend: httpcore.AsyncNetworkBackend, tls: ssl.SSLContext | None) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(
            ssl_context=tls, max_connections=None, max_keepalive_connections=200, keepalive_expiry=IDLE_S,
            http1=True, http2=False, network_backend=backend,
        )  # fmt: skip


_whose: ContextVar[str] = ContextVar("whose", default="")


class _StaleConnection(Exception):
    """A kept connection turned out to be closed before anything was answered on it."""


class _PinnedBackend(httpcore.AsyncNetworkBackend):
    """Resolves, judges, and connects to what was judged, as one act."""

    def __init__(self, reach: Reach, resolvers: ThreadPoolExecutor, *, is_plain: bool) -> None:
        self._reach, self._resolvers, self._is_plain = reach, resolvers, is_plain
        self._inner = httpcore.AnyIOBackend()
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        found = await self._resolve(host, port)  # (2)
        failed: Exception = ServerUnreachable()
        for address in self._reach.permitted(found, port=port, is_plain=self._is_plain)[:ADDRESSES_TRIED_MAX]:
            try:
                return await self._inner.connect_tcp(address, port, timeout)  # (3)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def _resolve(self, host: str, port: int) -> list[str]:
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        turns = self._turns.setdefault(_whose.get(), asyncio.Semaphore(NAMES_AT_ONCE_MAX))
        await turns.acquire()
        loop, asking = asyncio.get_running_loop(), self._resolvers.submit(ask)
        asking.add_done_callback(partial(_when_asked, loop, turns))
        try:
            answers = await asyncio.wrap_future(asking)
        except (OSError, UnicodeError):
            raise ServerUnreachable("the name of the customer's server is not known") from None
        return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _when_asked(loop: asyncio.AbstractEventLoop, turns: asyncio.Semaphore, _: object) -> None:
    """In the thread, once it is free again, however long anybody waited for it."""
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(turns.release)


def read_address(address: str) -> httpx.URL:
    """An address as it must be written; AddressMalformed otherwise. Whether it may be reached is seen when it is."""
    if len(address) > ADDRESS_CHARACTERS_MAX or any(ord(each) <= 0x20 or ord(each) == 0x7F for each in address):
        raise AddressMalformed
    try:
        url = httpx.URL(address)
        host, port = url.host, _PORTS.get(url.scheme, 0) if url.port is None else url.port
    except (httpx.InvalidURL, ValueError):
        raise AddressMalformed from None
    if url.scheme not in _PORTS or not host or url.userinfo or url.fragment or "%" in host:
        raise AddressMalformed
    if not 0 < port < 1 << 16 or "\\" in address:
        raise AddressMalformed
    return url


def require_usable(address: str, reach: Reach) -> None:
    """What is seen of an address when it is configured: AddressMalformed, AddressPlain, AddressRefused.

    A number is judged here as it is when it is used; a name leads elsewhere tomorrow and is judged only then.
    """
    url = read_address(address)
    is_plain = url.scheme == "http"
    if is_plain and not reach.allowed:
        raise AddressPlain
    if (number := _number(url.raw_host.decode("ascii").rstrip("."))) is not None:
        reach.permitted([number], port=url.port or _PORTS[url.scheme], is_plain=is_plain)


def _number(host: str) -> str | None:
    """The IP address that is written here in any form a resolver takes (0x7f.1 and 2130706433 too); None: a name."""
    with suppress(ValueError):
        return str(ip_address(host.strip("[]")))
    with suppress(OSError):
        return socket.inet_ntoa(socket.inet_aton(host))
    return None


def address_after(address: str, page: str) -> str:
    """The address of a page that was named by the page at `address`: whole, or relative to it."""
    try:
        return str(read_address(str(httpx.URL(address).join(page))))
    except httpx.InvalidURL:
        raise AddressMalformed from None


async def _read(response: httpcore.Response, *, bytes_max: int) -> Answered:
    """(4) The answer up to its caps. What is coded is not decoded: a bomb stays small."""
    if len(response.headers) > HEADERS_MAX:
        raise ServerAnswerTooLarge
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise ServerAnswerBroken
    announced = headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > bytes_max:
        raise ServerAnswerTooLarge
    body = bytearray()
    async for piece in response.aiter_stream():
        body += piece
        if len(body) > bytes_max:
            raise ServerAnswerTooLarge
    return Answered(response.status, headers, bytes(body))


def _tls(trusted: Path | None) -> ssl.SSLContext:
    """TLS 1.2 and above, certificates checked against the system's authorities and, if given, one file more."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if trusted is not None:
        try:
            context.load_verify_locations(cafile=trusted)
        except (OSError, ssl.SSLError):
            raise SettingsRefused("egress_ca: give the path of a file with certificates in PEM form") from None
    return context


__all__ = [
    "AddressMalformed",
    "AddressPlain",
    "AddressRefused",
    "Answered",
    "Egress",
    "ServerAnswerBroken",
    "ServerAnswerTooLarge",
    "ServerTooSlow",
    "ServerUnreachable",
    "address_after",
    "read_address",
    "require_usable",
]
