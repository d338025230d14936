"""SIP over TLS with SRTP: proven peers only, no plain media, and nothing readable on the wire's behalf."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sealwire.communications.calls.events import LegAnswered, PlayEnded
from sealwire.communications.recordings.likeness import likeness
from sealwire.communications.switches.baresip.certificate import sip_certificate
from sealwire.communications.switches.baresip.engine import BaresipEngine
from sealwire.communications.switches.port import CallNotPlaced
from sealwire.config import Settings
from sealwire.doors.caller import demo_speech
from sealwire.ground.clock import SystemClock
from sealwire.vocabulary import HangupCause
from tests.engine_house import CALLEE, EngineHouse, open_engine

SPEECH = demo_speech("caller-one")


def certificates(folder: Path) -> dict[str, Path]:
    folder.mkdir()
    certificate, authorities = sip_certificate(Settings(data_dir=folder), clock=SystemClock())
    return {"certificate": certificate, "authorities": authorities}


def tls_address(house: EngineHouse) -> str:
    host, _, port = house.address.partition(":")
    return f"{host}:{int(port) + 1}"


async def test_a_call_over_tls_is_heard_as_it_was_said_over_srtp(tmp_path: Path):
    tls = certificates(tmp_path / "data")
    async with open_engine(tmp_path, **tls) as house, open_engine(tmp_path, **tls) as world:
        ours, our_ear = await house.dial(tls_address(world), transport="tls")
        theirs, their_ear = await world.next_leg()
        assert (theirs.transport, theirs.callee) == ("tls", CALLEE)
        await theirs.answer()
        await our_ear.until(LegAnswered)
        await their_ear.until(LegAnswered)
        await theirs.listen()
        await ours.play(SPEECH, play=1)
        await our_ear.until(PlayEnded)
        await theirs.stop_listening()
        assert likeness(SPEECH[:48_000], their_ear.spoken).correlation >= 0.9


async def test_a_peer_nobody_vouches_for_is_not_called(tmp_path: Path):
    ours, theirs = certificates(tmp_path / "ours"), certificates(tmp_path / "theirs")
    async with open_engine(tmp_path, **ours) as house, open_engine(tmp_path, **theirs) as world:
        _, ear = await house.dial(tls_address(world), transport="tls")
        ended = await ear.ended(40)
        assert ended.cause in (HangupCause.SERVICE_UNAVAILABLE, HangupCause.NO_ANSWER)
        assert world.arrived.empty()


async def test_an_address_in_place_of_a_name_is_refused_because_it_could_not_be_proven(tmp_path: Path):
    async with open_engine(tmp_path, **certificates(tmp_path / "data")) as house:
        with pytest.raises(CallNotPlaced, match="host name"):
            await house.dial("192.0.2.7:5061", transport="tls")


@pytest.mark.parametrize(("shown", "arrives"), [("trunk.example", True), ("elsewhere.example", False)])
async def test_a_trunk_is_called_only_by_the_name_its_certificate_has(tmp_path: Path, shown: str, arrives: bool):
    theirs = signed_for(shown, tmp_path)
    ours = certificates(tmp_path / "ours") | {"authorities": theirs["authorities"]}
    async with (
        names_are_here() as name_server,
        open_engine(tmp_path, **theirs) as world,
        open_engine(tmp_path, name_server=name_server, **ours) as house,
    ):
        port = tls_address(world).rpartition(":")[2]
        _, ear = await house.dial(f"trunk.example:{port}", transport="tls")
        if arrives:
            await world.next_leg()
        else:
            assert (await ear.ended(40)).cause in (HangupCause.SERVICE_UNAVAILABLE, HangupCause.NO_ANSWER)
            assert world.arrived.empty()


class NameServer(asyncio.DatagramProtocol):
    """Every name is this machine (RFC 1035 A records); nothing else is known."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.line = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        end = data.index(b"\0", 12) + 5
        is_address = data[end - 4 : end - 2] == b"\0\1"
        answer = bytes.fromhex("c00c000100010000003c00047f000001") if is_address else b""
        head = data[:2] + bytes.fromhex("81800001") + bytes([0, int(is_address)]) + bytes(4)
        self.line.sendto(head + data[12:end] + answer, address)


