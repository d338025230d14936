"""Starts the native stack with the settings it needs, and refuses calls with any SIP status.

Unknown configuration keys never warn, so each line here was checked against a running engine. The binding's
own reject knows only 486; the engine below it takes any status, but only on its own SIP thread, so a refusal
travels there as a PING with a number of our own.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
from collections.abc import Callable
from typing import Any

from baresip import Account, BaresipError, Config, Runtime, UserAgent, _native
from baresip._events import set_sink
from baresip.call import Call as NativeCall

from sealwire.communications.switches.baresip.stack_settings import StackSettings
from sealwire.communications.switches.port import EngineDidNotStart, SipAddressTaken

_REFUSAL_NUMBERS = range(0xF000_0000, 0xFFFF_FFFF)
_REASONS = {403: "Forbidden", 404: "Not Found", 480: "Temporarily Unavailable", 486: "Busy Here"} | {
    500: "Server Internal Error",
    503: "Service Unavailable",
    603: "Decline",
}


async def start_stack(settings: StackSettings, on_incoming: Callable[[NativeCall], None]) -> Runtime:
    """One native runtime per process; SipAddressTaken when its port is not free."""
    runtime = Runtime(native_log_level="error")
    config = Config(
        net_interface=settings.sip_host if settings.sip_host != "0.0.0.0" else None,  # noqa: S104
        max_concurrent_calls=None,
        rtp_timeout=settings.media_timeout_s,
        expose_headers=("To", *settings.expose_headers),
        native_log_level="error",
        extra_config_text=settings.text,
    )
    try:
        await runtime.start(config)
    except BaresipError as error:
        if os.strerror(errno.EADDRINUSE) in str(error):
            raise SipAddressTaken(
                f"another program listens at {settings.sip_host}:{settings.sip_port}; stop it, or choose another"
                " address with sip_listen"
            ) from None
        raise EngineDidNotStart from None
    account = Account(
        "sealwire",
        settings.sip_host,
        "",
        reg_interval=0,
        audio_codecs=("pcma", "pcmu"),
        # catchall: any number may be called; video_codecs: or it re-invites right after each answer
        extra_params=("catchall=yes", "video_codecs=none"),
    )
    agent = await UserAgent.create(runtime, account, transfer_policy="reject")
    agent.on_incoming(on_incoming)
    return runtime


class Refusals:
    """Refuses unanswered calls with a status and a sentence. Make one after the runtime has started."""

    def __init__(self) -> None:
        self._numbers = itertools.cycle(_REFUSAL_NUMBERS)
        self._waiting: dict[int, tuple[str, int, int, bytes]] = {}
        self._library = _declare(ctypes.CDLL(_native.__file__))
        self._forward: Callable[[int, int, bytes | None], None] | None = set_sink(self._on_native_event)  # type: ignore[no-untyped-call]

    def refuse(self, call: NativeCall, *, status: int, sentence: str) -> bool:
        """Queue a refusal; False when the engine cannot take it now."""
        number = next(self._numbers)
        plain = "".join(char for char in sentence if char.isascii() and char.isprintable() and char not in '"\\')
        header = f'Warning: 399 sealwire "{plain}"\r\n'.replace("%", "%%").encode()
        self._waiting[number] = (call.call_id or "", call.handle, status, header)
        if _native.lib.bp_cmd(_native.lib.BP_CMD_PING, number, _native.ffi.NULL):
            del self._waiting[number]
            return False
        return True

    def _on_native_event(self, event: int, handle: int, payload: bytes | None) -> None:
        """SIP thread: our own PINGs end here, everything else goes on to the binding."""
        waiting = self._waiting.pop(handle, None) if event == _native.lib.BP_EV_PONG else None
        if waiting is not None:
            self._refuse_now(*waiting)
        elif self._forward is not None:
            self._forward(event, handle, payload)

    def _refuse_now(self, call_id: str, handle: int, status: int, header: bytes) -> None:
        library = self._library
        found = library.uag_call_find(call_id.encode())
        if found and library.bp_call_handle_find(found) == handle:
            reason = _REASONS.get(status, "Refused").encode()
            library.ua_hangupf(library.call_get_ua(found), found, status, reason, header)
        else:  # gone already, or a Call-ID too odd to be found by: the binding's 486 finds it by its handle
            argument = _native.ffi.new("char[]", str(handle).encode())
            _native.lib.bp_cmd(_native.lib.BP_CMD_CALL_REJECT, next(self._numbers), argument)


def _declare(library: Any) -> Any:
    """The four functions of the engine that are called past the binding, with their C types."""
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    library.uag_call_find.argtypes, library.uag_call_find.restype = [text], pointer
    library.call_get_ua.argtypes, library.call_get_ua.restype = [pointer], pointer
    library.bp_call_handle_find.argtypes, library.bp_call_handle_find.restype = [pointer], ctypes.c_uint32
    library.ua_hangupf.argtypes = [pointer, pointer, ctypes.c_uint16, text, text]
    library.ua_hangupf.restype = None
    return library
