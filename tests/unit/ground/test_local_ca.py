"""The local authority serves the API's names and no others, and renews in time."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import verification

from sealwire.config import Settings
from sealwire.ground import local_ca
from sealwire.ground.clock import SystemClock, TestClock
from sealwire.ground.local_ca import CERTIFICATE_DAYS, LocalCertificates, local_certificates


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, api_listen="127.0.0.1:0")


async def hello(files: LocalCertificates, *, name: str) -> bytes:
    """Connect over real TLS, trusting the local authority alone, asking for `name`."""
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(files.certificate, files.key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_side)
    trusting = ssl.create_default_context(cafile=str(files.ca))
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=name)
        said = await reader.read()
        writer.close()
        return said
    finally:
        server.close()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "::1"])
async def test_a_client_that_trusts_the_authority_connects_by_each_local_name(settings: Settings, name: str) -> None:
    assert await hello(local_certificates(settings, clock=SystemClock()), name=name) == b"hello"


async def test_another_name_is_refused_by_the_client(settings: Settings) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await hello(local_certificates(settings, clock=SystemClock()), name="example.org")


def test_keys_are_closed_to_others(settings: Settings) -> None:
    files = local_certificates(settings, clock=SystemClock())
    for key in (files.key, files.ca.with_name("ca.key")):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_the_same_certificate_is_used_until_it_nears_its_end_then_the_same_authority_renews_it(
    settings: Settings,
) -> None:
    clock = TestClock(dt.datetime(2026, 11, 23, tzinfo=dt.UTC))
    files = local_certificates(settings, clock=clock)
    authority, first = files.ca.read_bytes(), files.certificate.read_bytes()
    clock.advance(days=CERTIFICATE_DAYS - 40)
    assert local_certificates(settings, clock=clock).certificate.read_bytes() == first
    clock.advance(days=15)
    assert local_certificates(settings, clock=clock).certificate.read_bytes() != first
    assert files.ca.read_bytes() == authority


def test_a_new_listen_address_gets_a_certificate_that_names_it(settings: Settings) -> None:
    local_certificates(settings, clock=SystemClock())
    moved = Settings(data_dir=settings.data_dir, api_listen="192.0.2.7:8443")
    files = local_certificates(moved, clock=SystemClock())
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "192.0.2.7" in [str(address) for address in held.get_values_for_type(x509.IPAddress)]


@pytest.mark.parametrize("broken", ["ca.pem", "ca.key", "server.pem", "server.key"])
async def test_a_file_cut_short_is_made_anew_and_still_fits_the_others(settings: Settings, broken: str) -> None:
    files = local_certificates(settings, clock=SystemClock())
    damaged = files.ca.with_name(broken)
    damaged.write_bytes(damaged.read_bytes()[:40])
    assert await hello(local_certificates(settings, clock=SystemClock()), name="localhost") == b"hello"


def test_the_authority_cannot_vouch_for_other_names(settings: Settings) -> None:
    """A certificate for another name, signed with the authority's own key, does not verify."""
    files = local_certificates(settings, clock=SystemClock())
    authority = local_ca.read_pair(files.ca, files.ca.with_name("ca.key"))
    assert authority is not None
    forged = local_ca._new_server(authority, ["bank.example"], SystemClock())
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store([authority.certificate]))
        .build_server_verifier(x509.DNSName("bank.example"))
    )
    with pytest.raises(verification.VerificationError):
        verifier.verify(forged.certificate, [])
