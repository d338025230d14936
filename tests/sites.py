"""Real HTTPS servers as customers run them, well-behaved or not: they hang, drip, flood, redirect, break off."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Asked:
    """One request as the server saw it. Header names are lower case."""

    path: str
    headers: dict[str, str]
    body: bytes
    peer: tuple[str, int]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Handler = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]
"""Writes whatever it likes; the connection is kept unless it closes it."""


@dataclass
class Site:
    """A running server; a path without a handler answers 404."""

    port: int
    ca: Path
    host: str = "localhost"
    asked: list[Asked] = field(default_factory=list)
    handlers: dict[str, Handler] = field(default_factory=dict)

    def at(self, path: str, host: str | None = None) -> str:
        return f"https://{host or self.host}:{self.port}{path}"

    def says(self, path: str, body: Any, *, status: int = 200) -> str:
        """Answer JSON (or bytes) at this path; its address."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()

        async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(response(content, status=status))

        self.handlers[path] = answer
        return self.at(path)

    def does(self, path: str, handler: Handler) -> str:
        self.handlers[path] = handler
        return self.at(path)

    def asked_at(self, path: str) -> list[Asked]:
        return [each for each in self.asked if each.path == path]


def response(body: bytes, *, status: int = 200, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} So\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


@asynccontextmanager
async def open_site(folder: Path, *, port: int = 0, names: tuple[str, ...] = ("localhost", "127.0.0.1")) -> Any:
    """A server on loopback whose certificate is for these names, by an authority of its own (`site.ca`)."""
    ca, chain = make_certificates(folder, names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    connections: set[asyncio.Task[None]] = set()
    site = Site(port, ca)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            async for asked in requests(reader, writer):
                site.asked.append(asked)
                handler = site.handlers.get(asked.path)
                if handler is None:
                    writer.write(response(b"", status=404))
                else:
                    await handler(asked, writer)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def requests(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncIterator[Asked]:
    """The requests of one connection."""
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        yield Asked(head[0].split(" ")[1], headers, body, writer.get_extra_info("peername"))


def make_certificates(folder: Path, names: tuple[str, ...]) -> tuple[Path, Path]:
    """An authority's certificate, and a chain file (certificate and key) for these names."""
    folder.mkdir(parents=True, exist_ok=True)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's server")])
    ca = _certificate(authority, authority, authority_key, authority_key, names=None)
    leaf = _certificate(subject, authority, key, authority_key, names=names)
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "chain.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + secret)
    return folder / "ca.pem", folder / "chain.pem"


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: Any, by: Any, *, names: tuple[str, ...] | None
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )
    if names is None:
        usage = x509.KeyUsage(
            digital_signature=False, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        builder = builder.add_extension(usage, critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    return builder.sign(by, hashes.SHA256())


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
