"""What the server sees of a connection's transport security."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TransportSeen:
    """The TLS version and cipher suite that were agreed on; empty without TLS."""

    version: str
    cipher: str
    bits: int

    @classmethod
    def of(cls, transport: asyncio.BaseTransport) -> TransportSeen:
        """Of a connection that has shaken hands."""
        session = transport.get_extra_info("ssl_object")
        if not isinstance(session, ssl.SSLObject | ssl.SSLSocket):
            return cls("", "", 0)
        name, _, bits = session.cipher() or ("", "", 0)
        return cls(session.version() or "", name, bits)
