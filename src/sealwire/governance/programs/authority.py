"""The authority that says which program is whose. It signs client certificates only, and can name no server.

Its key is made on this machine and stays in the secrets folder. When its last year begins a new one takes over; the
older one is trusted until the certificates it signed have ended.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sealwire.config import Settings
from sealwire.errors import Malformed
from sealwire.ground.clock import Clock
from sealwire.ground.local_ca import Pair, key_usage, read_pair, write_pair
from sealwire.vocabulary import AccountId, ProgramId

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 90
REQUEST_CHARACTERS_MAX = 8000
RSA_BITS = range(2048, 8193)
URI_SCHEME = "sealwire-program:"
_SKEW = dt.timedelta(minutes=5)


class RequestWrong(Malformed):
    """This is not a certificate request we can sign: PEM (PKCS #10), signed by its own key, on P-256, P-384, Ed25519
    or RSA of 2048 bits and more."""


class NotAProgram(Malformed):
    """This certificate names no program of this installation."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client certificate is of, and until when."""

    account: AccountId
    program: ProgramId
    fingerprint: bytes
    """SHA-256 of the certificate."""
    valid_until: dt.datetime


@dataclass(frozen=True, slots=True)
class ProgramAuthority:
    """The authority as files: all that is trusted, and what signs."""

    trusted: Path
    signer: Pair

    def sign(
        self, request: str, account: AccountId, program: ProgramId, *, at: dt.datetime, days: int = CERTIFICATE_DAYS
    ) -> x509.Certificate:
        """A client certificate for the key of this request (PEM). Whatever names the request asks for are ignored."""
        key = _requested_key(request)
        authority = self.signer.certificate
        ends = min(at + dt.timedelta(days=days), authority.not_valid_after_utc)
        identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return (
            x509.CertificateBuilder()
            .subject_name(_named(str(program)))
            .issuer_name(authority.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(at, ends) - _SKEW)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(is_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"{URI_SCHEME}{account}/{program}")]),
                critical=False,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
            .sign(self.signer.key, hashes.SHA256())
        )


def program_authority(settings: Settings, *, clock: Clock) -> ProgramAuthority:
    """The installation's authority for programs, made when there is none; safe to ask for from two processes."""
    folder = settings.secrets_dir / "programs"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    trusted, certificate, key = folder / "trusted.pem", folder / "authority.pem", folder / "authority.key"
    with _alone(folder / "lock"):
        signer = read_pair(certificate, key)
        if signer is None or signer.certificate.not_valid_after_utc - clock.now() < 4 * dt.timedelta(CERTIFICATE_DAYS):
            signer = _new_authority(clock)
            write_pair(signer, certificate, key)
        _trust(signer.certificate, trusted, at=clock.now())
    return ProgramAuthority(trusted, signer)


def identity_of(certificate: bytes) -> Identity:
    """Who a certificate (DER) names; NotAProgram when it names nobody. Its signature was checked by TLS."""
    try:
        read = x509.load_der_x509_certificate(certificate)
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
        account, _, program = uri.removeprefix(URI_SCHEME).partition("/")
        fingerprint = read.fingerprint(hashes.SHA256())
        return Identity(AccountId.parse(account), ProgramId.parse(program), fingerprint, read.not_valid_after_utc)
    except (ValueError, x509.ExtensionNotFound, Malformed):
        raise NotAProgram from None


def is_of_same_key(certificate: str, request: str) -> bool:
    """Whether this certificate (PEM) is for the key that signed this request; RequestWrong for no request."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    keys = x509.load_pem_x509_certificate(certificate.encode()).public_key(), _requested_key(request)
    return len({key.public_bytes(serialization.Encoding.DER, form) for key in keys}) == 1


def _requested_key(request: str) -> ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey:
    if len(request) > REQUEST_CHARACTERS_MAX:
        raise RequestWrong
    try:
        read = x509.load_pem_x509_csr(request.encode())
        is_signed, key = read.is_signature_valid, read.public_key()
    except Exception:  # the parser has several ways to say no
        raise RequestWrong from None
    if not is_signed:
        raise RequestWrong
    match key:
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
            return key
        case ed25519.Ed25519PublicKey():
            return key
        case rsa.RSAPublicKey() if key.key_size in RSA_BITS:
            return key
    raise RequestWrong


def _new_authority(clock: Clock) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(f"Sealwire programs {os.urandom(4).hex()}")
    everywhere = [
        x509.DNSName(""),
        x509.IPAddress(ipaddress.ip_network("0.0.0.0/0")),
        x509.IPAddress(ipaddress.ip_network("::/0")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock.now() - _SKEW)
        .not_valid_after(clock.now() + dt.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(is_authority=True), critical=True)
        .add_extension(x509.NameConstraints(None, everywhere), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _trust(certificate: x509.Certificate, file: Path, *, at: dt.datetime) -> None:
    """Put it first among those that are trusted, and drop those that have ended."""
    held = x509.load_pem_x509_certificates(file.read_bytes()) if file.exists() else []
    if certificate in held:
        return
    kept = [certificate, *(older for older in held if older.not_valid_after_utc > at)]
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_bytes(b"".join(each.public_bytes(serialization.Encoding.PEM) for each in kept))
    unfinished.replace(file)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
