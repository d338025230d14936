"""Signed instructions: what a customer says in writing about retention, and the keys it signs with."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK
from msgspec import Meta

from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import (
    CredentialIdText,
    IdempotencyKey,
    Moment,
    MomentOrNull,
    NextCursor,
    Sha256Hex,
    id_in_address,
    in_path,
)
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit, Position, cut_page, read_cursor
from sealwire.doors.api.parts import Here
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.doors.api.resources.retention import InstructionText
from sealwire.governance.instructions import book
from sealwire.governance.instructions.book import (
    Instruction,
    InstructionForeign,
    InstructionKey,
    InstructionKeyMalformed,
    InstructionKeyMissing,
    InstructionKnown,
    InstructionMissing,
    InstructionNotSigned,
    InstructionStale,
)
from sealwire.governance.instructions.text import InstructionMalformed
from sealwire.governance.principals import Scope
from sealwire.vocabulary import InstructionId

EXAMPLE_VKEY = "example.org/privacy+188f0036+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
InstructionPath = Annotated[str, in_path("The instruction's id.", "ins_5f0c1e2d9a7b4c6e8f10213243546576")]
Vkey = Annotated[str, Meta(description="A C2SP verifier key (Ed25519).", max_length=300, examples=[EXAMPLE_VKEY])]
EXAMPLE_NOTE = (
    "sealwire-instruction/v1\naccount acc_5f0c1e2d9a7b4c6e8f10213243546576\ndate 2026-11-23\n"
    "ground GDPR Art. 28(3)(a), policy 7 of the controller\nretention recording 0 7\n\n"
    "— example.org/privacy GI8ANjZmObBIgGFysBjT6nO3u6LUL0hfXOOHT7c2"
    "3YUX6IBOoARWbZOcP4QahXWUJJ8UqyOkxmpWINNeet0C/7cKKQQ=\n"
)
NoteText = Annotated[
    str,
    Meta(
        description="A C2SP signed note; its text is described in docs/formats/instruction.md.", max_length=32_768,
        examples=[EXAMPLE_NOTE],
    ),
]  # fmt: skip


class NewInstructionKey(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A key."""

    vkey: Vkey


class InstructionKeySeen(msgspec.Struct, kw_only=True):
    """A key under which instructions are taken, or were."""

    vkey: Vkey
    registered_by: CredentialIdText
    registered_at: Moment
    retired_at: MomentOrNull


class InstructionKeys(msgspec.Struct, kw_only=True):
    """Every key there was, the oldest first."""

    items: list[InstructionKeySeen]


