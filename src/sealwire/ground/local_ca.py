"""A certificate authority of this machine's own, so that the API speaks TLS from the first start.

The authority may only sign for the names it was made for (RFC 5280 name constraints), so trusting it costs little.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sealwire.config import Settings
from sealwire.ground.clock import Clock

CA_DAYS = 3650
CERTIFICATE_DAYS = 90
RENEWED_BEFORE_DAYS = 30
_ALWAYS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class LocalCertificates:
    """The files a TLS server and its clients need; keys are 0600."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def local_certificates(settings: Settings, *, clock: Clock) -> LocalCertificates:
    """The local authority and server certificate, made or renewed when needed, for loopback and what is listened on."""
    folder = authority_file(settings).parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = LocalCertificates(authority_file(settings), folder / "server.pem", folder / "server.key")
    names = list(dict.fromkeys(_names(settings.api_listen) + _names(settings.uas_listen)))
    authority = read_pair(files.ca, folder / "ca.key")
    if authority is None or not _serves(authority, names, clock):
        authority = _new_authority(names, clock)
        write_pair(authority, files.ca, folder / "ca.key")
        server = None
    else:
        server = read_pair(files.certificate, files.key)
    if server is None or not _is_of(server, authority) or not _serves(server, names, clock):
        write_pair(_new_server(authority, names, clock), files.certificate, files.key)
    return files


def authority_file(settings: Settings) -> Path:
    """What those who connect to this installation have to trust."""
    return settings.secrets_dir / "tls" / "ca.pem"


def _names(listen: str) -> list[str]:
    host = listen.rpartition(":")[0].strip("[]")
    found = dict.fromkeys(_ALWAYS)
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - every address: then the certificate must name them
        found[socket.gethostname()] = None
        found.update(dict.fromkeys(_addresses_of(socket.gethostname())))
    else:
        found[host] = None
    return list(found)


def _addresses_of(host: str) -> list[str]:
    try:
        return [str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)]
    except OSError:
        return []


def _general_names(names: Iterable[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _permitted(names: Iterable[x509.GeneralName]) -> list[x509.GeneralName]:
    """The same names as subtrees: an address becomes a network of one."""
    return [x509.IPAddress(ipaddress.ip_network(n.value)) if isinstance(n, x509.IPAddress) else n for n in names]


def _builder(subject: str, key: ec.EllipticCurvePrivateKey, clock: Clock, days: int) -> x509.CertificateBuilder:
    now = clock.now()
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def key_usage(*, is_authority: bool) -> x509.KeyUsage:
    """What the key of an authority, or of one end of a connection, may do."""
    return x509.KeyUsage(
        digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _new_authority(names: list[str], clock: Clock) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = f"Sealwire local authority {os.urandom(4).hex()}"
    general = _general_names(names)
    certificate = (
        _builder(subject, key, clock, CA_DAYS)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(is_authority=True), critical=True)
        .add_extension(x509.NameConstraints(_permitted(general), None), critical=True)
        # Repeated here only so that "which names does it serve" is asked of both certificates alike.
        .add_extension(x509.SubjectAlternativeName(general), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def _new_server(authority: Pair, names: list[str], clock: Clock) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_identifier = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _builder("Sealwire API", key, clock, CERTIFICATE_DAYS)
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_identifier), critical=False
        )
        .sign(authority.key, hashes.SHA256())
    )
    return Pair(certificate, key)


def _serves(pair: Pair, names: list[str], clock: Clock) -> bool:
    """Whether it is good for these names for some time yet."""
    if pair.certificate.not_valid_after_utc - clock.now() < dt.timedelta(days=RENEWED_BEFORE_DAYS):
        return False
    if pair.certificate.not_valid_before_utc > clock.now():
        return False
    held = pair.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return all(name in held for name in _general_names(names))


def _is_of(server: Pair, authority: Pair) -> bool:
    try:
        server.certificate.verify_directly_issued_by(authority.certificate)
    except Exception:
        return False
    return server.certificate.public_key() == server.key.public_key()


def read_pair(certificate: Path, key: Path) -> Pair | None:
    """What lies there, or nothing when it is missing or cut short: it can always be made anew."""
    try:
        loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return Pair(found, loaded) if isinstance(loaded, ec.EllipticCurvePrivateKey) else None


def write_pair(pair: Pair, certificate: Path, key: Path) -> None:
    """Write both, the key first and 0600, each whole or not at all."""
    encoded = pair.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, encoded, 0o600)
    _write(certificate, pair.certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(file: Path, content: bytes, mode: int) -> None:
    unfinished = file.with_suffix(file.suffix + ".unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(file)
