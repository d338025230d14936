"""The API process: `python -m sealwire.doors.api --data DIR`."""

from __future__ import annotations

from sealwire.config import Settings
from sealwire.doors.api.app import create_app
from sealwire.doors.api.parts import connected_parts
from sealwire.doors.api.server import listen, quieten_libraries, serve_until_cancelled, server_for
from sealwire.doors.process import run_process
from sealwire.ground import diagnostics
from sealwire.ground.clock import SystemClock
from sealwire.ground.local_ca import local_certificates
from sealwire.ground.process import settle


async def main(settings: Settings) -> None:
    """Serve until told to stop."""
    quieten_libraries()
    with listen(settings) as listening:
        certificates = local_certificates(settings, clock=SystemClock())
        async with connected_parts(settings) as parts:
            server = server_for(create_app(parts), certificate=certificates.certificate, key=certificates.key)
            settle()
            diagnostics.event("api.listening", address=settings.api_listen)
            await serve_until_cancelled(server, listening)


if __name__ == "__main__":
    run_process("api", main)
