"""Where customers' programs come in: TLS with a client certificate, on an address of its own.

It runs inside the switchboard, because what a program says must reach its call without another hop. A certificate is
looked up when it connects and twice a second from then on, so that one that was revoked is cut off within a second.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections import Counter
from contextlib import suppress

from sealwire.communications.control.programs.connection import (
    CloudStopping,
    ProgramConnection,
    ProgramRefused,
    RenewalRefused,
    TooManyPrograms,
)
from sealwire.communications.control.programs.directory import PROGRAMS_MAX, ProgramDirectory
from sealwire.communications.control.programs.frames import FRAME_BYTES_MAX
from sealwire.config import Settings
from sealwire.errors import Refused, SealwireError, Unavailable
from sealwire.governance.programs import book
from sealwire.governance.programs.authority import Identity, identity_of, is_of_same_key, program_authority
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock
from sealwire.ground.local_ca import local_certificates
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId

HANDSHAKE_S_MAX = 5.0
CHECK_S = 0.5
RELOAD_S = 3600.0
CONNECTIONS_MAX = 2000
RENEWAL_DAYS = 30


class PortRefused(Refused):
    """Programs cannot be listened for on this address: it is taken, or not of this machine; choose another one."""


class UasGateway:
    """The listener and the watch over what is connected."""

    def __init__(self, settings: Settings, directory: ProgramDirectory, *, database: Database, clock: Clock) -> None:
        self._settings, self._directory = settings, directory
        self._database, self._clock = database, clock
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._of_account = Counter[AccountId]()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.verify_flags |= ssl.VERIFY_X509_STRICT
        # A ticket would let a client in again without its certificate being looked at.
        self._context.options |= ssl.OP_NO_TICKET
        self._context.num_tickets = 0

    async def start(self) -> None:
        """Listen. PortRefused when that is not possible."""
        self._load()
        host, _, port = self._settings.uas_listen.rpartition(":")
        try:
            self._server = await asyncio.start_server(
                self._connected, host.strip("[]"), int(port), ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_S_MAX, limit=FRAME_BYTES_MAX,
            )  # fmt: skip
        except OSError as error:
            raise PortRefused from error

    async def watch(self) -> None:
        """Until cancelled: cut off what is no longer in force, and take renewed certificates into use."""
        loop = asyncio.get_running_loop()
        loaded_at = loop.time()
        while True:
            await asyncio.sleep(CHECK_S)
            try:
                await self._check()
                if loop.time() - loaded_at > RELOAD_S:
                    self._load()
                    loaded_at = loop.time()
            except Exception as error:  # programs stay connected while the database is away
                diagnostics.failure("programs.not-checked", error)

    async def stop(self) -> None:
        """Tell the connected programs to come back later, and stop listening."""
        if self._server is not None:
            self._server.close()
        for connection in self._directory.connections:
            connection.dismiss(CloudStopping())
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _load(self) -> None:
        served = local_certificates(self._settings, clock=self._clock)
        self._context.load_cert_chain(served.certificate, served.key)
        self._context.load_verify_locations(program_authority(self._settings, clock=self._clock).trusted)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= CONNECTIONS_MAX:
            writer.transport.abort()
            return
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve_program(reader, writer)
        except (SealwireError, OSError) as error:
            diagnostics.failure("program.not-served", error)
        finally:
            with suppress(OSError, RuntimeError):
                writer.close()

    async def _serve_program(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        presented = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if presented is None:
            return
        identity = identity_of(presented)
        connection = ProgramConnection(identity, reader, writer, renew=lambda request: self._renewed(identity, request))
        try:
            await self._admit(identity)
            if self._of_account[identity.account] >= PROGRAMS_MAX:  # those that have not said hello yet count too
                raise TooManyPrograms
        except (Refused, Unavailable) as error:
            connection.dismiss(error)
            return
        self._of_account[identity.account] += 1
        try:
            await connection.run(joined=lambda: self._directory.join(connection))
        finally:
            self._directory.leave(connection)
            self._of_account[identity.account] -= 1
            self._of_account += Counter()  # forgets those at nothing

    async def _renewed(self, identity: Identity, request: str) -> str:
        """The next certificate of a program that is connected: once, or told again when the first answer was lost."""
        if identity.valid_until - self._clock.now() > dt.timedelta(days=RENEWAL_DAYS):
            raise RenewalRefused
        authority = program_authority(self._settings, clock=self._clock)
        async with self._database.account(identity.account) as connection:
            newest = await book.find(connection, identity.account, identity.program)
            if newest.valid_until - self._clock.now() > dt.timedelta(days=RENEWAL_DAYS):
                if is_of_same_key(newest.certificate, request):
                    return newest.certificate
                raise RenewalRefused
            await book.renew(
                connection, identity.account, identity.program, request=request, by=identity.program,
                authority=authority, clock=self._clock,
            )  # fmt: skip
            return (await book.find(connection, identity.account, identity.program)).certificate

    async def _admit(self, identity: Identity) -> None:
        known = await book.in_force(self._database, [identity.fingerprint])
        if known.get(identity.fingerprint) != (identity.account, identity.program):
            raise ProgramRefused
        if self._clock.now() >= identity.valid_until:
            raise ProgramRefused("the certificate has ended; renew it and connect again")

    async def _check(self) -> None:
        connections = self._directory.connections
        if not connections:
            return
        known = await book.in_force(self._database, {each.identity.fingerprint for each in connections})
        for connection in connections:
            if connection.identity.fingerprint not in known:
                connection.dismiss(ProgramRefused())
            else:
                connection.drain_when_expired(self._clock.now())


async def serve(settings: Settings, directory: ProgramDirectory, *, database: Database, clock: Clock) -> None:
    """Take programs until cancelled."""
    gateway = UasGateway(settings, directory, database=database, clock=clock)
    await gateway.start()
    try:
        await gateway.watch()
    finally:
        await gateway.stop()