@asynccontextmanager
async def names_are_here() -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    yield f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    transport.close()


def signed_for(name: str, folder: Path) -> dict[str, Path]:
    """A certificate for this one name, by an authority of its own."""
    now, keys = dt.datetime.now(dt.UTC), [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    issuer, subject = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, who)]) for who in ("Authority", "Peer"))
    made = [
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=who is issuer, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(keys[0], hashes.SHA256())
        for who, key in zip((issuer, subject), keys, strict=True)
    ]
    pem = [certificate.public_bytes(serialization.Encoding.PEM) for certificate in made]
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "peer.pem").write_bytes(pem[1] + keys[1].private_bytes(*form))
    (folder / "authority.pem").write_bytes(pem[0])
    return {"certificate": folder / "peer.pem", "authorities": folder / "authority.pem"}


async def test_over_tls_only_encrypted_media_are_offered(tmp_path: Path):
    tls = certificates(tmp_path / "data")
    offer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def read_offer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        offer.set_result((await reader.readexactly(length)).decode())

    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(tls["certificate"])
    listening = await asyncio.start_server(read_offer, "127.0.0.1", 21310, ssl=server_side)
    async with listening, open_engine(tmp_path, **tls) as house:
        await house.dial("127.0.0.1:21310", transport="tls")
        async with asyncio.timeout(10):
            sdp = await offer
    assert "RTP/SAVP " in sdp
    assert "RTP/AVP " not in sdp
    assert "a=crypto:" in sdp


async def test_a_call_over_tls_that_offers_plain_media_is_refused(tmp_path: Path):
    tls = certificates(tmp_path / "data")
    sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 21390 RTP/AVP 8\r\n"
    invite = (
        "INVITE sip:+441632960777@127.0.0.1;transport=tls SIP/2.0\r\n"
        "Via: SIP/2.0/TLS 127.0.0.1:21311;branch=z9hG4bKp\r\n"
        "From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: plain-media\r\nCSeq: 1 INVITE\r\n"
        "Contact: <sip:a@127.0.0.1:21311;transport=tls>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\n"
        f"Content-Length: {len(sdp)}\r\n\r\n{sdp}"
    )
    async with open_engine(tmp_path, **tls) as house:
        host, _, port = tls_address(house).partition(":")
        trust = ssl.create_default_context(cafile=str(tls["authorities"]))
        reader, writer = await asyncio.open_connection(host, int(port), ssl=trust)
        writer.write(invite.encode())
        async with asyncio.timeout(10):
            answer = await reader.readline()
        writer.close()
    assert answer.startswith(b"SIP/2.0 488")


async def test_without_a_certificate_nothing_listens_for_tls(tmp_path: Path):
    tls = certificates(tmp_path / "data")
    async with open_engine(tmp_path, authorities=tls["authorities"]) as house, open_engine(tmp_path, **tls) as world:
        _, ear = await world.dial(tls_address(house), transport="tls")
        await ear.ended(40)
        assert house.arrived.empty()
        await house.dial(tls_address(world), transport="tls")  # but it may call others over TLS
        await world.next_leg()


def test_the_settings_open_tls_with_a_certificate_of_the_local_authority(tmp_path: Path):
    plain = BaresipEngine.from_settings(Settings(data_dir=tmp_path))
    secured = BaresipEngine.from_settings(Settings(data_dir=tmp_path, sip_tls=True))
    assert "sip_certificate" not in plain._stacks[0].text
    (stack,) = secured._stacks
    assert stack.certificate is not None
    pem = Path(stack.certificate)
    assert "PRIVATE KEY" in pem.read_text()
    assert pem.stat().st_mode & 0o777 == 0o600
    assert "sip_verify_server yes" in stack.text


def test_an_operators_own_certificate_is_preferred(tmp_path: Path):
    settings = Settings(data_dir=tmp_path)
    settings.secrets_dir.mkdir(parents=True)
    own = settings.secrets_dir / "sip.pem"
    own.write_text("theirs")
    assert sip_certificate(settings, clock=SystemClock())[0] == own
