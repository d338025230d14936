"""Outbound calls: one native user agent for each set of credentials, and any caller on each call."""

from __future__ import annotations

import ctypes
import ipaddress
import re
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import quote

import msgspec
from baresip import Account, Runtime
from baresip.call import Call as NativeCall
from baresip.call import CallState

from sealwire.communications.switches.baresip.native import SipThread
from sealwire.communications.switches.port import CallNotPlaced

AGENTS_MAX = 64
"""Agents of credentials that are not used any more go when there are more than this."""
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$&'*+.^_`|~-]+")
_USER_SAFE = "+*-_.!~'()&=$,;?/"
_LIST_BYTES = 64
"""More than the engine's `struct list`; zeros are an empty one."""


class Placing(msgspec.Struct, frozen=True):
    """A DialTarget as it travels to a worker."""

    leg: str
    callee: str
    caller: str
    address: str
    transport: str
    username: str
    password: str
    headers: dict[str, str]

    def refuse_what_cannot_travel(self) -> None:
        """CallNotPlaced when a part of it could not stand in a SIP request."""
        host = _ADDRESS.fullmatch(self.address)
        headers = all(
            _HEADER_NAME.fullmatch(name) and value.isprintable() and value.isascii()
            for name, value in self.headers.items()
        )
        if not (host and headers and self.callee and self.transport in ("udp", "tcp", "tls")):
            raise CallNotPlaced("the address, transport or headers of an outbound call cannot stand in a SIP request")
        if self.transport == "tls" and not _is_name_or_here(self.host):
            raise CallNotPlaced("name a TLS trunk by its host name: the engine checks certificates against names only")

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0] if re.search(r":\d+$", self.address) else self.address

    @property
    def to_uri(self) -> bytes:
        return f"sip:{quote(self.callee, safe=_USER_SAFE)}@{self.address};transport={self.transport}".encode()

    @property
    def from_uri(self) -> bytes:
        """RFC 3323 §4.1 for a caller who does not say who calls."""
        if self.caller in ("", "anonymous"):
            return b"sip:anonymous@anonymous.invalid"
        return f"sip:{quote(self.caller, safe=_USER_SAFE)}@{self.host}".encode()


def _is_name_or_here(host: str) -> bool:
    """Not the literal address of another machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return True


def transfer_uri(callee: str, peer: str) -> str:
    """Who a far end is referred to: this user at the host it calls itself by."""
    host = re.search(r"sips?:(?:[^@;>]*@)?([^;>?\s]+)", peer, re.IGNORECASE)
    return f"sip:{quote(callee, safe=_USER_SAFE)}@{host.group(1) if host else 'anonymous.invalid'}"


class Outbound:
    """Sends INVITEs. `adopt` gets each call before any of its events."""

    def __init__(self, sip: SipThread, runtime: Runtime, *, sip_host: str) -> None:
        self._sip = sip
        self._runtime = runtime
        self._sip_host = sip_host
        self._agents: OrderedDict[tuple[str, str, str], int] = OrderedDict()

    async def place(self, placing: Placing, adopt: Callable[[NativeCall], None]) -> None:
        """Send the INVITE; CallNotPlaced when the engine cannot."""
        placing.refuse_what_cannot_travel()

        def placed(handle: int) -> None:
            if handle:
                adopt(NativeCall(self._runtime, handle=handle, ua_handle=0, state=CallState.OUTGOING))

        try:
            handle = await self._sip.run(lambda: self._connect(placing), then=placed)
        except (BlockingIOError, ValueError):
            handle = 0
        if not handle:
            raise CallNotPlaced

    def _connect(self, placing: Placing) -> int:
        """SIP thread: the call's handle, 0 when the engine refused."""
        library, agent = self._sip.library, self._agent(placing)
        if not agent:
            return 0
        headers, call = ctypes.create_string_buffer(_LIST_BYTES), ctypes.c_void_p()
        for name, value in placing.headers.items():
            library.custom_hdrs_add(headers, name.encode(), b"%s", value.encode())
        library.ua_set_custom_hdrs(agent, headers)
        try:
            refused = library.ua_connect(agent, ctypes.byref(call), placing.from_uri, placing.to_uri, 0)
        finally:
            library.list_flush(headers)
            library.ua_set_custom_hdrs(agent, ctypes.create_string_buffer(_LIST_BYTES))
        return 0 if refused or not call.value else int(library.bp_call_handle_find(call))

    def _agent(self, placing: Placing) -> int:
        """SIP thread: the agent with these credentials, made when there is none yet."""
        key = (placing.transport, placing.username, placing.password)
        if key not in self._agents:
            made = ctypes.c_void_p()
            if self._sip.library.ua_alloc(ctypes.byref(made), self._account(placing).aor().encode()) or not made.value:
                return 0
            self._agents[key] = made.value
            self._let_one_go()
        self._agents.move_to_end(key)
        return self._agents[key]

    def _let_one_go(self) -> None:
        if len(self._agents) <= AGENTS_MAX:
            return
        library = self._sip.library
        for key, agent in list(self._agents.items())[:-1]:  # the last is the one about to be used
            if not library.list_count(library.ua_calls(agent)):
                library.ua_destroy(self._agents.pop(key))
                return

    def _account(self, placing: Placing) -> Account:
        extra = ("video_codecs=none", "mediaenc=srtp-mand") if placing.transport == "tls" else ("video_codecs=none",)
        return Account(
            "sealwire",
            self._sip_host,
            placing.password,
            reg_interval=0,
            transport=placing.transport,  # type: ignore[arg-type]
            audio_codecs=("pcma", "pcmu"),
            auth_user=placing.username or None,
            extra_params=extra,
        )
