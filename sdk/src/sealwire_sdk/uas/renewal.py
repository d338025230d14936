"""Renewing the program's certificate over its own connection, with the key it has."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from sealwire_sdk.errors import ProgramRefused

RENEWAL_DAYS = 30


def time_left(certificate: Path) -> dt.timedelta:
    """Until the certificate ends; ProgramRefused when it is none."""
    try:
        ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except ValueError:
        raise ProgramRefused("the program's certificate is not a PEM file") from None
    return ends - dt.datetime.now(dt.UTC)


def new_request(key_file: Path) -> str:
    """A certificate request (PEM) for the key the program has."""
    key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
        raise ProgramRefused("the program's key is not of a kind that can be certified")
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, algorithm)
    return request.public_bytes(serialization.Encoding.PEM).decode()


def write_certificate(file: Path, certificate: str) -> None:
    """Put the new one in the place of the old, whole or not at all."""
    unfinished = file.with_name(f"{file.name}.unfinished")
    with unfinished.open("w") as stream:
        stream.write(certificate)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(file)
