"""What the customer makes for itself, and keeps: keys that the cloud never sees."""

from __future__ import annotations

import datetime as dt
import ipaddress
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sealwire.ground.clock import SystemClock


def make_identity(folder: Path) -> str:
    """An age identity by the plain `age-keygen`; its public key."""
    subprocess.run(["age-keygen", "-o", folder / "identity"], check=True, capture_output=True)
    lines = (folder / "identity").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("# public key:"))


def make_pages_certificate(folder: Path) -> Path:
    """A certificate for the customer's own web server on loopback, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the customer's pages")])
    now = SystemClock().now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "pages.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_key(folder / "pages.key", key)
    return folder / "pages.pem"


def make_program_request(folder: Path) -> str:
    """A key for the customer's program, and the request for a certificate to it (PKCS #10)."""
    key = ec.generate_private_key(ec.SECP256R1())
    _write_key(folder / "program.key", key)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "program")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    file.touch(mode=0o600)
    plain = serialization.NoEncryption()
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
