"""A customer's own test of the way to us: what protocol, which cipher, from which address."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, get
from msgspec import Meta

from sealwire.doors.api.authentication import Who, operation
from sealwire.doors.api.parts import Here
from sealwire.doors.api.transport import TransportSeen

RETIRED_SOON = "TLSv1.2"


class TransportChecked(msgspec.Struct, kw_only=True):
    """This very connection as the server saw it."""

    passed: Annotated[bool, Meta(description="TLS 1.2 or later with at least 128 bits.", examples=[True])]
    protocol: Annotated[str, Meta(examples=["HTTP/1.1"])]
    tls_version: Annotated[str, Meta(examples=["TLSv1.3"])]
    cipher: Annotated[str, Meta(examples=["TLS_AES_256_GCM_SHA384"])]
    cipher_bits: Annotated[int, Meta(examples=[256])]
    source_address: Annotated[
        str | None,
        Meta(description="Where the connection comes from; what `allowed_from` is compared with.",
             examples=["192.0.2.7"]),
    ]  # fmt: skip
    advice: Annotated[str, Meta(examples=["nothing to do"])]


@get(
    "/v1/transport-check",
    **operation(
        "check-transport", "Account", Who.ACCOUNT_OR_OPERATOR, summary="Test your way to this API"
    ),
)  # fmt: skip
async def check_transport(here: Here, request: Request[Any, Any, Any]) -> TransportChecked:
    """Versions before TLS 1.2 do not get this far: their handshake is refused."""
    seen: TransportSeen = request.scope["state"]["transport"]
    advice = "nothing to do" if seen.version != RETIRED_SOON else "TLS 1.2 is still taken; 1.3 is better"
    return TransportChecked(
        passed=seen.bits >= 128, protocol=f"HTTP/{request.scope['http_version']}", tls_version=seen.version,
        cipher=seen.cipher, cipher_bits=seen.bits, source_address=here.source, advice=advice,
    )  # fmt: skip
