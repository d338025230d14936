"""What a call's first request said that the binding does not hand on: whom it asks for, and where it came from.

The engine shows every SIP message to one trace handler before it acts on it. Ours looks at first INVITEs only,
keeps three things of them for the moment until the call is reported, and writes nothing anywhere.
"""

from __future__ import annotations

import ctypes
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sealwire.communications.switches.baresip.native import SipThread

KEPT_MAX = 512
"""First INVITEs of calls that were never reported (refused by the engine itself, repeated) leave at this number."""
_HEAD_BYTES_MAX = 16_384
_FIRST_LINE = re.compile(rb"INVITE\s+(\S+)\s+SIP/2\.0\s*\r?\n", re.IGNORECASE)
_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_EXTENSION = re.compile(
    rb"^(x-[a-z0-9-]{1,60}|p-asserted-identity|diversion)[ \t]*:[ \t]*([^\r\n]{0,512})", re.IGNORECASE | re.MULTILINE
)
HEADERS_MAX = 32
_TRANSPORTS = {0: "udp", 1: "tcp", 2: "tls"}
_TRACE = ctypes.CFUNCTYPE(
    None, ctypes.c_bool, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t,
    ctypes.c_void_p,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """Of a first INVITE: the Request-URI (RFC 3261 §8.1.1.1), HOST:PORT it came from, and the transport."""

    uri: str = ""
    source: str = ""
    transport: str = "udp"
    headers: Mapping[str, str] = field(default_factory=dict)
    """The extension headers (X-…, P-Asserted-Identity, Diversion)."""


class Arrivals:
    """Remembers first INVITEs by Call-ID. The engine calls `_see` on its SIP thread, so it must never raise."""

    def __init__(self, sip: SipThread) -> None:
        self._library = sip.library
        self._asked: OrderedDict[str, Asked] = OrderedDict()
        self._handler = _TRACE(self._see)  # kept: the engine holds only its address
        sip.later(
            lambda: self._library.sip_set_trace_handler(
                self._library.uag_sip(), ctypes.cast(self._handler, ctypes.c_void_p)
            )
        )

    def take(self, call_id: str) -> Asked:
        """What the first INVITE of this call said; nothing when it was not seen."""
        return self._asked.pop(call_id, Asked())

    def _see(self, sent: bool, transport: int, source: int, _: int, packet: int, length: int, __: int) -> None:
        try:
            if not sent and length > 7 and ctypes.string_at(packet, 7).upper() == b"INVITE ":
                self._keep(ctypes.string_at(packet, min(length, _HEAD_BYTES_MAX)), source, transport)
        except Exception:  # an odd message must not end the thread that serves all calls
            return

    def _keep(self, head: bytes, source: int, transport: int) -> None:
        head = head.partition(b"\r\n\r\n")[0] + b"\r\n"
        line, call_id = _FIRST_LINE.match(head), _CALL_ID.search(head)
        if line is None or call_id is None:
            return
        found = _EXTENSION.findall(head)[:HEADERS_MAX]
        headers = {name.decode(): value.decode("utf-8", "replace").strip() for name, value in found}
        name = call_id.group(1).decode("utf-8", "replace")
        uri = line.group(1).decode("utf-8", "replace")
        asked = Asked(uri, self._address(source), _TRANSPORTS.get(transport, "other"), headers)
        if self._asked.pop(name, asked).source != asked.source:  # one of the two pretends to be the other
            asked = replace(asked, source="")
        self._asked[name] = asked
        if len(self._asked) > KEPT_MAX:
            self._asked.popitem(last=False)

    def _address(self, source: int) -> str:
        text = ctypes.create_string_buffer(64)
        if self._library.sa_ntop(source, text, len(text)):
            return ""
        host = text.value.decode()
        return f"[{host}]:{self._library.sa_port(source)}" if ":" in host else f"{host}:{self._library.sa_port(source)}"
