"""Who is let in. Real TLS, real certificates, a real database."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from tests.conftest import ModuleDatabase, OpenDatabase
from tests.unit.programs.house import House, new_account, new_request, open_house, started
from tests.unit.programs.memory_call import MemoryCall

from sealwire.communications.control.port import ChannelState
from sealwire.config import Settings
from sealwire.doors import uas_gateway
from sealwire.doors.uas_gateway import PortRefused, UasGateway
from sealwire.governance import closing
from sealwire.governance.programs.authority import program_authority
from sealwire.ground.clock import SystemClock, TestClock
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import ClosureId, HangupCause, ReturnCode


@pytest.fixture
async def house(tmp_path: Path, database: OpenDatabase) -> AsyncIterator[House]:
    async with open_house(tmp_path, await database()) as running:
        yield running


async def test_without_a_certificate_nobody_comes_in(house: House) -> None:
    raw = await house.raw()
    raw.hello()
    assert await raw.is_cut()
    assert house.directory.connections == []


async def test_a_certificate_of_another_authority_is_refused(house: House, tmp_path: Path) -> None:
    elsewhere = program_authority(Settings(data_dir=tmp_path / "elsewhere"), clock=SystemClock())
    files = await house.register()
    own = program_authority(house.settings, clock=SystemClock())
    assert own.signer.certificate != elsewhere.signer.certificate
    key, request = new_request()
    signed = elsewhere.sign(request, house.account, files.program, at=SystemClock().now())
    files.certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    files.key.write_bytes(key)
    raw = await house.raw(files)
    raw.hello()
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await raw.frame()


async def test_an_expired_certificate_is_refused_and_the_sdk_says_so(house: House) -> None:
    files = await house.register(days=-1)
    raw = await house.raw(files)
    raw.hello()
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await raw.frame()
    assert house.directory.connections == []
    program = await house.start(files, connected=False)
    assert await program.ends() != 0
    await program.says("the program's certificate has ended")


async def test_a_certificate_that_was_never_registered_is_refused_although_the_authority_signed_it(
    house: House,
) -> None:
    raw = await house.raw(await house.register(days=1))
    goodbye = await raw.frame("goodbye")
    assert (goodbye["code"], goodbye["final"]) == ("program-refused", True)
    assert await raw.is_cut()


async def test_a_revoked_certificate_is_refused_and_the_program_ends_instead_of_trying_for_ever(house: House) -> None:
    files = await house.register()
    await house.revoke(files.program)
    program = await house.start(files, connected=False)
    assert await program.ends() != 0
    await program.says("ProgramRefused: program-refused")


@pytest.mark.alone
async def test_revoking_a_certificate_cuts_its_live_connection_and_call_within_a_second(house: House) -> None:
    files = await house.register()
    program = await house.start(files)
    call = MemoryCall(house.account)
    running = started(house, call=call)
    await house.until(lambda: call.primary.state is ChannelState.UP)
    await house.revoke(files.program)
    revoked_at = time.monotonic()
    assert await running == ReturnCode.PROGRAM_LOST
    assert time.monotonic() - revoked_at < 1
    assert call.primary.cause is HangupCause.PROGRAM_LOST
    assert await program.ends() != 0


async def test_closing_the_account_cuts_its_programs_and_nobody_elses(
    house: House, module_database: ModuleDatabase
) -> None:
    other = await new_account(house.database)
    await house.start(await house.register())
    await house.start(await house.register(account=other))
    now = SystemClock().now()
    async with house.database.account(house.account) as connection:
        await closing.begin(connection, house.account, ClosureId.new(), now=now, closes_at=now)
    worker = await Database.connect(module_database.dsn("sealwire_worker"), size_max=1)
    async with worker.account(house.account) as connection:
        assert await closing.close(connection, house.account, now=now) is not None
    await worker.close()
    await house.until(lambda: len(house.directory.connections) == 1, seconds_max=2)
    assert house.directory.connections[0].identity.account == other


async def test_programs_of_another_account_never_see_the_call(house: House) -> None:
    await house.start(await house.register(account=await new_account(house.database)))
    assert house.directory.application(house.account, "menu") is None


async def test_tls_1_1_is_not_spoken(house: House) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await house.raw(await house.register(), tls_max=ssl.TLSVersion.TLSv1_1)


async def test_the_programs_authority_cannot_vouch_for_a_server(house: House) -> None:
    files = await house.register()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    trusting = ssl.create_default_context(cafile=str(program_authority(house.settings, clock=SystemClock()).trusted))
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
    server.close()


async def test_a_port_that_is_taken_is_refused_with_a_sentence(house: House) -> None:
    again = UasGateway(house.settings, house.directory, database=house.database, clock=SystemClock())
    with pytest.raises(PortRefused, match="choose another one"):
        await again.start()


async def test_a_certificate_in_its_last_days_is_renewed_over_its_own_connection_with_the_same_key(
    house: House,
) -> None:
    files = await house.register(days=10, is_known=True)
    before = files.certificate.read_bytes()
    program = await house.start(files)
    await program.says("the certificate was renewed")
    after = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    assert files.certificate.read_bytes() != before
    assert (after.not_valid_after_utc - SystemClock().now()).days >= 89
    program.process.kill()
    await house.until(lambda: house.directory.connections == [])
    await house.start(files)
    assert house.directory.connections[0].identity.valid_until == after.not_valid_after_utc


async def test_a_certificate_is_renewed_once_and_told_again_to_who_lost_the_answer(house: House) -> None:
    files = await house.register(days=10, is_known=True)
    own = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    key = load_pem_private_key(files.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    request = own.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    told = []
    for _ in range(3):  # each over a connection of its own, as one that was cut off would ask
        raw = await house.raw(files)
        raw.hello()
        raw.send(type="renew", request=request)
        told.append((await raw.frame("renewed"))["certificate"])
    assert told[0] is not None
    assert len(set(told)) == 1
    raw.send(type="renew", request=new_request()[1])
    refused = await raw.frame("renewed")
    assert (refused["certificate"], refused["code"]) == (None, "renewal-refused")


async def test_connections_that_do_not_say_hello_count_as_programs_of_their_account(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uas_gateway, "PROGRAMS_MAX", 2)
    files = await house.register()
    silent = [await house.raw(files) for _ in range(2)]
    await house.until(lambda: sum(house.gateway._of_account.values()) == 2)
    third = await house.raw(files)
    assert (await third.frame("goodbye"))["code"] == "too-many-programs"
    other = await house.raw(await house.register(account=await new_account(house.database)))
    other.hello()
    await other.frame("welcome")
    for each in silent:
        each.hello()
        await each.frame("welcome")


async def test_a_fresh_certificate_or_a_wrong_request_is_not_renewed(house: House) -> None:
    for days, code in ((90, "renewal-refused"), (10, "request-wrong")):
        raw = await house.raw(await house.register(days=days, is_known=True))
        raw.hello()
        raw.send(type="renew", request="no request")
        renewed = await raw.frame("renewed")
        assert (renewed["certificate"], renewed["code"]) == (None, code)


async def test_a_connection_outlives_its_certificate_only_until_its_calls_have_ended(
    tmp_path: Path, database: OpenDatabase
) -> None:
    clock = TestClock(SystemClock().now())
    async with open_house(tmp_path, await database(), clock=clock) as house:
        raw = await house.raw(await house.register())
        raw.hello("menu")
        await raw.frame("welcome")
        running = started(house, "menu")
        offer = await raw.frame("offer")
        raw.send(type="accept", call=offer["call"])
        clock.advance(days=91)
        await house.until(lambda: house.directory.connections[0].is_draining)
        assert await started(house, "menu") == ReturnCode.APPLICATION_MISSING
        raw.send(type="done", call=offer["call"], code=4)
        assert await running == 4
        goodbye = await raw.frame("goodbye")
        assert (goodbye["code"], goodbye["final"]) == ("certificate-ended", False)
        assert await raw.is_cut()


async def test_while_the_database_is_away_nobody_new_comes_in_and_who_is_there_stays(house: House) -> None:
    files = await house.register()
    await house.start(await house.register())
    await house.database.close()
    raw = await house.raw(files)
    goodbye = await raw.frame("goodbye")
    assert (goodbye["code"], goodbye["final"]) == ("database-unavailable", False)
    await asyncio.sleep(1)
    assert len(house.directory.connections) == 1
