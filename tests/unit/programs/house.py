"""A gateway with a real database and real certificates, and real programs in processes of their own."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import ssl
import struct
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests import ports
from tests.unit.programs.memory_call import MemoryCall, MemorySounds

from sealwire.communications.control.programs.directory import ProgramDirectory
from sealwire.config import Settings
from sealwire.doors.uas_gateway import UasGateway
from sealwire.governance import accounts
from sealwire.governance.programs import book
from sealwire.governance.programs.authority import program_authority
from sealwire.ground.clock import Clock, SystemClock
from sealwire.ground.local_ca import local_certificates
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId, CredentialId, ProgramId

ROOT = Path(__file__).parents[3]
STAGE = Path(__file__).parent / "stage_program.py"
CLOCK = SystemClock()


def new_request() -> tuple[bytes, str]:
    """A private key (PEM), and a certificate request for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded, request.public_bytes(serialization.Encoding.PEM).decode()


@dataclass(frozen=True)
class ProgramFiles:
    """What a customer holds."""

    program: ProgramId
    certificate: Path
    key: Path


@dataclass
class StageProgram:
    """A program in a process of its own, and what it printed."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Future[None] | None = None

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().strip())
            self.heard.set()
        self.heard.set()

    async def says(self, words: str, *, seconds_max: float = 15) -> str:
        """Wait for a line that holds these words."""
        async with asyncio.timeout(seconds_max):
            while True:
                self.heard.clear()
                for line in self.lines:
                    if words in line:
                        return line
                await self.heard.wait()

    async def ends(self, *, seconds_max: float = 15) -> int:
        async with asyncio.timeout(seconds_max):
            return await self.process.wait()


@dataclass
class House:
    """What a test may touch."""

    settings: Settings
    database: Database
    directory: ProgramDirectory
    gateway: UasGateway
    sounds: MemorySounds
    account: AccountId
    folder: Path
    programs: list[StageProgram] = field(default_factory=list)
    raws: list[RawProgram] = field(default_factory=list)

    async def register(
        self, *, account: AccountId | None = None, days: int | None = None, is_known: bool = False
    ) -> ProgramFiles:
        """A registered program; with `days` its certificate lasts so long from now (or ended so long ago).

        Such a certificate is not in the book unless `is_known`.
        """
        key, request = new_request()
        owner, authority = account or self.account, program_authority(self.settings, clock=CLOCK)
        async with self.database.account(owner) as connection:
            program = await book.register(
                connection,
                owner,
                label="test",
                request=request,
                by=CredentialId.new(),
                authority=authority,
                clock=CLOCK,
            )
            certificate = (await book.find(connection, owner, program)).certificate.encode()
        if days is not None:
            signed = authority.sign(request, owner, program, at=dt.datetime.now(dt.UTC), days=days)
            certificate = signed.public_bytes(serialization.Encoding.PEM)
        if days is not None and is_known:
            async with self.database.account(owner) as connection:
                await book.write(connection, owner, program, certificate=signed, by=program, at=CLOCK.now())
        files = ProgramFiles(program, self.folder / f"{program}.pem", self.folder / f"{program}.key")
        files.certificate.write_bytes(certificate)
        files.key.write_bytes(key)
        return files

    async def revoke(self, program: ProgramId) -> None:
        async with self.database.account(self.account) as connection:
            await book.revoke(connection, self.account, program, by=CredentialId.new(), clock=CLOCK)

    async def start(
        self, files: ProgramFiles, *, script: Path = STAGE, connected: bool = True, **more: str
    ) -> StageProgram:
        """Run a program with these files."""
        before = len(self.directory.connections)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-u", str(script), env=os.environ | self.environment(files) | more,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        program = StageProgram(process)
        self.programs.append(program)
        program.reading = asyncio.ensure_future(program.read())
        if connected:
            await self.until(lambda: len(self.directory.connections) > before)
        return program

    def environment(self, files: ProgramFiles) -> dict[str, str]:
        return {
            "PYTHONPATH": str(ROOT / "sdk/src"),
            "SEALWIRE_UAS": self.settings.uas_listen,
            "SEALWIRE_UAS_CERTIFICATE": str(files.certificate),
            "SEALWIRE_UAS_KEY": str(files.key),
            "SEALWIRE_UAS_AUTHORITY": str(self.authority),
        }

    @property
    def authority(self) -> Path:
        return local_certificates(self.settings, clock=CLOCK).ca

    async def until(self, holds: Any, *, seconds_max: float = 15) -> None:
        async with asyncio.timeout(seconds_max):
            while not holds():
                await asyncio.sleep(0.01)

    async def raw(self, files: ProgramFiles | None = None, *, tls_max: ssl.TLSVersion | None = None) -> RawProgram:
        """A connection that can say anything."""
        self.raws.append(
            await RawProgram.connect(self.settings.uas_listen, authority=self.authority, files=files, tls_max=tls_max)
        )
        return self.raws[-1]


@dataclass
class RawProgram:
    """Frames by hand."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def connect(
        cls,
        address: str,
        *,
        authority: Path,
        files: ProgramFiles | None,
        tls_max: ssl.TLSVersion | None = None,
    ) -> RawProgram:
        context = ssl.create_default_context(cafile=str(authority))
        if tls_max is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = tls_max
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        if files is not None:
            context.load_cert_chain(files.certificate, files.key)
        host, _, port = address.rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port), ssl=context))

    def send(self, **frame: Any) -> None:
        body = msgspec.msgpack.encode(frame)
        self.writer.write(struct.pack(">I", len(body)) + body)

    def hello(self, *applications: str, **changes: Any) -> None:
        self.send(**{"type": "hello", "version": 1, "applications": list(applications or ("menu",)), **changes})

    async def frame(self, kind: str | None = None, *, seconds_max: float = 15) -> dict[str, Any]:
        """The next frame, or the next of this kind."""
        async with asyncio.timeout(seconds_max):
            while True:
                (length,) = struct.unpack(">I", await self.reader.readexactly(4))
                frame: dict[str, Any] = msgspec.msgpack.decode(await self.reader.readexactly(length))
                if kind in (None, frame["type"]):
                    return frame

    async def is_cut(self, *, seconds_max: float = 5) -> bool:
        """Whether the service ends the connection."""
        try:
            async with asyncio.timeout(seconds_max):
                while await self.reader.read(65536):
                    pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    async def close(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def open_house(
    folder: Path, database: Database, *, account: AccountId | None = None, sounds: Any = None, clock: Clock = CLOCK
) -> AsyncIterator[House]:
    settings = Settings(data_dir=folder, uas_listen=f"127.0.0.1:{ports.take()}")
    sounds = sounds or MemorySounds()
    directory = ProgramDirectory(sounds=sounds)
    gateway = UasGateway(settings, directory, database=database, clock=clock)
    await gateway.start()
    watch = asyncio.ensure_future(gateway.watch())
    house = House(settings, database, directory, gateway, sounds, await new_account(database, account), folder)
    try:
        yield house
    finally:
        watch.cancel()
        await gateway.stop()
        for program in house.programs:
            with suppress(ProcessLookupError):
                program.process.kill()
            await program.process.wait()


async def new_account(database: Database, account: AccountId | None = None) -> AccountId:
    account = account or AccountId.new()
    async with database.account(account) as connection:
        try:
            await accounts.find(connection, account)
        except accounts.AccountMissing:
            await accounts.create(connection, account, name="Programs", log_origin="o", log_vkey="v", clock=CLOCK)
    return account


def started(house: House, name: str = "stays", call: MemoryCall | None = None) -> asyncio.Future[int]:
    application = house.directory.application(house.account, name)
    assert application is not None
    return asyncio.ensure_future(application.run(call or MemoryCall(house.account)))


async def joined(house: House, *applications: str, **hello: Any) -> RawProgram:
    """A program by hand, with a certificate of its own."""
    before = len(house.directory.connections)
    raw = await house.raw(await house.register())
    raw.hello(*applications, **hello)
    assert (await raw.frame())["type"] == "welcome"
    assert len(house.directory.connections) == before + 1
    return raw
