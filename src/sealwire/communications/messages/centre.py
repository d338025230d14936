"""Where the message centre is and how to log in there: the setting `smsc` and the file `secrets/smsc.password`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sealwire.config import Settings
from sealwire.errors import Malformed, Unavailable

PASSWORD_FILE = "smsc.password"  # noqa: S105 - the name of a file
_ADDRESS = re.compile(r"smpp://([!-9;-?A-~]{1,15})@(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})")


class CentreMalformed(Malformed):
    """The setting smsc is not an address: write smpp://SYSTEM_ID@HOST:PORT; TLS (smpps) is not spoken."""


class CentrePasswordMissing(Unavailable):
    """The message centre's password is missing: put it, 1 to 8 ASCII characters, into secrets/smsc.password."""


class CentreMissing(Unavailable):
    """This installation has no message centre, so no message can be sent; the operator sets smsc."""


@dataclass(frozen=True, slots=True)
class Centre:
    """One message centre (SMSC)."""

    host: str
    port: int
    system_id: str
    password: str = field(repr=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> Centre:
        """CentreMissing, CentreMalformed or CentrePasswordMissing say what is wrong."""
        if not settings.smsc:
            raise CentreMissing
        found = _ADDRESS.fullmatch(settings.smsc)
        if found is None or not 0 < int(found[3]) < 1 << 16:
            raise CentreMalformed
        file = settings.secrets_dir / PASSWORD_FILE
        password = file.read_bytes().decode(errors="replace").strip() if file.exists() else ""
        if not (password.isascii() and 1 <= len(password) <= 8):  # SMPP 3.4, 5.2.2: 9 octets with the closing zero
            raise CentrePasswordMissing
        return cls(found[2].strip("[]"), int(found[3]), found[1], password)
