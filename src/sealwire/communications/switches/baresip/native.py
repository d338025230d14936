"""Work on the engine's own SIP thread, and what it calls back there.

The binding models a part of the engine; the rest is in the same library and may be called, but only on the SIP
thread. Work travels there as a PING with a number of our own. Everything here was checked against the one
version that is pinned (docs/adr/0010), and tests/unit/communications/test_engine.py fails when it changes.
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
from collections.abc import Callable
from typing import Any, TypeVar

from baresip import _native
from baresip._events import set_sink
from baresip.events import Event

T = TypeVar("T")

_WORK_NUMBERS = range(0xF000_0000, 0xFFFF_FFFF)
_UNHEARD = _native.lib.BP_EV_BASE + int(Event.CALL_RTCP)
"""Reports of every call every few seconds that nobody here reads."""

_POINTER, _TEXT, _NUMBER = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "bp_call_handle_find": (ctypes.c_uint32, [_POINTER]),
    "call_get_ua": (_POINTER, [_POINTER]),
    "call_modify": (_NUMBER, [_POINTER]),
    "custom_hdrs_add": (_NUMBER, [_POINTER, _TEXT, _TEXT, _TEXT]),
    "list_count": (ctypes.c_uint32, [_POINTER]),
    "list_flush": (None, [_POINTER]),
    "sa_ntop": (_NUMBER, [_POINTER, _TEXT, _NUMBER]),
    "sa_port": (ctypes.c_uint16, [_POINTER]),
    "sip_set_trace_handler": (None, [_POINTER, _POINTER]),
    "ua_alloc": (_NUMBER, [_POINTER, _TEXT]),
    "ua_calls": (_POINTER, [_POINTER]),
    "ua_connect": (_NUMBER, [_POINTER, _POINTER, _TEXT, _TEXT, _NUMBER]),
    "ua_destroy": (None, [_POINTER]),
    "ua_hangupf": (None, [_POINTER, _POINTER, ctypes.c_uint16, _TEXT, _TEXT]),
    "ua_set_custom_hdrs": (_NUMBER, [_POINTER, _POINTER]),
    "uag_call_find": (_POINTER, [_TEXT]),
    "uag_sip": (_POINTER, []),
}


def _declare(library: Any) -> Any:
    """The functions of the engine that are called past the binding, with their C types."""
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class SipThread:
    """Takes work to the SIP thread. Make one, in the event loop, after the runtime has started."""

    def __init__(self) -> None:
        self.library = _declare(ctypes.CDLL(_native.__file__))
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.cycle(_WORK_NUMBERS)
        self._waiting: dict[int, Callable[[], None]] = {}
        self._forward: Callable[[int, int, bytes | None], None] | None = set_sink(self._on_native_event)  # type: ignore[no-untyped-call]

    def later(self, work: Callable[[], None]) -> bool:
        """Queue work that must not raise; False when the engine cannot take it now."""
        number = next(self._numbers)
        self._waiting[number] = work
        if _native.lib.bp_cmd(_native.lib.BP_CMD_PING, number, _native.ffi.NULL):
            del self._waiting[number]
            return False
        return True

    async def run(self, work: Callable[[], T], *, then: Callable[[T], None] | None = None) -> T:
        """Do work there and give its result; `then` sees it here before any event that follows from the work."""
        done: asyncio.Future[T] = self._loop.create_future()

        def finish(result: T | None, error: Exception | None) -> None:
            if error is None and then is not None:
                then(result)  # type: ignore[arg-type]
            if done.cancelled():
                return
            done.set_exception(error) if error else done.set_result(result)  # type: ignore[arg-type]

        def there() -> None:
            try:
                result, error = work(), None
            except Exception as raised:
                self._loop.call_soon_threadsafe(finish, None, raised)
            else:
                self._loop.call_soon_threadsafe(finish, result, error)

        if not self.later(there):
            raise BlockingIOError("the engine takes no more commands now")
        return await done

    def call_of(self, call_id: str, handle: int) -> int | None:
        """SIP thread: the engine's own call, when it still lives under this name."""
        found: int | None = self.library.uag_call_find(call_id.encode())
        return found if found and self.library.bp_call_handle_find(found) == handle else None

    def _on_native_event(self, event: int, handle: int, payload: bytes | None) -> None:
        """SIP thread: our own PINGs end here, everything else goes on to the binding."""
        work = self._waiting.pop(handle, None) if event == _native.lib.BP_EV_PONG else None
        if work is not None:
            work()
        elif self._forward is not None and event != _UNHEARD:
            self._forward(event, handle, payload)


class Refusals:
    """Refuses unanswered calls with a status and a sentence; the binding's own reject knows only 486."""

    def __init__(self, sip: SipThread) -> None:
        self._sip = sip

    def refuse(self, call_id: str, handle: int, *, status: int, sentence: str) -> bool:
        """Queue a refusal; False when the engine cannot take it now."""
        plain = "".join(char for char in sentence if char.isascii() and char.isprintable() and char not in '"\\')
        # what is given here ends the message, so it must bring the end with it
        header = f'Warning: 399 sealwire "{plain}"\r\nContent-Length: 0\r\n\r\n'.replace("%", "%%").encode()
        return self._sip.later(lambda: self._refuse_now(call_id, handle, status, header))

    def _refuse_now(self, call_id: str, handle: int, status: int, header: bytes) -> None:
        library = self._sip.library
        found = self._sip.call_of(call_id, handle)
        if found:
            reason = _REASONS.get(status, "Refused").encode()
            library.ua_hangupf(library.call_get_ua(found), found, status, reason, header)
        else:  # gone already, or a Call-ID too odd to be found by: the binding's 486 finds it by its handle
            argument = _native.ffi.new("char[]", str(handle).encode())
            _native.lib.bp_cmd(_native.lib.BP_CMD_CALL_REJECT, _WORK_NUMBERS[-1], argument)


_REASONS = {403: "Forbidden", 404: "Not Found", 480: "Temporarily Unavailable", 486: "Busy Here"} | {
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    503: "Service Unavailable",
    603: "Decline",
}
