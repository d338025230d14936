"""TLS 1.2 is the least the server speaks; an older handshake is refused, whatever ciphers the client brings."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, cast

import pytest

from sealwire.config import Settings
from sealwire.doors.api.server import server_for
from sealwire.ground.clock import SystemClock
from sealwire.ground.local_ca import LocalCertificates, local_certificates

EVERY_CIPHER = "ALL:@SECLEVEL=0"  # without it the library itself refuses old versions, and the server is not tried


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> LocalCertificates:
    settings = Settings(data_dir=tmp_path_factory.mktemp("tls"))
    return local_certificates(settings, clock=SystemClock())


def serving(certificates: LocalCertificates, *, least: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """The server's own context, open to every cipher; `least` for the control."""
    server = server_for(cast("Any", None), certificate=certificates.certificate, key=certificates.key)
    context = server.config.ssl
    assert context is not None
    context.set_ciphers(EVERY_CIPHER)
    if least is not None:
        context.minimum_version = least
    return context


def shake_hands(context: ssl.SSLContext, ca: Path, version: ssl.TLSVersion) -> str | None:
    """Handshake in memory with a client that speaks this version only; the version agreed on."""
    client_context = ssl.create_default_context(cafile=str(ca))
    client_context.set_ciphers(EVERY_CIPHER)
    client_context.minimum_version = client_context.maximum_version = version
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(down, up, server_hostname="localhost")
    server = context.wrap_bio(up, down, server_side=True)
    for _ in range(10):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client.version()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_before_1_2_is_refused(certificates: LocalCertificates, version: ssl.TLSVersion):
    with pytest.raises(ssl.SSLError, match=r"(?i)version|protocol"):
        shake_hands(serving(certificates), certificates.ca, version)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_control_a_server_that_would_take_1_1_gets_it(certificates: LocalCertificates):
    context = serving(certificates, least=ssl.TLSVersion.TLSv1_1)
    assert shake_hands(context, certificates.ca, ssl.TLSVersion.TLSv1_1) == "TLSv1.1"


@pytest.mark.parametrize(
    ("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")]
)
def test_tls_1_2_and_1_3_are_taken(certificates: LocalCertificates, version: ssl.TLSVersion, name: str):
    assert shake_hands(serving(certificates), certificates.ca, version) == name
