"""Who a holder is on the network: a certificate of its own, made at its first start and pinned by its keeper."""

from __future__ import annotations

import datetime as dt
import ssl
from base64 import b32encode
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sealwire.custody.keys.files import create_durably

_CENTURY = dt.timedelta(days=36500)
_EPOCH = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def server_context(folder: Path) -> tuple[ssl.SSLContext, str]:
    """TLS 1.3 under the folder's own certificate, made when there is none, and that certificate's pin."""
    certificate, key = folder / "tls.pem", folder / "tls.key"
    if not certificate.exists():
        _make(certificate, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(serialization.Encoding.DER)
    return context, pin_of(der)


def client_context() -> ssl.SSLContext:
    """TLS 1.3 to a holder. Trust comes from the pin, which `links` compares before it sends a byte."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def pin_of(der: bytes) -> str:
    """The pin of a certificate: its SHA-256 in lower-case base32."""
    return b32encode(sha256(der).digest()).decode().rstrip("=").lower()


def _make(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sealwire holder")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_EPOCH)
        .not_valid_after(_EPOCH + _CENTURY)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    create_durably(key, pem)
    create_durably(certificate, made.public_bytes(serialization.Encoding.PEM))
