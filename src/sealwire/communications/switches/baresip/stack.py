"""Starts the native stack with the settings it needs.

Unknown configuration keys never warn, so each line here was checked against a running engine.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from baresip import Account, BaresipError, Config, Runtime, UserAgent
from baresip.call import Call as NativeCall
from baresip.call import CallState
from baresip.events import Event, StackEvent

from sealwire.communications.switches.baresip.stack_settings import StackSettings
from sealwire.communications.switches.port import EngineDidNotStart, SipAddressTaken


async def start_stack(settings: StackSettings, on_incoming: Callable[[NativeCall], None]) -> Runtime:
    """One native runtime per process, told of every call that comes in; SipAddressTaken when its port is not free."""
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

    def heard(event: StackEvent) -> None:
        if event.event is Event.CALL_INCOMING:
            on_incoming(_incoming(runtime, event))

    runtime.subscribe(heard)
    # the engine gives a call to the agent of its transport, so each transport has one of its own
    await _answer_at(runtime, settings, "udp")
    await _answer_at(runtime, settings, "tcp")
    if settings.certificate:
        await _answer_at(runtime, settings, "tls", "mediaenc=srtp-mand")
    return runtime


async def _answer_at(runtime: Runtime, settings: StackSettings, transport: str, *extra: str) -> None:
    """An agent for any number; video_codecs: or it re-invites right after each answer."""
    account = Account(
        "sealwire",
        settings.sip_host,
        "",
        reg_interval=0,
        transport=transport,  # type: ignore[arg-type]
        audio_codecs=("pcma", "pcmu"),
        extra_params=("catchall=yes", "video_codecs=none", *extra),
    )
    await UserAgent.create(runtime, account, transfer_policy="reject")


def _incoming(runtime: Runtime, event: StackEvent) -> NativeCall:
    """The call that a CALL_INCOMING event tells of."""
    return NativeCall(
        runtime,
        handle=event.call,
        ua_handle=event.ua,
        state=CallState.INCOMING,
        peer=event.peer,
        call_id=event.call_id,
        headers=event.headers,
    )
