"""Programs: client certificates under which customers' own programs connect and drive calls."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.params import JSONBody
from msgspec import Meta

from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import IdempotencyKey, Moment, MomentOrNull, NextCursor, ProgramPath, id_in_address
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit, Position, cut_page, read_cursor
from sealwire.doors.api.parts import Here, Parts
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.governance.principals import Scope
from sealwire.governance.programs import book
from sealwire.governance.programs.authority import (
    REQUEST_CHARACTERS_MAX,
    ProgramAuthority,
    RequestWrong,
    program_authority,
)
from sealwire.governance.programs.book import ProgramMissing, ProgramRevoked, RegisteredProgram
from sealwire.ground.local_ca import authority_file
from sealwire.vocabulary import ProgramId

NAME = "programs"
EXAMPLE_REQUEST = """-----BEGIN CERTIFICATE REQUEST-----
MIHNMHQCAQAwEjEQMA4GA1UEAwwHcHJvZ3JhbTBZMBMGByqGSM49AgEGCCqGSM49
AwEHA0IABG4sfMqUcZ/NDvyU7EwekRgdNWvVnHyleNlwJdC7tkk0ESliipHD7YIz
nrQCYTIHVpAupzXZTHBVtHLPcjVyNrOgADAKBggqhkjOPQQDAgNJADBGAiEAorV1
kOc7Aw6xUTTqw2OQY9T9XU0Zlkli+Iblzs7Hgb8CIQC+YFHNooV2A87KbkRWHeEI
rYfI8yPoxvbm6XDEsiuTgg==
-----END CERTIFICATE REQUEST-----
"""
CertificateRequest = Annotated[
    str,
    Meta(
        description="A certificate request (PKCS #10, PEM), signed by a key that stays with you: P-256, P-384, Ed25519 "
        "or RSA. Names in it are ignored.",
        examples=[EXAMPLE_REQUEST],
        max_length=REQUEST_CHARACTERS_MAX,
        extra_json_schema={"pattern": "^-----BEGIN (NEW )?CERTIFICATE REQUEST-----"},
    ),
]
Label = Annotated[str, Meta(description="What it is for, in your words.", examples=["ivr, host 2"], max_length=100)]
Pem = Annotated[str, Meta(examples=["-----BEGIN CERTIFICATE-----\nMIIB...\n-----END CERTIFICATE-----\n"])]


class NewProgram(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A program to be registered."""

    label: Label
    request: CertificateRequest


