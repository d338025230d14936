"""What a worker is told at its start. Apart from the stack, so that the switchboard never loads native code."""

from __future__ import annotations

import msgspec


class StackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where one worker listens. TLS, when there is a certificate, listens at `sip_port` + 1."""

    sip_host: str
    sip_port: int
    rtp_first: int
    rtp_last: int
    media_timeout_s: int = 30
    expose_headers: tuple[str, ...] = ()
    certificate: str | None = None
    """A PEM file with the certificate and its key."""
    authorities: str | None = None
    """A PEM file of authorities that may vouch for a trunk, besides those of the operating system."""
    name_server: str | None = None
    """ADDRESS:PORT of a name server in place of the operating system's."""
    authorities_dir: str | None = "/etc/ssl/certs"

    @property
    def text(self) -> str:
        """The lines the binding's Config does not model."""
        lines = [
            f"sip_listen {self.sip_host}:{self.sip_port}",
            f"rtp_ports {self.rtp_first}-{self.rtp_last}",
            "rtp_rxmode main",  # the thread mode loses digits
            "audio_jitter_buffer_type off",  # the default one loses audio under load
            "sip_verify_server yes",
        ]
        if self.certificate:
            lines.append(f"sip_certificate {self.certificate}")
        if self.authorities:
            lines.append(f"sip_cafile {self.authorities}")
        if self.authorities_dir:
            lines.append(f"sip_capath {self.authorities_dir}")
        if self.name_server:
            lines.append(f"dns_server {self.name_server}")
        return "\n".join(lines) + "\n"
