"""The certificate for SIP over TLS: the operator's own, or one of this machine's local authority."""

from __future__ import annotations

import os
from pathlib import Path

from sealwire.config import Settings
from sealwire.ground.clock import Clock
from sealwire.ground.local_ca import local_certificates

OWN_CERTIFICATE = "sip.pem"
"""In the secrets folder: certificate chain and key in one PEM file, as a carrier's authority signed it."""


def sip_certificate(settings: Settings, *, clock: Clock) -> tuple[Path, Path]:
    """The PEM file to show (with its key, 0600) and the one of the local authority, which may vouch for peers."""
    local = local_certificates(settings, clock=clock)
    own = settings.secrets_dir / OWN_CERTIFICATE
    if own.exists():
        return own, local.ca
    joined = settings.secrets_dir / "tls" / "sip.pem"
    unfinished = joined.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(local.certificate.read_bytes() + local.key.read_bytes())
    unfinished.replace(joined)
    return joined, local.ca