class NewInstruction(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What was signed."""

    note: NoteText


class SettingSaid(msgspec.Struct, kw_only=True):
    """One line of an instruction."""

    category: Annotated[str, Meta(examples=["recording"])]
    retention_class: Annotated[int, Meta(examples=[0])]
    days: Annotated[int, Meta(examples=[7])]


class InstructionSeen(msgspec.Struct, kw_only=True):
    """One instruction, word for word."""

    id: InstructionText
    date: Annotated[dt.date, Meta(description="The day it bears.", examples=["2026-11-23"])]
    ground: Annotated[str, Meta(description="The legal ground it names.", examples=["GDPR Art. 28(3)(a), policy 7"])]
    retention: list[SettingSaid]
    note: NoteText
    sha256: Annotated[Sha256Hex, Meta(description="Of its text; it stands in the log.")]
    vkey: Vkey
    given_by: CredentialIdText
    given_at: Moment


class InstructionPage(msgspec.Struct, kw_only=True):
    """A page of instructions, newest first."""

    items: list[InstructionSeen]
    next_cursor: NextCursor


@post(
    "/v1/instruction-keys",
    status_code=HTTP_200_OK,
    **operation(
        "register-instruction-key", "Retention", Scope.OWNER, summary="Register a key for instructions",
        raises=(InstructionKeyMalformed,), body={"vkey": EXAMPLE_VKEY},
    ),
)  # fmt: skip
async def register_instruction_key(here: Here, data: JSONBody[NewInstructionKey]) -> InstructionKeySeen:
    """The private key stays with you. The same key again changes nothing; a retired one stays retired."""
    async with here.parts.database.account(here.account) as connection:
        key = await book.register_key(
            connection, here.account, data.vkey, by=here.principal.credential, clock=here.parts.clock
        )
    return _key_seen(key)


@get(
    "/v1/instruction-keys",
    **operation("list-instruction-keys", "Retention", Scope.READ, summary="List keys for instructions"),
)
async def list_instruction_keys(here: Here) -> InstructionKeys:
    """Retired ones too: instructions signed by them stay what they are."""
    async with here.parts.database.account(here.account) as connection:
        keys = await book.keys_of(connection, here.account)
    return InstructionKeys(items=[_key_seen(key) for key in keys])


@post(
    "/v1/instruction-keys/retirement",
    status_code=HTTP_200_OK,
    **operation(
        "retire-instruction-key", "Retention", Scope.OWNER, summary="Retire a key for instructions",
        raises=(InstructionKeyMissing,), body={"vkey": EXAMPLE_VKEY},
    ),
)  # fmt: skip
async def retire_instruction_key(here: Here, data: JSONBody[NewInstructionKey]) -> InstructionKeySeen:
    """Nothing signed by it is taken from now on."""
    async with here.parts.database.account(here.account) as connection:
        await book.retire_key(connection, here.account, data.vkey, by=here.principal.credential, clock=here.parts.clock)
        keys = await book.keys_of(connection, here.account)
    return _key_seen(next(key for key in keys if key.vkey == data.vkey))


@post(
    "/v1/instructions",
    **operation(
        "give-instruction", "Retention", Scope.OWNER, summary="Give a signed instruction",
        raises=(
            InstructionMalformed, InstructionNotSigned, InstructionForeign, InstructionStale, InstructionKnown,
            IdempotencyConflict, IdempotencyKeyMalformed,
        ),
    ),
)  # fmt: skip
async def give_instruction(
    here: Here, data: JSONBody[NewInstruction], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[InstructionSeen]:
    """Stored word for word, its hash in the log. It changes nothing by itself: change-retention cites it."""
    account, once = here.account, await Once.of(request, here, idempotency_key)
    async with here.parts.database.account(account) as connection:
        seen = await once.seen(connection, account)
        if seen is None:
            given = await book.give(
                connection, account, data.note, by=here.principal.credential, clock=here.parts.clock
            )
            await once.remember(connection, account, str(given.id))
        else:
            given = await book.find(connection, account, InstructionId.parse(seen))
    headers = {"Location": f"/v1/instructions/{given.id}"} | (REPLAYED if seen is not None else {})
    return Response(_seen(given), headers=headers)


@get(
    "/v1/instructions",
    **operation("list-instructions", "Retention", Scope.READ, summary="List instructions", raises=(CursorMalformed,)),
)
async def list_instructions(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> InstructionPage:
    """Newest first, word for word."""
    before = read_cursor("instructions", cursor)
    async with here.parts.database.account(here.account) as connection:
        rows = await book.page(connection, here.account, before=before, limit=limit + 1)
    page, next_cursor = cut_page("instructions", rows, limit=limit, position=_position)
    return InstructionPage(items=[_seen(row) for row in page], next_cursor=next_cursor)


@get(
    "/v1/instructions/{instruction_id:str}",
    **operation(
        "get-instruction", "Retention", Scope.READ, summary="Look at an instruction",
        raises=(InstructionMissing, IdMalformed),
    ),
)  # fmt: skip
async def get_instruction(here: Here, instruction_id: InstructionPath) -> InstructionSeen:
    """Word for word, with the key that signed it."""
    wanted = id_in_address(InstructionId, instruction_id)
    async with here.parts.database.account(here.account) as connection:
        return _seen(await book.find(connection, here.account, wanted))


def _position(given: Instruction) -> Position:
    return given.given_at, given.id.value


def _key_seen(key: InstructionKey) -> InstructionKeySeen:
    return InstructionKeySeen(
        vkey=key.vkey, registered_by=str(key.registered_by), registered_at=key.registered_at, retired_at=key.retired_at
    )


def _seen(given: Instruction) -> InstructionSeen:
    says = given.says
    return InstructionSeen(
        id=str(given.id), date=says.date, ground=says.ground, note=given.note, sha256=given.sha256.hex(),
        retention=[
            SettingSaid(category=each.category, retention_class=each.retention_class, days=each.days)
            for each in says.retention
        ],
        vkey=given.vkey, given_by=str(given.given_by), given_at=given.given_at,
    )  # fmt: skip
