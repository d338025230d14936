"""Where the demo plays: a data folder made anew, free ports on loopback, and a folder for what it hands out."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from sealwire.communications.messages.centre import PASSWORD_FILE
from sealwire.config import Settings, load_settings
from sealwire.doors.demo.customer import keys
from sealwire.errors import Refused
from sealwire.ground.datafolder import DataFolder

MARK = "made-by-the-demo"
_STREAM_PORTS = {"api": 18443, "uas": 18644, "pages": 18845, "smsc": 12775}
SETTINGS = """\
# Made by the demo; bin/sealwire up --data with this folder runs the same cloud again.
api_listen = "127.0.0.1:{api}"
sip_listen = "127.0.0.1:{sip}"
rtp_ports = "{rtp}-{rtp_end}"
uas_listen = "127.0.0.1:{uas}"
# The demo's customer has its web server, its telephone and the message centre on this machine.
egress_allow = "127.0.0.0/8"
egress_ca = "{pages_ca}"
smsc = "smpp://sealwire@127.0.0.1:{smsc}"
operator_name = "Sealwire demo"
privacy_contact = "privacy@example.org"
"""


class NotOurFolder(Refused):
    """The demo makes its data folder anew, and this one was not made by a demo: name another with --data."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The demo's folders. `output` holds what was handed out (opened audio, certificates), outside the cloud's data."""

    settings: Settings
    output: Path
    attacker: Path
    customer: Path
    """What the customer keeps for itself: keys, certificates."""
    pages: str
    """HOST:PORT of the customer's web server."""
    telephone: str
    """HOST:PORT of the telephone that the customer's program calls."""
    centre: str
    """HOST:PORT of the message centre."""

    @property
    def top(self) -> Path:
        return self.settings.data_dir.parent


def set_stage(top: Path) -> Stage:
    """Make `top`/data, `top`/output and `top`/attacker empty; refuses a folder no demo made."""
    top = top.expanduser().resolve()
    if top.exists() and any(top.iterdir()) and not (top / MARK).exists():
        raise NotOurFolder(f"{top} was not made by a demo, which makes its folder anew; name another with --data")
    if (top / "data").exists():
        with DataFolder(load_settings(top / "data")):  # refuses while a cloud is running on it
            pass
    shutil.rmtree(top, ignore_errors=True)
    for folder in (top / "data", top / "output", top / "attacker", top / "customer"):
        folder.mkdir(parents=True, mode=0o700)
    for folder in (top, top / "data", top / "attacker"):
        folder.chmod(0o711 if os.getuid() == 0 else 0o700)  # the database's own user must reach what is below
    (top / MARK).touch()
    ports = {name: free_port(first, kind=socket.SOCK_STREAM) for name, first in _STREAM_PORTS.items()}
    sip, telephone = free_port(15060, kind=socket.SOCK_DGRAM), free_port(16060, kind=socket.SOCK_DGRAM)
    rtp = 20000
    text = SETTINGS.format(
        api=ports["api"], sip=sip, rtp=rtp, rtp_end=rtp + 4000, uas=ports["uas"], smsc=ports["smsc"],
        pages_ca=keys.make_pages_certificate(top / "customer"),
    )  # fmt: skip
    (top / "data" / "sealwire.toml").write_text(text)
    settings = load_settings(top / "data")
    with DataFolder(settings):  # makes what it needs in there
        password = settings.secrets_dir / PASSWORD_FILE
        password.touch(mode=0o600)
        password.write_text("demo\n")
    return Stage(
        settings, top / "output", top / "attacker", top / "customer",
        pages=f"127.0.0.1:{ports['pages']}", telephone=f"127.0.0.1:{telephone}", centre=f"127.0.0.1:{ports['smsc']}",
    )  # fmt: skip


def free_port(first: int, *, kind: socket.SocketKind) -> int:
    """The first port from `first` on that nobody has on loopback."""
    for port in range(first, first + 200, 2):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Refused(f"no free port on loopback from {first} on")
