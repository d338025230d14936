"""What must be right before the cloud starts. `up` refuses by these, and the doctor says the same sentences."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sealwire.communications.egress import Egress
from sealwire.communications.messages.centre import Centre
from sealwire.communications.speech import speech_engine
from sealwire.communications.switches.baresip.engine import divide
from sealwire.config import Settings
from sealwire.errors import Refused
from sealwire.governance.billing.tariff import load_tariff

SPEECH_PROGRAM = "espeak-ng"


class PortTaken(Refused):
    """A port this needs is taken by another program; stop that program, or choose another port."""


class SpeechProgramUnusable(Refused):
    """The program that speech_engine names cannot be run; give the whole path of one that can, or write espeak-ng."""


@dataclass(frozen=True, slots=True)
class Port:
    """An address something of ours listens on, and the setting that chooses it."""

    address: str
    kind: socket.SocketKind
    setting: str

    @property
    def text(self) -> str:
        return f"{'TCP' if self.kind == socket.SOCK_STREAM else 'UDP'} {self.address}"


def api_ports(settings: Settings) -> Iterator[Port]:
    yield Port(settings.api_listen, socket.SOCK_STREAM, "api_listen")


def program_ports(settings: Settings) -> Iterator[Port]:
    """Where customers' programs connect."""
    yield Port(settings.uas_listen, socket.SOCK_STREAM, "uas_listen")


def sip_ports(settings: Settings) -> Iterator[Port]:
    """Of every engine worker, UDP and TCP."""
    for host, port in _sip_addresses(settings):
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            yield Port(f"{host}:{port}", kind, "sip_listen")


def sip_tls_ports(settings: Settings) -> Iterator[Port]:
    """TLS is taken at the SIP port + 1, where it is taken."""
    if settings.sip_tls:
        for host, port in _sip_addresses(settings):
            yield Port(f"{host}:{port + 1}", socket.SOCK_STREAM, "sip_listen")


def switchboard_ports(settings: Settings) -> Iterator[Port]:
    yield from sip_ports(settings)
    yield from sip_tls_ports(settings)
    yield from program_ports(settings)


def require_free(ports: Iterator[Port]) -> None:
    """Refuse with PortTaken when one cannot be listened on, saying which setting chooses another."""
    for port in ports:
        if not is_free(port.address, port.kind):
            raise PortTaken(
                f"{port.text} is taken by another program or is not an address of this machine; stop that "
                f"program, or choose another address with SEALWIRE_{port.setting.upper()}=HOST:PORT"
            )


def is_free(address: str, kind: socket.SocketKind) -> bool:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except (OSError, OverflowError):
            return False
    return True


def udp_ports_held() -> set[int]:
    """UDP ports somebody holds. UDP does not answer and a trial bind would be in the way: ask the kernel."""
    held: set[int] = set()
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with suppress(FileNotFoundError):
            lines = Path(table).read_text().splitlines()[1:]
            held.update(int(line.split()[1].rpartition(":")[2], 16) for line in lines)
    return held


def require_tariff(settings: Settings) -> None:
    """TariffRefused, PriceForEncryption."""
    load_tariff(settings.tariff)


def require_way_out(settings: Settings) -> None:
    """SettingsRefused when `egress_allow` or `egress_ca` cannot be used."""
    Egress.check(settings)


def require_centre(settings: Settings) -> None:
    """CentreMalformed, CentrePasswordMissing; nothing when no message centre is wanted."""
    if settings.smsc:
        Centre.from_settings(settings)


def require_speech(settings: Settings) -> None:
    """SettingsRefused, SpeechProgramUnusable. Without espeak-ng a cloud starts: texts are not spoken then."""
    speech_engine(settings.speech_engine)
    program = settings.speech_engine.removeprefix("command:")
    if program != SPEECH_PROGRAM and not (Path(program).is_file() and os.access(program, os.X_OK)):
        raise SpeechProgramUnusable(
            f"speech_engine: {program} cannot be run; give the whole path of a program that can, or write espeak-ng"
        )


def has_speech_program(settings: Settings) -> bool:
    """Whether what speaks is installed."""
    return settings.speech_engine != SPEECH_PROGRAM or shutil.which(SPEECH_PROGRAM) is not None


def require_media_ports(settings: Settings) -> None:
    """SettingsRefused when the engine's workers cannot share `rtp_ports`."""
    _sip_addresses(settings)


def _sip_addresses(settings: Settings) -> list[tuple[str, int]]:
    host = settings.sip_listen.rpartition(":")[0]
    stacks = divide(settings.sip_listen, settings.rtp_ports, workers=settings.engine_workers)
    return [(host, stack.sip_port) for stack in stacks]


ALWAYS: tuple[Callable[[Settings], None], ...] = (require_tariff, require_way_out)
"""What every cloud needs, whichever of its parts run."""