class Renewal(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The next certificate of a program: with a new key, or the old one."""

    request: CertificateRequest


class ProgramSeen(msgspec.Struct, kw_only=True):
    """A program with its newest certificate."""

    id: Annotated[str, Meta(description="The program's id.", examples=["uas_5f0c1e2d9a7b4c6e8f10213243546576"])]
    label: Label
    created_at: Moment
    revoked_at: MomentOrNull
    certificate: Pem
    valid_until: Moment


class ProgramMade(ProgramSeen, kw_only=True):
    """A certificate, and what its program needs besides: where to connect, and whom to trust there."""

    server: Annotated[str, Meta(description="Where programs connect.", examples=["127.0.0.1:8444"])]
    authority: Annotated[Pem, Meta(description="The authority that signed the server's certificate.")]


class ProgramPage(msgspec.Struct, kw_only=True):
    """A page of programs, newest first."""

    items: list[ProgramSeen]
    next_cursor: NextCursor


@post(
    "/v1/programs",
    **operation(
        "register-program", "Programs", Scope.CONFIGURE, summary="Register a program",
        raises=(RequestWrong, IdempotencyConflict, IdempotencyKeyMalformed),
    ),
)  # fmt: skip
async def register_program(
    here: Here, data: JSONBody[NewProgram], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[ProgramMade]:
    """Signs a client certificate for 90 days. Your private key never leaves you: send a request signed with it."""
    parts, account = here.parts, here.account
    once = await Once.of(request, here, idempotency_key)
    async with parts.database.account(account) as connection:
        seen = await once.seen(connection, account)
        if seen is None:
            program = await book.register(
                connection, account, label=data.label, request=data.request, by=here.principal.credential,
                authority=_authority(parts), clock=parts.clock,
            )  # fmt: skip
            await once.remember(connection, account, str(program))
        else:
            program = ProgramId.parse(seen)
        made = _made(parts, await book.find(connection, account, program))
    return Response(made, headers={"Location": f"/v1/programs/{program}"} | (REPLAYED if seen is not None else {}))


@get(
    "/v1/programs",
    **operation("list-programs", "Programs", Scope.READ, summary="List programs", raises=(CursorMalformed,)),
)
async def list_programs(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> ProgramPage:
    """Newest first, revoked ones included."""
    before = read_cursor(NAME, cursor)
    async with here.parts.database.account(here.account) as connection:
        rows = await book.programs(connection, here.account, before=before, limit=limit + 1)
    page, next_cursor = cut_page(NAME, rows, limit=limit, position=_position)
    return ProgramPage(items=[ProgramSeen(**_fields(each)) for each in page], next_cursor=next_cursor)


@get(
    "/v1/programs/{program_id:str}",
    **operation(
        "get-program", "Programs", Scope.READ, summary="Look at a program", raises=(ProgramMissing, IdMalformed)
    ),
)
async def get_program(here: Here, program_id: ProgramPath) -> ProgramSeen:
    """With its newest certificate."""
    wanted = id_in_address(ProgramId, program_id)
    async with here.parts.database.account(here.account) as connection:
        return ProgramSeen(**_fields(await book.find(connection, here.account, wanted)))


@post(
    "/v1/programs/{program_id:str}/renewals",
    **operation(
        "renew-program", "Programs", Scope.CONFIGURE, summary="Renew a program's certificate",
        raises=(
            RequestWrong, ProgramMissing, ProgramRevoked, IdMalformed, IdempotencyConflict, IdempotencyKeyMalformed,
        ),
    ),
)  # fmt: skip
async def renew_program(
    here: Here,
    program_id: ProgramPath,
    data: JSONBody[Renewal],
    request: Request[Any, Any, Any],
    idempotency_key: IdempotencyKey = None,
) -> Response[ProgramMade]:
    """Another 90 days from now. The certificate before goes on until its end, so that nothing has to be stopped."""
    wanted, parts, account = id_in_address(ProgramId, program_id), here.parts, here.account
    once = await Once.of(request, here, idempotency_key)
    async with parts.database.account(account) as connection:
        seen = await once.seen(connection, account)
        if seen is None:
            await book.renew(
                connection, account, wanted, request=data.request, by=here.principal.credential,
                authority=_authority(parts), clock=parts.clock,
            )  # fmt: skip
            await once.remember(connection, account, str(wanted))
        made = _made(parts, await book.find(connection, account, wanted))
    return Response(made, headers=REPLAYED if seen is not None else {})


@delete(
    "/v1/programs/{program_id:str}",
    **operation(
        "revoke-program", "Programs", Scope.CONFIGURE, summary="Revoke a program", raises=(ProgramMissing, IdMalformed)
    ),
)
async def revoke_program(here: Here, program_id: ProgramPath) -> None:
    """Ends all its certificates. Connected programs are cut off within a second, and their calls with them."""
    wanted = id_in_address(ProgramId, program_id)
    async with here.parts.database.account(here.account) as connection:
        await book.revoke(connection, here.account, wanted, by=here.principal.credential, clock=here.parts.clock)


def _authority(parts: Parts) -> ProgramAuthority:
    return program_authority(parts.settings, clock=parts.clock)


def _position(program: RegisteredProgram) -> Position:
    return program.created_at, program.program.value


def _made(parts: Parts, program: RegisteredProgram) -> ProgramMade:
    trusted = authority_file(parts.settings).read_text()
    return ProgramMade(**_fields(program), server=parts.settings.uas_listen, authority=trusted)


def _fields(program: RegisteredProgram) -> dict[str, Any]:
    return {
        "id": str(program.program),
        "label": program.label,
        "created_at": program.created_at,
        "revoked_at": program.revoked_at,
        "certificate": program.certificate,
        "valid_until": program.valid_until,
    }
