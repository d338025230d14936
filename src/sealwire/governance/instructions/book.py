"""Instructions as they are stored: under which keys they are taken, and word for word what was signed."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from sealwire.errors import Malformed, Missing, Refused
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.governance.instructions.text import InstructionMalformed, InstructionText, parse_instruction
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, CredentialId, InstructionId
from sealwire_verifier import note as notes
from sealwire_verifier.errors import NotProved

NOTE_BYTES_MAX = 32_768
VKEY_MAX = 300
OLD_DAYS_MAX, AHEAD_DAYS_MAX = 30, 1
_queries = load_queries(__package__)


class InstructionMissing(Missing):
    """No instruction of this account is known under this id."""


class InstructionKeyMissing(Missing):
    """No key of this account is in force under this name and id."""


class InstructionKeyMalformed(Malformed):
    """This is not a C2SP verifier key of type Ed25519; make one as docs/formats/instruction.md says."""


class InstructionNotSigned(Refused):
    """No key that this account registered has signed this, or a signature does not hold; nothing was stored."""


class InstructionForeign(Missing):
    """This instruction names another account than the one of this credential; nothing was stored."""


class InstructionStale(Refused):
    """The instruction is dated more than 30 days back, or in the future; date it today and sign it again."""


class InstructionKnown(Refused):
    """These same words were given before; cite the instruction that has them, or sign new ones."""


@dataclass(frozen=True, slots=True)
class InstructionKey:
    """A key under which this account's instructions are taken."""

    vkey: str
    registered_by: CredentialId
    registered_at: dt.datetime
    retired_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction that was given."""

    id: InstructionId
    sha256: bytes
    note: str
    vkey: str
    given_by: CredentialId
    given_at: dt.datetime

    @property
    def says(self) -> InstructionText:
        return parse_instruction(notes.parse(self.note).text.decode())


async def register_key(
    connection: Connection, account: AccountId, vkey: str, *, by: CredentialId, clock: Clock
) -> InstructionKey:
    """Take instructions signed by this key from now on, with its leaf. A key that was retired stays so."""
    try:
        key = notes.parse_vkey(vkey) if len(vkey) <= VKEY_MAX else None
    except NotProved:
        key = None
    if key is None or key.kind != notes.ED25519 or str(key) != vkey:
        raise InstructionKeyMalformed
    if all(each.vkey != vkey for each in await keys_of(connection, account)):
        await connection.execute(_queries.register_key, account.value, vkey, by.value, clock.now())
        await _note_key(connection, account, "instruction-key.registered", vkey, by=by, clock=clock)
    return next(each for each in await keys_of(connection, account) if each.vkey == vkey)


async def retire_key(connection: Connection, account: AccountId, vkey: str, *, by: CredentialId, clock: Clock) -> None:
    """Take no more instructions signed by it; those that were given stay. InstructionKeyMissing."""
    if all(each.vkey != vkey for each in await keys_of(connection, account)):
        raise InstructionKeyMissing
    if await connection.fetchrow(_queries.retire_key, account.value, vkey, clock.now()) is None:
        return
    await _note_key(connection, account, "instruction-key.retired", vkey, by=by, clock=clock)


async def keys_of(connection: Connection, account: AccountId) -> list[InstructionKey]:
    """Every key there was, the oldest first."""
    return [
        InstructionKey(row["vkey"], CredentialId(row["registered_by"]), row["registered_at"], row["retired_at"])
        for row in await connection.fetch(_queries.keys, account.value)
    ]


async def give(connection: Connection, account: AccountId, note: str, *, by: CredentialId, clock: Clock) -> Instruction:
    """Check a signed note and store it word for word, with its leaf. It changes nothing by itself."""
    raw = note.encode()
    if len(raw) > NOTE_BYTES_MAX:
        raise InstructionMalformed(f"an instruction has at most {NOTE_BYTES_MAX} bytes")
    in_force = [notes.parse_vkey(key.vkey) for key in await keys_of(connection, account) if key.retired_at is None]
    try:
        parsed = notes.parse(raw)
        signed_by = notes.verify(parsed, in_force)[0]
    except NotProved as error:
        raise InstructionNotSigned(f"{error}; nothing was stored") from None
    says = parse_instruction(parsed.text.decode())
    if says.account != str(account):
        raise InstructionForeign
    age_days = (clock.now().date() - says.date).days
    if not -AHEAD_DAYS_MAX <= age_days <= OLD_DAYS_MAX:
        raise InstructionStale
    digest = hashlib.sha256(parsed.text).digest()
    given = Instruction(InstructionId.new(), digest, note, str(signed_by), by, clock.now())
    stored = await connection.fetchrow(
        _queries.insert_instruction, account.value, given.id.value, digest, note, given.vkey, by.value, given.given_at
    )
    if stored is None:
        raise InstructionKnown
    payload = {
        "instruction": str(given.id), "sha256": digest.hex(), "key": signed_by.key_id.hex(), "by": str(by),
        "at": rfc3339(given.given_at),
    }  # fmt: skip
    await post_event(connection, account, LeafClass.INSTRUCTION_GIVEN, payload)
    return given


async def find(connection: Connection, account: AccountId, instruction: InstructionId) -> Instruction:
    """One instruction of this account; InstructionMissing."""
    row = await connection.fetchrow(_queries.find_instruction, account.value, instruction.value)
    if row is None:
        raise InstructionMissing
    return _from_row(row)


async def page(
    connection: Connection, account: AccountId, *, before: tuple[dt.datetime, UUID] | None, limit: int
) -> list[Instruction]:
    """Instructions, the newest first."""
    moment, last = before or (None, None)
    rows = await connection.fetch(_queries.page_of_instructions, account.value, moment, last, limit)
    return [_from_row(row) for row in rows]


def _from_row(row: asyncpg.Record) -> Instruction:
    return Instruction(
        InstructionId(row["instruction_id"]), row["sha256"], row["note"], row["vkey"], CredentialId(row["given_by"]),
        row["given_at"],
    )  # fmt: skip


async def _note_key(
    connection: Connection, account: AccountId, what: str, vkey: str, *, by: CredentialId, clock: Clock
) -> None:
    key_id = notes.parse_vkey(vkey).key_id.hex()
    payload = {"what": what, "key": key_id, "by": str(by), "at": rfc3339(clock.now())}
    await post_event(connection, account, LeafClass.CONFIGURATION_CHANGED, payload)
